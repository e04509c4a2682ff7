"""RSI mean reversion: buys weakness, sells strength, and leaves when the RSI is back in the middle.

Enters on the bar whose RSI *crosses* into the extreme (so a stop hit inside the extreme is no reason
to enter again), leaves on the *state* (so an exit that could not be made is asked for again).
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from llm.ports import Attention
from llm.traders.baseline import Asked, Baseline, Mask, Said, TradedSides, nowhere
from market.domain.data import CandleSeries
from market.domain.enums import PositionSide
from market.indicators import book


@dataclass(frozen=True, kw_only=True)
class RsiMeanReversion(Baseline):
    """Long when RSI falls below `low` (was at or above it a bar before) until it is at or above
    `exit_level`; short when it rises above `high` until it is at or below 100 − `exit_level`."""

    NAME: ClassVar[str] = "rsi_mean_reversion"

    period: int = 14
    low: Decimal = Decimal(30)
    high: Decimal = Decimal(70)
    exit_level: Decimal = Decimal(50)
    side: TradedSides = TradedSides.LONG

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.period < 2:
            raise ValueError(f"period must be at least 2, not {self.period}")
        if not 0 < self.low < self.high < 100:
            raise ValueError(f"low {self.low} and high {self.high} must be 0 < low < high < 100")
        if not self.low < self.exit_level <= 100 or not 100 - self.exit_level < self.high:
            raise ValueError(
                f"exit_level {self.exit_level} must lie above low, and 100 − exit_level below high"
            )

    def say(self, asked: Asked, /) -> Said | None:
        candles = asked.snapshot.candles
        if len(candles) < 2:
            return None
        before, now = book(candles).tail(2, "rsi", self.period).tolist()
        if asked.held is PositionSide.LONG:
            leave = self.side.allows(asked.held) and now >= float(self.exit_level)
            return (
                Said(PositionSide.FLAT, f"RSI{self.period} is back at {now:.2f}") if leave else None
            )
        if asked.held is PositionSide.SHORT:
            leave = self.side.allows(asked.held) and now <= 100 - float(self.exit_level)
            return (
                Said(PositionSide.FLAT, f"RSI{self.period} is back at {now:.2f}") if leave else None
            )
        low, high = float(self.low), float(self.high)
        if now < low <= before and self.side.allows(PositionSide.LONG):
            return Said(PositionSide.LONG, f"RSI{self.period} fell to {now:.2f}, below {self.low}")
        if now > high >= before and self.side.allows(PositionSide.SHORT):
            return Said(
                PositionSide.SHORT, f"RSI{self.period} rose to {now:.2f}, above {self.high}"
            )
        return None

    def attention(self, candles: CandleSeries) -> Attention:
        """Flat: bars of a cross into an extreme; held: bars on which the way out is open."""
        rsi, never = book(candles).rsi(self.period), nowhere(candles)
        longs, shorts = self.side.allows(PositionSide.LONG), self.side.allows(PositionSide.SHORT)
        flat = nowhere(candles)
        if longs:
            flat |= _enters(rsi < float(self.low), rsi >= float(self.low))
        if shorts:
            flat |= _enters(rsi > float(self.high), rsi <= float(self.high))
        return Attention(
            bars={
                PositionSide.FLAT: flat,
                PositionSide.LONG: rsi >= float(self.exit_level) if longs else never,
                PositionSide.SHORT: rsi <= 100 - float(self.exit_level) if shorts else never,
            }
        )


def _enters(inside: npt.NDArray[np.bool_], outside: npt.NDArray[np.bool_]) -> Mask:
    """Bars that are inside after a bar outside."""
    mask = np.zeros(len(inside), dtype=np.bool_)
    mask[1:] = inside[1:] & outside[:-1]
    return mask
