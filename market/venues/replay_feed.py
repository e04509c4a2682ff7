"""The market of recorded candles, seen as of any instant: the feed of a replay.

Bars that have closed by `now`, the quote at the last close, the funding settled so far; nothing that
happened later can be reached, except through `CandleSeries.base`, which is how indicators are
computed once per run and which only they may use. It fills no orders and waits for nothing. The trap
avoided: a bar shown at the instant it opens has its close in it; here a bar exists from its close.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np

from market.domain.canonical import utc_text
from market.domain.data import (
    Candle,
    CandleSeries,
    FundingSeries,
    InstrumentSnapshot,
    IntColumn,
    MarketSnapshot,
    Quote,
    from_milliseconds,
    to_milliseconds,
)
from market.domain.instruments import Instrument
from market.domain.numbers import ZERO
from market.errors import CandleFileError
from market.venues.histories import InstrumentHistory, check_fit
from market.venues.timeframes import aggregate, divides

__all__ = ["InstrumentHistory", "ReplayFeed"]

_MILLISECOND = timedelta(milliseconds=1)
CONTEXT = timedelta(hours=4)


class ReplayFeed:
    """A MarketFeed over recorded histories, which share one grid of bars.

    `timeframe` is the cycle's: `candles` are made of the recorded bars, and so is the context of 4
    hours where it divides. `spread_bps` is the whole spread put around the last close, each side
    rounded outward to the tick. Without mark bars the mark is the last price, and `source` says so.
    `funding_rate` is the last settled one; `next_funding_at` the next multiple of the instrument's
    interval. Raises CandleFileError when the histories don't fit each other or the timeframe.
    """

    def __init__(
        self,
        histories: Sequence[InstrumentHistory],
        *,
        timeframe: timedelta,
        spread_bps: Decimal = ZERO,
    ) -> None:
        if not histories:
            raise CandleFileError("there is no instrument to replay")
        if spread_bps < 0 or spread_bps >= 10_000:
            raise ValueError(f"a spread is from 0 to 10000 bps, not {spread_bps}")
        ordered = sorted(histories, key=lambda history: history.instrument.symbol)
        check_fit(ordered, timeframe)
        tracks = [_Track(history, timeframe, spread_bps) for history in ordered]
        self._tracks = {track.instrument.symbol: track for track in tracks}
        if len(self._tracks) < len(tracks):
            raise CandleFileError("an instrument is there twice")
        first = tracks[0]
        self._bars = _Grid(first.bars)
        self._candles = self._bars if first.candles is first.bars else _Grid(first.candles)
        self._context = None if first.context is None else _Grid(first.context)
        self._timeframe_ms = timeframe // _MILLISECOND
        self._source = "recorded candles"
        if any(history.mark_bars is None for history in ordered):
            self._source += "; mark = last price"
        self._chosen: dict[tuple[str, ...], tuple[_Track, ...]] = {}
        self._latest: tuple[tuple[_Track, ...], MarketSnapshot] | None = None

    @property
    def closes_at(self) -> IntColumn:
        """The instants at which candles of the cycle's timeframe close, in ms since the epoch."""
        return self._candles.opened_at + self._timeframe_ms

    def instruments(self) -> Sequence[Instrument]:
        """Every instrument that was recorded, in name order."""
        return tuple(track.instrument for track in self._tracks.values())

    def snapshot(self, symbols: Sequence[str], now: datetime) -> MarketSnapshot:
        """The market as recorded up to `now` (see `market.ports.MarketFeed`).

        An instrument without a closed bar yet, or whose last bar (or candle of the cycle's timeframe) closed
        a whole one ago or more, is `unusable`. `unfinished` is made of the closed bars inside the candle
        that is still open. Raises ValueError for a symbol that was not recorded.
        """
        key = tuple(symbols)
        tracks = self._chosen.get(key)
        if tracks is None:
            tracks = self._chosen[key] = self._choose(key)
        latest = self._latest
        if latest is not None and latest[0] is tracks and latest[1].as_of == now:
            return latest[1]
        at = to_milliseconds(now)
        bars = self._bars.closed(at)
        candles = bars if self._candles is self._bars else self._candles.closed(at)
        context = 0 if self._context is None else self._context.closed(at)
        opened = bars
        if self._candles is not self._bars:
            opened = self._bars.opened_before(at - at % self._timeframe_ms)
        unusable = self._unusable(at, bars, candles)
        snapshot = MarketSnapshot(
            as_of=now,
            instruments=tuple(
                [
                    track.snapshot(now, at, bars, candles, context, opened, unusable)
                    for track in tracks
                ]
            ),
            source=self._source,
        )
        self._latest = (tracks, snapshot)
        return snapshot

    def _choose(self, symbols: tuple[str, ...]) -> "tuple[_Track, ...]":
        for symbol in symbols:
            if symbol not in self._tracks:
                known = ", ".join(self._tracks)
                raise ValueError(f"there are no candles of {symbol}, only of {known}")
        return tuple(self._tracks[symbol] for symbol in sorted(set(symbols)))

    def _unusable(self, at: int, bars: int, candles: int) -> str | None:
        grid = self._bars
        if not bars:
            return f"there is no closed candle before {utc_text(from_milliseconds(grid.start + grid.length))}"
        age = at - grid.close_of(bars - 1)
        if age < grid.length:
            if self._candles is grid or not candles:
                return None
            # a gap inside the cycle's candle: the last whole one was acted on long ago
            grid = self._candles
            age = at - grid.close_of(candles - 1)
            if age < grid.length:
                return None
        closed = utc_text(from_milliseconds(at - age))
        return f"the last candle closed at {closed}, {age // 1000} seconds ago"


class _Grid:
    """When the bars of a series open and close, found by arithmetic where there are no gaps."""

    __slots__ = ("_gapless", "count", "length", "opened_at", "start")

    def __init__(self, series: CandleSeries) -> None:
        self.opened_at = series.opened_at
        self.count = len(series)
        self.length = series.timeframe // _MILLISECOND
        self.start = int(series.opened_at[0]) if self.count else 0
        self._gapless = bool(np.all(np.diff(series.opened_at) == self.length))

    def closed(self, at: int) -> int:
        """Return how many bars have closed by an instant."""
        return self.opened_before(at - self.length + 1)

    def opened_before(self, at: int) -> int:
        """Return how many bars opened before an instant."""
        if self._gapless:
            return min(max((at - self.start - 1) // self.length + 1, 0), self.count)
        return int(np.searchsorted(self.opened_at, at, side="left"))

    def close_of(self, index: int) -> int:
        """Return when a bar closes."""
        if self._gapless:
            return self.start + (index + 1) * self.length
        return int(self.opened_at[index]) + self.length


class _Track:
    """One instrument's series and what was last cut from them, kept while it stays the same."""

    __slots__ = (
        "_bars", "_candles", "_context", "_funding", "_funding_until", "_mark_bars", "_next_funding", "_pricer",
        "_rate", "bars", "candles", "context", "funding", "instrument", "interval", "mark_bars",
    )  # fmt: skip

    def __init__(
        self, history: InstrumentHistory, timeframe: timedelta, spread_bps: Decimal
    ) -> None:
        self.instrument = history.instrument
        self.bars = history.bars
        self.mark_bars = history.mark_bars
        self.funding = history.funding
        self.candles = aggregate(history.bars, timeframe)
        divisible = divides(history.bars.timeframe, CONTEXT)
        self.context = aggregate(history.bars, CONTEXT) if divisible else None
        self.interval = (history.instrument.funding_interval or timedelta()) // _MILLISECOND
        self._pricer = _Pricer(history.instrument.price_step, history.bars, spread_bps)
        self._bars = self.bars.first(0)
        self._mark_bars = None if self.mark_bars is None else self.mark_bars.first(0)
        self._candles = self.candles.first(0)
        self._context = None if self.context is None else self.context.first(0)
        self._funding: FundingSeries | None = None
        self._funding_until = (0, 0)  # the instants between which what was cut holds
        self._rate: Decimal | None = None
        self._next_funding: tuple[int, datetime] | None = None

    def snapshot(
        self,
        now: datetime,
        at: int,
        bars: int,
        candles: int,
        context: int,
        opened: int,
        unusable: str | None,
    ) -> InstrumentSnapshot:
        """Cut the first so many bars, candles and context candles; `opened` bars lie before the
        candle that is still open."""
        if self._bars.end != bars:
            self._bars = self.bars.first(bars)
            self._mark_bars = None if self.mark_bars is None else self.mark_bars.first(bars)
        if self.candles is self.bars:
            self._candles = self._bars
        elif self._candles.end != candles:
            self._candles = self.candles.first(candles)
        if self.context is not None and (self._context is None or self._context.end != context):
            self._context = self.context.first(context)
        if self.funding is not None and not self._funding_until[0] <= at < self._funding_until[1]:
            self._cut_funding(self.funding, at)
        quote = None
        if bars:
            quote = self._quote(bars - 1, now, at)
            if quote is None:
                unusable = unusable or "the price is below one tick"
        return InstrumentSnapshot(
            instrument=self.instrument,
            quote=quote,
            candles=self._candles,
            bars=self._bars,
            context=self._context,
            mark_bars=self._mark_bars,
            funding=self._funding,
            unfinished=_merged(self.bars, opened, bars) if opened < bars else None,
            funding_rate=self._rate,
            next_funding_at=self._next_funding_at(at) if self.interval else None,
            unusable=unusable,
        )

    def _quote(self, index: int, now: datetime, at: int) -> Quote | None:
        last, bid, ask = self._pricer.prices(index)
        if bid <= 0:
            return None
        series = self.bars
        closed = int(series.opened_at[index]) + series.timeframe // _MILLISECOND
        marks = self.mark_bars
        return Quote(
            symbol=self.instrument.symbol,
            at=now if closed == at else from_milliseconds(closed),
            bid=bid,
            ask=ask,
            last=last,
            mark=last if marks is None else marks.price(marks.close[index]),
        )

    def _cut_funding(self, funding: FundingSeries, at: int) -> None:
        count = int(np.searchsorted(funding.at, at, side="right"))
        self._funding = FundingSeries(at=funding.at[:count], rates=funding.rates[:count])
        self._rate = funding.rates[count - 1] if count else None
        self._funding_until = (
            int(funding.at[count - 1]) if count else at,
            int(funding.at[count]) if count < len(funding.at) else 2**63,
        )

    def _next_funding_at(self, at: int) -> datetime:
        due = at - at % self.interval + self.interval
        if self._next_funding is None or self._next_funding[0] != due:
            self._next_funding = (due, from_milliseconds(due))
        return self._next_funding[1]


class _Pricer:
    """The last price of a bar and the bid and ask around it, exact, by integers."""

    __slots__ = ("_close", "_exponent", "_factor", "_series", "_sides", "_tick")

    def __init__(self, tick: Decimal, series: CandleSeries, spread_bps: Decimal) -> None:
        exponent = min(series.price_exponent, int(tick.normalize().as_tuple().exponent))
        self._series = series
        self._close = series.close
        self._exponent = exponent
        self._factor = 10 ** (series.price_exponent - exponent)
        self._tick = int(tick.scaleb(-exponent))
        spread, whole = spread_bps.as_integer_ratio()
        middle = 20_000 * whole
        self._sides = (middle - spread, middle + spread, middle * self._tick)

    def prices(self, index: int) -> tuple[Decimal, Decimal, Decimal]:
        """Return the last price, the bid and the ask; the sides are multiples of the tick."""
        scaled = int(self._close[index])
        last = Decimal(scaled).scaleb(self._series.price_exponent)
        scaled *= self._factor
        down, up, unit = self._sides
        bid = scaled * down // unit * self._tick
        ask = -(-scaled * up // unit) * self._tick
        if bid == ask == scaled:
            return last, last, last
        return last, Decimal(bid).scaleb(self._exponent), Decimal(ask).scaleb(self._exponent)


def _merged(bars: CandleSeries, first: int, end: int) -> Candle:
    """Return the candle that some bars make, not closed yet."""
    return Candle(
        opened_at=bars.opened(first),
        open=bars.price(bars.open[first]),
        high=bars.price(max(bars.high[first:end].tolist())),
        low=bars.price(min(bars.low[first:end].tolist())),
        close=bars.price(bars.close[end - 1]),
        volume=Decimal(sum(bars.volume[first:end].tolist())).scaleb(bars.volume_exponent),
        is_closed=False,
    )
