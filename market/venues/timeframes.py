"""Timeframes as people write them, and longer candles made of shorter ones.

Exact: the longer candle is made of the scaled integers of the shorter ones. The trap avoided: a bar
made of the part of its candles that happens to be there looks closed and is not; only complete bars
are made, aligned to multiples of their length since the epoch.
"""

import re
from datetime import timedelta

import numpy as np

from market.domain.data import INT64_LIMIT, CandleSeries

_MILLISECOND = timedelta(milliseconds=1)
_UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}
_TEXT = re.compile(r"([1-9][0-9]{0,5})([dhms])")


def parse_timeframe(text: str) -> timedelta:
    """Read `1m`, `3m`, `4h`, `1d` (or `30s`). Raises ValueError for anything else."""
    match = _TEXT.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(
            f"{text!r} is no timeframe: it is a number and s, m, h or d, like 1m or 4h"
        )
    return int(match[1]) * _UNITS[match[2]]


def timeframe_text(timeframe: timedelta) -> str:
    """Write a timeframe in its largest whole unit: `1m`, `90m`, `4h`, `1d`; milliseconds as `500ms`."""
    for letter, unit in _UNITS.items():
        if timeframe and timeframe % unit == timedelta():
            return f"{timeframe // unit}{letter}"
    return f"{timeframe // _MILLISECOND}ms"


def divides(shorter: timedelta, longer: timedelta) -> bool:
    """Tell whether bars of the longer timeframe are made of whole bars of the shorter one."""
    return timedelta() < shorter <= longer and longer % shorter == timedelta()


def aggregate(series: CandleSeries, timeframe: timedelta) -> CandleSeries:
    """Make candles of a longer timeframe, open at multiples of it since the epoch, complete ones only.

    A bar with a missing candle is left out, so is one that the series begins or ends inside. Volumes
    add up (towards zero past 63 bits). The same timeframe gives the series itself. Raises ValueError
    when the series' own timeframe does not divide the wanted one.
    """
    if timeframe == series.timeframe:
        return series
    if not divides(series.timeframe, timeframe):
        raise ValueError(
            f"{timeframe_text(series.timeframe)} candles can't make "
            f"{timeframe_text(timeframe)} ones: it is not a whole number of them"
        )
    parts = timeframe // series.timeframe
    length = timeframe // _MILLISECOND
    bars = series.opened_at // length
    starts = np.flatnonzero(np.diff(bars, prepend=bars[:1] - 1))
    ends = np.append(starts[1:], len(series))[: len(starts)]
    whole = ends - starts == parts
    volume, volume_exponent = series.volume, series.volume_exponent
    while len(volume) and int(volume.max()) * parts > INT64_LIMIT:
        volume, volume_exponent = volume // 10, volume_exponent + 1
    return CandleSeries(
        timeframe=timeframe,
        opened_at=(bars[starts] * length)[whole],
        open=series.open[starts][whole],
        high=_reduce(np.maximum, series.high, starts)[whole],
        low=_reduce(np.minimum, series.low, starts)[whole],
        close=series.close[ends - 1][whole],
        volume=_reduce(np.add, volume, starts)[whole],
        price_exponent=series.price_exponent,
        volume_exponent=volume_exponent,
    )


def _reduce(
    operation: np.ufunc,
    column: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    starts: np.ndarray[tuple[int, ...], np.dtype[np.intp]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    if not len(starts):
        return column[:0]
    reduced: np.ndarray[tuple[int, ...], np.dtype[np.int64]] = operation.reduceat(column, starts)
    return reduced
