"""Wakes the processes that push to pages, when somebody in this one has written something.

A tailer in this process is woken directly; those of other processes through the shared channel layer, by a
thread of its own that sends a few times a second at most. A wake carries nothing and may be lost: a tailer that
has listeners looks each second anyway. The trap avoided: a cycle that waits for Redis.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from channels.layers import channel_layers, get_channel_layer

from bots import wake

logger = logging.getLogger(__name__)

GROUP = "live"
PAUSE_SECONDS = 0.2
SEND_SECONDS = 5.0
LONGEST_BACKOFF_SECONDS = 30.0
_IN_PROCESS = "channels.layers.InMemoryChannelLayer"

_here: list[Callable[[], None]] = []


def install() -> None:
    """Listen to what this process writes."""
    wake.listen(notify)


def notify() -> None:
    """Wake every tailer there is; returns at once."""
    for woken in tuple(_here):
        woken()
    if has_shared_layer():
        _sender.send_soon()


def attach(woken: Callable[[], None]) -> None:
    """Call this at every wake of this process, from whichever thread."""
    _here.append(woken)


def detach(woken: Callable[[], None]) -> None:
    """Call it no longer."""
    if woken in _here:
        _here.remove(woken)


def has_shared_layer() -> bool:
    """True when other processes can be reached through the channel layer."""
    backend = channel_layers.configs.get("default", {}).get("BACKEND", _IN_PROCESS)
    return bool(backend != _IN_PROCESS)


class Sender:
    """A daemon thread with a loop of its own that tells other processes; started when it is first needed.
    What is asked for while it sends or pauses becomes one message."""

    def __init__(self) -> None:
        self._wanted = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def send_soon(self) -> None:
        """Ask for a wake of the others."""
        self._wanted.set()
        if self._thread is None or not self._thread.is_alive():  # not yet, or lost in a fork
            self._start()

    def _start(self) -> None:
        if not self._starting.acquire(blocking=False):
            return  # somebody else starts it
        try:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="wake", daemon=True)
                self._thread.start()
        finally:
            self._starting.release()

    def _run(self) -> None:
        failures = 0
        with asyncio.Runner() as runner:
            while True:
                self._wanted.wait()
                self._wanted.clear()
                try:
                    runner.run(asyncio.wait_for(_tell(get_channel_layer()), SEND_SECONDS))
                except Exception as error:  # noqa: BLE001 (whatever the layer raises)
                    failures += 1
                    logger.warning("pages of other processes could not be woken: %r", error)
                    time.sleep(min(LONGEST_BACKOFF_SECONDS, 2.0**failures))
                else:
                    failures = 0
                    time.sleep(PAUSE_SECONDS)


async def _tell(layer: Any) -> None:
    await layer.group_send(GROUP, {"type": "woken"})


_sender = Sender()
