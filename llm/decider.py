"""One question to a model: ask, read, ask once more when the answer can't be read, and say what came.

It never raises for what a model said or failed to say: each ends as a `Decision` with its outcome, and
everything but DECIDED holds all instruments. It reads no clock: a call's own latency counts against
the deadline. The traps avoided: a repair that goes on for ever, an answer cut off at the token limit
taken for a whole one, and a late answer that trades.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from llm.domain import Completion, Decision, DecisionOutcome, Prompt
from llm.errors import (
    BudgetExhausted,
    DecisionUnreadable,
    ModelRefused,
    ModelTimedOut,
    ModelUnavailable,
)
from llm.parsing import ParsedDecision, parse_decision
from llm.ports import ChatModel
from llm.prompts import with_repair
from market.domain.enums import PositionSide

SHORTEST_REPAIR = timedelta(seconds=2)
REASON_CAP = 500

CUT_OFF_REASONS = frozenset({"max_tokens", "length", "max_output_tokens"})
REFUSAL_REASONS = frozenset({"refusal", "content_filter"})

_OUTCOME_OF: dict[type[Exception], DecisionOutcome] = {
    ModelUnavailable: DecisionOutcome.UNAVAILABLE,
    ModelTimedOut: DecisionOutcome.TIMED_OUT,
    ModelRefused: DecisionOutcome.REFUSED,
    BudgetExhausted: DecisionOutcome.OVER_BUDGET,
}
_FAILURES = tuple(_OUTCOME_OF)
_MADE_OF_TEXT = frozenset(
    {DecisionOutcome.DECIDED, DecisionOutcome.UNREADABLE, DecisionOutcome.REFUSED}
)


@dataclass(slots=True)
class _Evidence:
    """What was sent and what came back, call by call. A call that failed has a prompt only."""

    prompts: list[Prompt] = field(default_factory=list)
    completions: list[Completion] = field(default_factory=list)


def ask(
    chat: ChatModel,
    prompt: Prompt,
    facts: Mapping[str, object],
    *,
    deadline: timedelta,
    trader: str,
) -> Decision:
    """Ask for a decision within `deadline`, both tries together.

    Raises nothing for the four failures a ChatModel may raise; a provider's bug goes through.
    """
    evidence = _Evidence()
    try:
        completion = _call(chat, prompt, evidence, deadline)
    except _FAILURES as failure:
        return _held(trader, _outcome(failure), _reason(failure), evidence, facts)
    decision = _read(trader, evidence, facts, deadline)
    if decision.outcome is not DecisionOutcome.UNREADABLE:
        return decision
    left = deadline - timedelta(milliseconds=completion.latency_ms)
    if left < SHORTEST_REPAIR:
        return replace(decision, reason=f"{decision.reason}; no time for a second try")
    try:
        _call(chat, prompt, evidence, left, repair=decision.reason)
    except _FAILURES as failure:
        if isinstance(failure, BudgetExhausted):
            evidence.prompts.pop()  # it never left
        reason = f"{decision.reason}; the second try failed: {_reason(failure)}"
        return _held(trader, DecisionOutcome.UNREADABLE, reason, evidence, facts)
    return _read(trader, evidence, facts, deadline)


def reread(decision: Decision) -> Decision:
    """The decision that its own record makes today: its completions read again, offline (P6).

    Equal to `decision` unless the parser changed. What no text decided (no answer, too late, over the
    budget, a baseline) is returned as it is. Raises ValueError when the record has no facts.
    """
    if not decision.completions or decision.outcome not in _MADE_OF_TEXT:
        return decision
    if decision.facts is None:
        raise ValueError("the record of a model's answer has no facts to read it against")
    prompts = list(decision.prompts)
    if len(prompts) > 1:
        _, _, wrong = _meaning(decision.completions[0], decision.facts)
        prompts[1] = with_repair(prompts[0], wrong)
    evidence = _Evidence(prompts, list(decision.completions))
    parsed, outcome, reason = _meaning(decision.completions[-1], decision.facts)
    if outcome is decision.outcome and decision.reason.startswith(reason):
        reason = decision.reason  # what `ask` added to it was no text's doing
    return _decision(decision.trader, parsed, outcome, reason, evidence, decision.facts)


def _call(
    chat: ChatModel,
    prompt: Prompt,
    evidence: _Evidence,
    deadline: timedelta,
    repair: str | None = None,
) -> Completion:
    evidence.prompts.append(prompt if repair is None else with_repair(prompt, repair))
    completion = chat.complete(prompt, deadline=deadline, repair=repair)
    evidence.completions.append(completion)
    return completion


def _read(
    trader: str, evidence: _Evidence, facts: Mapping[str, object], deadline: timedelta
) -> Decision:
    took = timedelta(milliseconds=sum(one.latency_ms for one in evidence.completions))
    if took > deadline:
        reason = f"the answer came after {took.total_seconds():.1f} s"
        return _held(trader, DecisionOutcome.TIMED_OUT, reason, evidence, facts)
    parsed, outcome, reason = _meaning(evidence.completions[-1], facts)
    return _decision(trader, parsed, outcome, reason, evidence, facts)


def _meaning(
    completion: Completion, facts: Mapping[str, object]
) -> tuple[ParsedDecision, DecisionOutcome, str]:
    """What one completion states, the outcome that it makes, and the reason when it states nothing."""
    nothing = ParsedDecision()
    if completion.stop_reason in REFUSAL_REASONS:
        return nothing, DecisionOutcome.REFUSED, "the model declined to answer"
    if completion.stop_reason in CUT_OFF_REASONS:
        reason = "the answer was cut off at the token limit; answer in fewer words"
        return nothing, DecisionOutcome.UNREADABLE, reason
    try:
        return _parsed(completion.text, facts), DecisionOutcome.DECIDED, ""
    except DecisionUnreadable as error:
        return nothing, DecisionOutcome.UNREADABLE, str(error)[:REASON_CAP]


def _parsed(text: str, facts: Mapping[str, object]) -> ParsedDecision:
    """Read a text against the `reading` of stored facts."""
    reading: Any = facts["reading"]
    held = dict.fromkeys(reading["symbols"], PositionSide.FLAT)
    held.update({symbol: PositionSide(side) for symbol, side in reading["held"]})
    return parse_decision(
        text,
        reading["symbols"],
        equity=Decimal(reading["equity"]),
        held=held,
        close_or_keep=reading["close_or_keep"],
    )


def _outcome(failure: Exception) -> DecisionOutcome:
    return next(outcome for error, outcome in _OUTCOME_OF.items() if isinstance(failure, error))


def _reason(failure: Exception) -> str:
    return (str(failure) or type(failure).__name__)[:REASON_CAP]


def _held(
    trader: str,
    outcome: DecisionOutcome,
    reason: str,
    evidence: _Evidence,
    facts: Mapping[str, object],
) -> Decision:
    return _decision(trader, ParsedDecision(), outcome, reason, evidence, facts)


def _decision(
    trader: str,
    parsed: ParsedDecision,
    outcome: DecisionOutcome,
    reason: str,
    evidence: _Evidence,
    facts: Mapping[str, object],
) -> Decision:
    return Decision(
        trader=trader,
        outcome=outcome,
        summary=parsed.summary,
        items=parsed.items,
        void=parsed.void,
        notes=parsed.notes,
        reason=reason,
        prompts=tuple(evidence.prompts),
        completions=tuple(evidence.completions),
        facts=facts,
    )
