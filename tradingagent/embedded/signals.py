"""Ctrl-C, SIGTERM and SIGHUP: the first asks for an orderly end, a second Ctrl-C leaves at once.

It ends nothing itself. The traps avoided: a handler that takes a lock which the interrupted thread holds
(so there are only plain attributes here), and one press of Ctrl-C that arrives twice because a wrapper
passes it on.
"""

import os
import signal
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Final, Self

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAME_PRESS_SECONDS: Final = 0.3
EXIT_AT_ONCE: Final = 130
"""What a shell says of a command that Ctrl-C ended."""


class Stopped(KeyboardInterrupt):
    """Somebody asked for the end while the process was being set up. No Exception: nobody may swallow it."""


class StopSignals:
    """Handles the signals within a `with` block of the main thread.

    Until `is_watched`, the first one raises Stopped in the main thread: what it is doing ends there.
    Afterwards it only sets `is_asked`, for a supervisor that looks.
    """

    def __init__(self, leave: Callable[[int], Any] = os._exit) -> None:
        self.is_asked = False
        self.is_watched = False
        self._asked_at = 0.0
        self._leave = leave
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = {one: signal.signal(one, self._handle) for one in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)

    def check(self) -> None:
        """Raise Stopped if the end was asked for: between the steps of setting up, because an exception that is
        raised while Python runs a destructor goes no further."""
        if self.is_asked:
            raise Stopped

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        now = time.monotonic()
        if self.is_asked:
            if number == signal.SIGINT and now - self._asked_at > SAME_PRESS_SECONDS:
                self._leave(EXIT_AT_ONCE)
            return
        self.is_asked, self._asked_at = True, now
        if not self.is_watched:
            raise Stopped
