"""A real venue as a MarketFeed: closed candles, quote, book and funding as the venue tells them now.

Public data only, without a key. Fetching and sharing are in `venue_data`, judging in `plausibility`;
here an instrument's snapshot is put together. The traps avoided: a candle that still moves among the
closed ones, an instrument that takes the others out, and a price made up where the venue told none.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np

from market.domain.data import (
    Candle,
    CandleSeries,
    InstrumentSnapshot,
    MarketSnapshot,
    OrderBook,
    Quote,
    from_milliseconds,
    to_milliseconds,
)
from market.domain.instruments import Instrument
from market.domain.numbers import ZERO
from market.errors import VenueUnavailable
from market.ports import Clock
from market.venues.candle_tracks import TrackView
from market.venues.ccxt_quotes import Context, TimedBook, quote_of
from market.venues.charts import ChartCandles
from market.venues.plausibility import candles_reason, quote_reason, status_reason
from market.venues.timeframes import aggregate
from market.venues.venue_data import MINUTE, SeriesKey, VenueData
from tradingagent.accounts.outward import before_speaking_outward

CONTEXT = timedelta(hours=4)
CANDLES = 500
"""Candles of the cycle and of the context: more than any standard indicator needs to settle."""
BARS = 1500
"""One-minute bars: a day of downtime is replayed by the paper broker."""

_MILLISECOND = timedelta(milliseconds=1)
_NOTHING = Context()


@dataclass(slots=True)
class _Seen:
    """What was read of one instrument so far; `failure` is what kept it from being read on."""

    quote: Quote | None = None
    book: OrderBook | None = None
    funding: Context = _NOTHING
    open_interest: Decimal | None = None
    failure: str | None = None
    reason: str | None = None


class CcxtFeed:
    """A MarketFeed over one venue for one timeframe of cycles. Safe to use from many threads.

    `clock` is only asked whether a bar may have closed. Raises ValueError when the venue has no candles
    that make the timeframe, VenueUnavailable never when it is made.
    """

    def __init__(self, data: VenueData, timeframe: timedelta, clock: Clock) -> None:
        self._data = data
        self._timeframe = timeframe
        self._clock = clock
        self._source = data.source_timeframe(timeframe)
        self._made: dict[str, tuple[CandleSeries, CandleSeries]] = {}

    def instruments(self) -> Sequence[Instrument]:
        """Every instrument of the venue that can be traded, in name order. Raises VenueUnavailable."""
        before_speaking_outward()
        return tuple(self._data.instruments().values())

    def snapshot(self, symbols: Sequence[str], now: datetime) -> MarketSnapshot:
        """The market at `now` (see `market.ports.MarketFeed`), which is the present.

        Raises ValueError for a symbol that can't be traded there, VenueUnavailable when no instrument
        can be read, OutwardCallInTransaction inside a database transaction.
        """
        before_speaking_outward()
        instruments = [self._data.instrument(symbol) for symbol in sorted(set(symbols))]
        looks = list(self._data.workers.map(lambda one: self._look(one, now), instruments))
        failures = [failure for _, failure in looks if failure is not None]
        if failures and len(failures) == len(looks):
            raise VenueUnavailable(failures[0])
        return MarketSnapshot(
            as_of=now, instruments=tuple(item for item, _ in looks), source=self._data.spec.name
        )

    def is_bar_closed(self, symbols: Sequence[str], due_at: datetime) -> bool:
        """Tell whether the feed shows, for every symbol, the candle of its timeframe that ends at
        `due_at`. False as well while the venue can't be reached. Raises what `snapshot` raises
        otherwise."""
        now = self._clock.now()
        if now < due_at:
            return False
        before_speaking_outward()
        opened_at = to_milliseconds(due_at - self._source)
        wanted = [self._wanted(self._data.instrument(symbol)).candles for symbol in symbols]
        try:
            return all(self._data.refresh(key, now).has(opened_at) for key in wanted)
        except VenueUnavailable:
            return False

    def candles(self, symbol: str, now: datetime) -> ChartCandles:
        """The candles of one instrument at `now`, the open one up to the last price: the same tracks that
        snapshots are made of, without book, mark candles and funding. Raises ValueError,
        VenueUnavailable, OutwardCallInTransaction."""
        before_speaking_outward()
        instrument = self._data.instrument(symbol)
        wanted = self._wanted(instrument)
        for key in dict.fromkeys((wanted.bars, wanted.candles)):
            self._data.refresh(key, now)
        try:
            last = self._data.context(instrument).last
        except VenueUnavailable:
            last = None
        at = to_milliseconds(now)
        view = self._data.track(wanted.bars).view
        made = self._aggregated(symbol, self._data.track(wanted.candles).view.series)
        return ChartCandles(
            closed=closed_by(made, at), unfinished=moving_candle(view, self._timeframe, at, last)
        )

    # One instrument

    def _look(self, instrument: Instrument, now: datetime) -> tuple[InstrumentSnapshot, str | None]:
        """Return an instrument's snapshot, and what kept its prices from being read, if anything did."""
        seen, wanted = _Seen(), self._wanted(instrument)
        try:
            self._read_quote(instrument, now, seen)
            for key in wanted:
                self._data.refresh(key, now)
        except VenueUnavailable as error:
            seen.failure = str(error)
        item = self._put_together(instrument, wanted, now, seen)
        return item, seen.failure if item.quote is None else None

    def _read_quote(self, instrument: Instrument, now: datetime, seen: _Seen) -> None:
        told = self._data.context(instrument)
        timed = self._data.book(instrument.symbol)
        if timed is None:
            seen.reason = "the venue's book is empty or crossed, or its prices make no sense"
        elif told.last is None:
            seen.reason = "the venue tells no last price"
        elif told.mark is None and not instrument.is_spot:
            seen.reason = "the venue tells no mark price"
        else:
            seen.book = timed.book
            at = self._told_at(now, timed, told)
            seen.quote = quote_of(instrument.symbol, told, timed, told.mark, at)
        if not instrument.is_spot:
            self._read_funding(instrument, told, now, seen)

    def _told_at(self, now: datetime, book: TimedBook, told: Context) -> datetime:
        """Return how old the older of book and mark is, on our clock; a venue that tells no time is
        believed for as long as its answer is shared."""
        times = [at for at in (book.at, told.at) if at is not None]
        if not times:
            return now
        return min(now, from_milliseconds(min(times) - self._data.clock_ahead_ms(now)))

    def _read_funding(
        self, instrument: Instrument, told: Context, now: datetime, seen: _Seen
    ) -> None:
        """Read what is good to know; a venue that keeps it back is traded on without."""
        try:
            self._data.settled_funding(instrument, now)
            seen.funding = self._data.funding(instrument, told, now)
            seen.open_interest = self._data.open_interest(instrument.symbol, told)
        except VenueUnavailable:
            return

    # Its candles

    def _wanted(self, instrument: Instrument) -> "_Wanted":
        symbol, spec = instrument.symbol, self._data.spec
        bars = SeriesKey(symbol=symbol, timeframe=MINUTE, capacity=BARS)
        capacity = CANDLES * (self._timeframe // self._source)
        candles = SeriesKey(symbol=symbol, timeframe=self._source, capacity=capacity)
        context = SeriesKey(symbol=symbol, timeframe=CONTEXT, capacity=CANDLES)
        return _Wanted(
            bars=bars,
            candles=bars if self._source == MINUTE else candles,
            context=context if CONTEXT in self._data.timeframes else None,
            marks=replace(bars, is_mark=True)
            if spec.mark_limit and not instrument.is_spot
            else None,
        )

    def _put_together(
        self, instrument: Instrument, wanted: "_Wanted", now: datetime, seen: _Seen
    ) -> InstrumentSnapshot:
        """Cut what is held at `now` and judge it."""
        at = to_milliseconds(now)
        view = self._data.track(wanted.bars).view
        bars = closed_by(view.series, at)
        marks = None
        if wanted.marks is not None:
            marks = closed_by(self._data.track(wanted.marks).view.series, at)
            bars, marks = together(bars, marks)
        made = self._aggregated(instrument.symbol, self._data.track(wanted.candles).view.series)
        candles = closed_by(made, at)
        context = None
        if wanted.context is not None:
            context = closed_by(self._data.track(wanted.context).view.series, at)
        last = seen.quote.last if seen.quote is not None else None
        return InstrumentSnapshot(
            instrument=instrument,
            quote=seen.quote,
            book=seen.book,
            candles=candles,
            bars=bars,
            context=context,
            mark_bars=marks,
            funding=self._data.funding_known(instrument.symbol),
            unfinished=moving_candle(view, self._timeframe, at, last),
            funding_rate=seen.funding.funding_rate,
            next_funding_at=seen.funding.next_funding_at,
            open_interest=seen.open_interest,
            unusable=status_reason(instrument)  # of what is not listed any more nothing can be read
            or seen.failure
            or seen.reason
            or candles_reason(now, bars, candles, marks)
            or (None if seen.quote is None else quote_reason(now, seen.quote)),
        )

    def _aggregated(self, symbol: str, source: CandleSeries) -> CandleSeries:
        """Return candles of the cycle made of the source's, the same object while the source is."""
        if self._source == self._timeframe:
            return source
        made = self._made.get(symbol)
        if made is None or made[0] is not source:
            made = self._made[symbol] = (source, aggregate(source, self._timeframe))
        return made[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """The series that a snapshot is made of."""

    bars: SeriesKey
    candles: SeriesKey
    context: SeriesKey | None
    marks: SeriesKey | None

    def __iter__(self) -> Iterator[SeriesKey]:
        """In the order in which they are fetched."""
        keys = dict.fromkeys((self.bars, self.marks, self.candles, self.context))
        return (key for key in keys if key is not None)


def closed_by(series: CandleSeries, at: int) -> CandleSeries:
    """Return the candles of a series that closed by an instant (ms), as a window on it."""
    length = series.timeframe // _MILLISECOND
    return series.first(int(np.searchsorted(series.opened_at, at - length, side="right")))


def together(bars: CandleSeries, marks: CandleSeries) -> tuple[CandleSeries, CandleSeries]:
    """Cut both series where the shorter one ends, so that a minute is not walked before its mark price
    is known."""
    if not len(bars) or not len(marks):
        return bars, marks
    end = min(int(bars.opened_at[-1]), int(marks.opened_at[-1]))
    length = bars.timeframe // _MILLISECOND
    return closed_by(bars, end + length), closed_by(marks, end + length)


def moving_candle(
    view: TrackView, timeframe: timedelta, at: int, last: Decimal | None
) -> Candle | None:
    """Return the candle that is open at `at`, made of the closed bars in it, the bar that was moving when
    they were fetched, and the last price; None when none of its bars has been seen."""
    opens = at - at % (timeframe // _MILLISECOND)
    series = closed_by(view.series, at)
    first = int(np.searchsorted(series.opened_at, opens, side="left"))
    parts = [series.candle(index) for index in range(first, len(series))]
    moving = view.moving
    if moving is not None and opens <= to_milliseconds(moving.opened_at) <= at:
        if not parts or moving.opened_at > parts[-1].opened_at:
            parts.append(moving)
    if not parts or view.fetched_at > at:
        return None
    prices = [last] if last is not None else []
    return Candle(
        opened_at=from_milliseconds(opens),
        open=parts[0].open,
        high=max([part.high for part in parts] + prices),
        low=min([part.low for part in parts] + prices),
        close=prices[0] if prices else parts[-1].close,
        volume=sum((part.volume for part in parts), ZERO),
        is_closed=False,
    )
