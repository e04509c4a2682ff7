"""The mind as the desk sees it, and the model as the mind sees it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import numpy as np
import numpy.typing as npt

from llm.domain import Completion, Decision, DecisionView, Prompt, StopRequirement
from market.domain.data import CandleSeries
from market.domain.enums import PositionSide


class Trader(Protocol):
    """Anything that decides: a model, or a rule."""

    @property
    def name(self) -> str: ...

    @property
    def stop(self) -> StopRequirement: ...

    def decide(self, view: DecisionView) -> Decision:
        """Say what to do. Never raises for what a model said or failed to say: that is a Decision with
        its outcome. A pure function of the view for baselines."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """For each state of a position, the bars (True) at whose close the trader may say something other
    than hold. Computed once, causally: element i depends on candles 0…i only."""

    bars: Mapping[PositionSide, npt.NDArray[np.bool_]]


class SignalTrader(Trader, Protocol):
    """A trader that can say beforehand on which bars it need not be asked, so that a replay may jump."""

    def attention(self, candles: CandleSeries) -> Attention: ...


class ChatModel(Protocol):
    """One model behind one host. Knows nothing of trading."""

    @property
    def name(self) -> str: ...

    def complete(
        self, prompt: Prompt, *, deadline: timedelta, repair: str | None = None
    ) -> Completion:
        """Answer a prompt within `deadline`. `repair` carries what was wrong with the last answer.

        With `repair`, what is sent is `llm.prompts.with_repair(prompt, repair)`: the record holds that.
        Raises ModelUnavailable, ModelTimedOut, ModelRefused or BudgetExhausted (`llm.errors`).
        """
        ...
