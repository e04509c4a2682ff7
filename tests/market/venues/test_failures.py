"""Whatever a venue does, the feed says that it is unavailable or which instrument is unusable, and why;
never another exception, and never a price that the venue did not tell."""

import time
from datetime import timedelta
from decimal import Decimal

import pytest

from market.errors import VenueUnavailable
from tests.market.venues.conftest import NOW, data_of, feed_of
from tests.market.venues.loopback import Failure

ESSENTIAL = ("candles", "book", "ticker", "mark", "marks", "markets")
GOOD_TO_KNOW = ("funding", "open interest", "rate", "time")
QUICK = [failure for failure in Failure if failure not in (Failure.HANG, Failure.DRIP)]
REFUSALS = (Failure.RATE_LIMIT, Failure.BANNED)


def outcome(venue, timeout=2.0):
    """Return what a fresh feed shows of BTC and ETH, or the VenueUnavailable it raises."""
    data = data_of(venue, timeout=timeout)
    try:
        return feed_of(data).snapshot([venue.symbols["BTC"], venue.symbols["ETH"]], NOW)
    except VenueUnavailable as error:
        return error
    finally:
        data.close()


def check_prices(venue, snapshot):
    """Every price shown is the venue's own."""
    for coin in ("BTC", "ETH"):
        quote = snapshot.by_symbol[venue.symbols[coin]].quote
        if quote is not None:
            tick = venue.market.TICK[coin]
            assert quote.last == venue.market.price(coin)
            assert quote.mark == venue.market.mark(coin)
            assert (quote.bid, quote.ask) == (quote.last - tick, quote.last + tick)


def is_asked(venue, what):
    told = {
        "hyperliquid": {"ticker", "mark", "marks", "rate", "open interest"},
        "binanceusdm": {"rate"},
    }
    return what not in told.get(venue.kind, set())


@pytest.mark.parametrize("failure", QUICK)
def test_a_venue_that_fails_altogether_is_unavailable(venue, failure):
    venue.fail(failure)

    assert isinstance(outcome(venue), VenueUnavailable)


@pytest.mark.parametrize("what", ESSENTIAL)
@pytest.mark.parametrize("failure", QUICK)
def test_without_an_essential_answer_nothing_is_usable(venue, failure, what):
    if not is_asked(venue, what):
        return
    venue.fail(failure, what)

    shown = outcome(venue)

    assert venue.count(what)
    if isinstance(shown, VenueUnavailable):
        assert str(shown)
        return
    check_prices(venue, shown)
    harmless = failure is Failure.MISSING_FIELDS and what == "book"  # levels are left, time is not
    assert all(item.unusable for item in shown.instruments) or harmless


@pytest.mark.parametrize("what", GOOD_TO_KNOW)
@pytest.mark.parametrize("failure", QUICK)
def test_what_is_only_good_to_know_takes_nothing_out(venue, failure, what):
    if not is_asked(venue, what):
        return
    venue.fail(failure, what)

    shown = outcome(venue)

    assert venue.count(what)
    if failure in REFUSALS:  # then nobody asks on, whatever it was about
        return
    check_prices(venue, shown)
    assert [item.unusable for item in shown.instruments] == [None, None]
    if what == "funding" and failure is not Failure.ZEROS:
        assert {item.funding for item in shown.instruments} == {None}
    if what == "open interest":
        told = {item.open_interest for item in shown.instruments}
        assert told in ({None}, {Decimal(0)}) or failure is Failure.OTHER_SHAPE


@pytest.mark.parametrize("failure", [*QUICK, Failure.HANG])
def test_one_bad_instrument_never_takes_the_others_out(venue, failure):
    if failure in REFUSALS:
        return  # a venue that says so means all of us
    venue.fail(failure, "candles", "ETH")
    venue.fail(failure, "book", "ETH")

    shown = outcome(venue, timeout=1.5)  # the good ones answer within it on a busy machine, too

    assert shown.by_symbol[venue.symbols["BTC"]].unusable is None
    bad = shown.by_symbol[venue.symbols["ETH"]]
    assert bad.unusable
    assert not len(bad.candles)


@pytest.mark.parametrize("failure", [Failure.HANG, Failure.DRIP])
@pytest.mark.parametrize("what", [None, "candles"])
def test_a_slow_venue_ends_at_the_timeout(venue, failure, what):
    venue.fail(failure, what)
    began = time.monotonic()

    shown = outcome(venue, timeout=0.5)

    assert time.monotonic() - began < 5
    if not isinstance(shown, VenueUnavailable):
        assert all("can't be reached" in item.unusable for item in shown.instruments)


@pytest.mark.parametrize("failure", REFUSALS)
def test_a_venue_that_asked_for_less_is_left_alone(venue, data, feed, failure):
    symbols = [venue.symbols["BTC"]]
    feed.snapshot(symbols, NOW)
    venue.fail(failure, "candles")
    later = venue.advance(timedelta(minutes=3))
    feed.snapshot(symbols, later)
    venue.heal()
    before = len(venue.requests)

    with pytest.raises(VenueUnavailable, match="asked us to slow down"):
        data.client.call("fetch_time")

    assert len(venue.requests) == before


def test_a_venue_that_comes_back_is_seen_again(venue, feed, seconds):
    symbols = [venue.symbols["BTC"]]
    feed.snapshot(symbols, NOW)
    later = venue.advance(timedelta(minutes=90))
    seconds[0] += 5400
    venue.fail(Failure.CLOSE)
    with pytest.raises(VenueUnavailable):
        feed.snapshot(symbols, later)
    venue.heal()
    seconds[0] += 1.1

    item = feed.snapshot(symbols, later).instruments[0]

    assert item.unusable is None
    steps = set((item.bars.opened_at[1:] - item.bars.opened_at[:-1]).tolist())
    assert steps == {60_000}  # the minutes of the outage are there too


def test_a_bad_answer_spoils_nothing_that_is_held(venue, feed, seconds):
    symbols = [venue.symbols["BTC"]]
    before = feed.snapshot(symbols, NOW).instruments[0]
    later = venue.advance(timedelta(minutes=3))
    seconds[0] += 180
    venue.fail(Failure.ZEROS, "candles")

    item = feed.snapshot(symbols, later).instruments[0]

    assert "impossible candle" in item.unusable
    assert item.bars.digest() == before.bars.digest()
    assert item.candles.digest() == before.candles.digest()


STALE = NOW - timedelta(minutes=7, seconds=31)


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("candles", "the last bar closed at 2026-05-03T12:01:00"),
        ("book", "the quote is 45"),
    ],
)
def test_stale_data_is_unusable(venue, feed, what, reason):
    venue.tell_time(what, STALE)

    item = feed.snapshot([venue.symbols["BTC"]], NOW).instruments[0]

    assert item.unusable.startswith(reason)


def test_a_frozen_price_is_unusable(venue, feed):
    for minute in range(20):
        at = NOW.replace(second=0) - timedelta(minutes=minute)
        venue.set_minute("BTC", at, ("60000", "60000", "60000", "60000", "0"))
    venue.set_price("BTC", Decimal(60000))

    item = feed.snapshot([venue.symbols["BTC"]], NOW).instruments[0]

    assert item.unusable == "the price has not moved for 15 minutes"


def test_an_implausible_mark_is_shown_but_unusable(venue, feed):
    venue.market.marks["BTC"] = venue.market.price("BTC") * 2

    item = feed.snapshot([venue.symbols["BTC"]], NOW).instruments[0]

    assert item.unusable.startswith("the mark price")
    assert item.quote.mark == venue.market.marks["BTC"]  # the venue's word, for others to judge


def test_a_crossed_book_is_no_quote(venue, feed, monkeypatch):
    bids, asks = venue.market.book("BTC")
    monkeypatch.setattr(venue.market, "book", lambda coin: (asks, bids))

    item = feed.snapshot([venue.symbols["BTC"], venue.symbols["ETH"]], NOW).by_symbol[
        venue.symbols["BTC"]
    ]

    assert item.unusable.startswith("the venue's book is empty or crossed")
    assert (item.quote, item.book) == (None, None)
