"""Candle files: read exactly, in every form they come in, and refused in one sentence."""

import struct
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.domain.data import Candle, CandleSeries, from_milliseconds
from market.errors import CandleFileError
from market.venues.candle_files import load_candles

MINUTE = timedelta(minutes=1)
HEADER = "timestamp,open,high,low,close,volume"
GOOD = [
    "2022-01-01 00:00:00,10,12,9.5,11,100.25",
    "2022-01-01 00:01:00,11,11.75,11,11.5,0",
    "2022-01-01 00:02:00,11.5,12,8,8.125,7",
]
FIRST = Candle(
    opened_at=datetime(2022, 1, 1, tzinfo=UTC),
    open=Decimal(10),
    high=Decimal(12),
    low=Decimal("9.5"),
    close=Decimal(11),
    volume=Decimal("100.25"),
)


@pytest.fixture
def write(tmp_path):
    def write_csv(rows, header=HEADER, name="candles.csv"):
        path = tmp_path / name
        path.write_text("\n".join([header, *rows]) + "\n")
        return path

    return write_csv


def refusal(path, **options) -> str:
    with pytest.raises(CandleFileError) as caught:
        load_candles(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


# Reading


def test_candles_are_read_exactly(write):
    series = load_candles(write(GOOD))

    assert series.timeframe == MINUTE
    assert len(series) == 3
    assert series.candle(0) == FIRST
    assert series.candle(2).close == Decimal("8.125")
    assert (series.price_exponent, series.volume_exponent) == (-3, -2)
    assert not series.close.flags.writeable


@pytest.mark.parametrize(
    "name", ["timestamp", "Time", "DATE", "datetime", "Open_Time", "opened_at"]
)
def test_the_time_column_has_several_names(write, name):
    path = write(GOOD, header=f"{name}, Open ,HIGH,Low,Close,Volume")

    assert load_candles(path).candle(0) == FIRST


def _epoch(factor):
    return [str(int(1_640_995_200 * factor) + index * 60 * factor) for index in range(3)]


@pytest.mark.parametrize(
    "times",
    [
        [f"2022-01-01 00:0{i}:00.000000" for i in range(3)],
        [f"2022-01-01T00:0{i}:00Z" for i in range(3)],
        [f"2022-01-01 00:0{i}:00+00:00" for i in range(3)],
        [f"2022-01-01 00:0{i}:00 +00:00" for i in range(3)],
        [f"2022-01-01 00:0{i}:00 UTC" for i in range(3)],
        [f"2022-01-01T03:0{i}:00.000+03:00" for i in range(3)],
        [f"2021-12-31T19:0{i}:00-0500" for i in range(3)],
        [f"2022-01-01 00:0{i}" for i in range(3)],
        [f"2022-01-01 00:0{i}:00.000000000" for i in range(3)],
        _epoch(1),
        _epoch(10**3),
        _epoch(10**6),
        _epoch(10**9),
        [f"{text}.0" for text in _epoch(1)],
        ["1.6409952e9", "1.64099526e9", "1.64099532e9"],
    ],
)
def test_times_come_in_many_forms(write, times):
    path = write([f"{time},10,12,9.5,11,100.25" for time in times])

    series = load_candles(path)

    assert series.opened(0) == datetime(2022, 1, 1, tzinfo=UTC)
    assert series.timeframe == MINUTE


def test_a_timestamp_may_be_the_close(write):
    series = load_candles(write(GOOD), timestamp="close")

    assert series.opened(0) == datetime(2021, 12, 31, 23, 59, tzinfo=UTC)
    assert series.closed(2) == datetime(2022, 1, 1, 0, 2, tzinfo=UTC)


def test_columns_it_does_not_need_are_left_alone(write):
    path = write([f"x,{row},n/a" for row in GOOD], header=f"note,{HEADER},other")

    assert load_candles(path).candle(0) == FIRST


def test_gaps_may_be_allowed(write):
    path = write([GOOD[0], GOOD[1], "2022-01-01 00:05:00,1,1,1,1,1"])

    series = load_candles(path, allow_gaps=True)

    assert len(series) == 3
    assert series.timeframe == MINUTE


def test_one_candle_takes_the_timeframe_that_is_wanted(write):
    path = write(GOOD[:1])

    assert load_candles(path, timeframe=MINUTE).timeframe == MINUTE
    assert refusal(path) == "candles.csv: one candle alone does not tell its timeframe"


@pytest.mark.parametrize("wanted", [MINUTE, 3 * MINUTE, timedelta(hours=4), timedelta(days=1)])
def test_the_files_own_timeframe_is_kept(write, wanted):
    assert load_candles(write(GOOD), timeframe=wanted).timeframe == MINUTE


@pytest.mark.parametrize("symbol", ["BTC/USDT:USDT", "BTCUSDT", "btc-usdt"])
def test_the_symbol_is_chosen_in_any_spelling(write, symbol):
    rows = [row for good in GOOD for row in (f"BTCUSDT,{good}", f"ETHUSDT,{good}")]
    rows[4] = rows[4].replace("8.125", "8.5")
    path = write(rows, header=f"Symbol,{HEADER}")

    series = load_candles(path, symbol=symbol)

    assert len(series) == 3
    assert series.candle(2).close == Decimal("8.5")


def frame(times, symbols=None):
    columns = {
        "timestamp": times,
        "open": [0.1 + 0.2, 46.0, 1e-7],
        "high": [46.5, 46.5, 2.5],
        "low": [1e-5, 0.3, 1.5e-8],
        "close": [0.3, 46.1, 1e-7],
        "volume": [2300413.7295, 0.0, 1e10],
    }
    return pd.DataFrame(columns if symbols is None else {"pair": symbols, **columns})


@pytest.mark.parametrize("kind", ["parquet", "feather"])
@pytest.mark.parametrize(
    "times",
    [
        pd.date_range("2022-01-01", periods=3, freq="1min"),
        pd.date_range("2022-01-01 09:00", periods=3, freq="1min", tz="Asia/Tokyo"),
        pd.date_range("2022-01-01", periods=3, freq="1min").astype("int64"),
        [f"2022-01-01 00:0{i}:00" for i in range(3)],
        [1_640_995_200.0, 1_640_995_260.0, 1_640_995_320.0],
    ],
)
def test_floats_are_their_shortest_text(tmp_path, kind, times):
    path = tmp_path / f"candles.{kind}"
    table = frame(times)
    getattr(table, f"to_{kind}")(path)

    series = load_candles(path)

    assert series.opened(0) == datetime(2022, 1, 1, tzinfo=UTC)
    for name in ("open", "high", "low", "close", "volume"):
        got = [getattr(candle, name) for candle in series]
        assert got == [Decimal(str(value)) for value in table[name].tolist()]


def test_dates_decimals_and_narrow_floats_are_read(tmp_path):
    path = tmp_path / "candles.parquet"
    pd.DataFrame(
        {
            "date": [date(2022, 1, 1), date(2022, 1, 2)],
            "open": [Decimal("1.10"), Decimal("1.20")],
            "high": np.array([2.1, 2.2], dtype=np.float32),
            "low": np.array([1, 1], dtype=np.int16),
            "close": ["1.10", "1.2"],
            "volume": [5, 6],
        }
    ).to_parquet(path)

    series = load_candles(path)

    assert series.timeframe == timedelta(days=1)
    assert series.candle(1).high == Decimal("2.2")
    assert series.candle(1).open == Decimal("1.2")


prices = st.decimals("0.00000001", "999999.99999999", places=8)


@given(
    st.lists(st.tuples(prices, prices, prices, prices, prices), min_size=2, max_size=12),
    st.sampled_from(["f", "e", ""]),
)
def test_any_table_reads_as_its_decimals(tmp_path_factory, rows, spelling):
    """Whatever way numbers are written, the integers are those of exact Decimals."""
    candles = []
    for index, (*four, volume) in enumerate(rows):
        low, open_, close, high = sorted(four)
        candles.append(
            Candle(
                opened_at=from_milliseconds(index * 60_000),
                open=open_,
                high=high,
                low=low,
                close=close,
                volume=volume,
            )
        )
    path = tmp_path_factory.mktemp("table") / "candles.csv"
    path.write_text(
        "\n".join(
            [HEADER]
            + [
                f"{index * 60},"
                + ",".join(
                    format(getattr(candle, name), spelling)
                    for name in ("open", "high", "low", "close", "volume")
                )
                for index, candle in enumerate(candles)
            ]
        )
    )

    loaded, exact = load_candles(path), CandleSeries.from_candles(candles, MINUTE)

    assert loaded.digest() == exact.digest()


def test_a_long_volume_loses_its_last_digits_like_any_series(write):
    big = "123456789012.123456789012345"
    path = write([GOOD[0], GOOD[1].replace(",0", f",{big}"), GOOD[2]])
    huge = write([GOOD[0], GOOD[1].replace(",0", ",123456789012345678901.5")], name="huge.csv")

    assert load_candles(path).candle(1).volume == Decimal("123456789012.1234567")
    assert load_candles(path).candle(2).volume == 7
    assert load_candles(huge).candle(1).volume == Decimal(123456789012345678900)


def test_a_million_digits_are_no_trap(write):
    message = refusal(write([GOOD[0], GOOD[1].replace("11.75", "1e999999")]))

    assert message == "candles.csv: row 2: high is '1e999999', not a number"


# Refusals, each one sentence


@pytest.mark.parametrize(
    ("header", "rows", "expected"),
    [
        (HEADER, [], "there are no rows in the file"),
        (
            "timestamp,open,high,low,close",
            ["2022-01-01 00:00:00,1,1,1,1"],
            "there is no column volume; its columns are: timestamp, open, high, low, close",
        ),
        (
            "when,open,high,low,close,volume",
            GOOD,
            ("there is no column timestamp or time or date or datetime or open_time or opened_at;"
             " its columns are: when, open, high, low, close, volume"),
        ),
        ("timestamp,open,Open,low,close,volume", GOOD, "there are 2 columns 'open'"),
        (
            HEADER,
            [GOOD[1], GOOD[0]],
            ("row 2: 2022-01-01T00:00:00Z comes after 2022-01-01T00:01:00Z;"
             " rows must be sorted, oldest first"),
        ),
        (
            HEADER,
            [GOOD[0], GOOD[1], GOOD[1]],
            "row 3: 2022-01-01T00:01:00Z is there twice, also in row 2",
        ),
        (
            HEADER,
            [GOOD[0], GOOD[1], "2022-01-01 00:03:00,1,1,1,1,1"],
            "row 3: 1 candle of 1m missing between 2022-01-01T00:01:00Z and 2022-01-01T00:03:00Z",
        ),
        (
            HEADER,
            [GOOD[0], GOOD[1], "2022-01-01 01:00:00,1,1,1,1,1"],
            "row 3: 58 candles of 1m missing between 2022-01-01T00:01:00Z and 2022-01-01T01:00:00Z",
        ),
        (
            HEADER,
            [GOOD[0], GOOD[1], "2022-01-01 00:03:30,1,1,1,1,1"],
            "row 3: 2022-01-01T00:03:30Z is off the grid of 1m",
        ),
        (
            HEADER,
            [row.replace(":00,", ":07,") for row in GOOD],
            "row 1: 2022-01-01T00:00:07Z is off the grid of 1m",
        ),
        (HEADER, ["2022-13-01 00:00:00,1,1,1,1,1"],
         "row 1: timestamp is '2022-13-01 00:00:00', neither ISO 8601 nor an epoch in s, ms, us or ns"),
        (
            HEADER,
            [GOOD[0], GOOD[1], "soon,1,1,1,1,1"],
            "row 3: timestamp is 'soon', neither ISO 8601 nor an epoch in s, ms, us or ns",
        ),
        (
            HEADER,
            [GOOD[0], GOOD[1].replace("00:01:00", "00:01:00Z")],
            "row 1: timestamp has a time zone in some rows only",
        ),
        (HEADER, [GOOD[0], ",1,1,1,1,1"], "row 2: timestamp is missing"),
        (HEADER, [GOOD[0], GOOD[1].replace("11.75", "")], "row 2: high is missing"),
        (HEADER, [GOOD[0], GOOD[1].replace("11.75", "NaN")], "row 2: high is 'NaN', not a number"),
        (HEADER, [GOOD[0], GOOD[1].replace("11.75", "inf")], "row 2: high is 'inf', not a number"),
        (HEADER, [GOOD[0].replace("9.5", "1,200")], None),
        (
            HEADER,
            [GOOD[0], "2022-01-01 00:01:00,11,9,10,11,1"],
            "row 2: low 10 is above high 9",
        ),
        (
            HEADER,
            [GOOD[0], "2022-01-01 00:01:00,11.5,11,10,11,1"],
            "row 2: open 11.5 is outside low 10 to high 11",
        ),
        (
            HEADER,
            [GOOD[0], "2022-01-01 00:01:00,11,11,10,9.75,1"],
            "row 2: close 9.75 is outside low 10 to high 11",
        ),
        (HEADER, [GOOD[0], "2022-01-01 00:01:00,11,11,0,11,1"], "row 2: low 0 is not above 0"),
        (HEADER, [GOOD[0], "2022-01-01 00:01:00,-1,1,-1,1,1"], "row 2: open -1 is not above 0"),
        (HEADER, [GOOD[0], "2022-01-01 00:01:00,1,1,1,1,-0.5"], "row 2: volume -0.5 is below 0"),
        (
            HEADER,
            [GOOD[0], "2022-01-01 00:01:00,1e15,1e15,1e-8,1,1"],
            "row 2: open 1000000000000000 with 8 decimals does not fit 63 bits",
        ),
        (
            HEADER,
            [GOOD[0], "2022-01-01 00:01:00,1,1,0.12345678901234567890,1,1"],
            "row 2: the numbers of low have too many digits for 63 bits, as 0.1234567890123456789",
        ),
    ],
)  # fmt: skip
def test_refusals_name_file_row_and_value(write, header, rows, expected):
    message = refusal(write(rows, header=header))

    if expected is None:
        assert message.startswith("candles.csv: can't be read: CSV parse error")
    else:
        assert message == f"candles.csv: {expected}"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (timedelta(seconds=90), "its 1m candles can't make 90s ones"),
        (timedelta(seconds=30), "its 1m candles can't make 30s ones"),
    ],
)
def test_a_timeframe_that_does_not_divide_is_refused(write, wanted, expected):
    assert refusal(write(GOOD), timeframe=wanted) == f"candles.csv: {expected}"


def test_the_symbol_must_be_there_and_clear(write):
    rows = [f"{name},{GOOD[0]}" for name in ("BTC/USDT", "BTCUSDT", "ETHUSDT")]
    path = write(rows, header=f"pair,{HEADER}")

    assert refusal(path) == (
        "candles.csv: there are 3 symbols and none was chosen: BTC/USDT, BTCUSDT, ETHUSDT"
    )
    assert refusal(path, symbol="SOL/USDT:USDT") == (
        "candles.csv: there is no symbol SOL/USDT:USDT; it has: BTC/USDT, BTCUSDT, ETHUSDT"
    )
    assert refusal(path, symbol="BTC/USDT:USDT") == (
        "candles.csv: BTC/USDT:USDT may mean any of: BTC/USDT, BTCUSDT"
    )
    assert len(load_candles(path, symbol="BTCUSDT", timeframe=MINUTE)) == 1


def test_rows_are_numbered_as_in_the_file(write):
    rows = [f"ETH,{GOOD[0]}", f"BTC,{GOOD[0]}", f"ETH,{GOOD[1]}", f"BTC,{GOOD[1]}"]
    rows[3] = rows[3].replace("11.75", "wide")

    message = refusal(write(rows, header=f"symbol,{HEADER}"), symbol="BTC")

    assert message == "candles.csv: row 4: high is 'wide', not a number"


def test_files_that_are_none(tmp_path, write):
    (tmp_path / "empty.csv").touch()
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 this is not a table PAR1")
    (tmp_path / "broken.feather").write_bytes(b"ARROW1" + struct.pack("<i", 7) * 9)
    (tmp_path / "candles.xlsx").write_bytes(b"x")
    (tmp_path / "latin.csv").write_bytes(b"timestamp,open,high,low,close,volume\xff\n1,1,1,1,1,1\n")

    assert refusal(tmp_path / "none.csv") == f"{tmp_path / 'none.csv'}: there is no such file"
    assert refusal(tmp_path) == f"{tmp_path}: is not a file"
    assert refusal(tmp_path / "empty.csv") == "empty.csv: the file is empty"
    assert refusal(tmp_path / "candles.xlsx") == (
        "candles.xlsx: is not a .csv, .parquet or .feather file"
    )
    for name in ("broken.parquet", "broken.feather", "latin.csv"):
        assert refusal(tmp_path / name).startswith(f"{name}: can't be read: ")
    assert refusal(write(["1,2,3"])).startswith("candles.csv: can't be read: CSV parse error")


# Recorded minutes


@pytest.mark.recorded_data
def test_a_month_of_recorded_minutes(market_data_dir):
    path = market_data_dir / "market" / "btc-perp-20211231-20220201_1m.csv"
    lines = path.read_text().splitlines()

    series = load_candles(path, timeframe=3 * MINUTE, symbol="BTC/USDT:USDT")

    assert len(series) == len(lines) - 1 == 45_031
    assert series.opened(0) == datetime(2021, 12, 31, 23, 1, tzinfo=UTC)
    assert series.opened(-1) == datetime(2022, 2, 1, 5, 31, tzinfo=UTC)
    for index in range(0, len(series), 499):
        candle, texts = series.candle(index), lines[index + 1].split(",")
        got = [candle.open, candle.high, candle.low, candle.close]
        assert got == [Decimal(text) for text in texts[1:5]]
        assert abs(candle.volume - Decimal(texts[5])) < Decimal("1e-10")


@pytest.mark.recorded_data
def test_a_file_of_many_markets_is_refused_until_one_is_clear(market_data_dir):
    path = market_data_dir / "market" / "btc_eth_8h_ohlcv_funding_2023_2024.csv"

    assert "6 symbols and none was chosen" in refusal(path)
    assert "is there twice" in refusal(path, symbol="BTCUSDT")  # three venues in one file


def test_a_month_of_made_up_minutes(write):
    count = 3_000
    rows = [
        f"{1_640_995_200 + i * 60},{100 + i % 7}.5,{108 + i % 3}.25,{90 + i % 5},{101 + i % 6}.125,{i}.5"
        for i in range(count)
    ]

    series = load_candles(write(rows))

    assert len(series) == count
    for index in (0, 1234, count - 1):
        candle, texts = series.candle(index), rows[index].split(",")
        got = [candle.open, candle.high, candle.low, candle.close, candle.volume]
        assert got == [Decimal(text) for text in texts[1:]]
