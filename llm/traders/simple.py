"""The two baselines without a signal: buy and hold, and flat."""

from dataclasses import dataclass
from typing import ClassVar

from llm.ports import Attention
from llm.traders.baseline import Asked, Baseline, Said, everywhere, nowhere
from market.domain.data import CandleSeries
from market.domain.enums import PositionSide


@dataclass(frozen=True, kw_only=True)
class BuyAndHold(Baseline):
    """Buys each instrument once and keeps it. Once is: flat and no closed trade of it in sight, so
    an entry that was denied is asked for again, and one that was stopped out is not."""

    NAME: ClassVar[str] = "buy_and_hold"

    def say(self, asked: Asked, /) -> Said | None:
        if asked.held is not PositionSide.FLAT:
            return None
        if asked.view.last_trade(asked.snapshot.symbol) is not None:
            return None
        return Said(PositionSide.LONG, "buy once and hold")

    def attention(self, candles: CandleSeries) -> Attention:
        """Every bar while flat, none while something is held."""
        never = nowhere(candles)
        return Attention(
            bars={
                PositionSide.FLAT: everywhere(candles),
                PositionSide.LONG: never,
                PositionSide.SHORT: never,
            }
        )


@dataclass(frozen=True, kw_only=True)
class Flat(Baseline):
    """Never trades: what doing nothing is worth."""

    NAME: ClassVar[str] = "flat"

    def say(self, _asked: Asked, /) -> Said | None:
        return None

    def attention(self, candles: CandleSeries) -> Attention:
        """No bar at all."""
        never = nowhere(candles)
        return Attention(bars=dict.fromkeys(PositionSide, never))
