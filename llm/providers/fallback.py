"""A second model for when the first gives no answer, within the one deadline."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from llm.domain import Completion, Prompt
from llm.errors import BudgetExhausted, ModelTimedOut, ModelUnavailable
from llm.ports import ChatModel
from llm.providers.patient import SHORTEST_TRY

SHARE = 2
"""The first may take one part in so many of the time: a fallback without time is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackChat:
    """`first`, and where it can't be had `second`. What a budget or the model itself refuses goes to nobody else:
    neither is the host's failure."""

    first: ChatModel
    second: ChatModel
    monotonic: Callable[[], float] = time.monotonic

    @property
    def name(self) -> str:
        return self.first.name

    def complete(
        self, prompt: Prompt, *, deadline: timedelta, repair: str | None = None
    ) -> Completion:
        """Ask the one, then the other. Raises what the second raises, with the first's reason before it."""
        began = self.monotonic()
        try:
            return self.first.complete(prompt, deadline=deadline / SHARE, repair=repair)
        except (ModelUnavailable, ModelTimedOut) as failure:
            why = f"{self.first.name}: {failure}"
        left = deadline - timedelta(seconds=self.monotonic() - began)
        if left < SHORTEST_TRY:
            raise ModelTimedOut(f"{why}; no time is left for {self.second.name}")
        try:
            answer = self.second.complete(prompt, deadline=left, repair=repair)
        except ModelUnavailable as failure:
            raise ModelUnavailable(f"{why}; {self.second.name}: {failure}") from None
        except ModelTimedOut as failure:
            raise ModelTimedOut(f"{why}; {self.second.name}: {failure}") from None
        except BudgetExhausted as failure:
            raise BudgetExhausted(f"{why}; {self.second.name}: {failure}") from None
        took = self.monotonic() - began
        return replace(answer, latency_ms=round(took * 1000), tries=(why, *answer.tries))
