"""Timeframes, longer candles out of shorter ones, and files of funding rates."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.domain.data import Candle, CandleSeries, from_milliseconds, to_milliseconds
from market.errors import CandleFileError
from market.venues.candle_files import (
    aggregate,
    load_candles,
    load_funding,
    parse_timeframe,
    parse_utc_offset,
    timeframe_text,
)

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("text", "timeframe"),
    [
        ("30s", timedelta(seconds=30)),
        ("1m", MINUTE),
        ("3m", 3 * MINUTE),
        ("90m", 90 * MINUTE),
        ("4h", timedelta(hours=4)),
        ("1d", timedelta(days=1)),
    ],
)
def test_timeframes_are_written_as_they_are_read(text, timeframe):
    assert parse_timeframe(text) == parse_timeframe(f" {text.upper()} ") == timeframe
    assert timeframe_text(timeframe) == text


@pytest.mark.parametrize("text", ["", "m", "0m", "1", "1w", "-1m", "1.5h", "1m1", "١m", "01m"])
def test_what_is_no_timeframe(text):
    with pytest.raises(ValueError, match="is no timeframe"):
        parse_timeframe(text)


def test_odd_timeframes_can_be_written():
    assert timeframe_text(timedelta(milliseconds=1500)) == "1500ms"
    assert timeframe_text(timedelta(hours=24)) == "1d"


@pytest.mark.parametrize(
    ("text", "hours"), [("+03:00", 3), ("-05:30", -5.5), ("+0000", 0), ("UTC", 0), ("z", 0)]
)
def test_offsets_from_utc(text, hours):
    assert parse_utc_offset(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "3", "03:00", "+3", "+15:00", "+03:60", "Europe/London"])
def test_what_is_no_offset(text):
    with pytest.raises(ValueError, match=r"is no offset from UTC: it is written like \+03:00"):
        parse_utc_offset(text)


# Longer candles


def naive(series, timeframe):
    """The same by the book: one candle at a time, complete bars only."""
    bars: dict[int, list[Candle]] = {}
    length = timeframe // timedelta(milliseconds=1)
    for candle in series:
        start = to_milliseconds(candle.opened_at) // length * length
        bars.setdefault(start, []).append(candle)
    return [
        Candle(
            opened_at=from_milliseconds(start),
            open=parts[0].open,
            high=max(part.high for part in parts),
            low=min(part.low for part in parts),
            close=parts[-1].close,
            volume=sum((part.volume for part in parts), Decimal(0)),
        )
        for start, parts in bars.items()
        if len(parts) == timeframe // series.timeframe
    ]


@given(
    st.lists(
        st.tuples(st.booleans(), st.lists(st.integers(1, 99_999), min_size=4, max_size=4)),
        max_size=60,
    ),
    st.integers(0, 100),
    st.sampled_from([1, 2, 3, 5, 15]),
)
def test_longer_candles_are_those_of_the_book(rows, start, parts):
    """With gaps anywhere, and beginning anywhere."""
    candles = []
    for index, (is_there, four) in enumerate(rows):
        low, open_, close, high = sorted(four)
        if is_there:
            candles.append(
                Candle(
                    opened_at=from_milliseconds((start + index) * 60_000),
                    open=Decimal(open_).scaleb(-2),
                    high=Decimal(high).scaleb(-2),
                    low=Decimal(low).scaleb(-2),
                    close=Decimal(close).scaleb(-2),
                    volume=Decimal(four[0]).scaleb(-1),
                )
            )
    series = CandleSeries.from_candles(candles, MINUTE)

    longer = aggregate(series, parts * MINUTE)

    assert longer.timeframe == parts * MINUTE
    assert list(longer) == naive(series, parts * MINUTE)


def minutes(count, start=0, volume=1):
    column = np.arange(1, count + 1, dtype=np.int64)
    return CandleSeries(
        timeframe=MINUTE,
        opened_at=(start + column - 1) * 60_000,
        open=column,
        high=column,
        low=column,
        close=column,
        volume=np.full(count, volume, dtype=np.int64),
        price_exponent=0,
        volume_exponent=0,
    )


def test_in_two_steps_as_in_one():
    series = minutes(1_000, start=7)

    one = aggregate(series, timedelta(hours=4))
    two = aggregate(aggregate(series, 3 * MINUTE), timedelta(hours=4))

    assert one.digest() == two.digest()
    assert [candle.opened_at.hour for candle in one] == [4, 8, 12]


def test_the_same_timeframe_is_the_same_series():
    series = minutes(10)

    assert aggregate(series, MINUTE) is series


def test_a_timeframe_that_is_no_multiple_is_refused():
    with pytest.raises(ValueError, match="1m candles can't make 90s ones"):
        aggregate(minutes(10), timedelta(seconds=90))


def test_volumes_past_63_bits_lose_digits_not_their_size():
    longer = aggregate(minutes(6, volume=2**62), 3 * MINUTE)

    assert longer.candle(1).volume == Decimal(2**62 // 10 * 3).scaleb(1)


@pytest.mark.recorded_data
def test_recorded_minutes_make_hours(market_data_dir):
    series = load_candles(market_data_dir / "market" / "btc-perp-20211231-20220201_1m.csv")

    for timeframe in (3 * MINUTE, timedelta(hours=4)):
        longer = aggregate(series, timeframe)
        expected = naive(series.first(2_000), timeframe)
        assert [longer.candle(index) for index in range(len(expected))] == expected
    assert len(aggregate(series, timedelta(hours=4))) == 187


# Funding


@pytest.fixture
def write(tmp_path):
    def write_csv(*rows, header="Symbol,Date,Funding Rate"):
        path = tmp_path / "funding.csv"
        path.write_text("\n".join([header, *rows]) + "\n")
        return path

    return write_csv


def test_a_clock_ahead_of_utc_is_set_back(write):
    path = write(
        "BTC-USDT,2022-01-01 03:00:00.012,0.0001", "BTC-USDT,2022-01-01 10:59:59.995,-2.6e-05"
    )

    funding = load_funding(path, utc_offset=parse_utc_offset("+03:00"), symbol="BTC/USDT:USDT")

    times = [from_milliseconds(int(at)) for at in funding.at]
    assert times == [datetime(2022, 1, 1, tzinfo=UTC), datetime(2022, 1, 1, 8, tzinfo=UTC)]
    assert funding.rates == (Decimal("0.0001"), Decimal("-0.000026"))


@pytest.mark.parametrize("header", ["time,funding_rate", "fundingTime,fundingRate", "date,rate"])
def test_other_names_and_epochs(write, header):
    funding = load_funding(write("1640995200005,0.0001", header=header))

    assert funding.at.tolist() == [1_640_995_200_000]


@pytest.mark.parametrize(
    ("rows", "offset", "expected"),
    [
        (["b,2022-01-01 08:00:00,0", "b,2022-01-01 00:00:00,0"], 0, "row 2: 2022-01-01T00:00:00Z comes after"),
        (["b,2022-01-01 00:00:00.004,0", "b,2022-01-01 00:00:00.009,0"], 0,
         "row 2: 2022-01-01T00:00:00Z is there twice"),
        (["b,2022-01-01 00:00:00,"], 0, "row 1: Funding Rate is missing"),
        (["b,2022-01-01 00:00:00,nan"], 0, "row 1: Funding Rate is 'nan', not a number"),
        (["b,2022-01-01 00:00:00,0.5", "b,2022-01-01 08:00:00,1.25"], 0,
         "row 2: Funding Rate 1.25 is not a fraction below 1"),
        (["b,2022-01-01T00:00:00Z,0.5"], 3, "Date says its time zone, so no other offset can apply"),
        (["b,2022-01-01 00:00:00,0", "c,2022-01-01 00:00:00,0"], 0, "there are 2 symbols and none was chosen"),
    ],
)  # fmt: skip
def test_funding_that_is_refused(write, rows, offset, expected):
    with pytest.raises(CandleFileError, match=f"^funding.csv: {expected}"):
        load_funding(write(*rows), utc_offset=timedelta(hours=offset))


def test_a_funding_file_needs_its_columns(write):
    with pytest.raises(CandleFileError, match="there is no column funding rate or funding_rate"):
        load_funding(write("1,2,3", header="symbol,date,close"))


@pytest.mark.recorded_data
def test_recorded_funding_is_settled_at_midnight_utc(market_data_dir):
    path = market_data_dir / "market" / "BTC-USDT_binance_2020-01-01_2024-01-01_funding_history.csv"

    funding = load_funding(path, utc_offset=parse_utc_offset("+03:00"), symbol="BTC/USDT:USDT")

    hours = np.unique(funding.at // 3_600_000 % 24)
    assert len(funding.at) == 4_383
    assert hours.tolist() == [0, 8, 16]
    january = funding.between(
        to_milliseconds(datetime(2021, 12, 31, 23, tzinfo=UTC)),
        to_milliseconds(datetime(2022, 2, 1, tzinfo=UTC)),
    )
    assert len(list(january)) == 94
