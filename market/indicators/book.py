"""Indicators of a run, computed once over all its closed candles and read as of any of them.

A replay looks at the same series thousands of times, one candle further each time. A `Book` computes
a line over `series.base`, the whole series that the run holds, and shows the part that ends where
`series` ends. That is no look-ahead, because every line is causal: candles after the end move nothing
at or before it (a property test changes them and compares bit for bit). The trap avoided: reading
`line[-1]` of the base, which is the future; only this file slices.
"""

import math
from collections.abc import Mapping
from threading import Lock
from typing import NoReturn
from weakref import WeakKeyDictionary

from market.domain.data import CandleSeries
from market.indicators.catalogue import Parameter, catalogue
from market.indicators.columns import Floats
from market.indicators.standard import (
    LINES,
    STANDARD,
    Bollinger,
    Columns,
    Macd,
    StandardSet,
    Stochastic,
    compute,
)

_Call = tuple[str, tuple[float, ...]]


class _Memo:
    """All lines computed so far over one base. It must not hold the base, or it would never die."""

    __slots__ = ("catalogue", "lines", "lock")

    def __init__(self) -> None:
        self.lines: dict[_Call, Floats] = {}
        self.catalogue: dict[tuple[object, ...], Mapping[str, Floats]] = {}
        self.lock = Lock()


_memos: WeakKeyDictionary[CandleSeries, _Memo] = WeakKeyDictionary()
_memos_lock = Lock()


def book(series: CandleSeries) -> "Book":
    """Return the indicators of `series`, sharing what was computed for its `base` before.

    The work lives as long as the base does. Cheap enough (< 1 µs) to be called at every look.
    """
    memo = _memos.get(series.base)
    if memo is None:
        with _memos_lock:
            memo = _memos.setdefault(series.base, _Memo())
    return Book(series, memo)


class Book:
    """The indicators of one closed series; made by `book(series)`.

    Arrays are read-only, as long as the series, NaN while there is not enough history.
    """

    __slots__ = ("_lines", "_memo", "_series")

    def __init__(self, series: CandleSeries, memo: _Memo) -> None:
        self._series = series
        self._memo = memo
        self._lines = memo.lines

    def __len__(self) -> int:
        return self._series.end

    def line(self, name: str, *params: float) -> Floats:
        """Return one line by name (`line_names()`), e.g. `line("ema", 20)`, `line("macd_signal")`.

        No params means the indicator's defaults. Raises ValueError for an unknown name.
        """
        return self._whole(name, params)[: self._series.end]

    def last(self, name: str, *params: float) -> float:
        """Return the line's value at the last candle; NaN while short or without candles."""
        line = self._lines.get((name, params))
        if line is None:
            line = self._whole(name, params)
        end = self._series.end
        return line.item(end - 1) if end else math.nan

    def tail(self, count: int, name: str, *params: float) -> Floats:
        """Return the line's last `count` values (fewer if there are fewer), oldest first."""
        end = self._series.end
        return self._whole(name, params)[max(0, end - count) : end]

    def ema(self, timeperiod: int = 20) -> Floats:
        """Exponential moving average, as `market.indicators.ema`."""
        return self.line("ema", timeperiod)

    def sma(self, timeperiod: int = 20) -> Floats:
        """Simple moving average, as `market.indicators.sma`."""
        return self.line("sma", timeperiod)

    def rsi(self, timeperiod: int = 14) -> Floats:
        """Relative strength index, as `market.indicators.rsi`."""
        return self.line("rsi", timeperiod)

    def atr(self, timeperiod: int = 14) -> Floats:
        """Average true range, as `market.indicators.atr`."""
        return self.line("atr", timeperiod)

    def macd(self, fast: int = 12, slow: int = 26, signal: int = 9) -> Macd:
        """MACD, its signal and its histogram, as `market.indicators.macd`."""
        lines = ("macd", "macd_signal", "macd_histogram")
        return Macd(*(self.line(name, fast, slow, signal) for name in lines))

    def bollinger(self, timeperiod: int = 20, deviations: float = 2) -> Bollinger:
        """Upper, middle and lower band, as `market.indicators.bollinger`."""
        lines = ("bollinger_upper", "bollinger_middle", "bollinger_lower")
        return Bollinger(*(self.line(name, timeperiod, deviations) for name in lines))

    def stochastic(self, fast_k: int = 5, slow_k: int = 3, slow_d: int = 3) -> Stochastic:
        """Slow %K and %D, as `market.indicators.stochastic`."""
        lines = ("stochastic_k", "stochastic_d")
        return Stochastic(*(self.line(name, fast_k, slow_k, slow_d) for name in lines))

    def standard_set(self) -> StandardSet:
        """Return every line that a prompt shows."""
        return StandardSet(
            **{field: self.line(name, *params) for field, (name, params) in STANDARD.items()}
        )

    def catalogue(self, name: str, **params: Parameter) -> dict[str, Floats]:
        """Return the lines of an indicator of the wider catalogue, as `catalogue(name, series)`.

        A line exists as soon as the whole run is long enough for it, NaN until then.
        """
        key = (name, *sorted(params.items()))
        lines = self._memo.catalogue.get(key)
        if lines is None:
            with self._memo.lock:
                lines = self._memo.catalogue[key] = catalogue(name, self._series.base, **params)
        return {line: values[: self._series.end] for line, values in lines.items()}

    def _whole(self, name: str, params: tuple[float, ...]) -> Floats:
        """Return the line over the whole base, computing all lines of its indicator at once."""
        line = self._lines.get((name, params))
        if line is not None:
            return line
        if name not in LINES:
            _unknown(name)
        indicator, _ = LINES[name]
        with self._memo.lock:
            outputs = compute(indicator, Columns(self._series.base), params)
            for other, (owner, output) in LINES.items():
                if owner == indicator:
                    self._lines[other, params] = outputs[output]
        return self._lines[name, params]


def _unknown(name: str) -> NoReturn:
    raise ValueError(f"{name!r} is no line of a standard indicator: {', '.join(LINES)}")
