"""The only file that speaks ccxt: a venue's public requests, made safely by many threads.

ccxt's synchronous clients are not made for threads, so each call borrows one of a few, which share one
table of markets and one pace. It asks and maps errors; what answers mean is read elsewhere. The traps
avoided: ccxt costs a quarter of a second and 76 MB, so it is imported at the first call; it answers
text where JSON was garbage, so that anything it then stumbles over counts as the venue's failure.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from queue import Empty, LifoQueue
from threading import Lock
from types import ModuleType
from typing import Any

from market.errors import VenueUnavailable
from market.venues.ccxt_instruments import instruments_of
from market.venues.shared_fetch import SharedFetch
from market.venues.venue_http import GuardedSession
from market.venues.venue_table import venue_spec
from market.venues.venue_urls import base_url_of, other_hosts, redirected
from tradingagent.accounts.outward import before_speaking_outward

TIMEOUT_SECONDS = 10.0
CLIENTS = 4
MARKETS_SECONDS = 3600.0
BORROW_SECONDS = 30.0
REST_SECONDS = 15.0
LONGEST_REST_SECONDS = 300.0

_TOO_OFTEN = (418, 429)
# What ccxt's parsers stumble with over an answer of another shape.
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


@cache
def _library() -> ModuleType:
    import ccxt

    library: ModuleType = ccxt
    return library


class _Pace:
    """One pace for all clients of a venue: each request reserves its time, then waits for it.

    After the venue said that we ask too often nobody asks for a while: asking on makes a ban longer.
    """

    def __init__(self) -> None:
        self._next = 0.0
        self._resting_until = 0.0
        self._lock = Lock()

    def wait(self, seconds: float) -> None:
        with self._lock:
            at = max(self._next, time.monotonic())
            self._next = at + seconds
        time.sleep(max(0.0, at - time.monotonic()))

    def rest(self, seconds: float) -> None:
        self._resting_until = time.monotonic() + min(seconds, LONGEST_REST_SECONDS)

    def check(self, venue: str) -> None:
        left = self._resting_until - time.monotonic()
        if left > 0:
            raise VenueUnavailable(f"{venue} asked us to slow down: no request for {left:.0f} s")


class VenueClient:
    """One venue's public requests. Safe to use from many threads.

    `base_url` replaces every address of the venue (default: what VENUE_URLS says). `timeout` is for a
    whole answer, in seconds. `is_paced` False leaves out the venue's rate limit (a local server has
    none). Raises ValueError for an unknown venue or an address that makes no sense.
    """

    def __init__(
        self,
        venue: str,
        *,
        base_url: str | None = None,
        timeout: float = TIMEOUT_SECONDS,
        is_paced: bool = True,
    ) -> None:
        self.spec = venue_spec(venue)
        self.venue = venue
        self.base_url = base_url or base_url_of(venue)
        self._timeout = timeout
        self._is_paced = is_paced
        self._pace = _Pace()
        self._free: LifoQueue[Any] = LifoQueue()
        self._made = 0
        self._lock = Lock()
        self._shared = SharedFetch(most=4)
        self._source: Any = None  # the client whose table of markets all others share

    def call(self, method: str, *arguments: Any, **named: Any) -> Any:
        """Call one of ccxt's unified methods; numbers in the answer are exact texts.

        Raises VenueUnavailable when the venue can't be reached, refuses, or answers what can't be
        read; OutwardCallInTransaction inside a database transaction.
        """
        before_speaking_outward()
        self._pace.check(self.venue)
        with self._borrowed() as client:
            if self._source is not None and client.markets is not self._source.markets:
                client.set_markets_from_exchange(self._source)
            return self._guarded(client, method, arguments, named)

    def markets(self) -> Mapping[str, Mapping[str, Any]]:
        """Return ccxt's market structures by symbol, at most an hour old while the venue answers.

        Raises VenueUnavailable when there are none yet.
        """
        try:
            self._shared.get("markets", self._load_markets, seconds=MARKETS_SECONDS)
        except VenueUnavailable:
            if self._source is None:
                raise
        markets: Mapping[str, Mapping[str, Any]] = self._source.markets
        return markets

    @property
    def timeframes(self) -> frozenset[str]:
        """The timeframes in which the venue tells candles: `1m`, `4h` and so on."""
        with self._borrowed() as client:
            return frozenset(client.timeframes or ())

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses that public requests may go to."""
        with self._borrowed() as client:
            texts = other_hosts(client.urls["api"], "-")  # every address there is
            return tuple(sorted({client.implode_hostname(text) for text in texts}))

    def offers(self, method: str) -> bool:
        """Tell whether ccxt says that the venue has this (`fetchTime`, `fetchMarkOHLCV`…)."""
        with self._borrowed() as client:
            return bool(client.has.get(method))

    def close(self) -> None:
        """Close every connection that is not in use; the next call opens new ones."""
        clients = [self._source] if self._source is not None else []
        while not self._free.empty():
            clients.append(self._free.get_nowait())
            self._made -= 1
        for client in clients:
            client.session.close()

    def _load_markets(self) -> Any:
        before_speaking_outward()
        self._pace.check(self.venue)
        client = self._new()  # never one that others may be using the table of
        self._guarded(client, "load_markets", (), {})
        if not instruments_of(client.markets, self.spec, as_of=datetime.now(UTC))[0]:
            raise VenueUnavailable(f"{self.venue} lists nothing that can be traded")
        self._source = client
        return client

    def _guarded(
        self, client: Any, method: str, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        library = _library()
        try:
            return getattr(client, method)(*arguments, **named)
        except library.BaseError as error:
            # some venues' errors are told by ccxt from the body alone, whatever the status
            too_often = (library.DDoSProtection, library.RateLimitExceeded)
            if isinstance(error, too_often) or client.session.status in _TOO_OFTEN:
                self._pace.rest(_retry_after(client) or REST_SECONDS)
                raise VenueUnavailable(f"{self.venue} says that we ask too often") from error
            if isinstance(error, library.OperationFailed):
                kind = type(error).__name__  # not its text, which is an address
                raise VenueUnavailable(f"{self.venue} can't be reached: {kind}") from error
            raise VenueUnavailable(f"{self.venue} refuses {method}: {_words(error)}") from error
        except _UNREADABLE as error:
            raise VenueUnavailable(
                f"{self.venue} answers {method} with what can't be read ({type(error).__name__})"
            ) from error

    @contextmanager
    def _borrowed(self) -> Iterator[Any]:
        client = self._take()
        try:
            yield client
        finally:
            self._free.put(client)

    def _take(self) -> Any:
        with self._lock:
            if self._free.empty() and self._made < CLIENTS:
                client = self._new()
                self._made += 1
                return client
        try:
            return self._free.get(timeout=BORROW_SECONDS)
        except Empty:
            raise VenueUnavailable(f"too many requests to {self.venue} are under way") from None

    def _new(self) -> Any:
        """Make a client without a key, that can speak to nobody but the venue."""
        client = getattr(_library(), self.venue)({"enableRateLimit": self._is_paced})
        client.number = str  # exact, and the one exact form that ccxt can read again itself
        client.has["fetchCurrencies"] = False
        client.options["fetchMargins"] = False
        for helper in client.options.get("marketHelperProps", ()):
            client.options.setdefault(helper, None)  # ccxt shares markets only where all are there
        client.timeout = int(self._timeout * 1000)
        client.enableLastHttpResponse = False
        client.enableLastJsonResponse = False
        if self.spec.market_types is not None:
            known = client.options.get("fetchMarkets")
            types = {"types": list(self.spec.market_types)}
            client.options["fetchMarkets"] = {**known, **types} if known else types
        client.session = GuardedSession(seconds=self._timeout, base_url=self.base_url)
        if self.base_url is not None:
            client.urls = redirected(client.urls, self.base_url)
            left = other_hosts(client.urls, self.base_url)
            if left:
                raise ValueError(f"{self.venue} would still speak to {left[0]}")
        client.throttle = lambda cost=1: self._pace.wait(
            client.rateLimit * (1 if cost is None else cost) / 1000
        )
        return client


def _retry_after(client: Any) -> float | None:
    text = str((client.last_response_headers or {}).get("Retry-After", ""))
    return float(text) if text.isdecimal() else None


def _words(error: Exception) -> str:
    """The first 200 characters of what went wrong, on one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__
