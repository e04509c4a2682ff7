"""EMA trend: enters and leaves on the *cross* of two EMAs of closed bars, never on their state.

Cross up at bar i: fast ≤ slow at i−1 and fast > slow at i; cross down mirrored. Each EMA is seeded by
the SMA of its first n closes, so nothing is said before both exist on two bars. It must be asked at
every bar: a cross that fell between two questions is missed, which is what "not on the state" means.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from llm.domain import DecisionView
from llm.ports import Attention
from llm.traders.baseline import Asked, Baseline, Mask, Said, TradedSides, nowhere
from market.domain.canonical import utc_text
from market.domain.data import CandleSeries, InstrumentSnapshot
from market.domain.enums import PositionSide
from market.indicators import Floats, book


@dataclass(frozen=True, kw_only=True)
class EmaTrend(Baseline):
    """Long from a cross up to the next cross down; short mirrored.

    With `side=both` an opposite cross closes what is held, and the bar after it opens the other
    side: no flip in one step. That late entry is made only when the last closed trade shows that it
    was this cross that closed it; whoever was flat for another reason waits for the next cross.
    """

    NAME: ClassVar[str] = "ema_trend"

    fast: int = 10
    slow: int = 50
    side: TradedSides = TradedSides.LONG

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= self.fast < self.slow:
            raise ValueError(f"fast {self.fast} must be at least 2 and below slow {self.slow}")

    def say(self, asked: Asked, /) -> Said | None:
        candles = asked.snapshot.candles
        gaps = self._gaps(candles)
        cross = _cross(gaps, 1)
        if asked.held is not PositionSide.FLAT:
            if (
                cross is not PositionSide.FLAT
                and cross is not asked.held
                and self.side.allows(asked.held)
            ):
                return Said(PositionSide.FLAT, self._because(cross, candles, 1))
            return None
        if cross is not PositionSide.FLAT:
            if self.side.allows(cross):
                return Said(cross, self._because(cross, candles, 1))
            return None
        if self.side is not TradedSides.BOTH:
            return None
        earlier = _cross(gaps, 2)
        if earlier is PositionSide.FLAT or not _closed_by(earlier, asked.snapshot, asked.view):
            return None
        return Said(earlier, self._because(earlier, candles, 2))

    def attention(self, candles: CandleSeries) -> Attention:
        """The crosses that matter to each side held; with `both`, flat also the bar after each."""
        fast, slow = book(candles).ema(self.fast), book(candles).ema(self.slow)
        up, down, never = _first_above(fast, slow), _first_above(slow, fast), nowhere(candles)
        longs, shorts = self.side.allows(PositionSide.LONG), self.side.allows(PositionSide.SHORT)
        flat = (up if longs else never) | (down if shorts else never)
        if self.side is TradedSides.BOTH:
            flat[1:] = flat[1:] | flat[:-1]
        return Attention(
            bars={
                PositionSide.FLAT: flat,
                PositionSide.LONG: down if longs else never,
                PositionSide.SHORT: up if shorts else never,
            }
        )

    def _gaps(self, candles: CandleSeries) -> list[float]:
        """Fast − slow at the last three bars, oldest first."""
        indicators = book(candles)
        fast = indicators.tail(3, "ema", self.fast).tolist()
        slow = indicators.tail(3, "ema", self.slow).tolist()
        return [one - other for one, other in zip(fast, slow, strict=True)]

    def _because(self, cross: PositionSide, candles: CandleSeries, back: int) -> str:
        where = "above" if cross is PositionSide.LONG else "below"
        closed = utc_text(candles.closed(len(candles) - back))
        return f"EMA{self.fast} crossed {where} EMA{self.slow} at the close of {closed}"


def _cross(gaps: list[float], back: int) -> PositionSide:
    """The cross at the bar `back` from the end (1: the last); LONG is up, FLAT none. NaN: none."""
    if len(gaps) <= back:
        return PositionSide.FLAT
    now, before = gaps[-back], gaps[-back - 1]
    if now > 0 >= before:
        return PositionSide.LONG
    if now < 0 <= before:
        return PositionSide.SHORT
    return PositionSide.FLAT


def _first_above(one: Floats, other: Floats) -> Mask:
    """Bars at which `one` is above `other` and was at or below it a bar before; NaN is neither."""
    mask = np.zeros(len(one), dtype=np.bool_)
    difference = one - other
    mask[1:] = (difference[1:] > 0) & (difference[:-1] <= 0)
    return mask


def _closed_by(cross: PositionSide, snapshot: InstrumentSnapshot, view: DecisionView) -> bool:
    """True when the last closed trade was of the other side and ended after the bar of the cross."""
    crossed_at = snapshot.candles.closed(len(snapshot.candles) - 2)
    trade = view.last_trade(snapshot.symbol)
    return trade is not None and trade.side.sign == -cross.sign and trade.closed_at >= crossed_at
