"""How much of each limit a bot uses now, nearest first: what the meters of its page show.

Measured as the rules measure it, at the latest prices: it shows and vetoes nothing. The trap avoided: a limit
that is switched off, which would read as one that is never reached; it is left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from bots.queries.standing import Standing
from bots.templatetags.figures import cost, count, multiple, percent
from market.domain.numbers import ZERO
from risk.domain import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitUse:
    """A limit: `now` of `of`, as texts; `used` and `soft` as shares of it. `soft`: where entries stop before
    the limit itself."""

    name: str
    now: str
    of: str
    used: Decimal
    soft: Decimal | None = None


def limit_uses(standing: Standing, limits: Limits) -> tuple[LimitUse, ...]:
    """Every limit that is in force and can be used up, the one nearest to its end first."""
    found = (
        *_of_exposure(standing, limits),
        *_of_the_day(standing, limits),
        *_breakers(standing, limits),
    )
    return tuple(sorted(found, key=lambda one: -one.used))


def _of_exposure(standing: Standing, limits: Limits) -> Iterator[LimitUse]:
    worth, held = standing.worth, standing.positions
    equity = worth.equity
    if limits.max_open_positions is not None:
        opened = sum(not one.is_dust for one in held)
        yield _counted("Open positions", opened, limits.max_open_positions)
    if equity <= 0:
        return
    largest = max((one.notional for one in held), default=ZERO) / equity
    if limits.max_position_notional_fraction is not None:
        yield _share("Largest position", largest, limits.max_position_notional_fraction)
    for name, value, most in (
        ("Gross exposure", worth.gross_exposure, limits.max_gross_exposure),
        ("Net exposure", abs(worth.net_exposure), limits.max_net_exposure),
    ):
        if most is not None:
            times = value / equity
            yield LimitUse(
                name=name, now=multiple(times), of=multiple(most), used=_part(times, most)
            )
    if limits.max_margin_used_fraction is not None:
        margin = sum((one.margin or one.entry_cost for one in held), ZERO)
        yield _share("Margin used", margin / equity, limits.max_margin_used_fraction)


def _of_the_day(standing: Standing, limits: Limits) -> Iterator[LimitUse]:
    breakers = standing.book.breakers
    if limits.max_trades_per_day is not None:
        yield _counted("Entries today", standing.entries_today, limits.max_trades_per_day)
    start = standing.today.start
    if limits.max_daily_loss_fraction is not None and start > 0:
        lost = max(-standing.today.net, ZERO) / start
        yield _share("Loss today", lost, limits.max_daily_loss_fraction)
    if limits.max_llm_cost_per_day is not None and standing.bot.model_profile_id is not None:
        spent = breakers.llm_cost_today if standing.counts_today else ZERO
        most = limits.max_llm_cost_per_day
        yield LimitUse(
            name="Model cost today", now=cost(spent), of=cost(most), used=_part(spent, most)
        )
    if limits.max_funding_cost_fraction is not None and start > 0:
        paid = max(-breakers.funding_today, ZERO) if standing.counts_today else ZERO
        yield _share("Funding today", paid / start, limits.max_funding_cost_fraction, 2)


def _breakers(standing: Standing, limits: Limits) -> Iterator[LimitUse]:
    breakers = standing.book.breakers
    soft, hard = limits.soft_drawdown_fraction, limits.hard_drawdown_fraction
    most = hard or soft
    if most is not None:
        yield LimitUse(
            name="Drawdown",
            now=percent(standing.drawdown),
            of=percent(most),
            used=_part(standing.drawdown, most),
            soft=None if soft is None or soft == most else soft / most,
        )
    if limits.max_loss_streak is not None:
        yield _counted("Losses in a row", breakers.loss_streak, limits.max_loss_streak)
    if limits.max_model_failures is not None and standing.bot.model_profile_id is not None:
        yield _counted(
            "Failed decisions in a row", breakers.model_failures, limits.max_model_failures
        )


def _share(name: str, value: Decimal, most: Decimal, places: int = 1) -> LimitUse:
    return LimitUse(
        name=name, now=percent(value, places), of=percent(most, places), used=_part(value, most)
    )


def _counted(name: str, value: int, most: int) -> LimitUse:
    return LimitUse(
        name=name, now=count(value), of=count(most), used=_part(Decimal(value), Decimal(most))
    )


def _part(value: Decimal, most: Decimal) -> Decimal:
    """A share of a limit; a limit of nothing is full."""
    return value / most if most > 0 else Decimal(1)
