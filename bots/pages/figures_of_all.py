"""The figures at the top of the dashboard, each beside what limits allow. Pure.

Limits are each bot's own. What adds up is added (exposure, cost); a drawdown does not, so the one nearest to
its limit is shown. The trap avoided: a share of a limit that one of the bots does not have.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from bots.queries import BotLine, Today, Total
from bots.templatetags.parts import meter_state
from market.domain.numbers import ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How much of what limits allow is used: a share, and the two amounts behind it. `soft`: where entries
    stop, as a share too. `bot`: whose limit it is, where it is one bot's."""

    used: Decimal
    now: Decimal
    of: Decimal
    soft: Decimal | None = None
    bot: str = ""

    @property
    def state(self) -> str:
        """As its meter's: near, hit or ""."""
        return meter_state(self.used)


def terms_of(today: Today, lines: Sequence[BotLine]) -> tuple[tuple[str, Decimal], ...]:
    """What made the day's net, each with its sign; what never happens here is left out."""
    named = (
        ("Realised", today.realized, True),
        ("Fees", today.fees, True),
        ("Funding", today.funding, True),
        ("Models", today.model, any(line.asks_model for line in lines)),
        ("Adjustments", today.adjustments, False),
        ("Change in open PnL", today.open_change, True),
    )
    return tuple((name, value) for name, value, always in named if always or value)


def exposure_of(lines: Sequence[BotLine], total: Total) -> Use:
    """Gross exposure of all, of what all limits together allow; a share of 0 where one has no limit."""
    allowed = ZERO
    for line in lines:
        most = line.caps.max_gross_exposure
        if most is None:
            allowed = ZERO
            break
        allowed += most * max(line.equity, ZERO)
    equity = total.equity if total.equity > 0 else Decimal(1)
    return Use(
        used=total.gross_exposure / allowed if allowed else ZERO,
        now=total.gross_exposure / equity,
        of=allowed / equity,
    )


def drawdown_of(lines: Sequence[BotLine]) -> Use | None:
    """The bot that stands nearest to the drawdown that halts it; None where no bot has such a limit."""
    found = [
        Use(
            used=line.drawdown_fraction / hard,
            now=line.drawdown_fraction,
            of=hard,
            soft=None if soft is None else soft / hard,
            bot=line.name,
        )
        for line in lines
        for hard, soft in [(line.caps.hard_drawdown_fraction, line.caps.soft_drawdown_fraction)]
        if hard is not None
    ]
    return max(found, key=lambda one: one.used, default=None)


def model_cost_of(lines: Sequence[BotLine], today: Today) -> Use:
    """What models have cost today, of what the bots that ask one may spend; a share of 0 without a limit."""
    caps = [line.caps.max_llm_cost_per_day for line in lines if line.asks_model]
    limited = [cap for cap in caps if cap is not None]
    of = sum(limited, ZERO) if len(limited) == len(caps) else ZERO
    return Use(used=-today.model / of if of else ZERO, now=-today.model, of=of)
