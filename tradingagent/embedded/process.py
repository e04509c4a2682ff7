"""The whole system as the parts of one process, and its end.

What is pending at a model when the end is asked for is given up at once, so that an answer which still
comes is acted on no more; whatever else is under way has some seconds to end its stage.
"""

import logging
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from django.conf import settings
from django.db import DatabaseError, connection

from bots import services
from tradingagent.celery import app
from tradingagent.embedded.beat import Beat
from tradingagent.embedded.parts import ThreadPart
from tradingagent.embedded.server import WebServer
from tradingagent.embedded.signals import StopSignals
from tradingagent.embedded.supervisor import Supervisor
from tradingagent.embedded.worker import QueueWorker

logger = logging.getLogger(__name__)

THREADS: Final = {"desk": 2, "cycles": 12, "background": 2}
"""Queue → threads. Cycles wait for venues and models most of their time."""


def parts_of(listening: socket.socket) -> tuple[ThreadPart, ...]:
    """Pages, workers and scheduler, in the order in which they begin."""
    os.environ.setdefault("CELERY_SKIP_CHECKS", "1")  # the command has made them
    workers = [QueueWorker(app, queue, threads) for queue, threads in THREADS.items()]
    return (WebServer(listening), *workers, Beat(app))


def serve(
    listening: socket.socket, signals: StopSignals, on_ready: Callable[[], None]
) -> str | None:
    """Run everything until the end is asked for: None; or until a part dies: the sentence about it."""
    if is_alone():
        services.take_over()
    return Supervisor(parts_of(listening), signals, give_up_pending).run(on_ready)


def is_alone() -> bool:
    """Whether no other process can run cycles of this database: its tasks never leave this one."""
    return not settings.REDIS_URL and connection.vendor == "sqlite"


def give_up_pending() -> None:
    """Act on no reply any more that a model has not given yet."""
    try:
        services.discard_replies()
    except DatabaseError as error:
        logger.warning("what is pending at models could not be given up: %s", error)


def leave(code: int) -> None:
    """End the process now: threads that wait for a model or a venue do not keep it."""
    connection.close()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # nobody reads it any more
            stream.flush()
    logging.shutdown()
    os._exit(code)
