"""The requests of a decision as rows: what each used, cost and came to."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from llm.domain import Completion, Decision, DecisionOutcome, Prompt
from llm.models import LLMCall, ModelProfile


def record_calls(
    cost_center: str, decision: Decision, profile: ModelProfile | None, at: datetime
) -> list[LLMCall]:
    """Store one row per request that the decision made, answered or not, in one insert.

    A prompt that was never sent (over the budget) and a baseline's decision make none.
    """
    return LLMCall.objects.bulk_create(
        LLMCall(
            at=at,
            cost_center=cost_center,
            profile=profile,
            trader=decision.trader,
            template_name=prompt.template_name,
            template_version=prompt.template_version,
            template_hash=prompt.template_hash,
            outcome=outcome,
            error="" if outcome is DecisionOutcome.DECIDED else error,
            **_used_up(completion),
        )
        for prompt, completion, outcome, error in _calls(decision)
    )


def _calls(
    decision: Decision,
) -> Iterator[tuple[Prompt, Completion | None, DecisionOutcome, str]]:
    """(prompt, answer or None, outcome, error) of each request: what a second try had to repair was
    unreadable, the last request came to what the decision says."""
    if not decision.completions and decision.outcome is DecisionOutcome.OVER_BUDGET:
        return
    last = len(decision.prompts) - 1
    for number, prompt in enumerate(decision.prompts):
        answered = number < len(decision.completions)
        completion = decision.completions[number] if answered else None
        if number < last:
            yield prompt, completion, DecisionOutcome.UNREADABLE, "asked once more"
        else:
            yield prompt, completion, decision.outcome, decision.reason


def _used_up(completion: Completion | None) -> dict[str, Any]:
    """The columns of what a request used; the cost of one without an answer is unknown."""
    if completion is None:
        return {"cost": None, "latency_ms": None}
    return {
        "model": completion.model,
        "input_tokens": completion.usage.input_tokens,
        "output_tokens": completion.usage.output_tokens,
        "cached_tokens": completion.usage.cached_tokens,
        "written_tokens": completion.usage.written_tokens,
        "cost": completion.cost,
        "latency_ms": completion.latency_ms,
    }
