"""A loopback venue of each kind, a client and a feed on it; nothing may leave the machine."""

from datetime import UTC, datetime, timedelta

import pytest

from market.venues import ccxt_feed
from market.venues.ccxt_client import VenueClient
from market.venues.ccxt_feed import CcxtFeed
from market.venues.clocks import SteppedClock
from market.venues.shared_fetch import SharedFetch
from market.venues.venue_data import VenueData
from tests.market.venues.loopback import LoopbackVenue, only_loopback

NOW = datetime(2026, 5, 3, 12, 7, 31, tzinfo=UTC)
KINDS = ("binanceusdm", "okx", "hyperliquid")


@pytest.fixture(autouse=True)
def nothing_leaves(monkeypatch):
    with only_loopback(monkeypatch) as tried:
        yield
    assert tried == []


@pytest.fixture(autouse=True)
def short_series(request, monkeypatch):
    """Hold few candles, so that a test takes a tenth of a second; `full_series` holds what we hold."""
    if "full_series" not in request.fixturenames:
        monkeypatch.setattr(ccxt_feed, "BARS", 240)
        monkeypatch.setattr(ccxt_feed, "CANDLES", 80)


@pytest.fixture
def full_series():
    """Ask for as many candles as the product does."""


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def venue(kind):
    with LoopbackVenue(kind, NOW) as venue:
        yield venue


@pytest.fixture
def seconds():
    """The time by which shared results age, moved by hand: seconds[0] += 2."""
    return [0.0]


@pytest.fixture
def data(venue, seconds):
    data = data_of(venue, seconds)
    yield data
    data.close()


@pytest.fixture
def feed(data):
    return feed_of(data)


def data_of(venue, seconds=None, timeout=2.0):
    client = VenueClient(venue.kind, base_url=venue.url, is_paced=False, timeout=timeout)
    shared = SharedFetch() if seconds is None else SharedFetch(monotonic=lambda: seconds[0])
    return VenueData(client, shared=shared)


def feed_of(data, minutes=3, clock=None):
    return CcxtFeed(data, timedelta(minutes=minutes), clock or SteppedClock(NOW))
