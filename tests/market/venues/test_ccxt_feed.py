"""The feed of a real venue: the real client against servers that speak three venues' formats."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from threading import Barrier

import pytest
from django.db import transaction

from market.domain.data import to_milliseconds
from market.domain.enums import InstrumentStatus
from market.errors import VenueUnavailable
from market.indicators.standard import STANDARD, warm_up
from market.venues.ccxt_feed import BARS, CANDLES
from market.venues.clocks import SteppedClock
from market.venues.venue_data import MINUTE, VenueData
from tests.market.venues.conftest import NOW, data_of, feed_of
from tests.market.venues.loopback import Failure, LoopbackVenue
from tests.market.venues.wires import FUNDING_MS, MINUTE_MS, Okx
from tradingagent.accounts.outward import OutwardCallInTransaction

THREE = timedelta(minutes=3)


def see(feed, venue, coin="BTC", now=NOW):
    return feed.snapshot([venue.symbols[coin]], now).by_symbol[venue.symbols[coin]]


def contracts(venue, coin, volume):
    return volume / Okx.SIZE[coin] if venue.kind == "okx" else volume


def expected(venue, coin, opened_at, length):
    at = to_milliseconds(opened_at)
    open_, high, low, close, volume = venue.market.bar(
        coin, at, length // timedelta(milliseconds=1)
    )
    return open_, high, low, close, contracts(venue, coin, volume)


def values(candle):
    return candle.open, candle.high, candle.low, candle.close, candle.volume


@pytest.mark.parametrize("coin", ["BTC", "SOL"])
def test_the_snapshot_is_what_the_venue_tells(venue, feed, coin):
    item = see(feed, venue, coin)
    market = venue.market

    assert item.unusable is None
    quote = item.quote
    assert (quote.last, quote.mark) == (market.price(coin), market.mark(coin))
    assert (quote.bid, quote.ask) == (
        market.price(coin) - market.TICK[coin],
        market.price(coin) + market.TICK[coin],
    )
    assert quote.at == NOW
    assert len(item.book.bids) == len(item.book.asks) == 10
    assert (item.book.bids[0].price, item.book.bids[0].quantity) == (quote.bid, Decimal("0.5"))
    assert item.funding_rate == Decimal("0.0000125" if venue.kind == "hyperliquid" else "0.0001")
    every = FUNDING_MS[venue.kind]
    due = to_milliseconds(NOW) // every * every + every
    assert to_milliseconds(item.next_funding_at) == due
    assert item.funding.at[-1] == due - every
    assert len(item.funding.rates) >= 40
    assert item.open_interest > 0


def test_closed_candles_are_the_venues_own(full_series, venue, feed):
    item = see(feed, venue)

    for series, length in (
        (item.candles, THREE),
        (item.bars, MINUTE),
        (item.context, timedelta(hours=4)),
    ):
        assert series.timeframe == length
        for index in (0, len(series) // 2, len(series) - 1):
            candle = series.candle(index)
            assert values(candle) == expected(venue, "BTC", candle.opened_at, length)
        assert series.closed(-1) <= NOW < series.closed(-1) + length
    assert (len(item.candles), len(item.bars), len(item.context)) == (CANDLES, BARS, CANDLES)
    if venue.kind == "hyperliquid":
        assert item.mark_bars is None
    else:
        assert item.mark_bars.opened_at.tolist() == item.bars.opened_at.tolist()


def test_there_are_enough_candles_for_every_standard_indicator():
    names = {
        name.removesuffix("_k").removesuffix("_d").split("_")[0] for name, _ in STANDARD.values()
    }

    assert names == {"ema", "sma", "macd", "rsi", "bollinger", "atr", "stochastic"}
    shortest = {name: params for name, params in STANDARD.values() if name in names}
    assert max(warm_up(name, *params) for name, params in shortest.items()) < CANDLES
    assert warm_up("ema", 50) < CANDLES


def test_the_unfinished_candle_is_flagged_and_apart(venue, feed):
    item = see(feed, venue)

    moving = item.unfinished
    assert moving.is_closed is False
    assert moving.opened_at == NOW.replace(minute=6, second=0)
    assert moving.opened_at == item.candles.closed(-1)
    assert values(moving) == expected(venue, "BTC", moving.opened_at, THREE)


def test_what_comes_later_changes_nothing(venue, data, feed):
    before = see(feed, venue)
    for minute in range(1, 10):  # the minute that is open, and those after it
        opened_at = NOW.replace(second=0) + minute * MINUTE
        venue.set_minute("BTC", opened_at, ("1", "2", "1", "2", "9"))

    after = see(feed_of(data), venue)

    assert after.candles.digest() == before.candles.digest()
    assert after.bars.digest() == before.bars.digest()
    assert after.quote == before.quote


def test_an_earlier_look_does_not_show_what_another_has_fetched_since(venue, feed):
    early = see(feed, venue)
    later = NOW + timedelta(minutes=6)
    venue.advance(later - NOW)
    assert len(see(feed, venue, now=later).bars)

    again = see(feed, venue, now=NOW)

    assert again.bars.closed(-1) == early.bars.closed(-1)
    assert again.candles.closed(-1) == early.candles.closed(-1)
    assert again.unfinished is None


@pytest.mark.parametrize("millisecond", [0, 400, 999])
def test_a_candle_that_ended_just_now_waits_until_it_is_settled(venue, feed, millisecond):
    now = NOW.replace(minute=9, second=0) + millisecond * timedelta(milliseconds=1)
    venue.market.now = NOW.replace(minute=8, second=59)  # it has not opened the next candle
    venue.tell_time("time", now)

    item = see(feed, venue, now=now)

    assert item.candles.closed(-1) == NOW.replace(minute=6, second=0)
    assert item.unusable is None


def test_with_our_clock_ahead_an_open_candle_does_not_pass_for_a_closed_one(venue, feed):
    now = NOW.replace(minute=9, second=3)
    venue.market.now = now - timedelta(seconds=5)  # 12:08:58 there

    item = see(feed, venue, now=now)

    assert item.candles.closed(-1) == NOW.replace(minute=6, second=0)
    assert item.bars.closed(-1) == NOW.replace(minute=8, second=0)
    assert item.unfinished is None or item.unfinished.is_closed is False


def test_only_the_missing_tail_is_fetched_and_joins_exactly(venue, data, feed, seconds):
    see(feed, venue)
    first = venue.count("candles")
    later = NOW
    for _ in range(4):
        later = venue.advance(timedelta(minutes=3))
        seconds[0] += 180
        item = see(feed, venue, now=later)
    assert venue.count("candles") - first == 8  # one of one minute, one of three, each time

    fresh = VenueData(data.client)
    whole = see(feed_of(fresh), venue, now=later)
    fresh.workers.shutdown()

    for name in ("candles", "bars", "context"):
        mine, theirs = getattr(item, name), getattr(whole, name)
        assert [values(one) for one in mine] == [values(one) for one in theirs]
        assert mine.opened_at.tolist() == theirs.opened_at.tolist()


def test_while_no_bar_is_due_the_same_series_is_shown(venue, feed):
    first, second = see(feed, venue), see(feed, venue, now=NOW + timedelta(seconds=20))

    assert first.bars.base is second.bars.base
    assert first.candles.base is second.candles.base


def test_a_correction_of_the_last_candle_is_taken(venue, feed, seconds):
    see(feed, venue)
    opened_at = NOW.replace(minute=6, second=0)
    venue.set_minute("BTC", opened_at, ("60000", "61000", "59000", "60500", "3"))
    later = venue.advance(MINUTE)
    seconds[0] += 60

    item = see(feed, venue, now=later)

    assert values(item.bars.candle(-2))[:4] == (60000, 61000, 59000, 60500)


def test_fifty_threads_make_one_request_each_thing(venue, data):
    venue.delay = 0.05
    feeds = [feed_of(data) for _ in range(50)]
    data.instruments()
    venue.requests.clear()
    start = Barrier(50)

    def look(feed):
        start.wait()
        return see(feed, venue).quote

    with ThreadPoolExecutor(50) as pool:
        quotes = list(pool.map(look, feeds))

    assert len(set(quotes)) == 1
    alone = len(venue.requests)
    for what in ("ticker", "mark", "book", "rate", "open interest", "funding", "time"):
        assert venue.count(what) <= 1, what
    see(feed_of(data), venue, now=NOW)
    assert len(venue.requests) == alone


def test_twenty_bots_of_one_timeframe_fetch_each_bar_once(venue, data, seconds):
    feeds = [feed_of(data) for _ in range(20)]
    see(feeds[0], venue)
    later = venue.advance(THREE)
    seconds[0] += 180
    before = venue.count("candles")

    for number, feed in enumerate(feeds):
        see(feed, venue, now=later + timedelta(seconds=number))
        seconds[0] += 1

    assert venue.count("candles") - before == 2  # of one and of three minutes


def test_prices_are_shared_for_two_seconds(venue, feed, seconds):
    see(feed, venue)
    venue.set_price("BTC", Decimal(60001))
    assert see(feed, venue).quote.last != 60001
    seconds[0] += 2.1

    assert see(feed, venue).quote.last == 60001


def test_a_timeframe_that_the_venue_lacks_is_made_of_minutes(venue, data):
    own = see(feed_of(data), venue)
    data.__dict__["timeframes"] = frozenset({MINUTE, timedelta(minutes=5), timedelta(hours=4)})

    made = see(feed_of(data), venue)

    assert made.candles.timeframe == THREE
    assert len(made.candles) >= 79
    assert list(made.candles)[-79:] == list(own.candles)[-79:]
    assert made.unfinished == own.unfinished


def test_a_timeframe_that_no_candles_make_is_refused(data):
    with pytest.raises(ValueError, match="has no candles that make 500ms ones"):
        feed_of(data, minutes=1 / 120)


def test_whether_a_bar_has_closed(venue, data, seconds):
    clock = SteppedClock(NOW)
    feed = feed_of(data, clock=clock)
    symbols = list(venue.symbols.values())
    due = NOW.replace(minute=9, second=0)
    assert feed.is_bar_closed(symbols, NOW.replace(minute=6, second=0))
    assert not feed.is_bar_closed(symbols, due)

    clock.advance_to(due + timedelta(milliseconds=300))
    venue.market.now = due - timedelta(milliseconds=200)
    assert not feed.is_bar_closed(symbols, due)

    clock.advance_to(due + timedelta(seconds=2))
    venue.market.now = due + timedelta(seconds=2)
    seconds[0] += 1.1
    assert feed.is_bar_closed(symbols, due)


def test_a_bar_of_a_venue_that_is_down_is_not_known_to_be_closed(venue, data):
    feed = feed_of(data)
    see(feed, venue)
    venue.fail(Failure.ERROR_500)
    clock = SteppedClock(NOW + THREE)

    assert not feed_of(data, clock=clock).is_bar_closed(
        [venue.symbols["BTC"]], NOW.replace(minute=9, second=0)
    )


def test_symbols_that_cannot_be_traded_are_refused_by_name(venue, feed):
    with pytest.raises(
        ValueError, match=r"XYZ/USDT:USDT can't be traded on .*: there is no such market"
    ):
        feed.snapshot(["XYZ/USDT:USDT"], NOW)


def test_a_symbol_delisted_while_we_run_is_suspended_and_takes_no_other_out(venue, data, feed):
    symbols = [venue.symbols["BTC"], venue.symbols["SOL"]]
    feed.snapshot(symbols, NOW)
    gone = venue.symbols["SOL"]
    source = data.client._source
    source.markets = {symbol: market for symbol, market in source.markets.items() if symbol != gone}

    snapshot = feed.snapshot(symbols, NOW)

    assert snapshot.by_symbol[gone].instrument.status is InstrumentStatus.SUSPENDED
    assert snapshot.by_symbol[gone].unusable == "the venue lists it as suspended"
    assert snapshot.by_symbol[venue.symbols["BTC"]].unusable is None


def test_instruments_are_in_name_order_and_tradeable(venue, feed):
    symbols = [instrument.symbol for instrument in feed.instruments()]

    assert symbols == sorted(symbols)
    assert set(venue.symbols.values()) <= set(symbols)
    assert not [symbol for symbol in symbols if "-" in symbol or symbol == "BTC/USD:BTC"]


def test_spot_has_no_funding_and_its_mark_is_the_last_price():
    # OKX lists a spot market in the loopback's table; its prices are those of the perpetual
    with LoopbackVenue("okx", NOW) as venue:
        data = data_of(venue)
        item = feed_of(data).snapshot(["BTC/USDT"], NOW).instruments[0]
        data.close()

    assert item.unusable is None
    assert item.quote.mark == item.quote.last
    assert (item.mark_bars, item.funding, item.funding_rate) == (None, None, None)


def test_bars_wait_for_their_mark_price(venue, feed):
    if venue.kind == "hyperliquid":
        return  # it has no candles of the mark price
    venue.tell_time("marks", NOW.replace(minute=5, second=0))

    item = see(feed, venue)

    assert item.mark_bars.closed(-1) == item.bars.closed(-1)
    assert item.bars.closed(-1) <= NOW.replace(minute=6, second=0)


def test_late_funding_is_asked_for_again_and_not_taken_for_zero(venue, data, feed, seconds):
    every = timedelta(milliseconds=FUNDING_MS[venue.kind])
    see(feed, venue)
    due = NOW.replace(hour=16, minute=0, second=0)
    venue.market.now = due + timedelta(seconds=30)
    seconds[0] += 15000
    item = see(feed, venue, now=venue.market.now)

    assert item.funding.at[-1] == to_milliseconds(due)
    steps = {after - before for before, after in pairwise(item.funding.at.tolist())}
    assert steps == {every // timedelta(milliseconds=1)}
    assert all(at % MINUTE_MS == 0 for at in item.funding.at.tolist())


@pytest.mark.django_db(transaction=True)
def test_the_market_is_not_looked_at_inside_a_transaction(venue, feed):
    see(feed, venue)

    with transaction.atomic(), pytest.raises(OutwardCallInTransaction):
        see(feed, venue)


def test_a_snapshot_holds_the_same_content_for_the_same_market(venue, feed):
    first, second = (feed.snapshot([venue.symbols["BTC"]], NOW) for _ in range(2))

    assert first.content_hash == second.content_hash
    assert first.source == venue.kind
    moved = replace(first.instruments[0].quote, last=Decimal(1))
    changed = replace(first, instruments=(replace(first.instruments[0], quote=moved),))
    assert changed.content_hash != first.content_hash


def test_nothing_readable_at_all_is_no_snapshot(venue, feed):
    venue.fail(Failure.CLOSE)

    with pytest.raises(VenueUnavailable, match=venue.kind):
        see(feed, venue)
