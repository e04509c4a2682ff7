"""When an alert speaks: quiet hours, the cooldown that makes a storm one message, the waits between tries. Pure.

The trap avoided: a storm that is cut off loses its count. Nothing is dropped here: what comes within the
cooldown is counted, and told with the next message.
"""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

FIRST_WAIT: Final = timedelta(minutes=1)
LONGEST_WAIT: Final = timedelta(hours=1)
GIVE_UP_AFTER: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """An alert that still counts: how many there were, how many of them a message told, and until when
    no other message leaves."""

    count: int
    told: int
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What becomes of it. `window` None: it is over. `speaks`: a message leaves now."""

    window: Window | None
    speaks: bool = False


def advance(
    window: Window | None,
    new: int,
    now: datetime,
    cooldown: timedelta,
    quiet_until: datetime | None = None,
) -> Turn:
    """Count `new` more, and say whether to speak. `quiet_until`: the end of the quiet hours that it is in
    (None where it is not, or the alert may speak in them); what happens meanwhile is told in one message then.

    Over a time of D, with looks at any instants, it speaks at most ⌈D / cooldown⌉ + 1 times.
    """
    if window is None:
        if not new:
            return Turn(window=None)
        window = Window(count=0, told=0, until=now)
    window = replace(window, count=window.count + new)
    if now < window.until:
        return Turn(window=window)
    if window.count == window.told:
        return Turn(window=None)
    if quiet_until is not None:
        return Turn(window=replace(window, until=quiet_until))
    return Turn(window=replace(window, told=window.count, until=now + cooldown), speaks=True)


def quiet_until(
    now: datetime, time_zone: str, start: time | None, end: time | None
) -> datetime | None:
    """When the quiet hours end that `now` is in; None outside of them. `start` belongs to them, `end` does
    not; both are of the wall clock of the zone, and `end` may be of the next day.

    A wall time that a change of clocks skips counts as the instant at which the clocks change; one that
    comes twice ends the quiet hours the first time and begins them the first time.
    """
    if start is None or end is None or start == end:
        return None
    zone = ZoneInfo(time_zone)
    today = now.astimezone(zone).date()
    for day in (today - timedelta(days=1), today):
        begins = _instant(day, start, zone)
        ends = _instant(day if start < end else day + timedelta(days=1), end, zone)
        if begins <= now < ends:
            return ends
    return None


def day_of(now: datetime, time_zone: str) -> date:
    """The owner's day."""
    return now.astimezone(ZoneInfo(time_zone)).date()


def midnight_of(day: date, time_zone: str) -> datetime:
    """When a day begins in a zone, in UTC."""
    return _instant(day, time(), ZoneInfo(time_zone))


def wait_after(attempts: int) -> timedelta:
    """How long to wait after so many tries, at least one: a minute, doubling, an hour at most."""
    doublings: int = 2 ** min(max(attempts - 1, 0), 10)
    return min(FIRST_WAIT * doublings, LONGEST_WAIT)


def _instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    local = datetime.combine(day, at, zone)
    found = local.astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return found
    # Skipped: both readings of it lie a whole change apart around the instant at which the clocks change.
    early, late = sorted((found, local.replace(fold=1).astimezone(UTC)))
    offset = early.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) / 2
        if middle.astimezone(zone).utcoffset() == offset:
            early = middle
        else:
            late = middle
    return late.replace(microsecond=0)
