"""A cycle is run for a slot or a request; what dead ones left behind is swept."""

import logging
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from bots import events, leases, looks, models, retention, runtime, thinning
from bots.cycle import run_cycle
from bots.domain.bot import BotStatus
from bots.domain.events import EventKind
from bots.domain.records import CycleOutcome, CycleRecord
from bots.enqueue import enqueue
from bots.models import CLOSING, ActionStatus
from bots.services.ending import under_way
from bots.services.halting import complete_halts

logger = logging.getLogger(__name__)

ACTION_TAKES = timedelta(minutes=2)
"""An action that has been under way for longer has lost its worker."""
ACTION_WAITS = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A cycle that was run, and how long its stages took, in milliseconds."""

    record: CycleRecord
    stages: tuple[tuple[str, float], ...]
    total_ms: float


def run_slot(bot_id: UUID, slot: str) -> Run | None:
    """Run the decision of a slot. None when the bot is not ACTIVE, the slot was taken before, another
    cycle is running or somebody keeps the desk. Raises LeaseLost, runtime.CannotTrade, and whatever a
    defect raises: then the cycle has been given up."""
    bot = runtime.load_bot(bot_id)
    if bot.status != BotStatus.ACTIVE:
        return None
    return _run(bot, slot)


def run_requested(bot_id: UUID, request_id: str) -> Run | None:
    """Run a decision out of turn, whatever the bot's status but ARCHIVED: what is not ACTIVE opens
    nothing. None when this request was run before or another cycle is running. Raises as `run_slot`."""
    bot = runtime.load_bot(bot_id)
    if bot.status == BotStatus.ARCHIVED:
        raise runtime.CannotTrade(f"{bot.name} is archived")
    return _run(bot, f"run:{request_id}")


def _run(bot: models.Bot, slot: str) -> Run | None:
    running = runtime.open_desk(bot)
    try:
        with under_way(running.ledger.owner):
            record = run_cycle(running.desk, slot)
    except BaseException as error:
        _give_up(bot, running, slot, f"{type(error).__name__}: {error}")
        raise
    if record.outcome is CycleOutcome.SKIPPED:
        return None
    running.finish()
    return Run(
        record=record, stages=tuple(running.stages.taken), total_ms=running.stages.total_ms()
    )


def _give_up(bot: models.Bot, running: runtime.Running, slot: str, reason: str) -> None:
    """End a failed cycle without a record, and tell so."""
    cycle_id = running.ledger.cycle_id
    if cycle_id is None:
        return
    told = {"id": str(cycle_id), "slot": slot, "outcome": "FAILED", "reason": reason[:200]}
    with transaction.atomic():
        if leases.give_up_cycle(cycle_id, running.ledger.owner, reason):
            events.emit(bot.pk, [(timezone.now(), EventKind.CYCLE, told)])


def sweep() -> dict[str, int]:
    """Mark dead cycles ABANDONED, complete the flattens of halts, send actions again that nobody took, and
    closes whose worker died (what is closed twice is closed once; an order by hand has failed), delete looks
    that nobody needs any more, and records and points of equity that are kept no longer; how many of each."""
    abandoned = leases.abandon_expired()
    completed = complete_halts()
    now = timezone.now()
    lost = models.ManualAction.objects.filter(
        status=ActionStatus.RUNNING, taken_at__lt=now - ACTION_TAKES
    )
    failed = lost.exclude(kind__in=CLOSING).update(
        status=ActionStatus.FAILED, done_at=now, result={"error": "whoever ran it is gone"}
    )
    lost.update(status=ActionStatus.PENDING)
    waiting = models.ManualAction.objects.filter(
        status=ActionStatus.PENDING, requested_at__lt=now - ACTION_WAITS
    ).values_list("pk", flat=True)[:1000]
    for action_id in waiting:
        enqueue("bots.perform_action", action_id=str(action_id))
    return {
        "abandoned": abandoned,
        "halts_completed": completed,
        "lost_actions": failed,
        "sent_again": len(waiting),
        "looks_deleted": looks.prune(now),
        "records_deleted": retention.prune(now),
        "points_deleted": thinning.thin(now),
    }
