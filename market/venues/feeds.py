"""The feeds of this process: one for each venue and timeframe, made on first use and shared by all bots.

It chooses and keeps; it reads nothing. The traps avoided: each simulated feed holds months of minutes,
so only a few are kept; and the replay feed under it remembers what it showed last, so that two threads
in it at once could see each other's instant.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from threading import Lock
from typing import Protocol, TypeVar

from market.domain.data import MarketSnapshot
from market.domain.instruments import Instrument
from market.ports import Clock, MarketFeed
from market.venues.ccxt_client import VenueClient
from market.venues.ccxt_feed import CcxtFeed
from market.venues.charts import ChartCandles
from market.venues.clocks import SystemClock
from market.venues.sim_market.feed import SimMarketFeed
from market.venues.venue_data import VenueData
from market.venues.venue_table import VENUES

SIMULATED = "simulated"
SIMULATED_SEED = 1
MOST_SIMULATED = 4
MOST_REAL = 64

Key = TypeVar("Key")
Made = TypeVar("Made")


class LiveFeed(MarketFeed, Protocol):
    """A MarketFeed of the present, which can tell whether a candle has closed, and shows candles alone."""

    def is_bar_closed(self, symbols: Sequence[str], due_at: datetime) -> bool:
        """Tell whether the candle of the feed's timeframe that ends at `due_at` shows, for every symbol."""
        ...

    def candles(self, symbol: str, now: datetime) -> ChartCandles:
        """The candles of the feed's timeframe at `now`, for a chart. Raises ValueError for a symbol that
        it does not have, VenueUnavailable."""
        ...


class SimulatedFeed:
    """The simulated market as a live feed: one thread at a time, and a bar closes when its time is up."""

    def __init__(self, timeframe: timedelta, clock: Clock) -> None:
        self._feed = SimMarketFeed(SIMULATED_SEED, timeframe=timeframe)
        self._clock = clock
        self._lock = Lock()

    def instruments(self) -> Sequence[Instrument]:
        """Every simulated instrument, in name order."""
        return self._feed.instruments()

    def snapshot(self, symbols: Sequence[str], now: datetime) -> MarketSnapshot:
        """The simulated market at `now`. Raises what `SimMarketFeed.snapshot` raises."""
        with self._lock:
            return self._feed.snapshot(symbols, now)

    def is_bar_closed(self, symbols: Sequence[str], due_at: datetime) -> bool:  # noqa: ARG002
        """Tell whether that time has passed."""
        return self._clock.now() >= due_at

    def candles(self, symbol: str, now: datetime) -> ChartCandles:
        """The candles of one instrument. Raises what `snapshot` raises."""
        (item,) = self.snapshot([symbol], now).instruments
        return ChartCandles(closed=item.candles, unfinished=item.unfinished)


class _Feeds:
    """What was made so far; the ones used last are kept."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._lock = Lock()
        self._data: dict[str, VenueData] = {}
        self._simulated: OrderedDict[timedelta, SimulatedFeed] = OrderedDict()
        self._real: OrderedDict[tuple[str, timedelta], CcxtFeed] = OrderedDict()

    def close(self) -> None:
        for data in self._data.values():
            data.close()

    def data(self, venue: str) -> VenueData:
        with self._lock:
            if venue not in self._data:
                self._data[venue] = VenueData(VenueClient(venue))
            return self._data[venue]

    def feed(self, venue: str, timeframe: timedelta) -> LiveFeed:
        if venue == SIMULATED:
            with self._lock:
                return _kept(
                    self._simulated,
                    timeframe,
                    lambda: SimulatedFeed(timeframe, self._clock),
                    MOST_SIMULATED,
                )
        data = self.data(venue)
        with self._lock:
            return _kept(
                self._real,
                (venue, timeframe),
                lambda: CcxtFeed(data, timeframe, self._clock),
                MOST_REAL,
            )


def _kept(held: "OrderedDict[Key, Made]", key: Key, make: Callable[[], Made], most: int) -> Made:
    if key not in held:
        held[key] = make()
    held.move_to_end(key)
    while len(held) > most:
        held.popitem(last=False)
    return held[key]


_feeds = _Feeds()


def venue_names() -> tuple[str, ...]:
    """Return every venue that can be seen, the simulated market first."""
    return (SIMULATED, *VENUES)


def feed_for(venue: str, timeframe: timedelta) -> LiveFeed:
    """Return the process's feed of a venue for cycles of a timeframe. No request is made yet.

    Raises ValueError for an unknown venue, or a timeframe that the venue's candles don't make.
    """
    _check(venue)
    return _feeds.feed(venue, timeframe)


def venue_data(venue: str) -> VenueData:
    """Return what the process knows of a real venue. Raises ValueError for any other."""
    if venue == SIMULATED:
        raise ValueError("the simulated market has no data of a venue")
    _check(venue)
    return _feeds.data(venue)


def remember(venue: str, instruments: Iterable[Instrument]) -> None:
    """Tell the feeds of a real venue what it listed once: shown as SUSPENDED where it lists that no more.
    Raises ValueError for a venue that is none, VenueUnavailable."""
    _check(venue)
    if venue != SIMULATED:  # that market lists the same for ever
        _feeds.data(venue).remember(instruments)


def forget_feeds() -> None:
    """Begin anew, as after a start: addresses are read again, nothing is remembered."""
    global _feeds
    before, _feeds = _feeds, _Feeds()
    before.close()


def _check(venue: str) -> None:
    if venue not in venue_names():
        raise ValueError(f"{venue!r} is no venue we read: there are {', '.join(venue_names())}")
