"""django-celery-beat's scheduler with every entry kept on its grid, and no more database work than needed.

It decides nothing: a tick that it sends twice or too much writes nothing. The original re-bases an interval
on the time at which it sent, so it drifts and knows no phase; and for each tick it asks the database for
changes and compares all entries, and writes them back one by one.
"""

import time
from datetime import datetime, timedelta
from typing import Any

from celery.schedules import schedstate
from django.db import DatabaseError, InterfaceError, close_old_connections
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry, logger

from bots.domain.slots import latest_tick
from bots.schedule import PHASE_HEADER, sync_schedule

CHECK_SECONDS = 2.0
"""How often the database is asked for changes, at most."""
BATCH = 500


class GridEntry(ModelEntry):  # type: ignore[misc]  # has no types
    """An entry whose `last_run_at` stands on its grid. One without a phase is left as the original has it."""

    def __init__(self, model: Any, app: Any = None) -> None:
        super().__init__(model, app=app)
        milliseconds = self.options["headers"].get(PHASE_HEADER)
        is_ours = isinstance(milliseconds, int)
        self.phase = timedelta(milliseconds=milliseconds) if is_ours else None
        if self.phase is not None:
            tick = latest_tick(model.last_run_at, self.schedule.run_every, self.phase)
            self.last_run_at = model.last_run_at = tick

    def __next__(self) -> "GridEntry":
        self.model.last_run_at = self._default_now()
        self.model.total_run_count += 1
        self.model.no_changes = True
        return type(self)(self.model, app=self.app)

    def is_due(self) -> schedstate:
        """(due?, seconds to the next look): a late tick is followed by one in time."""
        is_due, wait = super().is_due()
        if is_due and self.phase is not None:
            now = self._default_now()
            following = (
                latest_tick(now, self.schedule.run_every, self.phase) + self.schedule.run_every
            )
            wait = (following - now).total_seconds()
        return schedstate(is_due, wait)


class GridScheduler(DatabaseScheduler):  # type: ignore[misc]  # has no types
    """The scheduler of this program: `CELERY_BEAT_SCHEDULER`. Mends the schedule when it starts."""

    Entry = GridEntry
    sync_every = 30  # seconds: `doctor` looks at when an entry last ran
    _checked_at = float("-inf")
    _last_timestamp: datetime | None = None
    _heap_invalidated = False
    _schedule: dict[str, GridEntry] | None = None
    _dirty: set[str]

    def setup_schedule(self) -> None:
        done = sync_schedule()
        if any(done.values()):
            logger.info("the schedule was brought in line with the bots: %s", done)
        super().setup_schedule()

    def adjust(self, n: float | None, drift: float = 0) -> float | None:  # noqa: ARG002
        """No head start: nothing drifts here, and one would be spent in a busy loop before each tick."""
        return n

    def schedule_changed(self) -> bool:
        """Whether the schedule was changed since the last look, which is some time ago.

        Any other time than the one seen last is a change: a transaction that took long commits an
        earlier one.
        """
        if time.monotonic() - self._checked_at < CHECK_SECONDS:
            return False
        self._checked_at = time.monotonic()
        try:
            close_old_connections()
            known, self._last_timestamp = self._last_timestamp, self.Changes.last_change()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("the schedule could not be read, it is kept as it is: %s", error)
            return False
        return bool(self._last_timestamp != known)

    def schedules_equal(self, *schedules: Any) -> bool:
        """Whether the heap still fits: it does unless entries were read again."""
        was_read_again, self._heap_invalidated = self._heap_invalidated, False
        return not was_read_again and schedules[0] is not None

    def sync(self) -> None:
        """Write the entries that ran since the last time, many at once and without a sign of change."""
        names, self._dirty = self._dirty, set()
        ran = [entry.model for name in names if (entry := (self._schedule or {}).get(name))]
        ran.sort(key=lambda row: row.pk)  # two schedulers lock rows in the same order
        try:
            close_old_connections()
            self.Model.objects.bulk_update(
                ran, ["last_run_at", "total_run_count"], batch_size=BATCH
            )
        except (DatabaseError, InterfaceError) as error:
            logger.warning("the times of %d entries are written later: %s", len(ran), error)
            self._dirty |= names
