"""One look at the market for all bots of a cohort: what their traders are shown in a slot is the same bytes.

The first of them stores its look (`CohortLook`: the first insert wins), the others of the slot are shown
that, in this process from memory, in another from the row. The trap avoided: an account that is reconciled
with a market older than one it has met already. So each desk goes on looking, reconciling and quoting for
itself, and only what the *trader* sees is common. Whoever can't share looks alone and says so: no cycle
fails for it.
"""

import logging
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Final
from uuid import UUID

from bots.models import CohortLook
from market.domain.data import MarketSnapshot
from market.domain.packed_snapshot import pack_snapshot, unpack_snapshot

logger = logging.getLogger(__name__)

MOST_BEHIND: Final = timedelta(seconds=10)
"""A common look further behind the desk's own is not shown: its trader would think of another market."""
KEPT: Final = timedelta(minutes=10)
PATIENCE_SECONDS: Final = 5.0
"""How long to wait for another thread that is just storing or reading the look."""
MOST_REMEMBERED: Final = 64

Key = tuple[UUID, str]


@dataclass(slots=True)
class _Remembered:
    """A look in this process. The lock lets one thread at a time find it; then it stays."""

    lock: Lock = field(default_factory=Lock)
    snapshot: MarketSnapshot | None = None


_remembered: OrderedDict[Key, _Remembered] = OrderedDict()
_remembered_lock = Lock()


class CohortWindow:
    """A `bots.ports.Window` on the look of a cohort. Asks the database outside any transaction."""

    def __init__(self, cohort: UUID) -> None:
        self._cohort = cohort

    def show(self, slot: str, own: MarketSnapshot) -> tuple[MarketSnapshot, str]:
        """The common snapshot of the slot; the own one, with the reason, where there is none that fits."""
        try:
            common = _common(self._cohort, slot, own)
        except Exception as error:
            logger.exception("%s of cohort %s is seen alone", slot, self._cohort)
            return own, f"looked alone: the common look could not be had ({type(error).__name__})"
        reason = _unfit(common, own)
        return (common, "") if not reason else (own, f"looked alone: {reason}")


def prune(now: datetime) -> int:
    """Delete the looks that nobody needs any more; how many."""
    return CohortLook.objects.filter(at__lt=now - KEPT).delete()[0]


def forget() -> None:
    """Remember no look: for a process that is to read them again."""
    with _remembered_lock:
        _remembered.clear()


def _common(cohort: UUID, slot: str, own: MarketSnapshot) -> MarketSnapshot:
    found = _entry((cohort, slot))
    if found.snapshot is not None:
        return found.snapshot
    if not found.lock.acquire(timeout=PATIENCE_SECONDS):
        raise TimeoutError("another thread keeps the look")
    try:
        if found.snapshot is None:
            found.snapshot = _stored(cohort, slot, own)
        return found.snapshot
    finally:
        found.lock.release()


def _entry(key: Key) -> _Remembered:
    with _remembered_lock:
        found = _remembered.setdefault(key, _Remembered())
        _remembered.move_to_end(key)
        while len(_remembered) > MOST_REMEMBERED:
            _remembered.popitem(last=False)
        return found


def _stored(cohort: UUID, slot: str, own: MarketSnapshot) -> MarketSnapshot:
    """The look that is stored for the slot, which is the own one where there was none. What was packed is
    read back by who packed it too, so that all are shown the same."""
    stored = CohortLook.objects.filter(cohort=cohort, slot=slot).values_list("data", flat=True)
    data = stored.first()
    if data is None:
        look = CohortLook(cohort=cohort, slot=slot, at=own.as_of, data=pack_snapshot(own))
        CohortLook.objects.bulk_create([look], ignore_conflicts=True)
        data = stored.get()
    return unpack_snapshot(bytes(data), {item.symbol: item.instrument for item in own.instruments})


def _unfit(common: MarketSnapshot, own: MarketSnapshot) -> str:
    """Why a common look may not stand for the own one; empty when it may."""
    shown, wanted = _what(common), _what(own)
    if shown != wanted:
        return "the common look is of other instruments or candles"
    behind = own.as_of - common.as_of
    if behind > MOST_BEHIND:
        return f"the common look was {behind.total_seconds():.0f} s old"
    return ""


def _what(snapshot: MarketSnapshot) -> list[tuple[str, timedelta]]:
    return [(item.symbol, item.candles.timeframe) for item in snapshot.instruments]
