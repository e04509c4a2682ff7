"""Other people's numbers: published indicator cases and other projects' expected values.

The recorded files are read where they are; each test of them has a small twin with a case worked
out by hand, which always runs.
"""

import json
from decimal import Decimal

import numpy as np
import pytest
import talib

from market.domain.data import CandleSeries, series_from_columns
from market.indicators import atr, bollinger, catalogue, ema, macd, rsi, sma, stochastic
from tests.market.test_indicators import MINUTE

PRICES = ("open", "high", "low", "close")


def series_of_texts(**columns) -> CandleSeries:
    """Candles from decimal texts; open and any price not given is the close."""
    close = columns["close"]
    return series_from_columns(
        timeframe=MINUTE,
        opened_at=[index * 60_000 for index in range(len(close))],
        prices={name: [Decimal(text) for text in columns.get(name, close)] for name in PRICES},
        volume=[Decimal(text) for text in columns.get("volume", ["1"] * len(close))],
    )


def read_cases(path):
    """Yield (name, parameters, rows of texts); a row that closes on the next line is joined."""
    cases, header, open_row = [], ("", [0], [[""]]), ""
    for line in path.read_text().splitlines():
        line = line.strip()
        if open_row or line.startswith("{"):
            open_row += line
            if open_row.endswith("}"):
                texts = open_row.strip("{}").split(",")
                header[2].append([text.strip() for text in texts if text.strip()])
                open_row = ""
        elif line and not line.startswith("#"):
            name, *parameters = line.split()
            header = (name, [int(float(text)) for text in parameters], [])
            cases.append(header)
    return cases


def _one(function):
    return lambda close, *params: [function(series_of_texts(close=close), *params)]


def _banded(close, *params):
    bands = bollinger(series_of_texts(close=close), *params)
    return [bands.lower, bands.middle, bands.upper]


def _stochastic(high, low, close, *params):
    return [*stochastic(series_of_texts(high=high, low=low, close=close), *params)]


def _named(name, *columns, params=("length",), scale=1.0):
    """A function of the wider catalogue whose result is compared after scaling."""

    def compute(*arguments):
        texts = dict(zip(columns, arguments, strict=False))
        texts.setdefault("close", texts.get("high"))
        given = dict(zip(params, arguments[len(columns) :], strict=True))
        lines = catalogue(name, series_of_texts(**texts), **given)
        return [line * scale for line in lines.values()]

    return compute


# Comparable: not `ema` and `macd`, which start from the first close where TA-Lib starts from an
# average, nor `atr`, tested apart because it starts a candle earlier.
COMPARABLE = {
    "sma": _one(sma),
    "rsi": _one(rsi),
    "bbands": _banded,
    "stoch": _stochastic,
    "wma": _named("wma", "close"),
    "mom": _named("mom", "close"),
    "roc": _named("roc", "close", scale=0.01),
    "rocr": _named("rocr", "close"),
    "willr": _named("willr", "high", "low", "close"),
    "cci": _named("cci", "high", "low", "close"),
    "mfi": _named("mfi", "high", "low", "close", "volume"),
    "ultosc": _named("uo", "high", "low", "close", params=("fast", "medium", "slow")),
}


def agree(got, want):
    """The last values of `got` against the published ones, which have three or four digits."""
    want = np.array([float(text) for text in want])
    return np.allclose(got[-len(want) :], want, rtol=0, atol=5e-4)


def check_case(name, parameters, rows):
    outputs = {"bbands": 3, "stoch": 2}.get(name, 1)
    inputs, wanted = rows[:-outputs], rows[-outputs:]
    got = COMPARABLE[name](*inputs, *parameters)
    return all(agree(line, want) for line, want in zip(got, wanted, strict=False))


@pytest.mark.recorded_data
def test_published_cases(market_data_dir):
    cases = [
        case
        for file in ("atoz.txt", "extra.txt")
        for case in read_cases(market_data_dir / "indicators" / file)
        if case[0] in COMPARABLE
    ]

    assert {name for name, _, _ in cases} == set(COMPARABLE)
    assert len(cases) >= len(COMPARABLE)
    assert [
        (name, parameters)
        for name, parameters, rows in cases
        if not check_case(name, parameters, rows)
    ] == []


def test_hand_worked_cases(tmp_path):
    """Closes 1 2 4 4: the mean of the last three, Wilder's index of two, and the bands around it."""
    path = tmp_path / "cases.txt"
    path.write_text(
        "# by hand\n"
        "sma 3\n{1,2,4,4}\n{2.3333,3.3333}\n"
        "rsi 2\n{1,2,4,3}\n{100,60}\n"  # gains 1.5, then 0.75; losses 0, then 0.5
        "bbands 2 2\n{1,3,\n3}\n{0,3}\n{2,3}\n{4,3}\n"
        "stoch 2 1 1\n{3,4}\n{1,2}\n{2,3}\n{66.6667}\n{66.6667}\n"
        "mom 1\n{1,2,4}\n{1,2}\n"
    )

    cases = read_cases(path)

    assert [(name, check_case(name, parameters, rows)) for name, parameters, rows in cases] == [
        ("sma", True), ("rsi", True), ("bbands", True), ("stoch", True), ("mom", True)
    ]  # fmt: skip
    assert not check_case("sma", [3], [["1", "2", "4", "4"], ["2.3333", "3.4"]])


# Wilder's average true range starts, there, with the first high − low; in TA-Lib one candle later.


def wilder(ranges, period):
    """The book's average: the mean of the first `period` ranges, then (n−1 old + new) / n."""
    average = [sum(ranges[:period]) / period]
    for value in ranges[period:]:
        average.append((average[-1] * (period - 1) + value) / period)
    return average


def check_atr(rows, period):
    """The published line is Wilder's average of all ranges; ours is that of all but the first."""
    high, low, close, want = rows
    series = series_of_texts(high=high, low=low, close=close)
    h, lo, c = (np.array([float(text) for text in row]) for row in (high, low, close))
    ranges = np.maximum(h, np.r_[h[0], c[:-1]]) - np.minimum(lo, np.r_[lo[0], c[:-1]])
    theirs = agree(np.array(wilder(ranges.tolist(), period)), want[-len(high) + period - 1 :])
    ours = atr(series, period)[period:]
    return theirs and np.allclose(ours, wilder(ranges[1:].tolist(), period), rtol=1e-12)


@pytest.mark.recorded_data
def test_published_atr(market_data_dir):
    cases = read_cases(market_data_dir / "indicators" / "atoz.txt")
    ((_, (period,), rows),) = [case for case in cases if case[0] == "atr"]

    assert check_atr(rows, period)


def test_hand_worked_atr():
    rows = [
        ["3", "5", "6", "9"],
        ["1", "4", "4", "8"],
        ["2", "4", "5", "8"],
        ["2.5", "2.25", "3.125"],
    ]

    assert check_atr(rows, 2)  # ranges 2 3 2 4 (the last from the close before it)


# What another trading project expects of its own TA-Lib calls.


def jesse_series(rows):
    """Its rows are (ms, open, close, high, low, volume)."""
    texts = [[repr(float(value)) for value in row] for row in rows]
    return series_of_texts(
        open=[row[1] for row in texts],
        close=[row[2] for row in texts],
        high=[row[3] for row in texts],
        low=[row[4] for row in texts],
        volume=[row[5] for row in texts],
    )


def jesse_values(candles):
    """Indicator → its last values, from the arrays that are there."""
    series = {name: jesse_series(rows) for name, rows in candles.items()}
    bands = bollinger(series["test_candles_11"])
    widths = bollinger(series["test_candles_12"])
    trend = macd(series["test_candles_19"])
    return {
        "atr": round(atr(series["test_candles_2"])[-1], 1),
        "rsi": round(rsi(series["test_candles_14"])[-1], 2),
        "bollinger": [round(line[-1], 1) for line in bands],
        "width": round((widths.upper[-1] - widths.lower[-1]) / widths.middle[-1], 4),
        "macd": [round(line[-1], 2) for line in trend],
    }


@pytest.mark.recorded_data
def test_expected_values_of_another_project(market_data_dir):
    candles = json.loads((market_data_dir / "indicators" / "jesse_candles.json").read_text())
    expected = {
        case["test"]: case["expected"]
        for case in json.loads(
            (market_data_dir / "indicators" / "jesse_expected_values.json").read_text()
        )
    }

    assert expected["test_atr"] == ["round(single, 1) == 2.8"]
    assert expected["test_rsi"] == ["round(single, 2) == 57.84"]
    assert jesse_values(candles) == {
        "atr": 2.8,
        "rsi": 57.84,
        "bollinger": [145.8, 141.2, 136.7],
        "width": 0.0771,
        "macd": [-15.32, -4.1, -11.22],
    }


def test_the_order_of_their_columns():
    series = jesse_series([[0, 1, 2, 4, 0.5, 9], [60_000, 2, 3, 5, 1.5, 8]])

    assert [str(series.candle(1).high), str(series.candle(1).low), str(series.candle(1).close)] == [
        "5.0", "1.5", "3.0"
    ]  # fmt: skip


def test_the_last_average_of_ten_closes():
    """Two more of its cases, whose candles are made from closes alone."""
    closes = [
        "22.27",
        "22.19",
        "22.08",
        "22.17",
        "22.18",
        "22.13",
        "22.23",
        "22.43",
        "22.24",
        "22.29",
    ]

    assert round(sma(series_of_texts(close=closes), 10)[-1], 2) == 22.22


@pytest.mark.recorded_data
def test_a_year_of_daily_prices(market_data_dir):
    """The prices that TA-Lib's own Python tests use: through our columns, the same to the bit."""
    prices = json.loads((market_data_dir / "indicators" / "ford_2012.json").read_text())[
        "ford_2012"
    ]
    series = series_of_texts(close=[repr(price) for price in prices])
    raw = np.array(prices, dtype=float)

    assert len(series) == 250
    np.testing.assert_array_equal(ema(series, 20), talib.EMA(raw, 20))
    np.testing.assert_array_equal(rsi(series, 14), talib.RSI(raw, 14))
    for got, want in zip(macd(series), talib.MACD(raw, 12, 26, 9), strict=True):
        np.testing.assert_array_equal(got, want)


def test_a_few_daily_prices():
    raw = np.array([11.0, 11.15, 11.33, 11.29, 11.8])
    series = series_of_texts(close=[repr(float(price)) for price in raw])

    np.testing.assert_array_equal(ema(series, 3), talib.EMA(raw, 3))
    assert ema(series, 3)[2] == pytest.approx((11.0 + 11.15 + 11.33) / 3)
