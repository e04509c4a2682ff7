"""Seeded random: enters and leaves by chance, reproducibly. What luck is worth.

Chance is SHA-256 of (seed, symbol, bar time), never the state of a generator: the same bar gives the
same answer whatever was asked before, after a restart, or with a jump over the bars between.
"""

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

import numpy as np

from llm.ports import Attention
from llm.traders.baseline import Asked, Baseline, Said, TradedSides
from market.domain.data import CandleSeries
from market.domain.enums import PositionSide

ACTING_BARS_PER_ACTION = 4
_SCALE = 2**64


@dataclass(frozen=True, kw_only=True)
class SeededRandom(Baseline):
    """Acts on an instrument at a share `rate` of bars: flat it enters, holding it closes.

    Which bars may see action is drawn from (seed, time) alone, 4 × `rate` of them, so that a replay
    can jump over the others whatever the symbol; who acts there, and which way, from (seed, symbol,
    time). Instruments therefore act independently within those bars only.
    """

    NAME: ClassVar[str] = "seeded_random"

    seed: int = 0
    rate: Decimal = Decimal("0.02")
    side: TradedSides = TradedSides.BOTH

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.rate <= 1:
            raise ValueError(f"rate must be above 0 and at most 1, not {self.rate}")

    def say(self, asked: Asked, /) -> Said | None:
        opened_at = int(asked.snapshot.candles.opened_at[-1])
        gate = self._gate()
        if _draw(f"{self.seed}|{opened_at}") >= gate:
            return None
        drawn = _draw(f"{self.seed}|{asked.snapshot.symbol}|{opened_at}")
        acts = int(self.rate * _SCALE) * _SCALE // gate  # a share of `rate` ÷ gate of the draws
        if drawn >= acts:
            return None
        if asked.held is not PositionSide.FLAT:
            return Said(PositionSide.FLAT, "drawn to close")
        if self.side is TradedSides.BOTH:
            enter = PositionSide.LONG if drawn % 2 else PositionSide.SHORT
        else:
            enter = PositionSide(self.side.value.upper())
        return Said(enter, f"drawn to go {enter.value.lower()}")

    def attention(self, candles: CandleSeries) -> Attention:
        """The bars that may see action, the same for every state."""
        gate = self._gate()
        bars = np.fromiter(
            (_draw(f"{self.seed}|{opened_at}") < gate for opened_at in candles.opened_at.tolist()),
            dtype=np.bool_,
            count=len(candles),
        )
        return Attention(bars=dict.fromkeys(PositionSide, bars))

    def _gate(self) -> int:
        return int(min(Decimal(1), self.rate * ACTING_BARS_PER_ACTION) * _SCALE)


def _draw(text: str) -> int:
    """A number from 0 to 2⁶⁴ − 1, a pure function of the text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
