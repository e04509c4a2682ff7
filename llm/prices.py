"""What a model's tokens cost, by the price of their day. Pure; an unknown price makes an unknown cost, never zero."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from llm.domain import Usage

MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars per million tokens. `cached`: read from the host's cache; `written`: put into it."""

    input: Decimal
    output: Decimal
    cached: Decimal
    written: Decimal


def cost_of(usage: Usage, price: Price | None) -> Decimal | None:
    """What these tokens cost in US dollars, exactly; None without a price."""
    if price is None:
        return None
    fresh = max(0, usage.input_tokens - usage.cached_tokens - usage.written_tokens)
    total = (
        fresh * price.input
        + usage.cached_tokens * price.cached
        + usage.written_tokens * price.written
        + usage.output_tokens * price.output
    )
    return total / MILLION


def at_most(usage: Usage, price: Price | None) -> Decimal | None:
    """What these tokens cost if none of the input was cached and all of it is put there; None without a price."""
    if price is None:
        return None
    dearest = max(price.input, price.written)
    return (usage.input_tokens * dearest + usage.output_tokens * price.output) / MILLION


def micros(dollars: Decimal) -> int:
    """Millionths of a dollar, rounded up: what budgets are counted in."""
    return int((dollars * MILLION).to_integral_value(ROUND_CEILING))
