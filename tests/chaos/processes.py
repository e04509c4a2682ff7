"""Children that may be killed or frozen: forked with no database connection, so that none is shared.

A child tells its outcome through a pipe and never returns to its caller's code. The trap avoided: a
connection opened before a fork, which both processes would speak on.
"""

import os
import pickle
import signal
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import connection, connections

PIPE_ROOM = 1 << 16


class ChildFailed(AssertionError):
    """A child raised; its traceback is the message."""


@dataclass(slots=True)
class Child:
    """A forked process. `said` is what it told so far."""

    pid: int
    pipe: int

    def wait(self) -> Any:
        """What the child's act returned; None when it was killed. Raises ChildFailed."""
        text = b""
        while part := os.read(self.pipe, PIPE_ROOM):
            text += part
        os.close(self.pipe)
        os.waitpid(self.pid, 0)
        if not text:
            return None
        answer = pickle.loads(text)  # noqa: S301 - our own child's
        if isinstance(answer, ChildFailed):
            raise answer
        return answer

    def wait_until_frozen(self) -> bool:
        """Wait until the child has stopped itself (True) or ended (False)."""
        found = os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        return found is not None and found.si_code == os.CLD_STOPPED

    def wake(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


def let_connections_go() -> None:
    """Close every connection of this process, a pool's too."""
    connections.close_all()
    if connection.vendor == "postgresql":
        connection.close_pool()  # type: ignore[attr-defined]


def fork(act: Callable[[], Any]) -> Child:
    """Do something in a process of its own."""
    let_connections_go()
    reads, writes = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads of ours hold no lock
        pid = os.fork()
    if pid:
        os.close(writes)
        return Child(pid, reads)
    os.close(reads)
    code = 1
    try:
        try:
            answer = act()
        except BaseException:  # noqa: BLE001 - told to the parent
            answer = ChildFailed(traceback.format_exc())
        os.write(writes, pickle.dumps(answer))
        code = 0
    finally:
        os._exit(code)


def in_child(act: Callable[[], Any]) -> Any:
    """Do something in a process of its own and wait for what it returns."""
    return fork(act).wait()
