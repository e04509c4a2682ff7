"""When a trader must be asked: its causal attention bars, mapped to the bars that a replay steps over."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np

from bots.desk import Desk
from llm.ports import SignalTrader, Trader
from market.domain.data import INT64_LIMIT, IntColumn
from market.domain.enums import PositionSide
from market.domain.positions import Position
from market.venues.replay_feed import InstrumentHistory
from market.venues.timeframes import aggregate

_MILLISECOND = timedelta(milliseconds=1)


class AttentionIndex:
    """The next bar on which the trader may say something other than hold, by what is held.

    A trader without `attention` (a model) must be asked on every due bar.
    """

    def __init__(
        self, desk: Desk, histories: Sequence[InstrumentHistory], closed_at: IntColumn
    ) -> None:
        self._due = np.flatnonzero(closed_at % (desk.bot.interval // _MILLISECOND) == 0)
        self._due_list = self._due.tolist()
        self._by_symbol: dict[str, dict[PositionSide, list[int]]] | None = None
        self._speaks = np.zeros(len(closed_at), dtype=bool)
        if is_signal_trader(desk.trader):
            self._by_symbol = {
                history.instrument.symbol: self._bars(desk, history, closed_at)
                for history in histories
            }
            for by_side in self._by_symbol.values():
                for bars in by_side.values():
                    self._speaks[bars] = True
        else:
            self._speaks[self._due] = True

    def _bars(
        self, desk: Desk, history: InstrumentHistory, closed_at: IntColumn
    ) -> dict[PositionSide, list[int]]:
        candles = aggregate(history.bars, desk.bot.timeframe)
        trader: SignalTrader = desk.trader  # type: ignore[assignment]
        attention = trader.attention(candles)
        ends = candles.opened_at + desk.bot.timeframe // _MILLISECOND
        due_times = closed_at[self._due]
        return {
            side: self._due[np.isin(due_times, ends[flags])].tolist()
            for side, flags in attention.bars.items()
        }

    def may_speak(self, bar: int) -> bool:
        """True when the trader must be asked on this bar, whatever is held by then."""
        return bool(self._speaks[bar])

    def next_bar(self, start: int, positions: Mapping[str, Position]) -> int:
        """The first bar ≥ start on which the trader must be asked; a huge number when there is none."""
        if self._by_symbol is None:
            return first_at_or_after(self._due_list, start)
        nearest = INT64_LIMIT
        for symbol, by_side in self._by_symbol.items():
            position = positions.get(symbol)
            side = position.side if position is not None else PositionSide.FLAT
            nearest = min(nearest, first_at_or_after(by_side[side], start))
        return nearest


def is_signal_trader(trader: Trader) -> bool:
    return hasattr(trader, "attention")


def first_at_or_after(bars: Sequence[int], start: int) -> int:
    """The first of some sorted bars that is ≥ start; a huge number when there is none."""
    position = bisect_left(bars, start)
    return bars[position] if position < len(bars) else INT64_LIMIT
