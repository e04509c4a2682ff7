"""Candles for a chart: the closed ones and the one that is open, in a feed's timeframe or a longer one.

For pages only: nothing that decides reads them. The trap avoided: a longer bar whose shorter ones are not
all there; only whole bars count as closed, and the open one is made of what has been seen of it.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from market.domain.data import Candle, CandleSeries, from_milliseconds, to_milliseconds
from market.domain.numbers import ZERO
from market.venues.timeframes import aggregate

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartCandles:
    """Closed candles, oldest first, and the one that still moves; None where nothing is seen of it."""

    closed: CandleSeries
    unfinished: Candle | None


def longer(seen: ChartCandles, timeframe: timedelta, now: datetime) -> ChartCandles:
    """The same in a longer timeframe. Raises ValueError when it is no multiple of the shorter one."""
    if timeframe == seen.closed.timeframe:
        return seen
    closed = aggregate(seen.closed, timeframe)
    at = to_milliseconds(now)
    opens = at - at % (timeframe // _MILLISECOND)
    first = int(np.searchsorted(seen.closed.opened_at, opens, side="left"))
    parts = [seen.closed.candle(index) for index in range(first, len(seen.closed))]
    moving = seen.unfinished
    if moving is not None and to_milliseconds(moving.opened_at) >= opens:
        parts.append(moving)
    if not parts:
        return ChartCandles(closed=closed, unfinished=None)
    unfinished = replace(
        parts[-1],
        opened_at=from_milliseconds(opens),
        open=parts[0].open,
        high=max(part.high for part in parts),
        low=min(part.low for part in parts),
        volume=sum((part.volume for part in parts), ZERO),
        is_closed=False,
    )
    return ChartCandles(closed=closed, unfinished=unfinished)
