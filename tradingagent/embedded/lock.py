"""One process at a time works in a folder: a file that is locked for as long as the process lives.

The lock is the kernel's, so it is gone with its holder, however that ended. What stands in the file is only
for the message. The traps avoided: a pid file that outlives its process, and a lock file that is deleted
while somebody else has just opened it; this one is never deleted.
"""

import fcntl
import json
import os
import time
from pathlib import Path

NAME = "running.lock"
READ_AGAIN_SECONDS = 0.1
READ_AT_MOST = 10


class AlreadyRunning(Exception):
    """Another process works in this folder; one sentence names it."""


class RunningLock:
    """The hold on a folder (mode 0700, made if missing). Raises AlreadyRunning, OSError for a folder that can't
    be used."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
        self._path = folder / NAME
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise AlreadyRunning(_who(self._path)) from None
        self.tell("")

    def tell(self, address: str) -> None:
        """Write down who holds it, and where its pages are once that is known."""
        text = json.dumps({"pid": os.getpid(), "address": address}).encode()
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, text, 0)

    def release(self) -> None:
        """Let somebody else have the folder."""
        os.ftruncate(self._file, 0)
        os.close(self._file)


def _who(path: Path) -> str:
    """The sentence about the holder; it may be just about to write its name."""
    for _ in range(READ_AT_MOST):
        try:
            told = json.loads(path.read_text())
            pid, address = int(told["pid"]), str(told["address"])
        except (OSError, ValueError, KeyError, TypeError):
            time.sleep(READ_AGAIN_SECONDS)
            continue
        where = f"process {pid}, {address}" if address else f"process {pid}, just starting"
        return f"Trading Agent is running in {path.parent} already ({where}): stop that one first."
    return f"Trading Agent is running in {path.parent} already: stop that process first."
