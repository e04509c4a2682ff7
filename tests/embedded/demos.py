"""The command `demo` as a process of its own, in a folder of its own, on a free port."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from django.conf import settings

OURS = (
    "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ENCRYPTION_KEYS", "VENUE_URLS", "PORT",
    "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "DEEPSEEK_API_KEY",
)  # fmt: skip
"""What the surroundings may have set, or a `.env` file, and a test says for itself: empty is the default."""


class Demo:
    """A running demo, and what it says. Dies with the test."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        program: tuple[str, ...] = ("manage.py", "demo"),
        **env: str,
    ) -> None:
        self.folder = folder
        self.path = folder.parent / f"{folder.name}-{time.monotonic_ns()}.log"
        self.began = time.monotonic()
        defaults = {**dict.fromkeys(OURS, ""), "VENUE_URLS": "{}", "PORT": "0"}
        with self.path.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, *program, *arguments],
                cwd=settings.BASE_DIR,
                env={**os.environ, **defaults, "LOCAL_DIR": str(folder), **env},
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def said(self) -> str:
        return self.path.read_text()

    def address(self, seconds: float = 60) -> str:
        """Where its pages are, once it says so."""
        found = self.wait_for(r"runs at (http://\S+)", seconds)
        return found.group(1)

    def wait_for(self, pattern: str, seconds: float = 60) -> re.Match[str]:
        give_up = time.monotonic() + seconds
        while (found := re.search(pattern, self.said)) is None:
            assert self.process.poll() is None, f"it ended: {self.said}"
            assert time.monotonic() < give_up, f"it never said {pattern}: {self.said}"
            time.sleep(0.05)
        return found

    def get(self, path: str) -> tuple[int, str]:
        """Ask for a page: status and text."""
        with urllib.request.urlopen(f"{self.address()}{path}", timeout=10) as answer:  # noqa: S310
            return answer.status, answer.read().decode()

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, float]:
        """Send a signal and wait: exit code, and seconds it took."""
        asked = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(30)
        return code, time.monotonic() - asked

    def ended(self, seconds: float = 30) -> int:
        """Wait for its end: exit code."""
        return self.process.wait(seconds)


def rows(folder: Path, query: str) -> list[tuple]:
    """Ask a demo's database."""
    database = sqlite3.connect(folder / "db.sqlite3", timeout=20)
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()
