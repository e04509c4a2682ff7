"""Workers and schedulers as processes of their own, on the database of the test and the Redis of the settings."""

import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import redis
from django.conf import settings
from django.db import connection

from tradingagent.celery import app

LEASES = {"DESK_LEASE_SECONDS": "2", "CYCLE_LEASE_SECONDS": "2"}


def database_url() -> str:
    """The test's database, as another process names it."""
    at = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{at['NAME']}"
    who = ":".join(quote(str(at[name]), safe="") for name in ("USER", "PASSWORD") if at[name])
    return f"postgres://{who}@{at['HOST']}:{at['PORT']}/{at['NAME']}"


class Process:
    """A Celery process and what it says. Dies with the test."""

    def __init__(self, folder: Path, name: str, *arguments: str) -> None:
        self.path = folder / f"{name}.log"
        env = {**os.environ, **LEASES, "DATABASE_URL": database_url()}
        with self.path.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "tradingagent", *arguments, "-l", "INFO"],
                cwd=settings.BASE_DIR,
                env=env,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def said(self) -> str:
        return self.path.read_text()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """Ask it to end, and wait for what it is doing; its exit code."""
        self._process.terminate()
        return self._process.wait(30)


@contextmanager
def an_empty_broker() -> Iterator[redis.Redis]:
    """The Redis database of the settings, emptied before and after; one test at a time has it."""
    name = hashlib.sha256(settings.REDIS_URL.encode()).hexdigest()[:16]
    with Path(tempfile.gettempdir(), f"trading-agent-redis-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        broker = redis.Redis.from_url(settings.REDIS_URL)
        broker.flushdb()
        try:
            yield broker
        finally:
            broker.flushdb()
            broker.close()


def deliver(task: str, **arguments: str | int) -> None:
    """Send a task to the processes: this one's own tasks stay here."""
    with app.connection(settings.REDIS_URL, transport_options={}) as connection:
        app.send_task(task, kwargs=arguments, connection=connection)


def wait_for(condition: Callable[[], object], seconds: float = 60) -> bool:
    """Whether the condition came true in time."""
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.1)
    return True
