"""When decisions are due: slots on a bot's grid, and when within the interval its ticks are sent.

A slot is the due instant itself, in whole seconds UTC. Everything is counted in seconds since 1970, so no
time zone and no summer time comes near it. The trap avoided: a tick sent exactly when a slot begins, taken
by a machine whose clock is a little behind, would find the slot before; ticks are therefore sent later.
"""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from bots.domain.bot import Schedule
from market.domain.canonical import utc_text

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
BAR_SETTLES: Final = timedelta(seconds=2)
"""How long after its close a bar is usually to be had."""
CLOCKS_DIFFER: Final = timedelta(seconds=1)
"""How far the clock of a worker may be behind the scheduler's, on a grid of the bot's own."""
MOST_JITTER: Final = timedelta(seconds=10)

slot_text = utc_text
"""A slot as cycles name it."""


def default_schedule(interval_seconds: int, timeframe_seconds: int) -> Schedule:
    """BAR_CLOSE where every slot is the close of a bar, else SPREAD."""
    return Schedule.SPREAD if interval_seconds % timeframe_seconds else Schedule.BAR_CLOSE


def due_slot(
    now: datetime, interval_seconds: int, schedule: Schedule, started_at: datetime
) -> datetime:
    """The latest slot that is due at `now`. A SPREAD grid has none before the bot's start: then the first."""
    interval = timedelta(seconds=interval_seconds)
    if schedule is Schedule.BAR_CLOSE:
        return _EPOCH + _floor(now - _EPOCH, interval)
    first = _whole_second(started_at)
    return first + max(_floor(now - first, interval), timedelta(0))


def jitter(group: UUID, interval_seconds: int) -> timedelta:
    """What keeps bots of one interval from asking in the same instant: at most 10 s or a tenth of the
    interval, in whole milliseconds, always the same for a bot. `group`: its cohort, so that all of one ask
    together, else its own id."""
    most = min(MOST_JITTER, timedelta(seconds=interval_seconds) / 10)
    millisecond = timedelta(milliseconds=1)
    return group.int % (most // millisecond + 1) * millisecond


def bar_close_delay(group: UUID, interval_seconds: int) -> timedelta:
    """How long after the close of a bar the ticks of a bot (see `jitter`) are sent."""
    return BAR_SETTLES + jitter(group, interval_seconds)


def phase(
    group: UUID, interval_seconds: int, schedule: Schedule, started_at: datetime
) -> timedelta:
    """When a bot's ticks are sent: so long after each multiple of its interval since 1970. Below the
    interval, in whole milliseconds. `group` as for `jitter`; a cohort has one start for all."""
    interval = timedelta(seconds=interval_seconds)
    if schedule is Schedule.BAR_CLOSE:
        return bar_close_delay(group, interval_seconds) % interval
    return (_whole_second(started_at) - _EPOCH + CLOCKS_DIFFER) % interval


def latest_tick(now: datetime, interval: timedelta, phase: timedelta) -> datetime:
    """The last instant up to `now` that stands `phase` after a multiple of the interval since 1970."""
    return _EPOCH + phase + _floor(now - _EPOCH - phase, interval)


def _whole_second(instant: datetime) -> datetime:
    return _EPOCH + _floor(instant - _EPOCH, timedelta(seconds=1))


def _floor(span: timedelta, step: timedelta) -> timedelta:
    return span // step * step
