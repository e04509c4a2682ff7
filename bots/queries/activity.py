"""What a bot is doing: the decision under way, the next one due, what people asked of it, what halts it.

Times are given, never ages: who shows them counts. Nothing is read off a clock but when the next tick is due.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q

from bots import models
from bots.domain.bot import BotStatus, Schedule
from bots.domain.slots import latest_tick, phase
from bots.models import ActionStatus

MOST_HALTS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Underway:
    """A cycle that runs."""

    id: UUID
    started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person asked of the desk and is not done yet. `wanted`: such as the symbol of a close. `left`: what it
    could not close when it last tried, and `reason` why, where that is known."""

    kind: str
    wanted: dict[str, Any]
    by: str
    at: datetime
    is_taken: bool
    left: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltOver:
    """A halt that covers a bot: BOT, USER or ALL. `resumed_at` None: it is in force."""

    scope: str
    reason: str
    flatten: bool
    halted_by: str
    halted_at: datetime
    resumed_by: str
    resumed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What goes on. `halts` are those in force, the latest first."""

    running: Underway | None
    asked: tuple[Asked, ...]
    halts: tuple[HaltOver, ...]


def activity_of(bot: models.Bot) -> Activity:
    """What a bot is doing now. Three queries."""
    running = models.TradingCycle.objects.filter(bot=bot, status=models.CycleStatus.RUNNING)
    cycle = running.only("pk", "started_at").first()
    waiting = models.ManualAction.objects.filter(
        bot=bot, status__in=(ActionStatus.PENDING, ActionStatus.RUNNING)
    ).order_by("requested_at")
    return Activity(
        running=None if cycle is None else Underway(id=cycle.pk, started_at=cycle.started_at),
        asked=tuple(_asked(row) for row in waiting),
        halts=halts_of(bot, in_force=True),
    )


def halts_of(bot: models.Bot, *, in_force: bool = False) -> tuple[HaltOver, ...]:
    """The last 50 halts that cover or covered the bot, the latest first; only those in force. One query."""
    covers = Q(bot=bot) | Q(user=bot.owner_id) | Q(scope=models.HaltScope.ALL)
    found = models.TradingHalt.objects.filter(covers)
    if in_force:
        found = found.filter(resumed_at__isnull=True)
    return tuple(_halt(row) for row in found.order_by("-halted_at", "-pk")[:MOST_HALTS])


def next_tick(bot: models.Bot, now: datetime) -> datetime | None:
    """When the bot's next decision is sent for; None while it is not ACTIVE. No query."""
    if bot.status != BotStatus.ACTIVE:
        return None
    began = bot.started_at or bot.created_at
    after = phase(bot.cohort or bot.pk, bot.interval_seconds, Schedule(bot.schedule), began)
    interval = timedelta(seconds=bot.interval_seconds)
    return latest_tick(now, interval, after) + interval


def _asked(row: models.ManualAction) -> Asked:
    return Asked(
        kind=row.kind,
        wanted=row.wanted,
        by=row.requested_by,
        at=row.requested_at,
        is_taken=row.status == ActionStatus.RUNNING,
        left=(
            *row.result.get("left", {}),
            *(f"entry {order_id[:8]}" for order_id in row.result.get("entries_left", ())),
        ),
        reason=row.result.get("reason", "the last try failed" if "error" in row.result else ""),
    )


def _halt(row: models.TradingHalt) -> HaltOver:
    return HaltOver(
        scope=row.scope,
        reason=row.reason,
        flatten=row.flatten,
        halted_by=row.halted_by,
        halted_at=row.halted_at,
        resumed_by=row.resumed_by,
        resumed_at=row.resumed_at,
    )
