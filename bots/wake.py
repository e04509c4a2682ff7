"""Says that something a page shows may have changed; to whom, this does not know.

Below everything that writes: writers call it, whoever pushes to pages listens. A listener gets no message and
no promise: who was not told sees it when they look. The trap avoided: a write that fails or waits because
nobody could be told of it.
"""

import logging
from collections.abc import Callable

from django.db import transaction

logger = logging.getLogger(__name__)

_listeners: list[Callable[[], None]] = []


def listen(listener: Callable[[], None]) -> None:
    """Call this from now on, in the writer's own thread: it must return at once."""
    if listener not in _listeners:
        _listeners.append(listener)


def after_commit() -> None:
    """Tell everybody once the transaction has committed; at once without one."""
    transaction.on_commit(_tell, robust=True)


def _tell() -> None:
    for listener in _listeners:
        try:
            listener()
        except Exception:
            logger.exception("nobody could be told that something changed")
