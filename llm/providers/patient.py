"""A model that is asked with patience: tries that are worth it, within the deadline, the rates and the budgets.

It knows neither rows nor HTTP. A try that may have reached the model keeps its reservation; a host that asks to
wait is waited for, or not asked again at all. The traps avoided: a retry that outlives the cycle, and five
hundred bots that knock at a host which is down.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Protocol

from llm.domain import Completion, Prompt, Usage
from llm.errors import BudgetExhausted, ModelTimedOut, ModelUnavailable
from llm.prompts import with_repair
from llm.providers.one_request import OneRequest

TRIES = 3
SHORTEST_TRY = timedelta(seconds=2)
"""With less than this left nothing is sent: no model answers in it, and what is sent is charged."""
FIRST_PAUSE = timedelta(seconds=1)
"""Before the second try, where the host names no time; doubled before the third."""


class Gate(Protocol):
    """Lets requests of one key through: at its rate, and not while its host is down."""

    def enter(self, tokens: int, patience: timedelta) -> None:
        """Wait for a place, no longer than `patience`. Raises ModelUnavailable."""
        ...

    def leave(self) -> None:
        """What was let in is not sent after all."""
        ...

    def report(self, failure: Exception | None) -> None:
        """How a request that was let in ended; None: answered."""
        ...


class Settle(Protocol):
    """Books what a request came to in the place of what was put aside for it. Never called: it may have been
    charged, so what was put aside stays."""

    def __call__(self, came_to: Usage | None, told: Decimal | None = None) -> Decimal | None:
        """The cost, None when unknown. `came_to` None: nothing was charged. `told`: what the host says it costs,
        in place of what the price makes."""
        ...


class Till(Protocol):
    """The budgets that a request is paid from."""

    def reserve(self, usage: Usage) -> Settle:
        """Put the most that this request can cost aside. Raises BudgetExhausted."""
        ...


@dataclass(slots=True, kw_only=True)
class PatientChat:
    """A `ChatModel` over one host. Safe to use from several threads if its parts are."""

    name: str
    request: OneRequest
    gate: Gate
    till: Till
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = field(default=time.monotonic)

    def complete(
        self, prompt: Prompt, *, deadline: timedelta, repair: str | None = None
    ) -> Completion:
        """Ask, up to three times. Raises ModelUnavailable, ModelTimedOut, and BudgetExhausted if nothing left."""
        sent = prompt if repair is None else with_repair(prompt, repair)
        began = self.monotonic()
        tries: list[str] = []
        while True:
            left = deadline - timedelta(seconds=self.monotonic() - began)
            try:
                answer = self._try(sent, left)
            except ModelUnavailable as failure:
                left = deadline - timedelta(seconds=self.monotonic() - began)
                self._pause(failure, tries, left)
            except BudgetExhausted as failure:
                if not tries:
                    raise
                raise ModelUnavailable(f"{tries[-1]}; not asked again: {failure}") from None
            else:
                took = self.monotonic() - began
                return replace(answer, latency_ms=round(took * 1000), tries=tuple(tries))

    def _try(self, prompt: Prompt, left: timedelta) -> Completion:
        tokens = prompt.estimated_tokens + self.request.most_output
        self.gate.enter(tokens, left - SHORTEST_TRY)
        most = Usage(input_tokens=prompt.estimated_tokens, output_tokens=self.request.most_output)
        try:
            settle = self.till.reserve(most)
        except BudgetExhausted:
            self.gate.leave()
            raise
        try:
            answer = self.request.send(prompt, left)
        except ModelUnavailable as failure:
            self.gate.report(failure)
            if not failure.may_be_charged:
                settle(None)
            raise
        except ModelTimedOut as failure:
            self.gate.report(failure)
            raise
        self.gate.report(None)
        if answer.cost is not None:
            return replace(answer, cost=settle(answer.usage, answer.cost))
        if answer.usage == Usage():  # the host counts nothing: what it charges, nobody knows
            return answer
        return replace(answer, cost=settle(answer.usage))

    def _pause(self, failure: ModelUnavailable, tries: list[str], left: timedelta) -> None:
        """Wait before another try. Raises the failure when there is none, with what went before."""
        tries.append(str(failure))
        wait = failure.retry_after or FIRST_PAUSE * 2 ** (len(tries) - 1)
        if not failure.is_temporary or len(tries) >= TRIES:
            raise _after(failure, tries)
        if wait + SHORTEST_TRY > left:
            raise _after(
                failure, tries, f"; it takes {_seconds(wait)} and {_seconds(left)} are left"
            )
        self.sleep(wait.total_seconds())


def _after(failure: ModelUnavailable, tries: list[str], why: str = "") -> ModelUnavailable:
    before = f", after {len(tries) - 1} more" if len(tries) > 1 else ""
    return ModelUnavailable(
        f"{failure}{before}{why}",
        is_temporary=failure.is_temporary,
        retry_after=failure.retry_after,
        may_be_charged=failure.may_be_charged,
        is_about_key=failure.is_about_key,
    )


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.0f} s"
