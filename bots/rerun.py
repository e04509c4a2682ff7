"""Recompute a recorded decision from its bytes: prompt, parse, plan and verdict, offline (promise P6).

Only the record is read: no feed, no model, no clock. Whatever differs is named, so that a change of
template, parser or rule can't pass for a change of the past.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import TypeAdapter

from bots.planning import in_two, plan_decision
from llm.decider import reread
from llm.domain import Decision, Prompt
from llm.prompts import render_facts
from market.domain.canonical import canonical_value
from risk.domain import Limits, RiskContext, Verdict
from risk.engine import review

Renderer = Callable[[Mapping[str, object]], Prompt]


def rerun(evidence: bytes, render: Renderer = render_facts) -> tuple[str, ...]:
    """The stages of a `CycleRecord.evidence()` that come out otherwise today; empty when all agree.

    `render` finds the template that the facts name (the built-in ones by default) and renders them.
    Raises ValueError when the bytes are no such record.
    """
    raw = json.loads(evidence)
    if not isinstance(raw, dict) or "decision" not in raw:
        raise ValueError("these bytes are no record of a cycle")
    if raw["decision"] is None:
        return ()
    decision: Decision = TypeAdapter(Decision).validate_python(raw["decision"])
    differences = []
    if decision.prompts and decision.facts is not None:
        if canonical_value(render(decision.facts)) != raw["decision"]["prompts"][0]:
            differences.append("prompt")
        if canonical_value(reread(decision)) != raw["decision"]:
            differences.append("parse")
    if raw["context"] is not None:
        differences += _judgement(decision, raw)
    return tuple(differences)


def _judgement(decision: Decision, raw: Mapping[str, Any]) -> list[str]:
    context = TypeAdapter(RiskContext).validate_python(raw["context"])
    limits = TypeAdapter(Limits).validate_python(raw["limits"])
    plan = plan_decision(decision, context, limits)
    entry_context = context
    if raw["entry_context"] is not None:
        entry_context = TypeAdapter(RiskContext).validate_python(raw["entry_context"])
    first, later = in_two(plan.intents)
    rulings = (
        *review(first, context, limits).rulings,
        *review(later, entry_context, limits).rulings,
    )
    verdict = Verdict(rulings=rulings)
    differences = []
    if canonical_value(plan) != raw["plan"]:
        differences.append("plan")
    if canonical_value(verdict) != raw["verdict"]:
        differences.append("verdict")
    return differences
