"""Events: what changed, numbered without holes per bot, in the transaction of the change itself.

It tells, and decides nothing. Readers resume by (bot, sequence). The trap avoided: a number that runs
over all bots, whose commits arrive out of order.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F

from bots import models, wake
from bots.domain.events import EventKind
from bots.domain.records import CycleRecord
from llm.domain import DecisionAction, DecisionItem
from market.domain.numbers import plain
from risk.domain import Verdict

Told = tuple[datetime, EventKind, dict[str, Any]]
"""(when, what, with what)."""

SUMMARY_CAP = 2000


def insert(bot_id: UUID, last: int, told: Sequence[Told]) -> None:
    """Store events under the numbers after `last`, which the caller has allocated."""
    if told:
        models.Event.objects.bulk_create(
            models.Event(bot_id=bot_id, sequence=sequence, at=at, kind=kind, payload=payload)
            for sequence, (at, kind, payload) in enumerate(told, start=last + 1)
        )
        wake.after_commit()


def emit(bot_id: UUID, told: Sequence[Told]) -> None:
    """Tell something without holding the desk: for services, inside their transaction."""
    models.Bot.objects.filter(pk=bot_id).update(event_sequence=F("event_sequence") + len(told))
    last = models.Bot.objects.values_list("event_sequence", flat=True).get(pk=bot_id)
    insert(bot_id, last - len(told), told)


def cycle_columns(record: CycleRecord, data: bytes) -> dict[str, Any]:
    """The columns of a cycle that has ended; `data` is its whole record, packed."""
    decision, verdict = record.decision, record.verdict
    columns: dict[str, Any] = {
        "status": models.CycleStatus.DONE,
        "started_at": record.started_at,
        "ended_at": record.ended_at,
        "outcome": record.outcome,
        "reason": record.reason,
        "trading_state": record.trading_state,
        "order_ids": list(record.order_ids),
        "equity": record.equity,
        "record": data,
    }
    if record.limits is not None:
        columns["profile"] = f"{record.limits.name} v{record.limits.version}"
    if decision is not None:
        columns |= {
            "trader": decision.trader[:120],
            "decision": decision.outcome,
            "summary": decision.summary[:SUMMARY_CAP],
            "reason": record.reason or decision.reason,
            "llm_cost": decision.cost,
            "actions": [
                _action(item, verdict)
                for item in decision.items
                if item.action is not DecisionAction.HOLD
            ],
        }
    if verdict is not None:
        columns["denials"] = [
            {"symbol": denial.symbol, "code": denial.code, "context": dict(denial.context)}
            for denial in verdict.denials
        ]
        columns["clamps"] = [
            {
                "symbol": ruling.intent.symbol,
                "code": clamp.code,
                "before": plain(clamp.before),
                "after": plain(clamp.after),
            }
            for ruling in verdict.rulings
            for clamp in ruling.clamps
        ]
    return columns


def _action(item: DecisionItem, verdict: Verdict | None) -> dict[str, Any]:
    """An item as a list shows it: what was said of size and levels, as text, and whether anything of it was
    approved. What was not said is left out, but for the confidence; so is the ruling where nothing was
    judged."""
    said = {
        "leverage": item.leverage,
        "stop": item.stop_loss,
        "target": item.take_profit,
        "fraction": item.reduce_fraction,
    }
    rulings = () if verdict is None else verdict.rulings
    judged = [one.approved is not None for one in rulings if one.intent.symbol == item.symbol]
    return {
        "symbol": item.symbol,
        "action": item.action,
        "confidence": None if item.confidence is None else plain(item.confidence),
        **{name: plain(value) for name, value in said.items() if value is not None},
        **({"approved": any(judged)} if judged else {}),
    }


def cycle_event(cycle_id: UUID, record: CycleRecord) -> tuple[EventKind, dict[str, Any]]:
    """What is told of a cycle that has ended."""
    return EventKind.CYCLE, {
        "id": str(cycle_id),
        "slot": record.slot,
        "outcome": record.outcome,
        "orders": len(record.order_ids),
    }
