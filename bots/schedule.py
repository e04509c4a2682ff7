"""What the scheduler sends and when: one entry per ACTIVE bot, one per shard of marks, the sweep, the alerts.

The bot's row is the truth and the entry its shadow: a tick for a bot that may not run does nothing. Entries
are saved and deleted one by one, because the scheduler does not hear of a QuerySet's update or delete.
Lock order is the bot's row, then the scheduler's own rows, so that nobody waits in a circle.
"""

import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from bots import models
from bots.domain.bot import BotStatus, Schedule
from bots.domain.slots import due_slot, phase

RUN_CYCLE: Final = "bots.run_cycle"
MARK_SHARD: Final = "bots.mark_shard"
SWEEP: Final = "bots.sweep"
SWEEP_SECONDS: Final = 60
ALERT_TASKS: Final = {"alerts scan": "alerts.scan", "alerts delivery": "alerts.deliver"}
"""Entry → task of the alerts, which the desk knows by these names only."""
ALERT_SECONDS: Final = 15
PHASE_HEADER: Final = "phase_ms"
"""The header in which an entry keeps its phase; one without is no entry of ours."""
_OUR_NAME: Final = re.compile(r"bot [0-9a-f-]{36}|mark shard \d+|sweep|alerts \w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of the schedule: a task sent every so many seconds, `phase` after multiples of them."""

    name: str
    task: str
    seconds: int
    phase: timedelta = timedelta(0)
    arguments: dict[str, str | int] = field(default_factory=dict)

    def columns(self) -> dict[str, Any]:
        """The values of its row, its interval left out."""
        return {
            "task": self.task,
            "args": "[]",
            "kwargs": json.dumps(self.arguments),
            "queue": settings.CELERY_TASK_ROUTES[self.task]["queue"],
            "headers": json.dumps({PHASE_HEADER: self.phase // timedelta(milliseconds=1)}),
            # Not `expires`: that is the day on which the whole schedule ends.
            "expire_seconds": max(self.seconds - 1, 1),
            "expires": None,
            "start_time": None,
            "one_off": False,
            "enabled": True,
            "crontab_id": None,
            "solar_id": None,
            "clocked_id": None,
        }


def slot_due(bot: models.Bot, now: datetime) -> datetime:
    """The latest slot of a bot that is due."""
    return due_slot(now, bot.interval_seconds, Schedule(bot.schedule), _started_at(bot))


def schedule_bot(bot: models.Bot) -> None:
    """Let the scheduler tick for this bot, as its row says now. In the caller's transaction, which holds
    the bot's row."""
    _store(_entry_of(bot))


def unschedule_bot(bot_id: UUID) -> None:
    """Let the scheduler tick for this bot no more. In the caller's transaction, which holds its row."""
    _delete(_name_of(bot_id))


def sync_schedule() -> dict[str, int]:
    """Bring the whole schedule in line with the bots: how many entries were created, mended, deleted.

    Two queries when nothing is amiss. Each repair is a transaction of its own that reads the bot again.
    """
    done = {"created": 0, "mended": 0, "deleted": 0}
    stored = {row.name: row for row in _stored_entries()}
    wanted = {entry.name: (bot_id, entry) for bot_id, entry in _wanted()}
    for name, (bot_id, entry) in wanted.items():
        row = stored.get(name)
        if row is None or _differs(row, entry):
            done["created" if row is None else "mended"] += _repair(bot_id, entry)
    for name, row in stored.items():
        if name not in wanted:
            done["deleted"] += _remove(row)
    return done


def _started_at(bot: models.Bot) -> datetime:
    return bot.started_at or bot.created_at


def _name_of(bot_id: UUID) -> str:
    return f"bot {bot_id}"


def _entry_of(bot: models.Bot) -> Entry:
    schedule = Schedule(bot.schedule)
    return Entry(
        name=_name_of(bot.pk),
        task=RUN_CYCLE,
        seconds=bot.interval_seconds,
        phase=phase(bot.cohort or bot.pk, bot.interval_seconds, schedule, _started_at(bot)),
        arguments={"bot_id": str(bot.pk)},
    )


def _fixed_entries() -> list[Entry]:
    """The entries that no bot owns. The shards' marks are spread over their interval."""
    seconds, shards = settings.MARK_SECONDS, settings.MARK_SHARDS
    marks = [
        Entry(
            name=f"mark shard {shard}",
            task=MARK_SHARD,
            seconds=seconds,
            phase=timedelta(seconds=seconds) * shard / shards,
            arguments={"shard": shard, "of": shards},
        )
        for shard in range(shards)
    ]
    alerts = [
        Entry(name=name, task=task, seconds=ALERT_SECONDS) for name, task in ALERT_TASKS.items()
    ]
    return [*marks, Entry(name="sweep", task=SWEEP, seconds=SWEEP_SECONDS), *alerts]


def _wanted() -> list[tuple[UUID | None, Entry]]:
    active = models.Bot.objects.filter(status=BotStatus.ACTIVE)
    bots = active.only("interval_seconds", "schedule", "cohort", "started_at", "created_at")
    return [
        *((bot.pk, _entry_of(bot)) for bot in bots),
        *((None, entry) for entry in _fixed_entries()),
    ]


def _stored_entries() -> list[PeriodicTask]:
    """Our entries; those that a person made for tasks of ours under other names are left alone."""
    ours = [RUN_CYCLE, MARK_SHARD, SWEEP, *ALERT_TASKS.values()]
    rows = PeriodicTask.objects.filter(task__in=ours)
    return [row for row in rows.select_related("interval") if _OUR_NAME.fullmatch(row.name)]


def _differs(row: PeriodicTask, entry: Entry) -> bool:
    if row.interval is None or timedelta(seconds=entry.seconds) != row.interval.schedule.run_every:
        return True
    return any(getattr(row, name) != value for name, value in entry.columns().items())


def _repair(bot_id: UUID | None, entry: Entry) -> bool:
    """Store an entry, unless its bot was stopped meanwhile; whether it was done."""
    try:
        with transaction.atomic():
            if bot_id is not None:
                bot = models.Bot.objects.select_for_update().get(pk=bot_id)
                if bot.status != BotStatus.ACTIVE:
                    return False
                entry = _entry_of(bot)
            _store(entry)
    except (IntegrityError, ValidationError):
        return False  # another scheduler started at the same time, and was first
    return True


def _remove(row: PeriodicTask) -> bool:
    """Delete an entry, unless its bot was started meanwhile; whether it was done."""
    with transaction.atomic():
        if row.name.startswith("bot "):
            bot_id = UUID(row.name.removeprefix("bot "))
            bot = models.Bot.objects.select_for_update().filter(pk=bot_id).first()
            if bot is not None and bot.status == BotStatus.ACTIVE:
                return False
        return _delete(row.name)


def _store(entry: Entry) -> None:
    row = PeriodicTask.objects.filter(name=entry.name).select_related("interval").first()
    if row is None:
        row = PeriodicTask(name=entry.name)
    elif not _differs(row, entry):
        return
    for name, value in entry.columns().items():
        setattr(row, name, value)
    row.interval = _interval(entry.seconds)
    row.save()


def _delete(name: str) -> bool:
    row = PeriodicTask.objects.filter(name=name).first()
    if row is not None:
        row.delete()
    return row is not None


def _interval(seconds: int) -> IntervalSchedule:
    """The row of an interval. Nothing forbids two of the same, so the first is taken."""
    same = IntervalSchedule.objects.filter(every=seconds, period=IntervalSchedule.SECONDS)
    return same.order_by("pk").first() or IntervalSchedule.objects.create(
        every=seconds, period=IntervalSchedule.SECONDS
    )
