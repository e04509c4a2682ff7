"""An equity curve as text, for a terminal, a log or a pipe.

It draws and does nothing else: the caller prints, and says whether its stream takes colour. The trap
avoided: thinning a long curve by every n-th point hides the deepest minute, so each stretch of the
curve keeps both of its extremes.
"""

import math
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from market.domain.data import IntColumn, from_milliseconds

FloatColumn = npt.NDArray[np.float64]

MIN_WIDTH, MIN_HEIGHT = 30, 6
DOTS = 2  # dots across one character: the drawing's own resolution
LABEL_EVERY = 24  # characters between two times on the axis
TO_ASCII = str.maketrans("│─┌┐└┘┤├┬┴┼", "|-+++++++++")


def draw_equity(
    equity: FloatColumn,
    times: IntColumn,
    width: int = 80,
    height: int = 20,
    *,
    title: str = "Equity",
    colour: bool = False,
    ascii_only: bool = False,
) -> str:
    """Draw `equity` (N,) over `times` (N,), ms since the epoch in UTC, as `height` lines of `width`
    characters, without a newline at the end; both are raised to a legible minimum.

    Give `colour=stream.isatty()`: without it there is no escape code, only text. `ascii_only` is for
    streams whose encoding has no box characters. An empty curve is one line that says so.
    Raises ValueError when lengths differ or equity is not finite.
    """
    if len(equity) != len(times):
        raise ValueError(f"{len(equity)} points of equity at {len(times)} times")
    if not bool(np.isfinite(equity).all()):
        raise ValueError("equity must be finite")
    if not len(equity):
        return f"{title}: nothing to draw"
    width, height = max(width, MIN_WIDTH), max(height, MIN_HEIGHT)
    kept = thin(equity, DOTS * width)
    low, high = _limits(equity)

    import plotext  # it takes a tenth of a second to load

    plotext.terminal.limit(False, False)  # the size asked for, whatever the terminal's
    figure = plotext.figure.clear()
    try:
        figure.theme("simple" if colour else "colorless").plot_size(width, height)
        marker = "*" if ascii_only else "hd"
        signal = figure.signal(kept.tolist(), equity[kept].tolist(), marker=marker)
        figure.draw(signal.lines(len(kept) > 1)).title(title)
        _label_axes(figure, times, low, high, width=width, height=height)
        text: str = figure.build().string(colorless=not colour)
    finally:
        plotext.terminal.limit()
        figure.clear()
    text = text.rstrip("\n")
    return text.translate(TO_ASCII) if ascii_only else text


def thin(values: FloatColumn, buckets: int) -> npt.NDArray[np.int64]:
    """The indices, rising, of at most 2 × buckets + 2 points that draw like all of them: the lowest and
    the highest of each of `buckets` even stretches (the first of equals), the first point and the last.
    """
    count = len(values)
    if count <= 2 * buckets:
        return np.arange(count, dtype=np.int64)
    edges = np.linspace(0, count, buckets + 1).astype(np.int64)
    extremes = [
        start + int(pick(values[start:end]))
        for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        for pick in (np.argmin, np.argmax)
    ]
    return np.unique(np.array([0, *extremes, count - 1], dtype=np.int64))


def _limits(equity: FloatColumn) -> tuple[float, float]:
    """Lowest and highest, pulled apart when they are one, as a flat curve still needs a scale."""
    low, high = float(equity.min()), float(equity.max())
    if high - low > 1e-12 * max(abs(low), abs(high)):
        return low, high
    room = abs(high) * 0.01 or 1.0
    return low - room, high + room


def _label_axes(
    figure: Any, times: IntColumn, low: float, high: float, *, width: int, height: int
) -> None:
    levels = np.linspace(low, high, max(2, min(5, height // 3))).tolist()
    gap = levels[1] - levels[0]
    decimals = max(0, 1 - math.floor(math.log10(gap)))
    figure.ruler("y").lim(low, high)
    figure.ruler("y").ticks(levels, [f"{level:z,.{decimals}f}" for level in levels])
    last = len(times) - 1
    places = np.unique(np.linspace(0, last, max(2, width // LABEL_EVERY)).round()).astype(np.int64)
    moments = [from_milliseconds(int(at)) for at in times[places]]
    figure.ruler("x").lim(0, max(last, 1))
    figure.ruler("x").ticks(places.tolist(), _time_labels(moments))


def _time_labels(moments: list[datetime]) -> list[str]:
    """UTC times in the shortest form that tells neighbours apart."""
    gap = min((b - a for a, b in pairwise(moments)), default=timedelta(0))
    form = "%Y-%m-%d" if gap >= timedelta(days=1) else "%m-%d %H:%M"
    return [moment.strftime(form) for moment in moments]
