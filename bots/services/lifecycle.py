"""Start, pause, archive, run now: what an owner wants of a bot, stored with its schedule in one transaction.

A pause that flattens is the pause and an action of its own; closing never waits for a model.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID, uuid4

from django.db import transaction
from django.utils import timezone

from bots import events, models
from bots.domain.bot import STATUS_MOVES, BotStatus
from bots.domain.events import EventKind
from bots.enqueue import enqueue
from bots.schedule import schedule_bot, unschedule_bot
from bots.services.acting import check_request_id, flatten_bot
from bots.services.halting import is_covered, lock_in_order
from tradingagent.accounts.models import User
from tradingagent.accounts.services import audit


class NotNow(ValueError):
    """This can't be done with the bot as it stands; one sentence says why."""


def start_bot(bot_id: UUID, *, by: User | str) -> models.Bot:
    """Let a bot decide and open from now on; its first decision is due at once. Raises NotNow; for one of a
    cohort that has never run, too: those start together."""
    with transaction.atomic():
        return _started(bot_id, timezone.now(), by, is_alone=True)


def start_together(bot_ids: Iterable[UUID], *, by: User | str) -> datetime:
    """Let several bots decide from now on, all or none; the instant that those of them which never ran
    count as their start. Raises NotNow."""
    at = timezone.now()
    with transaction.atomic():
        for bot_id in _all_held(bot_ids):
            _started(bot_id, at, by)
    return at


def _started(bot_id: UUID, at: datetime, by: User | str, *, is_alone: bool = False) -> models.Bot:
    """The bot, started, in the caller's transaction. One of a cohort keeps its first start for ever: the
    cohort's grid is counted from there."""
    bot = _moved(bot_id, BotStatus.ACTIVE, by, "start_bot")
    if is_alone and bot.cohort is not None and bot.started_at is None:
        raise NotNow(f"{bot.name} runs beside others: all of them start at one instant, together")
    if bot.cohort is None or bot.started_at is None:
        bot.started_at = at
    bot.is_halted = is_covered(bot)
    bot.save(update_fields=["status", "started_at", "is_halted"])
    schedule_bot(bot)
    enqueue("bots.run_cycle", bot_id=str(bot.pk))
    return bot


def pause_bot(bot_id: UUID, *, by: User | str, flatten: bool = False) -> models.Bot:
    """Open nothing any more. Positions stay protected, or are closed now (`flatten`). Raises NotNow."""
    with transaction.atomic():
        bot = _moved(bot_id, BotStatus.PAUSED, by, "pause_bot")
        bot.save(update_fields=["status"])
        unschedule_bot(bot.pk)
        if flatten:
            flatten_bot(bot.pk, by=by)
    return bot


def pause_together(bot_ids: Iterable[UUID], *, by: User | str) -> None:
    """Pause several bots, all or none; what they hold stays protected. Raises NotNow."""
    with transaction.atomic():
        for bot_id in _all_held(bot_ids):
            pause_bot(bot_id, by=by)


def archive_bot(bot_id: UUID, *, by: User | str) -> models.Bot:
    """Put a bot away for good: flat, nothing resting. Raises NotNow."""
    with transaction.atomic():
        bot = _moved(bot_id, BotStatus.ARCHIVED, by, "archive_bot")
        if models.Position.objects.filter(bot=bot, is_dust=False).exists():
            raise NotNow(f"{bot.name} holds a position: flatten it first")
        if models.Order.objects.filter(bot=bot, status__in=models.LIVING_STATUSES).exists():
            raise NotNow(f"an order of {bot.name} still rests or is under way: flatten it first")
        bot.save(update_fields=["status"])
        unschedule_bot(bot.pk)
    return bot


def run_now(bot_id: UUID, *, by: User | str, request_id: str = "") -> str:
    """Ask for a decision out of turn; the request's id. The same id asks once. Raises NotNow,
    ValueError for an id that can't be."""
    check_request_id(request_id)
    request_id = request_id or uuid4().hex
    with transaction.atomic():
        bot = models.Bot.objects.get(pk=bot_id)
        if bot.status == BotStatus.ARCHIVED:
            raise NotNow(f"{bot.name} is archived")
        audit(by, "run_now", bot, after={"request_id": request_id})
        enqueue("bots.run_cycle", bot_id=str(bot.pk), request_id=request_id)
    return request_id


def _all_held(bot_ids: Iterable[UUID]) -> tuple[UUID, ...]:
    """These bots, all of them locked before the first one's schedule is touched: who holds a bot and wants the
    schedule must not meet one who holds the schedule and wants that bot."""
    return lock_in_order(models.Bot.objects.filter(pk__in=list(bot_ids)))


def _moved(bot_id: UUID, status: BotStatus, by: User | str, act: str) -> models.Bot:
    """The locked bot in its new status, not saved yet."""
    bot = models.Bot.objects.select_for_update(no_key=True).get(pk=bot_id)
    if status not in STATUS_MOVES[BotStatus(bot.status)]:
        raise NotNow(f"{bot.name} is {bot.status}: it can't become {status}")
    audit(by, act, bot, before={"status": bot.status}, after={"status": status})
    told = {"act": act, "status": status}
    events.emit(bot.pk, [(timezone.now(), EventKind.BOT, told)])
    bot.refresh_from_db(fields=["event_sequence"])
    bot.status = status
    return bot
