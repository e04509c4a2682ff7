"""When an instrument must not be traded on: every threshold on both of its sides."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from market.domain.data import Quote, to_milliseconds
from market.domain.enums import InstrumentStatus
from market.venues.candle_tracks import empty_series, series_of
from market.venues.ccxt_quotes import (
    book_of,
    funding_context,
    funding_series,
    next_multiple,
    ticker_context,
)
from market.venues.default_instruments import default_instrument
from market.venues.plausibility import candles_reason, quote_reason, status_reason

NOW = datetime(2026, 5, 3, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
QUOTE = Quote(
    symbol="BTC/USDT:USDT",
    at=NOW,
    bid=Decimal(999),
    ask=Decimal(1001),
    last=Decimal(1000),
    mark=Decimal(1000),
)


def bars(*, closed_ago=timedelta(0), count=40, timeframe=MINUTE, still=0):
    """Bars of which the last closed so long ago and the last `still` are of one price."""
    last = to_milliseconds(NOW - closed_ago - timeframe)
    length = timeframe // timedelta(milliseconds=1)
    rows = []
    for place in range(count):
        price = Decimal(1000 if place >= count - still else 1000 + place)
        rows.append((last - (count - 1 - place) * length, price, price, price, price, Decimal(1)))
    return series_of(rows, timeframe)


@pytest.mark.parametrize(
    ("series", "reason"),
    [
        ({}, None),
        ({"closed_ago": 3 * MINUTE}, None),
        ({"closed_ago": 3 * MINUTE + timedelta(seconds=1)}, "the last bar closed at"),
        ({"count": 0}, "no closed candles"),
        ({"still": 14}, None),
        ({"still": 15}, "has not moved for 15 minutes"),
        ({"still": 14, "count": 14}, None),
    ],
)
def test_bars(series, reason):
    found = candles_reason(NOW, bars(**series), bars(timeframe=3 * MINUTE), None)

    assert (found is None) if reason is None else (reason in str(found))


@pytest.mark.parametrize(
    ("closed_ago", "reason"),
    [(6 * MINUTE, None), (6 * MINUTE + timedelta(seconds=1), "the last candle closed at")],
)
def test_candles_of_the_cycle(closed_ago, reason):
    candles = bars(closed_ago=closed_ago, timeframe=3 * MINUTE)

    found = candles_reason(NOW, bars(), candles, None)

    assert (found is None) if reason is None else (reason in str(found))


def test_mark_bars():
    old = bars(closed_ago=4 * MINUTE)

    assert candles_reason(NOW, bars(), bars(), bars()) is None
    assert "mark price" in str(candles_reason(NOW, bars(), bars(), old))
    assert "mark price" in str(candles_reason(NOW, bars(), bars(), empty_series(MINUTE)))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"at": NOW - timedelta(seconds=60)}, None),
        ({"at": NOW - timedelta(seconds=61)}, "the quote is 61 seconds old"),
        ({"mark": Decimal(1030)}, None),
        ({"mark": Decimal("1030.01")}, "the mark price 1030.01 is implausibly far"),
        ({"mark": Decimal(970)}, None),
        ({"mark": Decimal("969.9")}, "the mark price"),
        ({"bid": Decimal(1030), "ask": Decimal(1031)}, "the middle of the book"),
    ],
)
def test_quotes(changes, reason):
    found = quote_reason(NOW, replace(QUOTE, **changes))

    assert (found is None) if reason is None else (reason in str(found))


def test_status():
    instrument = default_instrument("BTC/USDT:USDT")

    assert status_reason(instrument) is None
    halted = replace(instrument, status=InstrumentStatus.REDUCE_ONLY)
    assert status_reason(halted) == "the venue lists it as reduce only"


@pytest.mark.parametrize(
    ("bids", "asks"),
    [
        ([], [["2", "1"]]),
        ([["1", "1"]], []),
        ([["2", "1"]], [["2", "1"]]),
        ([["3", "1"]], [["2", "1"]]),
        ([["0", "1"]], [["2", "1"]]),
        ([["1", "0"]], [["2", "1"]]),
        ([[None, None]], [["2", "1"]]),
        (None, [["2", "1"]]),
        ([["NaN", "1"]], [["2", "1"]]),
    ],
)
def test_a_book_that_makes_no_sense_is_none(bids, asks):
    assert book_of({"bids": bids, "asks": asks}) is None


def test_a_book_is_cut_to_ten_levels():
    bids = [[str(100 - level), "1"] for level in range(30)]

    book = book_of({"bids": bids, "asks": [["101", "2", "extra"]], "timestamp": "1777809600000"})

    assert (len(book.book.bids), len(book.book.asks), book.at) == (10, 1, 1777809600000)


@pytest.mark.parametrize("value", [None, "", "0", "-1", "NaN", "Infinity", "soon", [], {}])
def test_a_price_that_is_none_is_not_made_up(value):
    assert ticker_context({"last": value, "close": value, "markPrice": value}).last is None
    assert funding_context({"markPrice": value, "fundingRate": None}).mark is None


def test_settled_funding_is_rounded_to_the_minute_and_joined():
    def rows(*pairs):
        return [{"timestamp": at, "fundingRate": rate} for at, rate in pairs]

    first = funding_series(rows((60_007, "0.1"), (119_990, "0.2"), (None, "1"), (9, None)), None, 9)
    second = funding_series(rows((120_004, "0.25"), (180_001, "-0.3")), first, 2)

    assert (first.at.tolist(), first.rates) == ([60_000, 120_000], (Decimal("0.1"), Decimal("0.2")))
    assert second.at.tolist() == [120_000, 180_000]
    assert second.rates == (Decimal("0.25"), Decimal("-0.3"))
    assert funding_series([], None, 9) is None


def test_the_next_multiple_is_after_now():
    hour = timedelta(hours=1)

    assert next_multiple(NOW, 8 * hour) == NOW.replace(hour=16)
    assert next_multiple(NOW.replace(hour=16), 8 * hour) == NOW.replace(day=4, hour=0)
