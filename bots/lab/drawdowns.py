"""The worst fall of each entrant's equity from a peak, over every point stored since the start.

A point is read once: each process goes on from where it was, so a page that is drawn again costs only what is
new. The traps avoided: a fall hidden between the steps of a chart, and one measured from a peak that came
later. A point of an instant that was read already may be replaced by the ledger; the later word counts.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from threading import Lock
from typing import Final
from uuid import UUID

from django.db.models import Q

from bots.models import EquityPoint
from market.domain.numbers import ZERO

MOST_REMEMBERED: Final = 64
CHUNK: Final = 5000


@dataclass(slots=True, kw_only=True)
class Fall:
    """The fold over one bot's points in order of time. `worst` is a fraction of the peak, 0 or below; the
    last point is kept apart, for it may be replaced."""

    peak: Decimal
    worst: Decimal = ZERO
    last_at: datetime
    last: Decimal

    def add(self, at: datetime, equity: Decimal) -> None:
        """The next point, or the last one once more. Earlier ones change nothing."""
        if at < self.last_at:
            return
        if at > self.last_at:
            self.peak, self.worst = self._with(self.last)
        self.last_at, self.last = at, equity

    def worst_until(self, equity: Decimal) -> Decimal:
        """The worst fall, with the last point and an equity of now."""
        peak, worst = self._with(self.last)
        return min(worst, equity / max(peak, equity) - 1)

    def _with(self, equity: Decimal) -> tuple[Decimal, Decimal]:
        peak = max(self.peak, equity)
        return peak, min(self.worst, equity / peak - 1)


@dataclass(slots=True)
class _Remembered:
    lock: Lock = field(default_factory=Lock)
    falls: dict[UUID, Fall] = field(default_factory=dict)


_remembered: OrderedDict[UUID, _Remembered] = OrderedDict()
_remembered_lock = Lock()


def drawdowns_of(
    arena_id: UUID, start: datetime, capital: Decimal, now: Mapping[UUID, Decimal]
) -> dict[UUID, Decimal]:
    """The worst fall of each bot since the start, at which it had `capital`: a fraction, 0 or below. `now`:
    their equity of now. One query, none without bots."""
    kept = _of(arena_id)
    with kept.lock:
        for bot_id in now:
            if bot_id not in kept.falls:
                kept.falls[bot_id] = Fall(peak=capital, last_at=start, last=capital)
        for bot_id, at, equity in _news(kept.falls, list(now)):
            kept.falls[bot_id].add(at, equity)
        return {bot_id: kept.falls[bot_id].worst_until(equity) for bot_id, equity in now.items()}


def forget() -> None:
    """Remember nothing: for a process whose database was emptied."""
    with _remembered_lock:
        _remembered.clear()


def _of(arena_id: UUID) -> _Remembered:
    with _remembered_lock:
        kept = _remembered.setdefault(arena_id, _Remembered())
        _remembered.move_to_end(arena_id)
        while len(_remembered) > MOST_REMEMBERED:
            _remembered.popitem(last=False)
        return kept


def _news(
    falls: Mapping[UUID, Fall], bot_ids: Sequence[UUID]
) -> Sequence[tuple[UUID, datetime, Decimal]]:
    """The points from the last known one of each bot on, in order of time."""
    if not bot_ids:
        return ()
    unseen = Q()
    for bot_id in bot_ids:
        unseen |= Q(bot=bot_id, at__gte=falls[bot_id].last_at)
    rows = EquityPoint.objects.filter(unseen).order_by("at")
    return rows.values_list("bot_id", "at", "equity").iterator(chunk_size=CHUNK)  # type: ignore[return-value]
