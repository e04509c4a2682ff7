"""Recompute a recorded decision from its bytes: prompt, parse, plan and verdict, offline (promise P6).

Only the record is read: no feed, no model, no clock. Whatever differs is named, so that a change of
template, parser or rule can't pass for a change of the past.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from bots.domain.records import Plan
from bots.planning import plan_decision
from llm.decider import reread
from llm.domain import Decision, Prompt
from llm.prompts import render_facts
from market.domain.canonical import canonical_bytes
from risk.domain import Limits, RiskContext, Verdict
from risk.engine import review


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun:
    """What a record recomputes to; `differences` names each stage that came out otherwise."""

    differences: tuple[str, ...]


def rerun(evidence: bytes) -> Rerun:
    """Recompute a `CycleRecord.evidence()`. Raises ValueError when the bytes are no such record."""
    raw: Mapping[str, Any] = json.loads(evidence)
    differences = []
    decision = _read(Decision, raw["decision"]) if raw.get("decision") is not None else None
    if decision is not None and decision.prompts:
        differences += _prompt_differences(decision)
        differences += _parse_differences(decision)
    if decision is not None and raw.get("context") is not None:
        context, limits = _read(RiskContext, raw["context"]), _read(Limits, raw["limits"])
        plan = plan_decision(decision, context, limits)
        if canonical_bytes(plan) != canonical_bytes(_read(Plan, raw["plan"])):
            differences.append("plan")
        verdict = review(plan.intents, context, limits) if plan.intents else Verdict()
        if canonical_bytes(verdict) != canonical_bytes(_read(Verdict, raw["verdict"])):
            differences.append("verdict")
    return Rerun(differences=tuple(differences))


def _read(kind: type[Any], raw: object) -> Any:
    """A frozen dataclass from its canonical JSON."""
    return TypeAdapter(kind).validate_python(raw)
