"""What every baseline shares: walking the instruments, sizing an entry, naming its stop.

A baseline is a frozen dataclass and `decide` is a pure function of the view: no state, no clock, no
chance. It does not look at limits and does not round quantities; the veto and the instrument do.
The trap avoided: a rule whose size or stop depends on who runs it would be no control group.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from llm.domain import (
    Decision,
    DecisionAction,
    DecisionItem,
    DecisionView,
    StopRequirement,
)
from market.domain.data import CandleSeries, InstrumentSnapshot
from market.domain.enums import PositionSide
from market.domain.numbers import CASH_QUANTUM, ONE, ZERO
from market.indicators import book

Mask = npt.NDArray[np.bool_]

ATR_PERIOD = 14
ENTRY_OF = {
    PositionSide.LONG: DecisionAction.BUY_TO_ENTER,
    PositionSide.SHORT: DecisionAction.SELL_TO_ENTER,
}


class TradedSides(StrEnum):
    """Which directions a rule may take."""

    LONG = "long"
    SHORT = "short"
    BOTH = "both"

    def allows(self, side: PositionSide) -> bool:
        """True when a position of this side may be entered."""
        return self is TradedSides.BOTH or self.value == side.value.lower()


@dataclass(frozen=True, slots=True)
class Said:
    """What a rule says of one instrument, and why. `enter` FLAT means: close what is held."""

    enter: PositionSide
    because: str


class Asked(NamedTuple):
    """What a rule is asked about: one usable instrument, what is held of it, and all the rest."""

    snapshot: InstrumentSnapshot
    held: PositionSide
    view: DecisionView


@dataclass(frozen=True, kw_only=True)
class Baseline(ABC):
    """A rule that needs no key.

    `size`: notional of an entry as a fraction of equity (None: 1 ÷ number of instruments in sight).
    `stop_atr`: distance of the stop in ATR14s of the cycle's candles, or `stop_context_atr` in those of the
    context's (None both: the rule names no stop). `reward`: distance of the target in stop distances.
    Raises ValueError for values that make no sense together.
    """

    NAME: ClassVar[str]

    size: Decimal | None = None
    leverage: Decimal = ONE
    stop_atr: Decimal | None = None
    reward: Decimal | None = None
    stop_context_atr: Decimal | None = None

    def __post_init__(self) -> None:
        for field in ("size", "stop_atr", "stop_context_atr", "reward"):
            value = getattr(self, field)
            if value is not None and value <= 0:
                raise ValueError(f"{field} must be above zero, not {value}")
        if self.leverage < 1:
            raise ValueError(f"leverage must be at least 1, not {self.leverage}")
        if self.size is not None and self.size > self.leverage:
            raise ValueError(f"size {self.size} needs a leverage of at least {self.size}")
        if self.stop_atr is not None and self.stop_context_atr is not None:
            raise ValueError("one stop: stop_atr or stop_context_atr, not both")
        if self.reward is not None and self.stop is StopRequirement.NONE:
            raise ValueError("reward is measured in stop distances, so it needs stop_atr")

    @property
    def name(self) -> str:
        return self.NAME

    @property
    def stop(self) -> StopRequirement:
        names_one = self.stop_atr is not None or self.stop_context_atr is not None
        return StopRequirement.REQUIRED if names_one else StopRequirement.NONE

    @abstractmethod
    def say(self, asked: Asked, /) -> Said | None:
        """What the rule says of one usable instrument; None is hold."""

    def decide(self, view: DecisionView) -> Decision:
        """One item per instrument that the rule has something to say of; the others are held."""
        items: list[DecisionItem] = []
        notes: list[str] = []
        for snapshot in view.market.instruments:
            if snapshot.unusable is not None or not len(snapshot.candles):
                continue
            position = view.position(snapshot.instrument.symbol)
            held = PositionSide.FLAT if position is None else position.side
            said = self.say(Asked(snapshot, held, view))
            if said is None:
                continue
            if said.enter is PositionSide.FLAT:
                items.append(_close(snapshot.symbol, said.because))
                continue
            entry = self._entry(snapshot, said, view)
            if isinstance(entry, str):
                notes.append(f"{snapshot.symbol}: {entry}")
            else:
                items.append(entry)
        summary = "; ".join(f"{item.symbol}: {item.justification}" for item in items)
        return Decision(trader=self.NAME, summary=summary, items=tuple(items), notes=tuple(notes))

    def _entry(
        self, snapshot: InstrumentSnapshot, said: Said, view: DecisionView
    ) -> DecisionItem | str:
        """The entry, or why there is none."""
        if view.emergency is not None:
            return "no entries in an emergency"
        if said.enter is PositionSide.SHORT and snapshot.instrument.is_spot:
            return "spot can't be sold short"
        equity = view.account.equity
        if equity <= 0:
            return "no equity to size from"
        fraction = ONE / len(view.market.instruments) if self.size is None else self.size
        stop_loss = take_profit = None
        if self.stop is StopRequirement.REQUIRED:
            levels = self._levels(snapshot, said.enter)
            if isinstance(levels, str):
                return levels
            stop_loss, take_profit = levels
        return DecisionItem(
            symbol=snapshot.symbol,
            action=ENTRY_OF[said.enter],
            confidence=ONE,
            notional=(equity * fraction).quantize(CASH_QUANTUM, ROUND_DOWN),
            leverage=self.leverage,
            stop_loss=stop_loss,
            take_profit=take_profit,
            justification=said.because,
        )

    def _levels(
        self, snapshot: InstrumentSnapshot, side: PositionSide
    ) -> tuple[Decimal, Decimal | None] | str:
        """Stop and target around the mark price, on the tick; or why no stop can be named."""
        instrument, candles = snapshot.instrument, snapshot.candles
        price = candles.price(candles.close[-1]) if snapshot.quote is None else snapshot.quote.mark
        measured = candles if self.stop_context_atr is None else snapshot.context
        away = self.stop_atr or self.stop_context_atr
        atr = math.nan if measured is None else book(measured).last("atr", ATR_PERIOD)
        if away is None or not atr > 0:
            return f"no ATR{ATR_PERIOD} yet, so no stop and no entry"
        distance = away * Decimal(repr(atr))
        stop_loss = instrument.round_price(price - side.sign * distance)
        if stop_loss <= 0 or (price - stop_loss) * side.sign <= 0:
            return f"a stop {away} ATR away is no price, so no entry"
        if self.reward is None:
            return stop_loss, None
        target = instrument.round_price(price + side.sign * self.reward * distance)
        return stop_loss, target if target > ZERO else None


def _close(symbol: str, because: str) -> DecisionItem:
    return DecisionItem(
        symbol=symbol, action=DecisionAction.CLOSE, confidence=ONE, justification=because
    )


def nowhere(candles: CandleSeries) -> Mask:
    """A mask that is False on every bar."""
    return np.zeros(len(candles), dtype=np.bool_)


def everywhere(candles: CandleSeries) -> Mask:
    """A mask that is True on every bar."""
    return np.ones(len(candles), dtype=np.bool_)
