"""Tasks: which service they ask, what they do when it fails, and that real workers find them."""

import ast
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Condition, Thread
from uuid import uuid4

import pytest
from celery import current_app
from celery.contrib.testing.worker import start_worker
from celery.signals import task_postrun
from django.db import OperationalError
from django_celery_beat.models import PeriodicTask

from bots import models, runtime, services, tasks
from bots.domain.bot import BotStatus, Schedule
from bots.enqueue import enqueue
from bots.ports import LeaseLost
from bots.runtime import CannotTrade
from bots.schedule import sync_schedule
from market.errors import VenueUnavailable
from tests.architecture.sources import APPS, parse, python_files
from tests.bots.desks import buys
from tests.bots.paper_desks import paper_bot, paper_desk
from tradingagent.celery import app

NAMES = {
    "bots.run_cycle", "bots.mark_shard", "bots.perform_action", "bots.sweep", "alerts.scan",
    "alerts.deliver",
}  # fmt: skip
BOT, ACTION = uuid4(), uuid4()


@pytest.fixture
def calls(monkeypatch) -> list[tuple]:
    """What the services were asked."""
    made: list[tuple] = []
    for name in ("run_slot", "run_requested", "perform_action", "mark_shard", "sweep"):
        monkeypatch.setattr(
            services, name, lambda *arguments, name=name: made.append((name, *arguments))
        )
    return made


@pytest.fixture
def requeued(monkeypatch) -> list[dict]:
    """What a tick put back in the queue."""
    sent: list[dict] = []
    monkeypatch.setattr(tasks.run_cycle, "apply_async", lambda **options: sent.append(options))
    return sent


@pytest.fixture
def at_noon(monkeypatch) -> datetime:
    now = datetime(2026, 3, 1, 12, 1, 4, tzinfo=UTC)

    class Noon:
        def now(self) -> datetime:
            return now

    monkeypatch.setattr(runtime, "clock", Noon)
    return now


# --- thin -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "arguments", "asked"),
    [
        ("run_cycle", {"bot_id": str(BOT), "request_id": "r1"}, ("run_requested", BOT, "r1")),
        ("mark_shard", {"shard": 1, "of": 3}, ("mark_shard", 1, 3)),
        ("perform_action", {"action_id": str(ACTION)}, ("perform_action", ACTION)),
        ("sweep", {}, ("sweep",)),
    ],
)
def test_a_task_asks_its_service(calls, task, arguments, asked):
    assert getattr(tasks, task)(**arguments) is None
    assert calls == [asked]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("schedule", "slot"),
    [(Schedule.BAR_CLOSE, "2026-03-01T12:01:00Z"), (Schedule.SPREAD, "2026-03-01T12:00:30Z")],
)
def test_a_tick_runs_the_slot_that_is_due(monkeypatch, calls, at_noon, schedule, slot):
    monkeypatch.setattr(runtime, "bar_is_closed", lambda bot, due_at: True)
    started = at_noon - timedelta(hours=1, seconds=34, microseconds=1)
    bot = paper_bot(
        interval_seconds=60, timeframe_seconds=60, schedule=schedule,
        started_at=started + timedelta(microseconds=100),
    )  # fmt: skip
    tasks.run_cycle(bot_id=str(bot.pk))

    assert calls == [("run_slot", bot.pk, slot)]


@pytest.mark.django_db
@pytest.mark.parametrize("status", sorted(set(BotStatus) - {BotStatus.ACTIVE}))
def test_a_tick_for_a_bot_that_is_not_active_does_nothing(calls, requeued, status):
    bot = paper_bot(status=status, started_at=datetime(2026, 3, 1, tzinfo=UTC))
    tasks.run_cycle(bot_id=str(bot.pk))
    tasks.run_cycle(bot_id=str(uuid4()))

    assert calls == requeued == []


@pytest.mark.django_db
def test_a_tick_that_comes_before_its_bar_looks_again_five_times(
    monkeypatch, calls, requeued, at_noon, caplog
):
    asked = []
    monkeypatch.setattr(runtime, "bar_is_closed", lambda bot, due_at: asked.append(due_at))
    bot = paper_bot(interval_seconds=60, timeframe_seconds=60, schedule=Schedule.BAR_CLOSE)
    tasks.run_cycle(bot_id=str(bot.pk))
    for again in requeued:  # grows while it is walked
        tasks.run_cycle(**again["kwargs"])

    assert [again["kwargs"]["attempt"] for again in requeued] == [1, 2, 3, 4, 5]
    assert max(again["countdown"] for again in requeued) <= 2
    assert len(asked) == 6
    assert set(asked) == {at_noon.replace(second=0)}
    assert calls == []
    assert "skipped, simulated does not show the bar" in caplog.text


# --- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "level", "has_traceback"),
    [
        (LeaseLost("somebody else's"), logging.INFO, False),
        (VenueUnavailable("no answer"), logging.WARNING, False),
        (CannotTrade("no account"), logging.WARNING, False),
        (OperationalError("gone"), logging.ERROR, True),
        (ZeroDivisionError("a defect"), logging.ERROR, True),
    ],
)
def test_what_goes_wrong_is_said_once_and_not_tried_again(
    monkeypatch, caplog, error, level, has_traceback
):
    def fail(*arguments):
        raise error

    caplog.set_level(logging.INFO)
    monkeypatch.setattr(services, "run_requested", fail)
    tasks.run_cycle(bot_id=str(BOT), request_id="r1")

    (said,) = [record for record in caplog.records if record.name == "bots.tasks"]
    assert said.levelno == level and str(BOT) in said.getMessage()
    assert bool(said.exc_info) is has_traceback


# --- names, queues, settings ----------------------------------------------------------------------


def enqueued_names() -> set[str]:
    """The first argument of every call of `enqueue` and `send_task` in the product."""
    return {
        str(node.args[0].value)
        for path in python_files(*APPS)
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] in ("enqueue", "send_task")
        and isinstance(node.args[0], ast.Constant)
    }


@pytest.fixture
def registered() -> set[str]:
    app.loader.import_default_modules()
    return {name for name in app.tasks if not name.startswith("celery.")}


def test_every_task_that_is_sent_exists(registered):
    assert {"bots.run_cycle", "bots.perform_action"} <= enqueued_names()
    assert enqueued_names() <= registered


@pytest.mark.django_db
def test_every_task_of_the_schedule_exists(registered):
    paper_bot()
    sync_schedule()

    assert {row.task for row in PeriodicTask.objects.all()} == {
        "bots.run_cycle", "bots.mark_shard", "bots.sweep", "alerts.scan", "alerts.deliver"
    } <= registered  # fmt: skip


def test_every_task_has_its_queue(registered):
    assert set(app.conf.task_routes) == NAMES <= registered
    queues = {name: app.amqp.router.route({}, name)["queue"].name for name in NAMES}
    assert queues == {
        "bots.run_cycle": "cycles",
        "bots.mark_shard": "desk",
        "bots.perform_action": "desk",
        "bots.sweep": "background",
        "alerts.scan": "background",
        "alerts.deliver": "background",
    }
    assert set(app.amqp.queues) == {"cycles", "desk", "background"}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_task_is_taken_once_and_never_tried_again(registered, name):
    task = app.tasks[name]

    assert task.acks_late is False and task.ignore_result is True
    assert not hasattr(task, "autoretry_for")
    assert task.serializer == "json" and app.conf.accept_content == ["json"]
    assert app.conf.worker_prefetch_multiplier == 1 and app.conf.worker_pool == "threads"


def test_other_threads_send_to_our_broker_too():
    found = []
    thread = Thread(target=lambda: found.append(current_app.main))
    thread.start()
    thread.join()

    assert found == ["tradingagent"]


# --- real workers ---------------------------------------------------------------------------------


@contextmanager
def worker(*queues: str, purge: bool = True):
    """A worker of threads in this process, on the broker of the settings. All queues unless some are named:
    an application remembers what its last worker was told."""
    queues = queues or tuple(app.amqp.queues)
    app.conf.worker_hijack_root_logger = False
    if purge:
        app.control.purge()
    with start_worker(app, concurrency=4, pool="threads", perform_ping_check=False, queues=queues):
        yield
    app.control.purge()


@pytest.fixture
def done() -> Iterator[Callable[..., bool]]:
    """Wait until workers have ended so many tasks; false after 20 s."""
    ended, changed = [], Condition()

    def note(sender, **details) -> None:
        with changed:
            ended.append(sender.name)
            changed.notify_all()

    def wait(*names: str) -> bool:
        with changed:
            return changed.wait_for(lambda: sorted(ended) == sorted(names), timeout=20)

    task_postrun.connect(note)
    yield wait
    task_postrun.disconnect(note)


@pytest.mark.django_db(transaction=True)
def test_a_worker_runs_each_task(monkeypatch, done):
    desk = paper_desk(monkeypatch, buys())
    with worker():
        enqueue("bots.run_cycle", bot_id=str(desk.bot.pk))
        enqueue("bots.mark_shard", shard=0, of=1)
        enqueue("bots.perform_action", action_id=str(ACTION))
        enqueue("bots.sweep")
        enqueue("alerts.scan")
        enqueue("alerts.deliver")
        assert done(*NAMES)

    assert models.TradingCycle.objects.get().status == models.CycleStatus.DONE


@pytest.mark.django_db(transaction=True)
def test_a_worker_takes_only_from_its_queue(calls, done):
    with worker("desk"):
        enqueue("bots.run_cycle", bot_id=str(BOT), request_id="r1")
        enqueue("bots.mark_shard", shard=0, of=1)
        assert done("bots.mark_shard")

    assert calls == [("mark_shard", 0, 1)]


@pytest.mark.django_db(transaction=True)
def test_a_slot_that_is_delivered_often_is_decided_once(monkeypatch, done):
    desk = paper_desk(monkeypatch, buys())
    with worker():
        for _ in range(8):
            enqueue("bots.run_cycle", bot_id=str(desk.bot.pk))
        assert done(*["bots.run_cycle"] * 8)

    assert models.TradingCycle.objects.count() == 1
    desk.bot.refresh_from_db()
    assert desk.bot.skipped_slots == 7


@pytest.mark.django_db(transaction=True)
def test_a_tick_that_waited_too_long_is_dropped(calls, done):
    app.control.purge()
    tasks.run_cycle.apply_async(kwargs={"bot_id": str(BOT), "request_id": "late"}, expires=0.1)
    time.sleep(0.2)
    with worker(purge=False):
        enqueue("bots.sweep")
        assert done("bots.sweep")

    assert calls == [("sweep",)]
