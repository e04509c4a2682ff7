"""The wider catalogue, by name: what pandas-ta-classic computes from open, high, low, close, volume.

A prompt template may name any of these. Its values are the library's own; the standard set does not
come from here. The traps avoided: some of the library's functions look ahead (a centred DPO, the
chikou span of Ichimoku, a line fitted through the whole series), and keyword arguments can fill or
shift values backwards in time. Those are refused by name, or fixed to their causal form; a test runs
every other function with its future changed and compares.
"""

import difflib
import inspect
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from market.domain.data import CandleSeries
from market.indicators.columns import Floats, closes, highs, lows, opens, volumes

if TYPE_CHECKING:
    import pandas as pd

Parameter = int | float | str | bool | None

_COLUMNS: Mapping[str, Callable[[CandleSeries], Floats]] = {
    "open_": opens,
    "high": highs,
    "low": lows,
    "close": closes,
    "volume": volumes,
}

# Refused whole: why.
_REFUSED = {
    "tos_stdevall": "fits one line through the whole series, so later candles move earlier values",
    "vp": "is a histogram of the whole series, not a value for each candle",
    "beta": "needs a second instrument",
    "correl": "needs a second instrument",
    "ma": "only names another average: ask for that one",
    "mavp": "needs a series of periods",
    "long_run": "needs two other lines",
    "short_run": "needs two other lines",
    "tsignals": "needs a line of signals",
    "xsignals": "needs lines of signals",
}

# Parameters that would look ahead, at the only value they may have.
_FIXED: Mapping[str, Mapping[str, Parameter]] = {
    "dpo": {"centered": False},
    "ichimoku": {"include_chikou": False, "append_span": False, "as_dataframe": True},
    "cpr": {"virgin_cpr": False},
    "cdl_z": {"full": False},
}

# Optional columns that would change what is computed, so they stay out.
_LEFT_OUT = {"psl": frozenset({"open_"})}

# Counts of candles: below zero they would reach into the future.
_NEVER_NEGATIVE = frozenset({"offset", "drift", "trade_offset", "length"})


@cache
def _library() -> ModuleType:
    with warnings.catch_warnings():  # it uses what newer versions of pandas call deprecated
        warnings.simplefilter("ignore")
        import pandas_ta_classic
    module: ModuleType = pandas_ta_classic
    return module


@cache
def catalogue_names() -> tuple[str, ...]:
    """Return every name that `catalogue` computes, in order."""
    every = {name for names in _library().Category.values() for name in names}
    return tuple(sorted(every - set(_REFUSED)))


def catalogue(name: str, series: CandleSeries, **params: Parameter) -> dict[str, Floats]:
    """Compute one indicator of pandas-ta-classic over closed candles.

    Returns its lines by the library's own names (`EMA_10`, `BBL_5_2.0`), each with one float for each
    candle, NaN while short, read-only. Empty when the series is too short for the library to name
    them. `params` are the function's own. Raises ValueError for an unknown name (naming those close
    to it), an unknown parameter, and anything that would look ahead.
    """
    function, allowed = _function(name)
    arguments = _arguments(name, params, allowed)
    columns = _columns(name, series, allowed)
    with np.errstate(all="ignore"):
        try:
            result = function(**columns, **arguments)
        except (TypeError, KeyError, IndexError, AttributeError, ArithmeticError) as error:
            raise ValueError(f"{name} can't be computed with {dict(params)}: {error}") from error
    return _lines(name, result, len(series))


@cache
def _function(name: str) -> tuple[Callable[..., Any], frozenset[str]]:
    if name in _REFUSED:
        raise ValueError(f"{name} is not offered: it {_REFUSED[name]}")
    if name not in catalogue_names():
        close = difflib.get_close_matches(name, catalogue_names(), n=3)
        hint = f"; close to it: {', '.join(close)}" if close else ""
        raise ValueError(f"{name!r} is no indicator of the catalogue{hint}")
    function: Callable[..., Any] = getattr(_library(), name)
    parameters = inspect.signature(function).parameters.values()
    return function, frozenset(p.name for p in parameters if p.kind is not p.VAR_KEYWORD)


def _arguments(
    name: str, params: Mapping[str, Parameter], allowed: frozenset[str]
) -> dict[str, Parameter]:
    fixed = _FIXED.get(name, {})
    for key, value in params.items():
        if key not in allowed or key in _COLUMNS:
            known = ", ".join(sorted(allowed - set(_COLUMNS))) or "none"
            raise ValueError(f"{name} has no parameter {key!r}; it has: {known}")
        if key in fixed and value != fixed[key]:
            raise ValueError(f"{name} with {key}={value} would look ahead")
        if key in _NEVER_NEGATIVE and isinstance(value, (int, float)) and value < 0:
            raise ValueError(f"{name} with {key}={value} would look ahead")
    return {**params, **fixed}


def _columns(name: str, series: CandleSeries, allowed: frozenset[str]) -> dict[str, "pd.Series"]:
    import pandas as pd

    # Naive on purpose: it means UTC here, and the library's calendar functions can't take a zone.
    index = pd.DatetimeIndex(series.opened_at.astype("datetime64[ms]"))
    wanted = (allowed & set(_COLUMNS)) - _LEFT_OUT.get(name, frozenset())
    return {
        key: pd.Series(_COLUMNS[key](series).copy(), index=index, name=key.rstrip("_"))
        for key in sorted(wanted)
    }


def _lines(name: str, result: Any, length: int) -> dict[str, Floats]:
    import pandas as pd

    if result is None:
        return {}
    frame = result.to_frame() if isinstance(result, pd.Series) else result
    if not isinstance(frame, pd.DataFrame) or len(frame) != length:
        raise ValueError(f"{name} is not offered: it does not give one value for each candle")
    lines: dict[str, Floats] = {}
    for column in frame.columns:
        values = np.array(pd.to_numeric(frame[column], errors="coerce"), dtype=np.float64)
        values.flags.writeable = False
        lines[str(column)] = values
    return lines
