"""Keeps the parts of one process together: all of them live, or none does.

It knows nothing of what they do. The traps avoided: a page that still answers while nobody trades any more,
and an end that waits for something which never ends.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

from tradingagent.embedded.parts import Part
from tradingagent.embedded.signals import StopSignals

LOOK_SECONDS: Final = 0.1
READY_SECONDS: Final = 60.0
STANDSTILL_SECONDS: Final = 30.0
"""A part that goes round many times a second and has not for so long is as good as dead."""
STOP_SECONDS: Final = 7.0
"""How long what is under way may take to come to an end."""


def nothing() -> None:
    """Done while stopping, when nobody says otherwise."""


class Supervisor:
    """Starts the parts in their order, watches them, and ends all of them together.

    `tidy` is called again and again while they end. Used by the main thread alone.
    """

    def __init__(
        self, parts: Sequence[Part], signals: StopSignals, tidy: Callable[[], None] = nothing
    ) -> None:
        self._parts = parts
        self._signals = signals
        self._tidy = tidy
        self._seen: dict[str, tuple[int, int]] = {}

    def run(self, on_ready: Callable[[], None] = nothing) -> str | None:
        """Live until asked to end, or until a part dies; then its sentence. `on_ready` is called when all
        parts are. The caller leaves the process afterwards: threads that did not end in time still run."""
        self._signals.is_watched = True
        try:
            died = self._begin()
            if died is None and not self._signals.is_asked:
                on_ready()
                died = self._watch()
        finally:
            self._end()
        return died

    def _begin(self) -> str | None:
        for part in self._parts:
            part.start()
        give_up = time.monotonic() + READY_SECONDS
        while not all(part.is_ready() for part in self._parts):
            died = self._death()
            if died is not None or self._signals.is_asked:
                return died
            if time.monotonic() > give_up:
                late = next((part.name for part in self._parts if not part.is_ready()), "a part")
                return f"{late} did not come up within {READY_SECONDS:.0f} s"
            time.sleep(LOOK_SECONDS)
        return None

    def _watch(self) -> str | None:
        died = None
        while died is None and not self._signals.is_asked:
            time.sleep(LOOK_SECONDS)
            died = self._death() or self._standstill()
        return died

    def _death(self) -> str | None:
        return next((died for part in self._parts if (died := part.death()) is not None), None)

    def _standstill(self) -> str | None:
        """The sentence about a part that goes round no more. Looks are counted, not seconds, so that a
        machine that slept is not taken for one that hangs."""
        for part in self._parts:
            turns = part.turns()
            if turns is None:
                continue
            before, looks = self._seen.get(part.name, (turns, 0))
            looks = looks + 1 if turns == before else 0
            self._seen[part.name] = (turns, looks)
            if looks * LOOK_SECONDS >= STANDSTILL_SECONDS:
                return f"{part.name} has not moved for {STANDSTILL_SECONDS:.0f} s"
        return None

    def _end(self) -> None:
        for part in reversed(self._parts):
            part.stop()
        give_up = time.monotonic() + STOP_SECONDS
        while time.monotonic() < give_up:
            self._tidy()
            if all(part.is_done() for part in self._parts):
                break
            time.sleep(LOOK_SECONDS)
