"""What a chart of prices shows: candles, the bot's fills among them, the levels of what it holds.

Candles come from the bot's own feed, which shares what it fetches with everybody in the process; none is
stored for a picture. The trap avoided: a venue that is silent must not empty the page, so what is recorded
of it is shown instead, and said to be old.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.utils import timezone

from bots import models, runtime
from market.domain.data import Candle, CandleSeries
from market.domain.enums import FillReason, OrderPurpose, OrderSide
from market.errors import VenueUnavailable
from market.models import Instrument
from market.queries import stored_candles

MOST_CANDLES = 500
MOST_FILLS = 500
LENGTHS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 240, 1440))
LONGEST_MULTIPLE = 20
"""Of longer candles, 500 short ones make too few to look at."""


class NoSuchChart(LookupError):
    """The bot does not trade this symbol, or the venue has no candles of this length for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleChart:
    """Candles oldest first, the open one last. `problem`: why the venue could not be asked; then these are
    the recorded ones, if there are any. `price_step` None: the instrument is not known."""

    symbol: str
    timeframe: timedelta
    candles: tuple[Candle, ...]
    price_step: Decimal | None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FillMark:
    """A fill as a chart marks it. `purpose` None: no order of ours made it."""

    id: int
    at: datetime
    side: OrderSide
    quantity: Decimal
    price: Decimal
    purpose: OrderPurpose | None
    reason: FillReason


def chart_symbols(bot: models.Bot) -> tuple[str, ...]:
    """What can be charted: what the bot trades, and what it still holds of what it traded. One query."""
    held = models.Position.objects.filter(bot=bot).values_list("symbol", flat=True)
    return tuple(dict.fromkeys((*bot.symbols, *sorted(held))))


def chart_lengths(bot: models.Bot) -> tuple[timedelta, ...]:
    """Candle lengths for a bot: its own, and the usual ones that are whole numbers of it."""
    own = timedelta(seconds=bot.timeframe_seconds)
    longer = (one for one in LENGTHS if own < one <= own * LONGEST_MULTIPLE and not one % own)
    return (own, *longer)


def candles_of(
    bot: models.Bot,
    symbol: str,
    timeframe: timedelta | None = None,
    *,
    count: int = MOST_CANDLES,
    since: datetime | None = None,
) -> CandleChart:
    """The last candles of a symbol (at most 500), of these the ones that opened at or after `since`.

    Asks the venue, or what this process has of it; never in a transaction. Two queries, one more where
    the venue is silent. Raises NoSuchChart.
    """
    timeframe = timeframe or timedelta(seconds=bot.timeframe_seconds)
    if timeframe not in chart_lengths(bot) or symbol not in chart_symbols(bot):
        raise NoSuchChart(f"there is no chart of {symbol} in these candles")
    count = max(1, min(count, MOST_CANDLES))
    problem, unfinished = "", None
    series: CandleSeries | None
    try:
        seen = runtime.chart_candles(bot, symbol, timeframe)
        series, unfinished = seen.closed, seen.unfinished
    except VenueUnavailable as silence:
        problem = str(silence)
        series = _recorded(bot, symbol, timeframe, count)
    except ValueError as error:
        raise NoSuchChart(str(error)) from error
    candles = () if series is None else _last(series, count)
    if unfinished is not None:
        candles = (*candles[-(count - 1) :], unfinished) if count > 1 else (unfinished,)
    if since is not None:
        candles = tuple(one for one in candles if one.opened_at >= since)
    listed = Instrument.objects.filter(venue=bot.venue, symbol=symbol)
    return CandleChart(
        symbol=symbol,
        timeframe=timeframe,
        candles=candles,
        price_step=listed.values_list("price_step", flat=True).first(),
        problem=problem,
    )


def fill_marks(
    bot: models.Bot, symbol: str, since: datetime, limit: int = MOST_FILLS
) -> tuple[FillMark, ...]:
    """The bot's last fills of a symbol from `since` on, oldest first. One query."""
    found = models.Fill.objects.filter(bot=bot, symbol=symbol, at__gte=since).select_related(
        "order"
    )
    latest = found.order_by("-at", "-pk")[: max(1, min(limit, MOST_FILLS))]
    return tuple(_mark(row) for row in reversed(latest))


def _mark(row: models.Fill) -> FillMark:
    order = row.order
    return FillMark(
        id=row.pk,
        at=row.at,
        side=OrderSide(row.side),
        quantity=row.quantity,
        price=row.price,
        purpose=None if order is None else OrderPurpose(order.purpose),
        reason=FillReason(row.reason),
    )


def _recorded(
    bot: models.Bot, symbol: str, timeframe: timedelta, count: int
) -> CandleSeries | None:
    now = timezone.now()
    return stored_candles(bot.venue, symbol, timeframe, now - (count + 1) * timeframe, now)


def _last(series: CandleSeries, count: int) -> tuple[Candle, ...]:
    return tuple(series.candle(index) for index in range(max(0, len(series) - count), len(series)))
