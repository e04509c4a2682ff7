"""The standard indicators: equal to TA-Lib, causal, settled after their warm-up, cheap to read."""

import gc
import math
import weakref
from dataclasses import fields
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st

from market.domain.data import CandleSeries
from market.indicators import (
    atr,
    bollinger,
    book,
    closes,
    ema,
    highs,
    line_names,
    lows,
    macd,
    opens,
    rsi,
    sma,
    standard_set,
    stochastic,
    volumes,
    warm_up,
)
from market.indicators.columns import to_floats

MINUTE = timedelta(minutes=1)

CALLS = [
    ("ema", (20,)),
    ("ema", (50,)),
    ("sma", (20,)),
    ("rsi", (7,)),
    ("rsi", (14,)),
    ("atr", (3,)),
    ("atr", (14,)),
    ("macd", (12, 26, 9)),
    ("macd_signal", (12, 26, 9)),
    ("macd_histogram", (12, 26, 9)),
    ("bollinger_upper", (20, 2)),
    ("bollinger_middle", (20, 2)),
    ("bollinger_lower", (20, 2)),
    ("stochastic_k", (5, 3, 3)),
    ("stochastic_d", (5, 3, 3)),
]


def series_of(open_, high, low, close, volume=None, *, price_exponent=-2, volume_exponent=0):
    def column(values):
        return np.array(values, dtype=np.int64)

    count = len(close)
    return CandleSeries(
        timeframe=MINUTE,
        opened_at=np.arange(count, dtype=np.int64) * 60_000,
        open=column(open_),
        high=column(high),
        low=column(low),
        close=column(close),
        volume=column([1] * count if volume is None else volume),
        price_exponent=price_exponent,
        volume_exponent=volume_exponent,
    )


def of_closes(close, **more):
    return series_of(close, close, close, close, **more)


def walk(count, seed=1, scale=50):
    rng = np.random.default_rng(seed)
    close = 10_000_000 + np.cumsum(rng.integers(-scale, scale + 1, count))
    open_ = np.concatenate([close[:1], close[:-1]])
    wick = rng.integers(0, scale + 1, (2, count))
    high, low = np.maximum(open_, close) + wick[0], np.minimum(open_, close) - wick[1]
    return series_of(open_, high, low, close, rng.integers(1, 1000, count))


@st.composite
def candles(draw, min_size=0, max_size=120):
    """Any candles at all with prices from 0.01 to 10,000."""
    prices = st.integers(1, 1_000_000)
    rows = draw(
        st.lists(st.lists(prices, min_size=4, max_size=4), min_size=min_size, max_size=max_size)
    )
    ordered = [sorted(row) for row in rows]
    return series_of(
        [row[1] for row in ordered],
        [row[3] for row in ordered],
        [row[0] for row in ordered],
        [row[2] for row in ordered],
    )


# Floats


@given(
    st.lists(st.integers(-(2**63) + 1, 2**63 - 1), max_size=20),
    st.integers(-25, 3),
)
def test_a_float_is_the_float_of_its_decimal_text(scaled, exponent):
    floats = to_floats(np.array(scaled, dtype=np.int64), exponent)

    assert floats.tolist() == [float(str(Decimal(value).scaleb(exponent))) for value in scaled]


def test_large_numbers_are_rounded_once():
    """Rounding to a float and then dividing would be off by one bit in about one of ten."""
    scaled = np.random.default_rng(1).integers(2**55, 2**63 - 1, 300)

    floats = to_floats(scaled, -7)

    assert floats.tolist() == [float(str(Decimal(value).scaleb(-7))) for value in scaled.tolist()]


@given(st.integers(1, 10**9), st.integers(-9, 0))
def test_small_numbers_take_the_fast_way_to_the_same_float(scaled, exponent):
    floats = to_floats(np.array([scaled], dtype=np.int64), exponent)

    assert floats[0] == float(str(Decimal(scaled).scaleb(exponent)))


def test_columns_are_the_candles_own():
    series = series_of([1, 2], [30, 40], [1, 1], [20, 39], [500, 7], volume_exponent=-1)

    assert opens(series).tolist() == [0.01, 0.02]
    assert highs(series).tolist() == [0.3, 0.4]
    assert lows(series).tolist() == [0.01, 0.01]
    assert closes(series).tolist() == [0.2, 0.39]
    assert volumes(series).tolist() == [50.0, 0.7]


# The same series in, the same value out


@given(candles())
def test_equal_to_talib(series):
    high, low, close = highs(series).copy(), lows(series).copy(), closes(series).copy()

    for got, want in (
        (ema(series, 20), talib.EMA(close, 20)),
        (sma(series, 20), talib.SMA(close, 20)),
        (rsi(series, 14), talib.RSI(close, 14)),
        (atr(series, 14), talib.ATR(high, low, close, 14)),
        *zip(macd(series), talib.MACD(close, 12, 26, 9), strict=True),
        *zip(bollinger(series), talib.BBANDS(close, 20, 2, 2), strict=True),
        *zip(stochastic(series), talib.STOCH(high, low, close), strict=True),
    ):
        assert len(got) == len(series)
        np.testing.assert_array_equal(got, want)


def test_the_standard_set_is_all_of_them():
    series = walk(300)
    whole = standard_set(series)

    assert len(fields(whole)) == len(CALLS)
    for field, expected in {
        "ema20": ema(series, 20),
        "ema50": ema(series, 50),
        "sma20": sma(series, 20),
        "macd": macd(series).macd,
        "macd_signal": macd(series).signal,
        "macd_histogram": macd(series).histogram,
        "rsi7": rsi(series, 7),
        "rsi14": rsi(series, 14),
        "bollinger_upper": bollinger(series).upper,
        "bollinger_middle": bollinger(series).middle,
        "bollinger_lower": bollinger(series).lower,
        "atr3": atr(series, 3),
        "atr14": atr(series, 14),
        "stochastic_k": stochastic(series).slow_k,
        "stochastic_d": stochastic(series).slow_d,
    }.items():
        np.testing.assert_array_equal(getattr(whole, field), expected)
        np.testing.assert_array_equal(getattr(book(series).standard_set(), field), expected)


def test_too_short_is_nan():
    series = walk(19)

    assert np.isnan(ema(series, 20)).all()
    assert not np.isnan(ema(walk(20), 20)[-1])
    assert all(
        np.isnan(getattr(standard_set(walk(1)), field.name)[0])
        for field in fields(standard_set(series))
    )
    assert len(standard_set(walk(0)).ema20) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda series: ema(series, 0), "timeperiod must be a whole number from 1"),
        (lambda series: rsi(series, 1), "timeperiod must be a whole number from 2"),
        (lambda series: book(series).last("atr", 2.5), "not 2.5"),
        (lambda series: macd(series, 26, 12, 9), "fast must be below slow"),
        (lambda series: bollinger(series, 20, 0), "deviations must be above 0"),
        (lambda series: stochastic(series, 5, 0, 3), "slow_k must be a whole number"),
        (lambda series: warm_up("emma"), "'emma' is no standard indicator"),
        (lambda series: warm_up("ema", 1, 2), "ema takes 1 parameters, not 2"),
        (lambda series: book(series).last("emma"), "'emma' is no line"),
    ],
)
def test_bad_parameters_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(walk(30))


# Closed bars only, read as of any of them


def reads(series):
    whole = book(series)
    return {(name, params): whole.line(name, *params).copy() for name, params in CALLS}


@given(candles(min_size=1, max_size=90), candles(max_size=30), st.data())
def test_the_future_moves_nothing_before_it(past, future, data):
    """P5: whatever follows the first `end` candles, their indicators are the same to the bit."""
    end = data.draw(st.integers(0, len(past)))

    def with_future(tail):
        columns = [
            np.concatenate([getattr(past, name)[:end], getattr(tail, name)])
            for name in ("open", "high", "low", "close")
        ]
        return series_of(*columns).first(end)

    alone = with_future(past.first(0))
    assert len(alone) == end
    for other in (with_future(future), with_future(walk(20)), past.first(end)):
        for call, values in reads(other).items():
            np.testing.assert_array_equal(values, reads(alone)[call])


def test_every_line_is_read_by_the_property():
    assert {name for name, _ in CALLS} == set(line_names())


def test_a_window_reads_its_own_end():
    whole = walk(200)
    window = whole.first(120)

    assert book(window).last("ema", 20) == ema(window, 20)[-1] == book(whole).ema(20)[119]
    assert len(book(window)) == len(book(window).rsi(14)) == 120
    assert book(window).tail(3, "sma", 20).tolist() == sma(window, 20)[-3:].tolist()
    assert book(window).tail(500, "sma", 20).size == 120
    assert math.isnan(book(whole.first(0)).last("ema", 20))
    np.testing.assert_array_equal(book(window).macd().signal, macd(window).signal)
    np.testing.assert_array_equal(book(window).bollinger().lower, bollinger(window).lower)
    np.testing.assert_array_equal(book(window).stochastic().slow_d, stochastic(window).slow_d)
    np.testing.assert_array_equal(book(window).atr(3), atr(window, 3))


def test_a_line_is_computed_once_per_run(monkeypatch):
    calls = []
    real = talib.EMA

    def counted(*args):
        calls.append(args)
        return real(*args)

    monkeypatch.setattr(talib, "EMA", counted)
    whole = walk(200)

    for end in range(1, 201):
        book(whole.first(end)).last("ema", 20)

    assert len(calls) == 1


def test_no_params_are_the_defaults():
    series = walk(100)

    assert book(series).last("ema") == book(series).last("ema", 20)
    assert book(series).last("macd_signal") == book(series).last("macd_signal", 12, 26, 9)


def test_arrays_can_not_be_written():
    series = walk(100)

    for values in (closes(series), ema(series), book(series).ema(20), standard_set(series).macd):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 1.0


def test_the_work_dies_with_its_run():
    series = walk(100)
    line = weakref.ref(book(series).line("ema", 20).base)
    assert line() is not None

    del series
    gc.collect()

    assert line() is None


# Warm-up

SCALES = {
    "macd": "close", "macd_signal": "close", "macd_histogram": "close", "rsi": "range",
    "stochastic_k": "range", "stochastic_d": "range",
}  # fmt: skip


def moved_by_history(series, keep, name, params):
    """How far the last value moves when only the last `keep` candles are known."""
    start = len(series) - keep
    short = series_of(
        *(getattr(series, column)[start:] for column in ("open", "high", "low", "close"))
    )
    whole, short_value = book(series).last(name, *params), book(short).last(name, *params)
    scale = {"close": closes(series)[-1], "range": 100}.get(SCALES.get(name, ""), abs(whole))
    return abs(whole - short_value) / scale


def length(name, params):
    return warm_up(name.partition("_")[0], *params)


def wild_then_calm(count, calm, seed):
    """A market that was ten times wilder before its last `calm` candles."""
    rng = np.random.default_rng(seed)
    steps = rng.integers(-500, 501, count)
    steps[-calm:] //= 10
    close = 10_000_000 + np.cumsum(steps)
    wick = np.abs(steps) // 2 + 1
    return series_of(close - steps, np.maximum(close, close - steps) + wick,
                     np.minimum(close, close - steps) - wick, close)  # fmt: skip


@pytest.mark.parametrize(("name", "params"), CALLS)
@pytest.mark.parametrize("seed", range(5))
def test_more_history_than_the_warm_up_moves_nothing(name, params, seed):
    needed = length(name, params)

    assert moved_by_history(walk(2000, seed), needed, name, params) < 1e-6
    series = wild_then_calm(2000, needed // 2, seed)
    assert moved_by_history(series, needed, name, params) < 1e-6


@pytest.mark.parametrize(
    ("name", "params"), [call for call in CALLS if call[0] in ("ema", "rsi", "atr", "macd_signal")]
)
def test_a_warm_up_is_not_wasteful(name, params):
    """A third of it is not enough: the bound is about the indicator, not just large."""
    needed = length(name, params)
    moves = [
        moved_by_history(walk(2000, seed, 500_000 // 50), needed // 3, name, params)
        for seed in range(5)
    ]

    assert max(moves) > 1e-6


def test_a_window_forgets_at_once():
    assert warm_up("sma", 20) == 20
    assert warm_up("bollinger", 20, 2) == 20
    assert warm_up("stochastic", 5, 3, 3) == 9
    assert warm_up("stochastic") == 9
    assert warm_up("ema", 20) == 20 + 139
