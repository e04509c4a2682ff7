"""When nothing may be opened: windows as people write them, in the owner's own time. Pure.

`sat,sun` · `mon-fri 22:00-02:00` (past midnight: it belongs to the day on which it began) · `daily 08:25-08:35` ·
`2026-12-16 13:00/2026-12-16 15:00`, an event. The trap avoided: a window that nobody can read is no window, so each
is read when the limits are made.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAILY: Final = "daily"
LONGEST: Final = 80
_EVENT = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d)\s*/\s*(\d{4}-\d\d-\d\d[ T]\d\d:\d\d)")
_TIMES = re.compile(r"(\d\d?):(\d\d)-(\d\d?):(\d\d)")
_END = 24 * 60


class UnreadableWindow(ValueError):
    """No window can be read from this text; one sentence says what is expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A recurring window: `days` 0 (Monday) to 6, minutes of the day from `start` to `end` (1440: midnight; below
    `start`: of the next day)."""

    days: frozenset[int]
    start: int
    end: int

    def holds(self, local: datetime) -> bool:
        """True while the window is open at this wall-clock time."""
        minute = local.hour * 60 + local.minute
        if self.end > self.start:
            return local.weekday() in self.days and self.start <= minute < self.end
        began_today = local.weekday() in self.days and minute >= self.start
        began_yesterday = (local.weekday() - 1) % 7 in self.days and minute < self.end
        return began_today or began_yesterday


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One window in wall-clock time, its end left out."""

    begins: datetime
    ends: datetime

    def holds(self, local: datetime) -> bool:
        """True while it lasts."""
        return self.begins <= local.replace(tzinfo=None) < self.ends


@lru_cache(maxsize=512)
def read_window(text: str) -> Window | Event:
    """Read a window. Raises UnreadableWindow."""
    wanted = " ".join(text.lower().split())
    if not wanted or len(wanted) > LONGEST:
        raise UnreadableWindow(_expected(text))
    if (event := _EVENT.fullmatch(wanted.upper())) is not None:
        return _event(text, event[1], event[2])
    days, _, times = wanted.partition(" ")
    if (alone := _TIMES.fullmatch(days)) is not None and not times:
        days, times = DAILY, alone[0]
    start, end = _minutes(text, times) if times else (0, _END)
    return Window(days=_days(text, days), start=start, end=end)


def _event(text: str, first: str, last: str) -> Event:
    try:
        begins, ends = datetime.fromisoformat(first), datetime.fromisoformat(last)
    except ValueError:
        raise UnreadableWindow(_expected(text)) from None
    if begins >= ends:
        raise UnreadableWindow(f"{text!r} ends before it begins")
    return Event(begins=begins, ends=ends)


def _days(text: str, words: str) -> frozenset[int]:
    if words == DAILY:
        return frozenset(range(7))
    found: set[int] = set()
    for part in words.split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise UnreadableWindow(_expected(text))
        begin = DAYS.index(first)
        length = (DAYS.index(last) - begin) % 7 if dash else 0
        found.update((begin + step) % 7 for step in range(length + 1))
    return frozenset(found)


def _minutes(text: str, words: str) -> tuple[int, int]:
    match = _TIMES.fullmatch(words)
    if match is None:
        raise UnreadableWindow(_expected(text))
    hours = [int(part) for part in match.groups()]
    start, end = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
    if hours[1] > 59 or hours[3] > 59 or start >= _END or end > _END or start == end:
        raise UnreadableWindow(_expected(text))
    return start, end


def _expected(text: str) -> str:
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    return (
        f"{shown!r} is no window: write `sat,sun`, `mon-fri 22:00-02:00`, `daily 08:25-08:35` or "
        "`2026-12-16 13:00/2026-12-16 15:00`"
    )


def open_window(windows: tuple[str, ...], local: datetime) -> str | None:
    """The first of these windows that is open at this wall-clock time; None for none."""
    return next((text for text in windows if read_window(text).holds(local)), None)


def nearest(at: datetime, next_at: datetime, interval: timedelta | None) -> timedelta:
    """How far an instant is from a time that recurs: from the next one, or the one before."""
    ahead = abs(next_at - at)
    return ahead if interval is None else min(ahead, abs(at - (next_at - interval)))
