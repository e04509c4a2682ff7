"""Clocks: the system's, one that is stepped by a replay, one that stands still.

All are aware and in UTC; only `SystemClock` knows what time it really is. The trap avoided: a clock
that goes back (the system's is adjusted, a replay steps wrongly) makes the past change.
"""

from datetime import UTC, datetime
from threading import Lock


def _as_utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError(f"a clock needs a time zone: {instant.isoformat()} has none")
    return instant.astimezone(UTC)


class SystemClock:
    """The machine's time, held still while the machine's clock is being set back."""

    def __init__(self) -> None:
        self._latest = datetime.now(UTC)
        self._lock = Lock()

    def now(self) -> datetime:
        """Return the present instant, never before one returned earlier."""
        with self._lock:
            self._latest = max(self._latest, datetime.now(UTC))
            return self._latest


class SteppedClock:
    """A clock that moves when it is told to, and only forward: the time of a replay."""

    __slots__ = ("_now",)

    def __init__(self, start: datetime) -> None:
        self._now = _as_utc(start)

    def now(self) -> datetime:
        """Return the instant last stepped to."""
        return self._now

    def advance_to(self, instant: datetime) -> None:
        """Move to a later instant (or stay). Raises ValueError when it is earlier, or has no zone."""
        if instant.tzinfo is not UTC:
            instant = _as_utc(instant)
        if instant < self._now:
            raise ValueError(f"time can't go back from {self._now} to {instant}")
        self._now = instant


class FixedClock:
    """A clock that stands still: the instant of a recorded decision, or of a test."""

    __slots__ = ("_now",)

    def __init__(self, instant: datetime) -> None:
        self._now = _as_utc(instant)

    def now(self) -> datetime:
        """Return the one instant it knows."""
        return self._now
