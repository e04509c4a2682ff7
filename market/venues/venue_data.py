"""All that this process knows of one venue: its instruments, candles and prices, fetched once for all.

Feeds of different timeframes share one VenueData. It fetches and remembers; what may be traded on is
judged by the feed. The trap avoided: twenty bots on one venue are one client to it, so what each bot
would fetch for itself makes all of them unwelcome.
"""

import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from threading import Lock
from typing import Any

from market.domain.data import FundingSeries, to_milliseconds
from market.domain.enums import InstrumentStatus
from market.domain.instruments import Instrument
from market.errors import VenueUnavailable
from market.venues.candle_tracks import CandleTrack
from market.venues.ccxt_client import VenueClient
from market.venues.ccxt_instruments import instruments_of
from market.venues.ccxt_quotes import (
    LEVELS,
    Context,
    TimedBook,
    book_of,
    funding_context,
    funding_series,
    instant,
    next_multiple,
    number,
    price,
    ticker_context,
    whole_context,
)
from market.venues.shared_fetch import SharedFetch
from market.venues.timeframes import divides, parse_timeframe, timeframe_text
from market.venues.venue_table import HOUR, MarkSource

QUOTE_SECONDS = 2.0
SLOW_SECONDS = 60.0
CLOCK_SECONDS = 600.0
AGAIN_SECONDS = 1.0
MINUTE = timedelta(minutes=1)
SETTLING_MS = 1000
"""A candle counts as closed so long after its end, when the venue is done with it, or once the next one shows."""
FUNDING_LATE = timedelta(minutes=15)
FUNDING_AGAIN = timedelta(minutes=1)
FUNDING_BACK = 40
"""Settlements looked back on at first: more than the bars held."""
FUNDING_LIMIT, FUNDING_PAGES, FUNDING_ROWS = 100, 4, 400
MOST_TRACKS = 600
MOST_FUNDING = 300
WORKERS = 4

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesKey:
    """Which candles: of trades or of the mark price, of what length, and how many are held."""

    symbol: str
    timeframe: timedelta
    capacity: int
    is_mark: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settled:
    """Settled funding rates, and when the venue was last asked for them."""

    series: FundingSeries
    asked_at: datetime


class VenueData:
    """One venue as seen by this process. Safe to use from many threads; memory is bounded.

    Every method may raise VenueUnavailable, and ValueError for a symbol that the venue does not have.
    """

    def __init__(self, client: VenueClient, *, shared: SharedFetch | None = None) -> None:
        self.client = client
        self.spec = client.spec
        self._shared = SharedFetch() if shared is None else shared
        self._tracks: OrderedDict[SeriesKey, CandleTrack] = OrderedDict()
        self._funding: OrderedDict[str, _Settled] = OrderedDict()
        self._lock = Lock()
        self._listed: tuple[object, Mapping[str, Instrument], Mapping[str, str]] | None = None
        self._clock_ahead_ms = 0
        self.workers = ThreadPoolExecutor(WORKERS, thread_name_prefix=f"feed-{self.spec.name}")
        """Threads of the feeds' own, so that instruments are read side by side."""

    def close(self) -> None:
        """End the threads and close the connections, once nobody asks any more."""
        self.workers.shutdown()
        self.client.close()

    # What is listed

    def instruments(self) -> Mapping[str, Instrument]:
        """Return symbol → instrument of everything that can be traded, in name order."""
        return self._listing()[0]

    def instrument(self, symbol: str) -> Instrument:
        """Return one instrument. Raises ValueError with the reason when it can't be traded."""
        known, refused = self._listing()
        if symbol not in known:
            reason = refused.get(symbol, "there is no such market")
            raise ValueError(f"{symbol} can't be traded on {self.client.venue}: {reason}")
        return known[symbol]

    def remember(self, instruments: Iterable[Instrument]) -> None:
        """Add what the venue listed once and lists no more, as SUSPENDED: it is still held, perhaps."""
        self._listing()
        with self._lock:
            if self._listed is not None:
                markets, known, refused = self._listed
                gone = {
                    one.symbol: replace(one, status=InstrumentStatus.SUSPENDED)
                    for one in instruments
                }
                self._listed = (markets, dict(sorted((gone | dict(known)).items())), refused)

    def _listing(self) -> tuple[Mapping[str, Instrument], Mapping[str, str]]:
        markets = self.client.markets()
        with self._lock:
            if self._listed is None or self._listed[0] is not markets:
                taken, refused = instruments_of(markets, self.spec, as_of=datetime.now(UTC))
                known = {  # what was delisted while we run is still held, perhaps
                    symbol: replace(one, status=InstrumentStatus.SUSPENDED)
                    for symbol, one in (self._listed[1] if self._listed else {}).items()
                } | {instrument.symbol: instrument for instrument in taken}
                self._listed = (markets, dict(sorted(known.items())), refused)
            return self._listed[1], self._listed[2]

    # Candles

    @cached_property
    def timeframes(self) -> frozenset[timedelta]:
        """The timeframes in which the venue tells candles, from one minute on."""
        parsed = map(_timeframe, self.client.timeframes)
        return frozenset(one for one in parsed if one is not None and one >= MINUTE)

    def source_timeframe(self, timeframe: timedelta) -> timedelta:
        """Return the timeframe to fetch: the wanted one where the venue has it, else the longest that
        makes whole candles of it. Raises ValueError where there is none."""
        offered = [one for one in self.timeframes if divides(one, timeframe)]
        if not offered:
            raise ValueError(
                f"{self.client.venue} has no candles that make {timeframe_text(timeframe)} ones"
            )
        return max(offered)

    def track(self, key: SeriesKey) -> CandleTrack:
        """Return the track of one series, kept between calls."""
        with self._lock:
            track = self._tracks.get(key)
            if track is None:
                track = self._tracks[key] = CandleTrack(
                    key.timeframe,
                    key.capacity,
                    lambda first, at: self.rows(
                        key.symbol, key.timeframe, first, at, is_mark=key.is_mark
                    ),
                )
            self._tracks.move_to_end(key)
            while len(self._tracks) > MOST_TRACKS:
                self._tracks.popitem(last=False)
            return track

    def refresh(self, key: SeriesKey, now: datetime) -> CandleTrack:
        """Bring a track up to `now`: one fetch per bar, whoever asks, once it is due."""
        track = self.track(key)
        at = to_milliseconds(now)
        due = track.newest_due(at)
        if not track.has(due):
            ended_by = at - SETTLING_MS + min(0, self.clock_ahead_ms(now))
            self._shared.get(
                ("candles", key, due), lambda: track.refreshed(at, ended_by), seconds=AGAIN_SECONDS
            )
        return track

    def rows(
        self, symbol: str, timeframe: timedelta, first: int, until: int, *, is_mark: bool = False
    ) -> list[Sequence[object]]:
        """Fetch ccxt's rows of candles opened from `first` up to `until` (ms), page by page.

        Volumes are in contracts.
        """
        length = timeframe // _MILLISECOND
        page = self.spec.mark_limit if is_mark else self.spec.candle_limit
        params: dict[str, object] = {"price": "mark"} if is_mark else {}
        rows: dict[object, Sequence[object]] = {}
        while first <= until:
            wanted = min(page, (until - first) // length + 1)
            end = first + wanted * length
            if self.spec.contexts_at_once:  # ccxt would end the range at the time of our machine
                params = {**params, "until": end - 1}
            answer = self.client.call(
                "fetch_ohlcv", symbol, timeframe_text(timeframe), first, wanted, params
            )
            told = _rows(answer, self.client.venue)
            rows |= {row[0]: row for row in told}
            last = max((instant(row[0]) or 0 for row in told), default=0)
            first = max(end, last + length)
        if self.spec.volume_in_base and not is_mark:
            size = self.instrument(symbol).contract_size
            return [_in_contracts(row, size) for row in rows.values()]
        return list(rows.values())

    # Prices

    def context(self, instrument: Instrument) -> Context:
        """Return last, mark and index price; with them, where told at once, funding and open interest."""
        symbol = instrument.symbol
        if self.spec.contexts_at_once and not instrument.is_spot:
            return self._contexts().get(symbol, Context())
        ticker = self._shared.get(
            ("ticker", symbol),
            lambda: ticker_context(self.client.call("fetch_ticker", symbol)),
            seconds=QUOTE_SECONDS,
        )
        if instrument.is_spot or self.spec.mark is MarkSource.TICKER:
            return ticker
        source = self._own_mark(symbol) if self.spec.mark is MarkSource.OWN else self._rate(symbol)
        return Context(
            last=ticker.last, mark=source.mark, index=source.index or ticker.index, at=source.at
        )

    def book(self, symbol: str) -> TimedBook | None:
        """Return ten levels a side, or None when the venue's book makes no sense."""
        return self._shared.get(
            ("book", symbol),
            lambda: book_of(self.client.call("fetch_order_book", symbol, LEVELS)),
            seconds=QUOTE_SECONDS,
        )

    def funding(self, instrument: Instrument, context: Context, now: datetime) -> Context:
        """Return the funding rate that will be paid next, and when."""
        source = context if self.spec.contexts_at_once else self._rate(instrument.symbol)
        due = source.next_funding_at
        if due is None or due <= now:
            due = next_multiple(now, instrument.funding_interval or self.spec.funding_interval)
        return Context(funding_rate=source.funding_rate, next_funding_at=due)

    def open_interest(self, symbol: str, context: Context) -> Decimal | None:
        """Return how many contracts are open, where the venue tells."""
        if self.spec.contexts_at_once or not self.spec.has_open_interest:
            return context.open_interest
        return self._shared.get(
            ("open interest", symbol),
            lambda: number(
                self.client.call("fetch_open_interest", symbol).get("openInterestAmount")
            ),
            seconds=SLOW_SECONDS,
        )

    def settled_funding(self, instrument: Instrument, now: datetime) -> None:
        """Fetch the rates settled so far: once an hour, and each minute while one is late."""
        interval = instrument.funding_interval or self.spec.funding_interval
        symbol = instrument.symbol
        due = next_multiple(now, interval) - interval
        held = self._funding.get(symbol)
        if held is not None:
            is_late = int(held.series.at[-1]) < to_milliseconds(due) and now - due < FUNDING_LATE
            again = FUNDING_AGAIN if is_late else next_multiple(held.asked_at, HOUR) - held.asked_at
            if now - held.asked_at < again:
                return
        since = now - FUNDING_BACK * interval
        self._shared.get(
            ("funding", symbol),
            lambda: self._fetch_funding(symbol, since, now),
            seconds=AGAIN_SECONDS,
        )

    def funding_known(self, symbol: str) -> FundingSeries | None:
        """Return the settled rates held, without asking anybody."""
        held = self._funding.get(symbol)
        return None if held is None else held.series

    def _fetch_funding(self, symbol: str, since: datetime, now: datetime) -> None:
        series = self.funding_known(symbol)
        first = to_milliseconds(since) if series is None else int(series.at[-1])
        for _ in range(FUNDING_PAGES):
            rows = self.client.call("fetch_funding_rate_history", symbol, first, FUNDING_LIMIT)
            series = funding_series(rows, series, FUNDING_ROWS)
            if len(rows) < FUNDING_LIMIT or series is None or int(series.at[-1]) <= first:
                break
            first = int(series.at[-1])
        with self._lock:
            if series is not None:
                self._funding[symbol] = _Settled(series=series, asked_at=now)
                self._funding.move_to_end(symbol)
            while len(self._funding) > MOST_FUNDING:
                self._funding.popitem(last=False)

    def _contexts(self) -> Mapping[str, Context]:
        def fetch() -> Mapping[str, Context]:
            answer = self.client.call("fetch_funding_rates")
            return {symbol: whole_context(row) for symbol, row in answer.items()}

        return self._shared.get("contexts", fetch, seconds=QUOTE_SECONDS)

    def _rate(self, symbol: str) -> Context:
        tells_mark = self.spec.mark is MarkSource.FUNDING
        return self._shared.get(
            ("rate", symbol),
            lambda: funding_context(self.client.call("fetch_funding_rate", symbol)),
            seconds=QUOTE_SECONDS if tells_mark else SLOW_SECONDS,
        )

    def _own_mark(self, symbol: str) -> Context:
        def fetch() -> Context:
            told = self.client.call("fetch_mark_price", symbol)
            return Context(mark=price(told.get("markPrice")), at=instant(told.get("timestamp")))

        return self._shared.get(("mark", symbol), fetch, seconds=QUOTE_SECONDS)

    # The venue's clock

    def clock_ahead_ms(self, now: datetime) -> int:
        """Return how far the venue's clock is ahead of `now`'s (ms, negative: behind), measured every ten
        minutes where the venue tells its time; else what was measured last."""
        if not self.client.offers("fetchTime"):
            return 0
        began = time.monotonic()

        def fetch() -> int:
            told = instant(self.client.call("fetch_time"))
            if told is None:
                raise VenueUnavailable(f"{self.client.venue} does not tell its time")
            waited = int((time.monotonic() - began) * 1000)
            self._clock_ahead_ms = told - to_milliseconds(now) - waited
            return self._clock_ahead_ms

        try:
            return self._shared.get("time", fetch, seconds=CLOCK_SECONDS)
        except VenueUnavailable:
            return self._clock_ahead_ms


def _timeframe(text: str) -> timedelta | None:
    """Return a timeframe of ccxt's, or None for months, weeks and what we don't use."""
    try:
        return parse_timeframe(text) if text == text.lower() else None
    except ValueError:
        return None


def _rows(answer: Any, venue: str) -> list[Sequence[object]]:
    if not isinstance(answer, list) or not all(
        isinstance(row, list | tuple) and len(row) >= 6 for row in answer
    ):
        raise VenueUnavailable(f"{venue} tells candles that can't be read")
    return answer


def _in_contracts(row: Sequence[object], contract_size: Decimal) -> Sequence[object]:
    volume = number(row[5])
    return [*row[:5], None if volume is None else volume / contract_size]
