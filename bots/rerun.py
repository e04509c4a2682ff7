"""Recompute a recorded decision from its bytes: prompt, parse, plan and verdict, offline (promise P6).

Only the record is read: no feed, no model, no clock. Whatever differs is named, so that a change of
template, parser or rule can't pass for a change of the past.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import TypeAdapter

from bots.domain.records import ENGINE_VERSION, Plan
from bots.planning import in_two, plan_decision
from llm.decider import reread
from llm.domain import Decision, Prompt
from llm.prompts import render_facts
from market.domain.canonical import canonical_value
from risk.domain import Limits, RiskContext, Verdict
from risk.engine import review

Renderer = Callable[[Mapping[str, object]], Prompt]


STAGES = ("prompt", "parse", "plan", "verdict")
LONGEST_SHOWN = 200
NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Where a stage comes out otherwise today: the place in it, what was recorded there and what it is now."""

    stage: str
    path: str
    was: str
    now: str

    def __str__(self) -> str:
        return f"{self.stage} {self.path}: was {self.was}, is {self.now}"


def rerun(evidence: bytes, render: Renderer = render_facts) -> tuple[str, ...]:
    """The stages of a `CycleRecord.evidence()` that come out otherwise today; empty when all agree. As
    `differences`."""
    return tuple(dict.fromkeys(one.stage for one in differences(evidence, render)))


def differences(evidence: bytes, render: Renderer = render_facts) -> tuple[Difference, ...]:
    """What comes out otherwise today than in a `CycleRecord.evidence()`, in the order of the stages.

    `render` finds the template that the facts name (the built-in ones by default) and renders them. In a record
    of an earlier engine, a field that there was not yet is no difference. Raises ValueError when the bytes are
    no such record.
    """
    raw = json.loads(evidence)
    if not isinstance(raw, dict) or "decision" not in raw:
        raise ValueError("these bytes are no record of a cycle")
    if raw["decision"] is None:
        return ()
    compare = partial(_compare, is_older=raw.get("engine", 1) < ENGINE_VERSION)
    decision: Decision = TypeAdapter(Decision).validate_python(raw["decision"])
    found: list[Difference] = []
    if decision.prompts and decision.facts is not None:
        prompt = canonical_value(render(decision.facts))
        found += compare("prompt", raw["decision"]["prompts"][0], prompt)
        found += compare("parse", raw["decision"], canonical_value(reread(decision)))
    if raw["context"] is not None:
        plan, verdict = _judged(decision, raw)
        found += compare("plan", raw["plan"], canonical_value(plan))
        found += compare("verdict", raw["verdict"], canonical_value(verdict))
    return tuple(found)


def _judged(decision: Decision, raw: Mapping[str, Any]) -> tuple[Plan, Verdict]:
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
    return plan, Verdict(rulings=rulings)


def _compare(
    stage: str, was: Any, now: Any, path: str = "", *, is_older: bool
) -> Iterator[Difference]:
    """Every place where two values of JSON's own types differ."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in sorted(was.keys() | now.keys()):
            if key in was and key in now:
                yield from _compare(stage, was[key], now[key], f"{path}/{key}", is_older=is_older)
            elif key in was or not is_older:
                yield _difference(stage, f"{path}/{key}", was.get(key), now.get(key))
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for number, (before, after) in enumerate(zip(was, now, strict=True)):
            yield from _compare(stage, before, after, f"{path}/{number}", is_older=is_older)
    elif was != now:
        yield _difference(stage, path or "/", was, now)


def _difference(stage: str, path: str, was: Any, now: Any) -> Difference:
    return Difference(stage=stage, path=path, was=_shown(was, now), now=_shown(now, was))


def _shown(value: Any, other: Any) -> str:
    """A value as text; of two long texts the part where they begin to differ."""
    if value is None:
        return NOTHING
    if isinstance(value, str) and isinstance(other, str) and len(value) > LONGEST_SHOWN:
        at = next(
            (i for i, (a, b) in enumerate(zip(value, other, strict=False)) if a != b),
            min(len(value), len(other)),
        )
        start = max(0, at - LONGEST_SHOWN // 4)
        return f"…{value[start : start + LONGEST_SHOWN]}…"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
