"""How a process leaves its bots, and how one that is alone finds those that a dead one left.

Nothing is stopped here: whoever holds a desk ends its stage, and what was given up is found out by its next
write. The trap avoided: a reply that comes after the end was asked for, and is traded on by a process that
nobody watches any more.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from bots import models
from bots.models import CycleStatus

_under_way: set[str] = set()
"""The holders of the cycles that this process runs now."""


@contextmanager
def under_way(owner: str) -> Iterator[None]:
    """While this holder's cycle is run here."""
    _under_way.add(owner)
    try:
        yield
    finally:
        _under_way.discard(owner)


def discard_replies() -> int:
    """Give up the cycles of this process that wait for their model: what it answers is recorded, and acted on
    no more. One that holds its desk is left to end its stage. How many there were."""
    holders = list(_under_way)
    if not holders:
        return 0
    running = models.TradingCycle.objects.filter(status=CycleStatus.RUNNING, owner__in=holders)
    return _give_up(
        running.exclude(owner=F("bot__desk_owner")),
        "the end was asked for while the model was thinking",
    )


def take_over() -> int:
    """Let go of every cycle and every desk: only for a process that knows itself to be the only one, before
    it begins. A command that is at work all the same finds its lease lost. How many cycles there were."""
    held = models.Bot.objects.filter(~Q(desk_owner="") | Q(desk_until__isnull=False))
    held.update(desk_until=None, desk_owner="")
    running = models.TradingCycle.objects.filter(status=CycleStatus.RUNNING)
    return _give_up(running, "whoever ran it is gone")


def _give_up(cycles: QuerySet[models.TradingCycle], reason: str) -> int:
    return cycles.update(status=CycleStatus.ABANDONED, ended_at=Now(), reason=reason)
