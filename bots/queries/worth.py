"""What bots are worth at the latest prices seen: their cash, and what they hold at its mark.

For pages, never for decisions. The traps avoided: a position counted with cash that already knows its
close, so cash and positions of a bot come from one statement; and an old number shown as a new one, so
where a price is missing the last mark's equity is given, and said to be that.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet

from bots import models
from market.domain.numbers import ZERO, quantize_cash
from market.models import LatestPrice
from market.queries import latest_prices

Prices = Mapping[tuple[str, str], LatestPrice]
"""(venue, symbol) → what it was last seen at."""

_LONG_TEXTS = ("state__book", "state__recent", "state__day_navs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """A bot's money at one instant, in its settlement currency.

    `as_of`: the oldest price used; None where nothing is held, for cash needs none. `is_current` False: a
    price is missing, and all this is as of the last mark, at `as_of`; then gross exposure is what was paid
    where longs and shorts are held at once.
    """

    equity: Decimal
    unrealized_pnl: Decimal
    gross_exposure: Decimal
    net_exposure: Decimal
    as_of: datetime | None
    is_current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """A bot's row (its state, risk profile and model profile with it), what it holds, and its worth."""

    bot: models.Bot
    held: tuple[models.Position, ...]
    worth: Worth


def stands_of(bots: QuerySet[models.Bot]) -> tuple[tuple[Stand, ...], Prices]:
    """How these bots stand, in name order, and the prices of what they hold. Three queries."""
    held: dict[UUID, list[models.Position]] = defaultdict(list)
    positions = models.Position.objects.filter(bot__in=bots).select_related("bot__state")
    for position in positions.defer(*(f"bot__{name}" for name in ("owner_words", *_LONG_TEXTS))):
        held[position.bot_id].append(position)
    holds = Exists(models.Position.objects.filter(bot=OuterRef("pk")))
    rows = bots.annotate(holds=holds).select_related("state", "risk_profile", "model_profile")
    listed = list(rows.defer("owner_words", *_LONG_TEXTS).order_by("name", "pk"))
    prices = latest_prices((one.bot.venue, one.symbol) for mine in held.values() for one in mine)
    return tuple(_stand(bot, held.get(bot.pk, []), prices) for bot in listed), prices


def unrealized(position: models.Position, mark: Decimal) -> Decimal:
    """As `market.domain.positions.Position.unrealized_pnl`, for a row: it knows its contract size."""
    value = position.quantity * position.contract_size * mark
    cost = position.entry_cost
    return quantize_cash(value - cost if position.quantity > 0 else value + cost)


def exposure(
    positions: Sequence[models.Position], unrealized_pnl: Decimal
) -> tuple[Decimal, Decimal]:
    """(gross, net) notional of what is held, which has gained `unrealized_pnl` in all, where no price of it
    is known.

    A long is worth its cost + its gain, a short its cost − its gain: signed, both are the signed cost
    + the gain, so the sum of gains is enough for the net, and for the gross of one side.
    """
    longs = sum((one.entry_cost for one in positions if one.quantity > 0), ZERO)
    shorts = sum((one.entry_cost for one in positions if one.quantity < 0), ZERO)
    if not positions:
        return ZERO, ZERO
    net = longs - shorts + unrealized_pnl
    return (longs + shorts if longs and shorts else abs(net)), net


def _stand(bot: models.Bot, held: list[models.Position], prices: Prices) -> Stand:
    """Flat as of its own statement, or holding as of that of its positions, whose state then counts."""
    if not bot.holds:  # type: ignore[attr-defined]
        return Stand(bot=bot, held=(), worth=_of_cash(bot.state.cash))
    if not held:  # it opened between the two statements
        return Stand(bot=bot, held=(), worth=_last_marked(bot.state, ()))
    bot.state = held[0].bot.state
    held.sort(key=lambda one: one.symbol)
    priced = [prices.get((bot.venue, one.symbol)) for one in held]
    found = [price for price in priced if price is not None]
    if len(found) < len(held):
        return Stand(bot=bot, held=tuple(held), worth=_last_marked(bot.state, held))
    return Stand(bot=bot, held=tuple(held), worth=_at_prices(bot.state.cash, held, found))


def _of_cash(cash: Decimal) -> Worth:
    return Worth(
        equity=cash,
        unrealized_pnl=ZERO,
        gross_exposure=ZERO,
        net_exposure=ZERO,
        as_of=None,
        is_current=True,
    )


def _at_prices(
    cash: Decimal, held: Sequence[models.Position], prices: Sequence[LatestPrice]
) -> Worth:
    pairs = list(zip(held, prices, strict=True))
    gained = sum((unrealized(one, price.mark_price) for one, price in pairs), ZERO)
    values = [one.quantity * one.contract_size * price.mark_price for one, price in pairs]
    return Worth(
        equity=cash + gained,
        unrealized_pnl=gained,
        gross_exposure=sum((abs(value) for value in values), ZERO),
        net_exposure=sum(values, ZERO),
        as_of=min(price.at for price in prices),
        is_current=True,
    )


def _last_marked(state: models.BotState, held: Sequence[models.Position]) -> Worth:
    gained = state.equity - state.cash
    gross, net = exposure(held, gained)
    return Worth(
        equity=state.equity,
        unrealized_pnl=gained,
        gross_exposure=gross,
        net_exposure=net,
        as_of=state.equity_at,
        is_current=False,
    )
