"""How far a replay may jump: the next bar on which anything could happen, and the equity in between.

Every reason to stop errs on the early side, because stopping on a quiet bar changes nothing. Prices
are compared as the scaled integers they are stored in; money over a jump is int64 in units of 1e-8,
and where that would not be exact the bars are simply walked.
"""

from collections.abc import Sequence
from datetime import timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import numpy as np
import numpy.typing as npt

from bots.desk import Desk
from bots.domain.exits import next_price, overdue_at
from bots.exits import holding
from bots.lab.attention import AttentionIndex, first_at_or_after
from bots.memory_ledger import EQUITY_EXPONENT, MemoryLedger, scaled_equity
from bots.protection import is_settled
from market.domain.data import (
    INT64_LIMIT,
    CandleSeries,
    IntColumn,
    from_milliseconds,
    to_milliseconds,
)
from market.domain.positions import Position
from market.venues.replay_feed import InstrumentHistory
from market.venues.sim_broker import SimBroker
from market.venues.timeframes import aggregate
from risk import breakers

_MILLISECOND = timedelta(milliseconds=1)


class JumpPlanner:
    """Moves a replay from one eventful bar to the next, booking the equity of the bars between."""

    def __init__(
        self,
        desk: Desk,
        histories: Sequence[InstrumentHistory],
        broker: SimBroker,
        ledger: MemoryLedger,
    ) -> None:
        bars = histories[0].bars
        self._desk = desk
        self._broker = broker
        self._ledger = ledger
        self._marks = {
            history.instrument.symbol: history.mark_bars or history.bars for history in histories
        }
        self._series = {
            history.instrument.symbol: (history.bars, history.mark_bars) for history in histories
        }
        self._funding = {
            history.instrument.symbol: history.funding
            for history in histories
            if history.funding is not None
        }
        self._closed_at = bars.opened_at + bars.timeframe // _MILLISECOND
        self._last = len(bars) - 1
        self._turns = _turns(desk, bars, self._closed_at)
        self._attention = AttentionIndex(desk, histories, self._closed_at)

    def may_speak(self, index: int) -> bool:
        """False when the trader would surely hold at the close of a bar: it need not be asked."""
        return self._attention.may_speak(index)

    def advance(self, index: int) -> int:
        """The bar to evaluate after `index`; every bar before it is booked as quiet."""
        stop = self._next_stop(index)
        start = index + 1
        if stop == start:
            return stop
        equity = self._equity(self._marks_close(), start, stop)
        if equity is None:
            return start
        stop = self._before_breakers(start, stop, equity)
        if stop == start:
            return stop
        equity = equity[: stop - start]
        now = from_milliseconds(int(self._closed_at[stop - 1]))
        self._ledger.extend_equity(
            self._closed_at[start:stop], equity, self._desk.bot.local_day(now)
        )
        state = self._ledger.book.breakers
        quiet = breakers.quiet_beats(
            state,
            first_at=from_milliseconds(int(self._closed_at[start])),
            peak_nav=_money(int(equity.max())),
            last_nav=_money(int(equity[-1])),
            is_flat=not self._ledger.book.positions,
        )
        self._ledger.set_breakers(quiet)
        return stop

    def _next_stop(self, index: int) -> int:
        """The earliest reason to evaluate a bar, breakers' thresholds aside."""
        start = index + 1
        if start >= self._last:
            return self._last
        if not is_settled(self._desk.ledger.book, self._desk.instruments):
            return start
        stop = min(self._attention.next_bar(start, self._ledger.book.positions), self._last)
        stop = min(stop, first_at_or_after(self._turns, start))
        deadline = breakers.next_deadline(self._ledger.book.breakers, self._desk.limits)
        if deadline is not None:
            due = int(np.searchsorted(self._closed_at, to_milliseconds(deadline), side="left"))
            stop = min(stop, max(due, start))
        stop = self._next_exit(start, stop)
        if stop == start:
            return start
        return self._broker.next_event_bar(self._series, start, stop, self._funding)

    def _next_exit(self, start: int, stop: int) -> int:
        """The first bar in [start, stop) at whose close an exit of the bot's own is due, else `stop`."""
        rules, book = self._desk.bot.exits, self._ledger.book
        if rules.is_off:
            return stop
        for symbol, position in book.positions.items():
            plan = book.plans.get(symbol)
            held = plan and holding(position, plan, self._desk.instruments[symbol])
            if not held:
                continue
            overdue = overdue_at(rules, position.opened_at)
            if overdue is not None:
                due = int(np.searchsorted(self._closed_at, to_milliseconds(overdue), side="left"))
                stop = min(stop, max(due, start))
            price = next_price(rules, held)
            if price is not None:
                stop = start + self._bars_until(symbol, price, held.sign, start, stop)
        return stop

    def _bars_until(self, symbol: str, price: Decimal, sign: int, start: int, stop: int) -> int:
        """How many bars of [start, stop) close before the mark price has come to `price` from below (`sign`
        1) or from above (-1)."""
        if not price.is_finite():
            return 0
        marks = self._marks[symbol]
        level = price.scaleb(-marks.price_exponent)
        closes = marks.close[start:stop]
        if sign > 0:
            reached = closes >= int(level.to_integral_value(ROUND_CEILING))
        else:
            reached = closes <= int(level.to_integral_value(ROUND_FLOOR))
        hits = np.flatnonzero(reached)
        return int(hits[0]) if len(hits) else stop - start

    def _marks_close(self) -> dict[str, IntColumn]:
        return {symbol: series.close for symbol, series in self._marks.items()}

    def _equity(
        self, prices: dict[str, IntColumn], start: int, stop: int
    ) -> npt.NDArray[np.int64] | None:
        """Equity at each of bars [start, stop) valued at `prices`, in units of 1e-8; None where int64
        can't hold it exactly."""
        book = self._ledger.book
        total = np.full(stop - start, scaled_equity(book.cash), dtype=np.int64)
        for symbol, position in (*book.positions.items(), *book.dust.items()):
            value = self._unrealized(symbol, position, prices[symbol][start:stop])
            if value is None:
                return None
            total += value
        return total

    def _unrealized(
        self, symbol: str, position: Position, prices: IntColumn
    ) -> npt.NDArray[np.int64] | None:
        size = position.quantity * self._desk.instruments[symbol].contract_size
        factor = size.scaleb(EQUITY_EXPONENT + self._marks[symbol].price_exponent)
        numerator, denominator = factor.as_integer_ratio()
        cost = int(
            (position.entry_cost if size > 0 else -position.entry_cost).scaleb(EQUITY_EXPONENT)
        )
        if abs(numerator) * int(prices.max()) + abs(cost) > INT64_LIMIT // 16:
            return None
        value = prices * np.int64(numerator)
        if denominator > 1:
            value = _divided(value, denominator)
        return value - np.int64(cost)

    def _before_breakers(self, start: int, stop: int, equity: npt.NDArray[np.int64]) -> int:
        """The first bar in [start, stop) on which a breaker could trip at the bar's worst price."""
        limits, state = self._desk.limits, self._ledger.book.breakers
        positions, levels = self._ledger.book.positions, breakers.thresholds(state, limits)
        if not positions or levels.highest is None:
            return stop
        worst = self._equity(
            {
                symbol: self._marks[symbol].low
                if position.quantity > 0
                else self._marks[symbol].high
                for symbol, position in (*positions.items(), *self._ledger.book.dust.items())
            },
            start,
            stop,
        )
        if worst is None:
            return start
        trips = np.zeros(len(worst), dtype=bool)
        if levels.daily_loss is not None:
            trips |= worst <= scaled_equity(levels.daily_loss) + 1
        for level, fraction, peak_nav in (
            (levels.soft_drawdown, limits.soft_drawdown_fraction, state.soft_peak_nav),
            (levels.hard_drawdown, limits.hard_drawdown_fraction, state.peak_nav),
        ):
            if level is not None and fraction is not None:
                peak = np.maximum.accumulate(np.maximum(equity, scaled_equity(peak_nav)))
                # in floats, rounded up a little: at worst a bar is evaluated that was quiet
                trips |= worst <= peak * (float(1 - fraction) + 1e-9)
        hits = np.flatnonzero(trips)
        return start + int(hits[0]) if len(hits) else stop


def _divided(values: npt.NDArray[np.int64], by: int) -> npt.NDArray[np.int64]:
    """Whole quotients, half to even: how money is quantised, here for many values at once."""
    quotient, rest = np.divmod(values, np.int64(by))
    up = (2 * rest > by) | ((2 * rest == by) & (quotient % 2 == 1))
    rounded: npt.NDArray[np.int64] = quotient + up
    return rounded


def _turns(desk: Desk, bars: CandleSeries, closed_at: IntColumn) -> list[int]:
    """Bars that must be evaluated whatever happens: the first of each local day, after each gap, and where
    the trader's candles become too old to act on, or fresh again."""
    gaps = np.flatnonzero(np.diff(bars.opened_at) != bars.timeframe // _MILLISECOND) + 1
    stale = _stale(bars, closed_at, desk.bot.timeframe)
    freshness = np.flatnonzero(np.diff(stale.astype(np.int8)) != 0) + 1
    quarters = np.flatnonzero(np.diff(closed_at // 900_000) != 0) + 1
    day, turns = "", []
    for index in (0, *quarters.tolist()):  # every time zone turns its day on a quarter of an hour
        here = desk.bot.local_day(from_milliseconds(int(closed_at[index])))
        if here != day:
            turns.append(index)
            day = here
    return sorted({*gaps.tolist(), *freshness.tolist(), *turns})


def _stale(bars: CandleSeries, closed_at: IntColumn, timeframe: timedelta) -> npt.NDArray[np.bool_]:
    """Bars at whose close the last whole candle of the cycle's timeframe is older than one candle."""
    length = timeframe // _MILLISECOND
    ends = aggregate(bars, timeframe).opened_at + length
    if not len(ends):
        return np.zeros(len(closed_at), dtype=bool)
    last = np.searchsorted(ends, closed_at, side="right") - 1
    age = closed_at - ends[np.maximum(last, 0)]
    stale: npt.NDArray[np.bool_] = (last >= 0) & (age >= length)
    return stale


def _money(scaled: int) -> Decimal:
    return Decimal(scaled).scaleb(-EQUITY_EXPONENT)
