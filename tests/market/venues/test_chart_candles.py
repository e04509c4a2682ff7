"""Candles for a chart: the same tracks as a snapshot's, alone; longer ones made of them."""

from datetime import timedelta
from decimal import Decimal as D

import pytest
from django.db import transaction

from market.domain.data import Candle, CandleSeries, to_milliseconds
from market.errors import VenueUnavailable
from market.venues import feeds
from market.venues.charts import ChartCandles, longer
from market.venues.clocks import FixedClock
from tests.market.venues.conftest import NOW
from tests.market.venues.loopback import Failure
from tradingagent.accounts.outward import OutwardCallInTransaction

MINUTE = timedelta(minutes=1)


def test_a_chart_shows_what_a_snapshot_holds(venue, feed):
    symbol = venue.symbols["BTC"]
    shown = feed.candles(symbol, NOW)
    (item,) = feed.snapshot([symbol], NOW).instruments

    assert shown.closed.digest() == item.candles.digest()
    assert shown.closed.closed(-1) <= NOW
    assert shown.unfinished is not None and not shown.unfinished.is_closed
    assert shown.unfinished.opened_at == shown.closed.closed(-1)
    assert shown.unfinished == item.unfinished


def test_a_chart_does_without_the_last_price(venue, feed):
    symbol = venue.symbols["BTC"]
    for what in ("ticker", "contexts", "marks", "rates"):
        venue.fail(Failure.ERROR_500, what)

    shown = feed.candles(symbol, NOW)

    assert len(shown.closed) and shown.unfinished is not None


def test_a_chart_asks_for_candles_and_nothing_else(venue, feed):
    feed.candles(venue.symbols["BTC"], NOW)

    assert venue.count("candles") > 0
    assert venue.count("book") == 0

    before = venue.count("candles")
    feed.candles(venue.symbols["BTC"], NOW + timedelta(seconds=10))

    assert venue.count("candles") == before


def test_a_chart_is_an_outward_call(venue, feed, transactional_db):
    with transaction.atomic(), pytest.raises(OutwardCallInTransaction):
        feed.candles(venue.symbols["BTC"], NOW)


def test_the_simulated_market_has_charts():
    feed = feeds.SimulatedFeed(3 * MINUTE, FixedClock(NOW))
    shown = feed.candles("BTC/USDT:USDT", NOW)

    assert shown.closed.closed(-1) <= NOW < shown.closed.closed(-1) + 3 * MINUTE
    assert shown.unfinished is not None
    assert shown.unfinished.opened_at == shown.closed.closed(-1)


def bars(*closes: int) -> CandleSeries:
    """Three-minute bars; each opens where the one before it closed."""
    made, opened, start = [], closes[0], NOW.replace(minute=0, second=0)
    for place, close in enumerate(closes):
        made.append(
            Candle(
                opened_at=start + place * 3 * MINUTE,
                open=D(opened),
                close=D(close),
                high=D(max(opened, close) + 1),
                low=D(min(opened, close) - 1),
                volume=D(2),
            )
        )
        opened = close
    return CandleSeries.from_candles(made, 3 * MINUTE)


def moving(at, price: int) -> Candle:
    return Candle(
        opened_at=at,
        open=D(price),
        high=D(price + 9),
        low=D(price),
        close=D(price + 5),
        volume=D(1),
        is_closed=False,
    )


def test_the_same_length_is_the_same():
    seen = ChartCandles(closed=bars(10, 11), unfinished=None)

    assert longer(seen, 3 * MINUTE, NOW) is seen


def values(candle) -> list[D]:
    return [candle.open, candle.high, candle.low, candle.close, candle.volume]


def test_longer_candles_are_made_of_whole_ones_and_the_open_one_of_the_rest():
    closed = bars(10, 12, 11, 15, 14, 13, 20)  # 12:00 to 12:21, five to a quarter of an hour
    at = closed.closed(-1)
    seen = ChartCandles(closed=closed, unfinished=moving(at, 21))

    made = longer(seen, 15 * MINUTE, at + MINUTE)

    assert [to_milliseconds(one.opened_at) for one in made.closed] == [int(closed.opened_at[0])]
    first = made.closed.candle(0)
    assert values(first) == [10, 16, 9, 14, 10]
    last = made.unfinished
    assert last is not None and not last.is_closed
    assert last.opened_at == first.opened_at + 15 * MINUTE
    assert values(last) == [14, 30, 12, 26, 5]


def test_without_a_moving_bar_the_open_one_is_made_of_closed_ones():
    closed = bars(10, 12, 11, 15, 14, 13)
    made = longer(ChartCandles(closed=closed, unfinished=None), 15 * MINUTE, closed.closed(-1))

    assert made.unfinished is not None
    assert values(made.unfinished) == [14, 15, 12, 13, 2]


def test_nothing_seen_of_the_open_bar_is_no_bar():
    closed = bars(10, 12, 11, 15, 14)
    made = longer(ChartCandles(closed=closed, unfinished=None), 15 * MINUTE, closed.closed(-1))

    assert (len(made.closed), made.unfinished) == (1, None)


def test_no_multiple_is_refused():
    with pytest.raises(ValueError, match="not a whole number"):
        longer(ChartCandles(closed=bars(10), unfinished=None), 4 * MINUTE, NOW)


def test_a_silent_venue_is_said(venue, feed):
    venue.fail(Failure.ERROR_500, "candles")

    with pytest.raises(VenueUnavailable):
        feed.candles(venue.symbols["BTC"], NOW)
