"""The standard indicators, straight on TA-Lib, and how much history each one needs.

Every function takes closed candles and returns one float for each, NaN until there is enough
history; the value at a candle depends on that candle and earlier ones only. Formulas are TA-Lib's
(https://ta-lib.org/functions): the same series in, the same value out. Nothing is cached here
(`market.indicators.book` does that). The trap avoided: TA-Lib's Python package loads pandas, so it
is imported at the first use and not by whoever imports the pure core.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from types import ModuleType
from typing import NamedTuple

from market.domain.data import CandleSeries
from market.indicators.columns import Floats, closes, highs, lows

# The move that still counts as "more history changes nothing", and how much wilder than now the
# market may have been before: an average of moves (ATR, RSI) forgets relative to its own size.
TOLERANCE = 1e-6
WILDER_BEFORE = 100
LARGEST_PERIOD = 100_000


class Macd(NamedTuple):
    """Moving average convergence divergence, in price units."""

    macd: Floats
    signal: Floats
    histogram: Floats


class Bollinger(NamedTuple):
    """Bollinger bands, in price units."""

    upper: Floats
    middle: Floats
    lower: Floats


class Stochastic(NamedTuple):
    """The slow stochastic, 0 to 100."""

    slow_k: Floats
    slow_d: Floats


class Columns:
    """The float columns of one series, each made when first asked for."""

    def __init__(self, series: CandleSeries) -> None:
        self._series = series

    @cached_property
    def high(self) -> Floats:
        return highs(self._series)

    @cached_property
    def low(self) -> Floats:
        return lows(self._series)

    @cached_property
    def close(self) -> Floats:
        return closes(self._series)


@cache
def _talib() -> ModuleType:
    import talib

    module: ModuleType = talib
    return module


def _period(timeperiod: float, least: int, name: str = "timeperiod") -> int:
    if timeperiod != int(timeperiod) or not least <= timeperiod <= LARGEST_PERIOD:
        raise ValueError(
            f"{name} must be a whole number from {least} to {LARGEST_PERIOD}, not {timeperiod}"
        )
    return int(timeperiod)


def _ema(columns: Columns, timeperiod: float) -> tuple[Floats]:
    return (_talib().EMA(columns.close, _period(timeperiod, 1)),)


def _sma(columns: Columns, timeperiod: float) -> tuple[Floats]:
    return (_talib().SMA(columns.close, _period(timeperiod, 1)),)


def _rsi(columns: Columns, timeperiod: float) -> tuple[Floats]:
    return (_talib().RSI(columns.close, _period(timeperiod, 2)),)


def _atr(columns: Columns, timeperiod: float) -> tuple[Floats]:
    period = _period(timeperiod, 1)
    return (_talib().ATR(columns.high, columns.low, columns.close, period),)


def _macd(columns: Columns, fast: float, slow: float, signal: float) -> Macd:
    periods = _period(fast, 2, "fast"), _period(slow, 2, "slow"), _period(signal, 1, "signal")
    if periods[0] >= periods[1]:
        raise ValueError(f"fast must be below slow, not {fast} and {slow}")
    return Macd(*_talib().MACD(columns.close, *periods))


def _bollinger(columns: Columns, timeperiod: float, deviations: float) -> Bollinger:
    if not 0 < deviations <= 100:
        raise ValueError(f"deviations must be above 0 and at most 100, not {deviations}")
    width = float(deviations)
    return Bollinger(*_talib().BBANDS(columns.close, _period(timeperiod, 2), width, width))


def _stochastic(columns: Columns, fast_k: float, slow_k: float, slow_d: float) -> Stochastic:
    return Stochastic(
        *_talib().STOCH(
            columns.high,
            columns.low,
            columns.close,
            fastk_period=_period(fast_k, 1, "fast_k"),
            slowk_period=_period(slow_k, 1, "slow_k"),
            slowd_period=_period(slow_d, 1, "slow_d"),
        )
    )


def _steps(decay: float, tolerance: float = TOLERANCE) -> int:
    """Return after how many steps decay^steps is below the tolerance."""
    return math.ceil(math.log(tolerance) / math.log(decay)) if decay > 0 else 0


def _ema_steps(timeperiod: float) -> int:
    return _steps(1 - 2 / (timeperiod + 1))


def _wilder_steps(timeperiod: float) -> int:
    return _steps(1 - 1 / timeperiod, TOLERANCE / WILDER_BEFORE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicator:
    """How one indicator is computed, with which defaults, and when it has settled."""

    compute: Callable[..., tuple[Floats, ...]]
    defaults: tuple[float, ...]
    settled: Callable[..., float]


INDICATORS = {
    "ema": Indicator(compute=_ema, defaults=(20,), settled=lambda n: n + _ema_steps(n)),
    "sma": Indicator(compute=_sma, defaults=(20,), settled=lambda n: n),
    "rsi": Indicator(compute=_rsi, defaults=(14,), settled=lambda n: n + 1 + _wilder_steps(n)),
    "atr": Indicator(compute=_atr, defaults=(14,), settled=lambda n: n + 1 + _wilder_steps(n)),
    "macd": Indicator(
        compute=_macd,
        defaults=(12, 26, 9),
        settled=lambda _fast, slow, signal: (
            slow + signal - 1 + _ema_steps(slow) + _ema_steps(signal)
        ),
    ),
    "bollinger": Indicator(compute=_bollinger, defaults=(20, 2), settled=lambda n, _deviations: n),
    "stochastic": Indicator(
        compute=_stochastic, defaults=(5, 3, 3), settled=lambda k, smooth, d: k + smooth + d - 2
    ),
}

# Line → the indicator it belongs to, and which of its outputs it is.
LINES = {
    **{name: (name, 0) for name in ("ema", "sma", "rsi", "atr")},
    "macd": ("macd", 0),
    "macd_signal": ("macd", 1),
    "macd_histogram": ("macd", 2),
    "bollinger_upper": ("bollinger", 0),
    "bollinger_middle": ("bollinger", 1),
    "bollinger_lower": ("bollinger", 2),
    "stochastic_k": ("stochastic", 0),
    "stochastic_d": ("stochastic", 1),
}


def line_names() -> tuple[str, ...]:
    """Return the names that a `Book` can read: one for each line of the standard indicators."""
    return tuple(LINES)


def compute(name: str, columns: Columns, params: tuple[float, ...]) -> tuple[Floats, ...]:
    """Compute all lines of one indicator; read-only arrays as long as the columns.

    No params means the defaults. Raises ValueError for an unknown name or a bad parameter.
    """
    indicator, params = _called(name, params)
    lines = indicator.compute(columns, *params)
    for line in lines:
        line.flags.writeable = False
    return lines


def _called(name: str, params: tuple[float, ...]) -> tuple[Indicator, tuple[float, ...]]:
    indicator = INDICATORS.get(name)
    if indicator is None:
        raise ValueError(f"{name!r} is no standard indicator: {', '.join(INDICATORS)}")
    if params and len(params) != len(indicator.defaults):
        raise ValueError(f"{name} takes {len(indicator.defaults)} parameters, not {len(params)}")
    return indicator, params or indicator.defaults


def ema(series: CandleSeries, timeperiod: int = 20) -> Floats:
    """Exponential moving average of the closes: α = 2/(n+1), seeded by the SMA of the first n."""
    return compute("ema", Columns(series), (timeperiod,))[0]


def sma(series: CandleSeries, timeperiod: int = 20) -> Floats:
    """Simple moving average of the last n closes."""
    return compute("sma", Columns(series), (timeperiod,))[0]


def rsi(series: CandleSeries, timeperiod: int = 14) -> Floats:
    """Wilder's relative strength index of the closes, 0 to 100 (0 when nothing moved)."""
    return compute("rsi", Columns(series), (timeperiod,))[0]


def atr(series: CandleSeries, timeperiod: int = 14) -> Floats:
    """Wilder's average true range, in price units, seeded by the mean of the first n ranges."""
    return compute("atr", Columns(series), (timeperiod,))[0]


def macd(series: CandleSeries, fast: int = 12, slow: int = 26, signal: int = 9) -> Macd:
    """EMA(fast) − EMA(slow) of the closes, its EMA(signal), and the difference of the two."""
    return Macd(*compute("macd", Columns(series), (fast, slow, signal)))


def bollinger(series: CandleSeries, timeperiod: int = 20, deviations: float = 2) -> Bollinger:
    """SMA of the closes ± `deviations` × their standard deviation (ddof 0)."""
    return Bollinger(*compute("bollinger", Columns(series), (timeperiod, deviations)))


def stochastic(
    series: CandleSeries, fast_k: int = 5, slow_k: int = 3, slow_d: int = 3
) -> Stochastic:
    """Slow stochastic: %K of `fast_k` bars smoothed by an SMA of `slow_k`, and its SMA of `slow_d`."""
    return Stochastic(*compute("stochastic", Columns(series), (fast_k, slow_k, slow_d)))


def warm_up(name: str, *params: float) -> int:
    """Return the number of candles after which more history moves the value by less than 1e-6.

    The move is relative to what the indicator measures in: the value itself for EMA, SMA, Bollinger
    bands and ATR, the close for MACD (which crosses zero), the full range of 100 for RSI and the
    stochastic. Windows (SMA, bands, stochastic) forget at once: their length. An EMA is seeded by an
    SMA of n and forgets by 1 − 2/(n+1) a candle, so n + ⌈ln 1e-6 / ln(1 − 2/(n+1))⌉; a price that
    moved by more than its own size meanwhile needs longer. MACD adds up the slow and the signal
    average. Wilder's averages forget by 1 − 1/n, to 1e-8, so that history may have been a hundred
    times wilder than the present. No params means the defaults. Raises ValueError.
    """
    indicator, params = _called(name, params)
    return int(indicator.settled(*params))


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardSet:
    """What a prompt shows, all at once; each array has one value for each candle, NaN while short."""

    ema20: Floats
    ema50: Floats
    sma20: Floats
    macd: Floats
    macd_signal: Floats
    macd_histogram: Floats
    rsi7: Floats
    rsi14: Floats
    bollinger_upper: Floats
    bollinger_middle: Floats
    bollinger_lower: Floats
    atr3: Floats
    atr14: Floats
    stochastic_k: Floats
    stochastic_d: Floats


STANDARD: dict[str, tuple[str, tuple[float, ...]]] = {
    "ema20": ("ema", (20,)),
    "ema50": ("ema", (50,)),
    "sma20": ("sma", (20,)),
    "macd": ("macd", (12, 26, 9)),
    "macd_signal": ("macd_signal", (12, 26, 9)),
    "macd_histogram": ("macd_histogram", (12, 26, 9)),
    "rsi7": ("rsi", (7,)),
    "rsi14": ("rsi", (14,)),
    "bollinger_upper": ("bollinger_upper", (20, 2)),
    "bollinger_middle": ("bollinger_middle", (20, 2)),
    "bollinger_lower": ("bollinger_lower", (20, 2)),
    "atr3": ("atr", (3,)),
    "atr14": ("atr", (14,)),
    "stochastic_k": ("stochastic_k", (5, 3, 3)),
    "stochastic_d": ("stochastic_d", (5, 3, 3)),
}
"""Field of StandardSet → the line it is, and its parameters."""


def standard_set(series: CandleSeries) -> StandardSet:
    """Compute EMA20/50, SMA20, MACD, RSI7/14, Bollinger 20/2, ATR3/14 and the stochastic at once.

    Not cached: ≤ 0.2 ms for 500 candles. `book(series).standard_set()` reads the cached lines.
    """
    columns = Columns(series)
    done: dict[tuple[str, tuple[float, ...]], tuple[Floats, ...]] = {}
    fields: dict[str, Floats] = {}
    for field, (line, params) in STANDARD.items():
        name, output = LINES[line]
        call = (name, params)
        if call not in done:
            done[call] = compute(name, columns, params)
        fields[field] = done[call][output]
    return StandardSet(**fields)
