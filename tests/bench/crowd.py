"""`python -m tests.bench.crowd`: 200 cycles in flight at once, each with a model that takes 20 s, in one worker.

The worker, its threads, the tasks, the database and the simulated market are the real ones; only the model
is told to take its time. Prints figures as JSON.
"""

import json
import threading
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

from tests.bench import own_database  # first: it sets Django up

# isort: split

from django.db import connection
from django.utils import timezone

from bots import models, runtime
from bots.domain.bot import Schedule
from llm.domain import Completion, Prompt
from llm.traders.llm_trader import LLMTrader
from tests.bots.paper_desks import paper_bot
from tradingagent.celery import app

BOTS = 200
THINKING_SECONDS = 20
INTERVAL_SECONDS = 180
SIX = tuple(f"{base}/USDT:USDT" for base in ("BNB", "BTC", "DOGE", "ETH", "SOL", "XRP"))
HOLD = '{"summary": "I wait.", "decisions": []}'


class SlowModel:
    """Holds, after a long while."""

    name = "slow"

    def __init__(self) -> None:
        self.inside = self.most_inside = 0
        self._lock = threading.Lock()

    def complete(
        self, prompt: Prompt, *, deadline: timedelta, repair: str | None = None
    ) -> Completion:
        with self._lock:
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
        time.sleep(THINKING_SECONDS)
        with self._lock:
            self.inside -= 1
        return Completion(text=HOLD, model=self.name, latency_ms=THINKING_SECONDS * 1000)


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


def figures() -> dict[str, float]:
    model = SlowModel()
    bots = [
        paper_bot(
            symbols=SIX,
            trader="flat",
            interval_seconds=INTERVAL_SECONDS,
            timeframe_seconds=INTERVAL_SECONDS,
            schedule=Schedule.SPREAD,
            started_at=timezone.now(),
        )
        for _ in range(BOTS)
    ]

    def slow_trader(bot: models.Bot) -> runtime.BilledTrader:
        return runtime.BilledTrader(LLMTrader(chat=model), bot)

    watch = Connections()
    with ExitStack() as turned:
        turned.enter_context(patch.object(runtime, "_trader", slow_trader))
        turned.enter_context(patch.object(runtime, "_thinking_seconds", lambda bot: 60.0))
        worker = app.WorkController(pool="threads", concurrency=BOTS, queues=["cycles"])
        threading.Thread(target=worker.start, daemon=True).start()
        watch.start()
        sent = timezone.now()
        for bot in bots:
            app.send_task("bots.run_cycle", kwargs={"bot_id": str(bot.pk)})
        ended = models.TradingCycle.objects.filter(status="DONE")
        while ended.count() < BOTS and timezone.now() - sent < timedelta(seconds=INTERVAL_SECONDS):
            time.sleep(1)
        watch.done.set()
        worker.stop()
    cycles = list(ended)
    took = [(cycle.ended_at - sent).total_seconds() for cycle in cycles if cycle.ended_at]
    return {
        "done": len(cycles),
        "in_flight": model.most_inside,
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
    with own_database.made():
        print(json.dumps(figures()))
