"""Who may write for a bot now: the desk lease and the cycle row, as compare-and-swaps on the database.

All lengths are measured by the database's clock, so machines need not agree on the time. Nothing here
knows what is written. The trap avoided: a holder that slept past its lease and writes all the same; each
write renews the lease *by its fence*, and finds out.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import (
    DateTimeField,
    DurationField,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    Value,
)
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from bots import models
from bots.domain.bot import BotStatus
from bots.models import CycleStatus
from bots.ports import LeaseLost

TRY_AGAIN_SECONDS = 0.02

AsRead = tuple[int, int]
"""(fence, event sequence) of a bot when it was read. The fence alone tells nothing of a holder's own writes."""


class NotAllowed(Exception):
    """The desk is held, but the bot may not open: not active, or halted."""


@dataclass(slots=True)
class DeskLease:
    """One holder's hold on a desk. `fence` and `sequence` are as of the last write."""

    bot_id: UUID
    owner: str
    fence: int = 0
    sequence: int = 0
    held: bool = False
    status: str = ""
    is_halted: bool = False
    renewed_at: float = 0.0
    told_version: int | None = None

    def is_old(self) -> bool:
        """True when so much of the lease has gone that somebody else may soon have it."""
        return bool(_passed() - self.renewed_at > settings.DESK_LEASE_SECONDS / 2)


def _passed() -> float:
    """Seconds on a clock that goes on while the machine sleeps, where there is one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _after(seconds: float) -> Combinable:
    return ExpressionWrapper(
        Now() + Value(timedelta(seconds=seconds), output_field=DurationField()),
        output_field=DateTimeField(),
    )


def desk_until() -> Combinable:
    """The end of a desk lease that begins now."""
    return _after(settings.DESK_LEASE_SECONDS)


def is_free() -> Q:
    """No holder, or one whose lease has run out."""
    return Q(desk_until__isnull=True) | Q(desk_until__lt=Now())


def covered() -> Exists:
    """A halt in force covers the bot. Its flag says the same, but for a bot that was made and started while the
    halt was being made: neither transaction saw the other."""
    covers = Q(scope=models.HaltScope.ALL) | Q(bot=OuterRef("pk")) | Q(user=OuterRef("owner"))
    return Exists(models.TradingHalt.objects.filter(covers, resumed_at__isnull=True))


def take(lease: DeskLease, patience: timedelta, as_read: AsRead | None = None) -> bool:
    """Take the desk if it is free or becomes free within `patience`. What was known of it is stale. With
    `as_read`: only if nobody has worked at it or told anything since."""
    wanted = Q(pk=lease.bot_id)
    if as_read is not None:
        wanted &= Q(fence=as_read[0], event_sequence=as_read[1])
    give_up = time.monotonic() + patience.total_seconds()
    while True:
        began = _passed()
        taken = models.Bot.objects.filter(is_free(), wanted).update(
            desk_until=desk_until(), desk_owner=lease.owner, fence=F("fence") + 1
        )
        if taken:
            lease.held, lease.renewed_at = True, began
            return True
        if time.monotonic() >= give_up:
            return False
        time.sleep(TRY_AGAIN_SECONDS)


def take_back(lease: DeskLease, cycle_id: UUID | None) -> bool:
    """Take the desk if nobody held it since this lease let it go and nothing was changed on the bot:
    then what its holder knows is still true. With a cycle: only while that is RUNNING."""
    conditions = Q(
        pk=lease.bot_id,
        fence=lease.fence,
        event_sequence=lease.sequence,
        status=lease.status,
        is_halted=lease.is_halted,
    )
    if cycle_id is not None:
        conditions &= Q(Exists(_running(cycle_id, lease.owner)))
    began = _passed()
    taken = models.Bot.objects.filter(is_free(), conditions).update(
        desk_until=desk_until(), desk_owner=lease.owner, fence=F("fence") + 1
    )
    if taken:
        lease.fence += 1
        lease.held, lease.renewed_at = True, began
    return bool(taken)


def renew(lease: DeskLease, events: int, *, release: bool = False, to_open: bool = False) -> int:
    """Begin a write: check the fence, renew (or end) the lease, allocate event numbers; the last number
    used before. Locks the bot's row until the transaction ends. Raises LeaseLost, and NotAllowed for a
    write `to_open` when the bot may not."""
    known, began = lease.sequence, _passed()
    if not _renewed(lease, known, events, release=release, to_open=to_open):
        known = _diagnosed(lease, to_open=to_open)
        if not _renewed(lease, known, events, release=release, to_open=to_open):
            raise LeaseLost(f"the desk of {lease.bot_id} is somebody else's")
    lease.sequence, lease.renewed_at = known + events, began
    if release:
        lease.held = False
    return known


def _renewed(lease: DeskLease, known: int, events: int, *, release: bool, to_open: bool) -> bool:
    wanted = Q(pk=lease.bot_id, fence=lease.fence, desk_owner=lease.owner, event_sequence=known)
    if to_open:
        wanted &= Q(status=BotStatus.ACTIVE, is_halted=False) & ~Q(covered())
        if lease.told_version is not None:
            wanted &= Q(told_version=lease.told_version)
    changes: dict[str, object] = {"event_sequence": known + events}
    changes |= {"desk_until": None, "desk_owner": ""} if release else {"desk_until": desk_until()}
    return bool(models.Bot.objects.filter(wanted).update(**changes))


def _diagnosed(lease: DeskLease, *, to_open: bool) -> int:
    """Why a write found no row: the sequence if only that had moved (a service told something)."""
    row = (
        models.Bot.objects.select_for_update()
        .annotate(halted=Q(is_halted=True) | Q(covered()))
        .values("fence", "desk_owner", "event_sequence", "status", "halted", "told_version")
        .get(pk=lease.bot_id)
    )
    if row["fence"] != lease.fence or row["desk_owner"] != lease.owner:
        lease.held = False
        raise LeaseLost(f"the desk of {lease.bot_id} is somebody else's")
    if to_open and (row["status"] != BotStatus.ACTIVE or row["halted"]):
        lease.status, lease.is_halted = row["status"], row["halted"]
        raise NotAllowed("halted" if row["halted"] else f"the bot is {row['status']}")
    if to_open and lease.told_version not in (None, row["told_version"]):
        raise NotAllowed("the bot was told otherwise meanwhile")
    return int(row["event_sequence"])


def let_go(lease: DeskLease) -> None:
    """End a lease without writing; nothing when it was lost."""
    if lease.held:
        # By the owner alone, a new name for each holder: the fence is not known until the book is read.
        models.Bot.objects.filter(pk=lease.bot_id, desk_owner=lease.owner).update(
            desk_until=None, desk_owner=""
        )
        lease.held = False


# --- the cycle row --------------------------------------------------------------------------------


def cycle_id_of(bot_id: UUID, slot: str) -> UUID:
    """The id of a slot's one cycle."""
    return uuid5(bot_id, slot)


def open_cycle(bot_id: UUID, slot: str, owner: str, started_at: datetime) -> UUID | None:
    """Claim the decision of a slot; None when it was taken before or another cycle is running. A dead
    one in the way is marked ABANDONED."""
    for is_last in (False, True):
        try:
            with transaction.atomic():
                row = models.TradingCycle.objects.create(
                    id=cycle_id_of(bot_id, slot),
                    bot_id=bot_id,
                    slot=slot,
                    owner=owner,
                    started_at=started_at,
                    lease_until=_after(settings.CYCLE_LEASE_SECONDS),
                )
        except IntegrityError:
            if is_last or not abandon_expired(bot_id):
                break
        else:
            return row.id
    models.Bot.objects.filter(pk=bot_id).update(skipped_slots=F("skipped_slots") + 1)
    return None


def extend_cycle(cycle_id: UUID, owner: str, seconds: float) -> bool:
    """Say that a cycle is alive for so long; False when it is RUNNING no more."""
    return bool(_running(cycle_id, owner).update(lease_until=_after(seconds)))


def _running(cycle_id: UUID, owner: str):  # type: ignore[no-untyped-def]
    return models.TradingCycle.objects.filter(pk=cycle_id, owner=owner, status=CycleStatus.RUNNING)


def abandon_expired(bot_id: UUID | None = None) -> int:
    """Mark the cycles whose lease has run out ABANDONED, of one bot or of all; how many there were."""
    expired = models.TradingCycle.objects.filter(status=CycleStatus.RUNNING, lease_until__lt=Now())
    if bot_id is not None:
        expired = expired.filter(bot_id=bot_id)
    return expired.update(
        status=CycleStatus.ABANDONED, ended_at=Now(), reason="whoever ran it is gone"
    )


def give_up_cycle(cycle_id: UUID, owner: str, reason: str) -> bool:
    """End one's own cycle without a record: it failed. False when it was RUNNING no more."""
    ended = _running(cycle_id, owner).update(
        status=CycleStatus.ABANDONED, ended_at=Now(), reason=reason[:500]
    )
    return bool(ended)
