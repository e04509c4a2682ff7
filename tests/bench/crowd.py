"""`python -m tests.bench.crowd`: 200 cycles in flight at once, each with a model that takes 20 s, in one worker.

The worker, its threads, the tasks, the database, the simulated market and the model's client with its budgets are
the real ones; the host stands on this machine and takes its time. Prints figures as JSON.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.request import urlopen

from tests.bench import own_database  # first: it sets Django up

# isort: split

from django.db import connection
from django.utils import timezone

from bots import models
from bots.domain.bot import Schedule
from llm.hosts import Provider
from llm.models import ModelProfile
from tests.bots.paper_desks import paper_bot
from tradingagent.accounts.models import User
from tradingagent.celery import app

BOTS = 200
THINKING_SECONDS = 20
INTERVAL_SECONDS = 180
SIX = tuple(f"{base}/USDT:USDT" for base in ("BNB", "BTC", "DOGE", "ETH", "SOL", "XRP"))


@contextmanager
def slow_host() -> Iterator[str]:
    """The address of a host that thinks for 20 s."""
    command = [sys.executable, "-m", "tests.bench.slow_host", str(THINKING_SECONDS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


class Connections(threading.Thread):
    """Counts the connections that this process holds, a few times a second (PostgreSQL only)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most = 0
        self.done = threading.Event()

    def run(self) -> None:
        if connection.vendor != "postgresql":
            return
        import psycopg

        known = connection.get_connection_params()
        known = {
            k: v for k, v in known.items() if k in ("host", "port", "user", "password", "dbname")
        }
        with psycopg.connect(**known, autocommit=True) as watching:
            while not self.done.wait(0.2):
                counted = watching.execute(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                ).fetchone()
                self.most = max(self.most, counted[0] if counted else 0)


def figures(host: str) -> dict[str, float]:
    owner = User.objects.create_user("crowd@example.org")
    profile = ModelProfile.objects.create(
        name="slow", provider=Provider.LLAMACPP, model="m", base_url=f"{host}/v1"
    )
    bots = [
        paper_bot(
            owner,
            symbols=SIX,
            trader="",
            model_profile=profile,
            interval_seconds=INTERVAL_SECONDS,
            timeframe_seconds=INTERVAL_SECONDS,
            schedule=Schedule.SPREAD,
            started_at=timezone.now(),
        )
        for _ in range(BOTS)
    ]

    watch = Connections()
    worker = app.WorkController(pool="threads", concurrency=BOTS, queues=["cycles"])
    threading.Thread(target=worker.start, daemon=True).start()
    watch.start()
    sent = timezone.now()
    for bot in bots:
        app.send_task("bots.run_cycle", kwargs={"bot_id": str(bot.pk)})
    ended = models.TradingCycle.objects.filter(status="DONE", decision="DECIDED")
    while ended.count() < BOTS and timezone.now() - sent < timedelta(seconds=INTERVAL_SECONDS):
        time.sleep(1)
    watch.done.set()
    worker.stop()
    cycles = list(ended)
    took = [(cycle.ended_at - sent).total_seconds() for cycle in cycles if cycle.ended_at]
    return {
        "done": len(cycles),
        "in_flight": int(urlopen(host).read()),  # noqa: S310 (our own)
        "slowest_s": max(took, default=0.0),
        "late": BOTS - len(cycles),
        "connections": watch.most,
        "memory_mb": _peak_megabytes(),
    }


def _peak_megabytes() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    with own_database.made(), slow_host() as host:
        print(json.dumps(figures(host)))
