"""The kill switch: nothing that opens leaves, for a bot, for a user's bots, for all; until a person resumes.

The halt is committed first, and every claim that opens looks for it. Then every bot in scope is flagged. A claim
locks its bot's row: one that came first has left and is named in the answer, one that comes later finds the halt.
"""

import logging
from dataclasses import dataclass
from uuid import UUID

from django.db import OperationalError, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from bots import acts, models, runtime, wake
from bots.domain.bot import BotStatus
from bots.domain.events import EventKind
from bots.leases import covered
from bots.models import HaltScope
from bots.services.acting import flatten_for_halt
from market.domain.enums import OrderPurpose, OrderStatus
from risk.domain import TradingState
from tradingagent.accounts.models import User
from tradingagent.accounts.services import SYSTEM, audit

logger = logging.getLogger(__name__)

IN_FLIGHT = (OrderStatus.SUBMITTED, OrderStatus.UNKNOWN)


class NothingToResume(ValueError):
    """No halt of this scope is in force."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Halted:
    """A halt in force: the bots it covers, the entries that had left before it, the flattens that began."""

    halt: models.TradingHalt
    bots: tuple[UUID, ...]
    in_flight: tuple[str, ...]
    actions: tuple[UUID, ...] = ()


def halt(
    *,
    by: User | str,
    reason: str = "",
    bot_id: UUID | None = None,
    user: User | None = None,
    flatten: bool = False,
) -> Halted:
    """Halt one bot, all bots of a user, or (neither) all there are; in force when this returns."""
    now, label = timezone.now(), by.email if isinstance(by, User) else by
    with transaction.atomic():
        row = models.TradingHalt.objects.create(
            scope=_scope(bot_id, user),
            bot_id=bot_id,
            user=user,
            reason=reason,
            flatten=flatten,
            halted_by=label,
            halted_at=now,
        )
        audit(by, "halt", row, after={"reason": reason, "flatten": flatten})
    # No claim that begins from here on passes, whatever stands in the way of the flags.
    ids, under_way = _flagged(row)
    actions = _flatten(row, by) if flatten else ()
    return Halted(halt=row, bots=ids, in_flight=under_way, actions=actions)


def _flagged(row: models.TradingHalt) -> tuple[tuple[UUID, ...], tuple[str, ...]]:
    """Flag the bots that a halt covers, once the claims under way have ended: these bots, and the entries that
    had left. A bot that a frozen process keeps locked is left to the sweep: it must not keep all others from it."""
    try:
        return _flag(row)
    except OperationalError:
        logger.exception("halt %s is in force, and a bot is locked for too long to be told", row.pk)
        return _flag(row, skip_locked=True)


def _flag(
    row: models.TradingHalt, *, skip_locked: bool = False
) -> tuple[tuple[UUID, ...], tuple[str, ...]]:
    with transaction.atomic():
        held = lock_in_order(_in_scope(row.bot_id, row.user), skip_locked=skip_locked)
        ids = _still_covered(held)
        _change(ids, is_halted=True, act="halt", reason=row.reason, by=row.halted_by)
        in_flight = models.Order.objects.filter(
            bot_id__in=ids, purpose=OrderPurpose.ENTRY, status__in=IN_FLIGHT
        )
        return ids, tuple(in_flight.values_list("pk", flat=True))


def _still_covered(held: tuple[UUID, ...]) -> tuple[UUID, ...]:
    """Those of the locked bots that a halt covers: somebody may have resumed while they were waited for."""
    found = models.Bot.objects.filter(covered(), pk__in=held).order_by("pk")
    return tuple(found.values_list("pk", flat=True))


def complete_halts() -> int:
    """Flag the bots that a halt covers and did not find or reach, and ask for the flattens that a halt wanted
    and nobody asked for: it died, or a fill came late; how many flattens."""
    missed = models.Bot.objects.filter(
        covered(), status__in=[BotStatus.ACTIVE, BotStatus.PAUSED], is_halted=False
    )
    with transaction.atomic():
        ids = _still_covered(lock_in_order(missed, skip_locked=True))
        _change(ids, is_halted=True, act="halt", reason="covered by a halt", by=SYSTEM)
    wanted = models.TradingHalt.objects.filter(flatten=True, resumed_at__isnull=True)
    return sum(len(_flatten(row, row.halted_by)) for row in wanted.select_related("user"))


def _flatten(row: models.TradingHalt, by: User | str) -> tuple[UUID, ...]:
    """Flatten every bot in a halt's scope that holds something, each in its own transaction."""
    found = []
    for bot_id in _held(_in_scope(row.bot_id, row.user)):
        try:
            action = flatten_for_halt(bot_id, row.pk, by=by)
        except OperationalError:  # a frozen process keeps it locked: the sweep asks again
            logger.exception("the flatten of %s could not be asked for", bot_id)
            continue
        if action is not None:
            found.append(action.pk)
    return tuple(found)


def resume(
    *,
    by: User | str,
    bot_id: UUID | None = None,
    user: User | None = None,
    reason: str = "",
) -> tuple[models.TradingHalt, ...]:
    """End the halts of exactly this scope; a bot stays halted while a wider one covers it. Resuming one
    bot also ends what its hard drawdown has halted, first of all: while that can't be done, nothing is resumed.
    Who and why stand in the audit trail. Raises NothingToResume, DeskBusy, VenueUnavailable."""
    label = by.email if isinstance(by, User) else by
    resumed = bot_id is not None and _resume_breakers(bot_id, by, reason)
    with transaction.atomic():
        ended = tuple(
            models.TradingHalt.objects.select_for_update().filter(
                Q(bot=bot_id) if bot_id is not None else Q(bot__isnull=True),
                scope=_scope(bot_id, user),
                user=user,
                resumed_at__isnull=True,
            )
        )
        for row in ended:
            row.resumed_by, row.resumed_at = label, timezone.now()
            row.save(update_fields=["resumed_by", "resumed_at"])
            audit(by, "resume", row, after={"reason": reason})
        if ended:
            lock_in_order(
                _in_scope(bot_id, user)
            )  # a halt that is made has to wait, or has been made
            free = _in_scope(bot_id, user).exclude(covered())
            ids = tuple(free.values_list("pk", flat=True))
            _change(ids, is_halted=False, act="resume", reason=reason, by=label)
    if not ended and not resumed:
        raise NothingToResume("nothing is halted here")
    return ended


def _resume_breakers(bot_id: UUID, by: User | str, reason: str) -> bool:
    """End what the hard drawdown has halted; the venue is asked only where it has."""
    state = models.BotState.objects.filter(bot=bot_id, trading_state=TradingState.HALTED)
    if not state.exists():
        return False
    running = runtime.open_desk(runtime.load_bot(bot_id), decides=False)
    if not acts.resume_breakers(running.desk):
        return False
    running.finish()
    audit(by, "resume_breakers", running.bot, after={"reason": reason})
    return True


def _scope(bot_id: UUID | None, user: User | None) -> HaltScope:
    if bot_id is not None and user is not None:
        raise ValueError("halt a bot or a user, not both")
    if bot_id is not None:
        return HaltScope.BOT
    return HaltScope.ALL if user is None else HaltScope.USER


def _in_scope(bot_id: UUID | None, user: User | None) -> QuerySet[models.Bot]:
    bots = models.Bot.objects.exclude(status=BotStatus.ARCHIVED)
    if bot_id is not None:
        return bots.filter(pk=bot_id)
    return bots if user is None else bots.filter(owner=user)


def is_covered(bot: models.Bot) -> bool:
    """True while a halt covers this bot: one made after the halt, too."""
    return models.Bot.objects.filter(covered(), pk=bot.pk).exists()


def _change(ids: tuple[UUID, ...], *, is_halted: bool, act: str, reason: str, by: str) -> None:
    """Set the flag on every bot and tell each, in three queries however many there are, none for none."""
    if not ids:
        return
    models.Bot.objects.filter(pk__in=ids).update(
        is_halted=is_halted, event_sequence=F("event_sequence") + 1
    )
    now = timezone.now()
    models.Event.objects.bulk_create(
        models.Event(
            bot_id=bot_id,
            sequence=sequence,
            at=now,
            kind=EventKind.BOT,
            payload={"act": act, "reason": reason, "by": by},
        )
        for bot_id, sequence in models.Bot.objects.filter(pk__in=ids).values_list(
            "pk", "event_sequence"
        )
    )
    wake.after_commit()


def lock_in_order(bots: QuerySet[models.Bot], *, skip_locked: bool = False) -> tuple[UUID, ...]:
    """Lock bots, always in the same order, so that nobody waits in a circle."""
    rows = bots.select_for_update(no_key=True, skip_locked=skip_locked).order_by("pk")
    return tuple(rows.values_list("pk", flat=True))


def _held(bots: QuerySet[models.Bot]) -> list[UUID]:
    """Those that hold something or have an order that may still fill."""
    positions = models.Position.objects.filter(bot=OuterRef("pk"), is_dust=False)
    orders = models.Order.objects.filter(bot=OuterRef("pk"), status__in=models.LIVING_STATUSES)
    return list(
        bots.filter(Exists(positions) | Exists(orders)).order_by("pk").values_list("pk", flat=True)
    )
