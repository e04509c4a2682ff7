"""Where the demo trades: a venue that does not answer is said, and the simulated market taken instead."""

import socket
import time
from datetime import UTC, datetime

import pytest

from market.venues import feeds
from tests.market.venues.loopback import Failure, LoopbackVenue
from tradingagent.embedded import venue
from tradingagent.embedded.venue import VenueRefused, chosen_venue


@pytest.fixture(autouse=True)
def new_feeds():
    feeds.forget_feeds()
    yield
    feeds.forget_feeds()


def test_the_simulated_market_is_not_asked():
    said: list[str] = []

    assert chosen_venue("simulated", said.append) == "simulated"
    assert said == []


def test_a_venue_that_answers_is_taken(settings):
    with LoopbackVenue("binanceusdm", datetime.now(UTC)) as there:
        settings.VENUE_URLS = {"binanceusdm": there.url}
        said: list[str] = []

        assert chosen_venue("binanceusdm", said.append) == "binanceusdm"
        assert said == ["Asking binanceusdm what can be traded there …"]


def test_a_venue_that_refuses_connections_is_left_for_the_simulated_market(settings):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        settings.VENUE_URLS = {"okx": f"http://127.0.0.1:{nobody.getsockname()[1]}"}
        said: list[str] = []

        assert chosen_venue("okx", said.append) == "simulated"
    assert said[-1].endswith(": trading on the simulated market instead.")
    assert said[-1].startswith("okx can't be reached")


def test_a_venue_that_hangs_is_waited_for_no_longer_than_the_deadline(settings, monkeypatch):
    monkeypatch.setattr(venue, "PROBE_SECONDS", 0.5)
    with LoopbackVenue("binanceusdm", datetime.now(UTC)) as there:
        there.fail(Failure.HANG)
        settings.VENUE_URLS = {"binanceusdm": there.url}
        said: list[str] = []
        began = time.monotonic()

        assert chosen_venue("binanceusdm", said.append) == "simulated"
        assert time.monotonic() - began < 5
    assert said[-1].startswith("binanceusdm did not answer within")


def test_an_unknown_venue_is_refused_with_those_there_are():
    with pytest.raises(
        VenueRefused, match=r"'bitmex' is no venue we read: there are simulated, .*okx"
    ):
        chosen_venue("bitmex", pytest.fail)


def test_an_impossible_address_is_refused(settings):
    settings.VENUE_URLS = {"okx": "ftp://somewhere"}

    with pytest.raises(VenueRefused, match="no http"):
        chosen_venue("okx", lambda _: None)
