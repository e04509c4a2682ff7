"""The command `demo` with something that happens to it: `python -m tests.embedded.scenarios NAME`.

It makes no traders, so that several can be run at once; then the function NAME is called. Only this process
is changed: nothing of the product knows of it.
"""

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import django
from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingagent.settings")
django.setup()

# ruff: noqa: E402 (models can be imported from here on)
from celery import signals as celery_signals

from bots import runtime, services, tasks
from bots.domain.bot import BotMode
from risk.models import RiskProfile
from tests.concurrency.processes import wait_for
from tradingagent.accounts.models import User
from tradingagent.celery import app
from tradingagent.embedded import process, supervisor, traders
from tradingagent.embedded.beat import Beat
from tradingagent.embedded.parts import ThreadPart
from tradingagent.embedded.server import WebServer, listen
from tradingagent.embedded.worker import QueueWorker

Parts = Sequence[ThreadPart]


def kill(thread: threading.Thread) -> None:
    """End a thread from outside, as soon as it runs Python again."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit)
    )


def the(kind: type[Any], parts: Parts, queue: str = "") -> Any:
    found = [part for part in parts if isinstance(part, kind)]
    return next(part for part in found if not queue or part.name.endswith(queue))


# --- what happens ----------------------------------------------------------------------------------


def server_dies(parts: Parts) -> None:
    loop = the(WebServer, parts).server.servers[0].get_loop()
    loop.call_soon_threadsafe(loop.stop)


def thread_of_a_worker_dies(parts: Parts) -> None:
    pool = the(QueueWorker, parts, "background").pool
    app.send_task("bots.sweep")
    assert wait_for(lambda: pool.threads and pool.is_idle(), 30)
    kill(pool.threads[0])
    app.send_task("bots.sweep")  # wakes it


def every_task_runs_in_its_queue(parts: Parts) -> None:
    """Takes all threads of cycles for long, and says what else ran, and where."""
    del parts
    ran: list[str] = []

    def note(task: Any = None, **_: Any) -> None:
        ran.append(f"{task.name} in {threading.current_thread().name.split('@')[0]}")

    celery_signals.task_prerun.connect(note, weak=False)
    tasks._run_due = lambda *_: time.sleep(120)
    for _ in range(process.THREADS["cycles"] + 2):  # two of them wait
        app.send_task("bots.run_cycle", kwargs={"bot_id": str(uuid4())})
    app.send_task("bots.mark_shard", kwargs={"shard": 0, "of": 1}, queue="desk")
    app.send_task("bots.sweep", queue="background")
    wanted = {"bots.mark_shard in desk", "bots.sweep in background", "bots.run_cycle in cycles"}
    threads = process.THREADS["cycles"]
    came = wait_for(
        lambda: wanted <= set(ran) and ran.count("bots.run_cycle in cycles") == threads, 30
    )
    begun = ran.count("bots.run_cycle in cycles")
    print(f"QUEUES {came} {begun} {sorted(set(ran) - wanted)}", flush=True)


def model_thinks_for_ever(parts: Parts) -> None:
    """Says so when a cycle waits for its model."""
    del parts
    thinks = threading.Event()

    class Slow(runtime.Unavailable):
        def decide(self, view: Any) -> Any:
            thinks.set()
            time.sleep(120)
            return super().decide(view)

    runtime._decider = lambda bot: Slow(str(bot), "slow")
    wish = services.BotWish(
        owner=User.objects.get(),
        mode=BotMode.PAPER,
        venue="simulated",
        symbols=("BTC/USDT:USDT",),
        capital=Decimal(1000),
        risk_profile=RiskProfile.objects.get(owner=None, name="balanced"),
        trader="flat",
    )
    services.run_now(services.create_bot(wish, by="a test").pk, by="a test")
    assert thinks.wait(60)
    print("THINKS", flush=True)


def each_part_dies_alone() -> None:
    """Parts without a supervisor: prints what each says when its thread is killed."""
    worker, beat = QueueWorker(app, "cycles", 1), Beat(app)
    for part in (worker, beat):
        part.start()
        assert wait_for(part.is_ready, 30)
        assert part.death() is None
        kill(part.thread)
        assert wait_for(part.death, 30)
        print(f"DEATH {part.death()}", flush=True)
    server = WebServer(listen("127.0.0.1", 0))
    server.start()
    assert wait_for(lambda: server.turns() and server.is_ready(), 30)
    server.server.servers[0].get_loop().call_soon_threadsafe(time.sleep, 5)
    time.sleep(1)
    turns = server.turns()
    time.sleep(2.5)
    print(f"HANGS {server.turns() == turns} {server.death()}", flush=True)
    os._exit(0)


# --- the command -----------------------------------------------------------------------------------


class Eventful(supervisor.Supervisor):
    """The supervisor of the command, whose announcement is followed by what happens."""

    def run(self, on_ready: Callable[[], None] = supervisor.nothing) -> str | None:
        def both() -> None:
            on_ready()
            globals()[sys.argv[1]](self._parts)

        return super().run(both)


if __name__ == "__main__":
    if sys.argv[1] == "each_part_dies_alone":
        each_part_dies_alone()
    with (
        patch.object(process, "Supervisor", Eventful),
        patch.object(traders, "arena_at"),
        patch.object(traders, "in_words", lambda _: ["nothing"]),
    ):
        execute_from_command_line(["manage.py", "demo", *sys.argv[2:]])
