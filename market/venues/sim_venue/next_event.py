"""Where the next thing happens: the first bar that could change the venue, found on whole columns.

Prices are compared as the series' own integers, so the answer is exact: a level between two units is
rounded to the side on which it is met. Searched in growing chunks: a near event costs microseconds,
months of quiet bars less than a millisecond. Never late; with `max_volume_fraction`, or on paper, it may
be early (a bar that could fill, and then has too little volume, or is older than the order).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

import numpy as np
import numpy.typing as npt

from market.domain.data import INT64_LIMIT, CandleSeries, FundingSeries
from market.domain.enums import OrderType, TriggerBasis
from market.venues.sim_venue.funding import quantity_before
from market.venues.sim_venue.path import is_falling
from market.venues.sim_venue.settings import MILLISECOND, SimSettings
from market.venues.sim_venue.state import SimOrder, SimState, Stage

Series = tuple[CandleSeries, CandleSeries | None]
"""(trades, mark or None); a mark series stands on the same times as its trades."""

FIRST_CHUNK: Final = 64
GROWTH: Final = 4


@dataclass(slots=True)
class _Watch:
    """The levels of one symbol, in the units of their series: met when low ≤ `*_low` or high ≥ `*_high`.
    Limits need volume as well; `volume` asks for any bar with volume."""

    trade_low: int | None = None
    trade_high: int | None = None
    mark_low: int | None = None
    mark_high: int | None = None
    limit_low: int | None = None
    limit_high: int | None = None
    volume_from: int | None = None


def next_event(
    state: SimState,
    bars: Mapping[str, Series],
    start: int,
    stop: int,
    settings: SimSettings,
    funding: Mapping[str, FundingSeries] | None = None,
) -> int:
    """The first index in [start, stop) whose bar makes the venue report or change anything, else `stop`.
    All series stand on the same times."""
    for symbol, (trade, mark) in bars.items():
        if start >= stop:
            break
        rates = None if funding is None else funding.get(symbol)
        stop = next_event_of(state, symbol, trade, mark, start, stop, settings, rates)
    return stop


def next_event_of(
    state: SimState,
    symbol: str,
    trade: CandleSeries,
    mark: CandleSeries | None,
    start: int,
    stop: int,
    settings: SimSettings,
    funding: FundingSeries | None = None,
) -> int:
    """`next_event` for one symbol."""
    mark = trade if mark is None else mark
    watch = _Watch()
    for held in state.orders.values():
        if held.order.symbol != symbol or held.stage is Stage.INACTIVE:
            continue
        if held.stage is Stage.RESTING:
            _watch_resting(watch, held, trade, mark)
        elif held.stage is Stage.TRIGGERED:
            watch.volume_from = start
        else:
            arrival = _arrival(held, trade, start, stop, settings)
            if held.order.order_type is OrderType.MARKET:
                if arrival == start and start < stop and trade.volume[start] > 0:
                    return start
                watch.volume_from = min(
                    arrival, stop if watch.volume_from is None else watch.volume_from
                )
            else:
                stop = min(stop, arrival)
    liquidation = state.liquidation_prices.get(symbol)
    if liquidation is not None:
        _watch_level(watch, mark, "mark", liquidation, falls=state.positions[symbol].quantity > 0)
    if funding is not None and symbol in state.changes:
        stop = min(stop, _funding_index(state, symbol, trade, funding, start, stop))
    return _search(trade, mark, watch, start, stop)


def _arrival(
    held: SimOrder, trade: CandleSeries, start: int, stop: int, settings: SimSettings
) -> int:
    """The index of the bar at whose open an order arrives."""
    if settings.execute_on_quotes:
        earliest = held.since
    else:
        earliest = held.since - trade.timeframe // MILLISECOND + 1
    if start >= stop or trade.opened_at[start] >= earliest:
        return start
    return start + int(np.searchsorted(trade.opened_at[start:stop], earliest, side="left"))


def _funding_index(
    state: SimState, symbol: str, trade: CandleSeries, funding: FundingSeries, start: int, stop: int
) -> int:
    """The index of the first bar that opens at or after a settled rate that a position owes."""
    if start >= stop:
        return stop
    changes = state.changes[symbol]
    after = max(state.funding_until.get(symbol, -1), changes[0][0])
    until = int(trade.opened_at[stop - 1]) if symbol in state.positions else changes[-1][0]
    for at, _ in funding.between(after, until):
        if quantity_before(changes, at):
            return start + int(np.searchsorted(trade.opened_at[start:stop], at, side="left"))
    return stop


def _watch_resting(watch: _Watch, held: SimOrder, trade: CandleSeries, mark: CandleSeries) -> None:
    order = held.order
    if order.order_type is OrderType.LIMIT:
        level, name, series = order.price, "limit", trade
    elif order.trigger_basis is TriggerBasis.MARK:
        level, name, series = order.trigger_price, "mark", mark
    else:
        level, name, series = order.trigger_price, "trade", trade
    if level is not None:
        _watch_level(watch, series, name, level, falls=is_falling(order))


def _watch_level(
    watch: _Watch, series: CandleSeries, name: str, level: Decimal, *, falls: bool
) -> None:
    """Keep the level that is met first."""
    scaled = series.scaled_price(level).to_integral_value(ROUND_FLOOR if falls else ROUND_CEILING)
    units = min(int(scaled), INT64_LIMIT)
    field = f"{name}_low" if falls else f"{name}_high"
    known = getattr(watch, field)
    if known is not None:
        units = max(known, units) if falls else min(known, units)
    setattr(watch, field, units)


def _search(trade: CandleSeries, mark: CandleSeries, watch: _Watch, start: int, stop: int) -> int:
    width = FIRST_CHUNK
    if watch == _Watch():
        return stop
    while start < stop:
        end = min(start + width, stop)
        hits = _hits(trade, mark, watch, start, end)
        if hits is not None:
            first = int(hits.argmax())
            if hits[first]:
                return start + first
        start, width = end, width * GROWTH
    return stop


def _hits(
    trade: CandleSeries, mark: CandleSeries, watch: _Watch, start: int, end: int
) -> npt.NDArray[np.bool_] | None:
    hits: npt.NDArray[np.bool_] | None = None
    for column, low in ((trade.low, watch.trade_low), (mark.low, watch.mark_low)):
        if low is not None:
            met = column[start:end] <= low
            hits = met if hits is None else hits | met
    for column, high in ((trade.high, watch.trade_high), (mark.high, watch.mark_high)):
        if high is not None:
            met = column[start:end] >= high
            hits = met if hits is None else hits | met
    liquid = _liquid_hits(trade, watch, start, end)
    if liquid is not None:
        hits = liquid if hits is None else hits | liquid
    return hits


def _liquid_hits(
    trade: CandleSeries, watch: _Watch, start: int, end: int
) -> npt.NDArray[np.bool_] | None:
    """Bars with volume that meet a limit, or that an order has been waiting for."""
    hits: npt.NDArray[np.bool_] | None = None
    if watch.limit_low is not None:
        hits = trade.low[start:end] <= watch.limit_low
    if watch.limit_high is not None:
        met = trade.high[start:end] >= watch.limit_high
        hits = met if hits is None else hits | met
    if watch.volume_from is not None and watch.volume_from < end:
        waiting = np.arange(start, end) >= watch.volume_from
        hits = waiting if hits is None else hits | waiting
    return None if hits is None else hits & (trade.volume[start:end] > 0)
