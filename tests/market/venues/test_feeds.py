"""The process's feeds: one for each venue and timeframe, bounded, and the ways into a venue beside them."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from market.domain.data import to_milliseconds
from market.errors import VenueUnavailable
from market.venues import candle_downloads, feeds
from market.venues.candle_downloads import download_candles, load_instruments
from market.venues.ccxt_instruments import default_tiers
from market.venues.clocks import FixedClock
from market.venues.sim_market.feed import SimMarketFeed
from market.venues.venue_checks import describe_venue
from market.venues.venue_table import VENUES
from tests.market.venues.conftest import NOW
from tests.market.venues.loopback import Failure

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def fresh_feeds():
    feeds.forget_feeds()
    yield
    feeds.forget_feeds()


@pytest.fixture
def here(venue, settings):
    settings.VENUE_URLS = {venue.kind: venue.url}
    return venue


def test_every_venue_has_a_feed():
    assert feeds.venue_names() == ("simulated", *VENUES)
    for name in feeds.venue_names():
        feed = feeds.feed_for(name, 3 * MINUTE)
        assert feeds.feed_for(name, 3 * MINUTE) is feed
        assert feeds.feed_for(name, 15 * MINUTE) is not feed


@pytest.mark.parametrize("name", ["mtgox", "", "Binance"])
def test_an_unknown_venue_is_refused_by_name(name):
    with pytest.raises(ValueError, match="is no venue we read: there are simulated, binance"):
        feeds.feed_for(name, MINUTE)


@pytest.mark.parametrize("ask", [describe_venue, load_instruments, feeds.venue_data])
def test_the_simulated_market_has_nothing_to_describe(ask):
    with pytest.raises(ValueError, match="simulated market"):
        ask("simulated")


def test_feeds_of_one_venue_share_what_they_fetch(here):
    symbols = [here.symbols["BTC"]]
    feeds.feed_for(here.kind, 3 * MINUTE).snapshot(symbols, NOW)
    first = len(here.requests)

    feeds.feed_for(here.kind, 15 * MINUTE).snapshot(symbols, NOW)

    assert here.count("candles") > 0
    assert len(here.requests) - first <= 2  # candles of fifteen minutes: one or two pages


def test_memory_is_bounded_with_many_timeframes():
    for minutes in range(1, 200):
        feeds.feed_for("simulated", minutes * MINUTE)
        feeds.feed_for("okx", minutes * MINUTE)

    assert len(feeds._feeds._simulated) == feeds.MOST_SIMULATED
    assert len(feeds._feeds._real) == feeds.MOST_REAL
    assert len(feeds._feeds._data) == 1


def test_the_simulated_feed_is_the_simulated_market():
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    mine = feeds.feed_for("simulated", 3 * MINUTE)
    symbols = [one.symbol for one in mine.instruments()][:2]

    theirs = SimMarketFeed(feeds.SIMULATED_SEED, timeframe=3 * MINUTE)

    assert mine.snapshot(symbols, now).content_hash == theirs.snapshot(symbols, now).content_hash


def test_a_simulated_bar_closes_when_its_time_is_up():
    due = datetime(2026, 1, 2, tzinfo=UTC)
    second = timedelta(seconds=1)

    for at, closed in ((due - second, False), (due, True), (due + second, True)):
        feed = feeds.SimulatedFeed(3 * MINUTE, FixedClock(at))
        assert feed.is_bar_closed(["BTC/USDT:USDT"], due) is closed


def test_one_thread_at_a_time_is_in_the_simulated_feed(monkeypatch):
    feed = feeds.SimulatedFeed(3 * MINUTE, FixedClock(NOW))
    inside, most = [], []

    class Slow:
        def snapshot(self, symbols, now):
            inside.append(now)
            time.sleep(0.005)
            most.append(len(inside))
            inside.remove(now)

    monkeypatch.setattr(feed, "_feed", Slow())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda place: feed.snapshot([], NOW + place * MINUTE), range(16)))

    assert set(most) == {1}


# Downloads


@pytest.fixture
def past(monkeypatch):
    """The present of downloads is the loopback's."""
    monkeypatch.setattr(candle_downloads, "SystemClock", lambda: FixedClock(NOW))


def test_a_download_is_every_closed_candle_in_parts_and_can_be_resumed(here, past):
    symbol = here.symbols["SOL"]
    start, end = NOW - timedelta(minutes=2500), NOW + timedelta(days=1)

    parts = list(download_candles(here.kind, symbol, MINUTE, start, end))

    opened = [at for part in parts for at in part.opened_at.tolist()]
    first = -(-to_milliseconds(start) // 60_000) * 60_000
    last = to_milliseconds(NOW.replace(minute=6, second=0))
    assert opened == list(range(first, last + 1, 60_000))
    assert [len(part) for part in parts][:2] == [1000, 1000]
    again = list(download_candles(here.kind, symbol, MINUTE, parts[0].closed(-1), end))
    assert [part.digest() for part in again] == [part.digest() for part in parts[1:]]


def test_a_download_does_not_include_its_end(here, past):
    start = NOW.replace(minute=0, second=0)

    [part] = download_candles(here.kind, here.symbols["BTC"], MINUTE, start, start + 5 * MINUTE)

    assert (part.opened(0), part.opened(-1)) == (start, start + 4 * MINUTE)


@pytest.mark.parametrize(("symbol", "minutes", "is_mark", "reason"), [
    ("XYZ/USDT:USDT", 1, False, "no such market"),
    (None, 7, False, "has no candles of 7m: there are 1m, 3m"),
])  # fmt: skip
def test_a_download_of_what_is_not_there_is_refused(here, past, symbol, minutes, is_mark, reason):
    symbol = symbol or here.symbols["BTC"]

    with pytest.raises(ValueError, match=reason):
        list(download_candles(here.kind, symbol, minutes * MINUTE, NOW - 99 * MINUTE, NOW))


def test_mark_candles_are_downloaded_where_the_venue_has_them(here, past):
    start = NOW.replace(minute=0, second=0)
    ask = (here.kind, here.symbols["BTC"], MINUTE, start, start + 5 * MINUTE)

    if here.kind == "hyperliquid":
        with pytest.raises(ValueError, match="has no candles of the mark price"):
            list(download_candles(*ask, is_mark=True))
    else:
        assert [len(part) for part in download_candles(*ask, is_mark=True)] == [5]


def test_a_download_from_a_venue_that_fails_says_so(here, past):
    here.fail(Failure.CUT, "candles")

    with pytest.raises(VenueUnavailable):
        list(download_candles(here.kind, here.symbols["BTC"], MINUTE, NOW - 9 * MINUTE, NOW))


def test_instruments_come_with_published_tiers_where_asked(here):
    symbol = here.symbols["BTC"]

    plain = {one.symbol: one for one in load_instruments(here.kind)}
    tiered = {one.symbol: one for one in load_instruments(here.kind, [symbol])}

    assert plain[symbol].margin_tiers == default_tiers(plain[symbol].max_leverage)
    assert set(plain) == set(tiered) >= set(here.symbols.values())
    if here.kind == "okx":
        caps = [tier.notional_cap for tier in tiered[symbol].margin_tiers]
        mark = here.market.mark("BTC")
        assert caps == [3000 * Decimal("0.01") * mark, 15000 * Decimal("0.01") * mark, None]
    else:
        assert tiered[symbol] == plain[symbol]


# What doctor says


def test_a_venue_that_answers_is_described(here):
    here.market.now = datetime.now(UTC) + timedelta(seconds=30)

    report = describe_venue(here.kind)

    assert report["addresses"] and all(one.startswith(here.url) for one in report["addresses"])
    assert (report["redirected"], report["reachable"], report["problem"]) == (True, True, None)
    assert report["proof"].startswith("the real client against a local server")
    assert 28_000 < report["clock_ahead_ms"] < 31_000
    assert 0 <= report["latency_ms"] < 2_000


def test_a_venue_that_is_down_is_described_too(here):
    here.fail(Failure.ERROR_500)

    report = describe_venue(here.kind)

    assert (report["reachable"], report["latency_ms"], report["clock_ahead_ms"]) == (
        False,
        None,
        None,
    )
    assert "can't be reached" in report["problem"]
