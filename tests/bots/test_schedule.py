"""The schedule follows the bots, and the scheduler keeps every entry on its grid."""

import json
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace

import pytest
import time_machine
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

from bots import beat, models, services
from bots.beat import GridEntry, GridScheduler
from bots.domain.bot import BotStatus, Schedule
from bots.domain.slots import due_slot
from bots.schedule import schedule_bot, slot_due, sync_schedule, unschedule_bot
from tests.bots.paper_desks import paper_bot
from tradingagent.celery import app

pytestmark = pytest.mark.django_db(transaction=True)

STARTED = datetime(2026, 3, 1, 12, 0, 30, 900_000, tzinfo=UTC)
UNCHANGED = {"created": 0, "mended": 0, "deleted": 0}


def a_bot(**fields) -> models.Bot:
    values = {"started_at": STARTED, "interval_seconds": 60, "schedule": Schedule.SPREAD}
    return paper_bot(**{**values, **fields})


def entry_of(bot: models.Bot) -> PeriodicTask:
    return PeriodicTask.objects.get(name=f"bot {bot.pk}")


def last_change() -> datetime | None:
    return PeriodicTasks.last_change()


@pytest.fixture
def scheduler(monkeypatch):
    """A scheduler that looks for changes at each tick and notes what it would send."""
    monkeypatch.setattr(beat, "CHECK_SECONDS", 0)
    made = GridScheduler(app)
    made.sent = []
    monkeypatch.setattr(
        made, "apply_entry", lambda entry, producer=None: made.sent.append(entry.name)
    )
    monkeypatch.setattr(GridScheduler, "producer", None)
    yield made
    made._finalize.cancel()


def tick_all(scheduler: GridScheduler) -> list[str]:
    """Tick until nothing is due; what was sent."""
    scheduler.sent.clear()
    while scheduler.tick() == 0:
        pass
    return list(scheduler.sent)


# --- the rows -------------------------------------------------------------------------------------


def test_an_active_bot_has_one_entry_that_says_everything():
    bot = a_bot()
    schedule_bot(bot)
    schedule_bot(bot)
    row = entry_of(bot)

    assert (row.task, row.queue, json.loads(row.kwargs)) == (
        "bots.run_cycle",
        "cycles",
        {"bot_id": str(bot.pk)},
    )
    assert row.interval.schedule.run_every == timedelta(seconds=60)
    assert row.expires is None and row.expire_seconds == 59
    assert json.loads(row.headers) == {"phase_ms": 31_000}


def test_the_scheduler_hears_of_a_start_a_change_and_a_stop():
    bot, seen = a_bot(), [last_change()]
    schedule_bot(bot)
    seen.append(last_change())
    bot.interval_seconds = 90
    schedule_bot(bot)
    seen.append(last_change())
    unschedule_bot(bot.pk)

    assert len({*seen, last_change()}) == 4


def test_an_entry_that_is_right_is_left_alone():
    bot = a_bot()
    schedule_bot(bot)
    seen = last_change()
    schedule_bot(bot)

    assert last_change() == seen


def test_a_start_that_is_undone_leaves_no_entry():
    bot = a_bot()
    with transaction.atomic():
        schedule_bot(bot)
        transaction.set_rollback(True)

    assert not PeriodicTask.objects.exists()


def test_the_services_start_pause_and_archive():
    bot = a_bot(status=BotStatus.DRAFT, started_at=None)
    services.start_bot(bot.pk, by="test")
    assert entry_of(bot).enabled
    services.pause_bot(bot.pk, by="test")
    assert not PeriodicTask.objects.exists()


def test_one_interval_is_one_row_even_if_somebody_made_two():
    for _ in range(2):
        IntervalSchedule.objects.create(every=60, period=IntervalSchedule.SECONDS)
    bots = [a_bot(), a_bot()]
    for bot in bots:
        schedule_bot(bot)

    assert len({entry_of(bot).interval_id for bot in bots}) == 1


# --- mending --------------------------------------------------------------------------------------


def test_the_sync_creates_mends_and_deletes(settings):
    settings.MARK_SHARDS = 3
    missing, drifted, stopped = a_bot(), a_bot(), a_bot()
    for bot in (drifted, stopped):
        schedule_bot(bot)
    models.Bot.objects.filter(pk=stopped.pk).update(status=BotStatus.PAUSED)
    models.Bot.objects.filter(pk=drifted.pk).update(interval_seconds=75)
    for name, task in (("own sweep", "bots.sweep"), ("bot of mine", "bots.run_cycle")):
        interval = IntervalSchedule.objects.first()
        PeriodicTask.objects.create(name=name, task=task, interval=interval)

    assert sync_schedule() == {"created": 1 + 3 + 3, "mended": 1, "deleted": 1}
    assert {row.name for row in PeriodicTask.objects.all()} == {
        f"bot {missing.pk}", f"bot {drifted.pk}", "mark shard 0", "mark shard 1", "mark shard 2",
        "sweep", "alerts scan", "alerts delivery", "own sweep", "bot of mine",
    }  # fmt: skip
    assert entry_of(drifted).interval.every == 75
    marks = PeriodicTask.objects.filter(task="bots.mark_shard").order_by("name")
    assert [(row.queue, json.loads(row.kwargs)) for row in marks] == [
        ("desk", {"shard": shard, "of": 3}) for shard in range(3)
    ]
    assert [json.loads(row.headers)["phase_ms"] for row in marks] == [0, 5_000, 10_000]
    assert sync_schedule() == UNCHANGED

    settings.MARK_SHARDS = 1
    assert sync_schedule() == {"created": 0, "mended": 1, "deleted": 2}


@pytest.mark.parametrize(
    "drift",
    [
        {"enabled": False}, {"task": "bots.mark_shard"}, {"kwargs": "{}"}, {"queue": "desk"},
        {"headers": "{}"}, {"expire_seconds": None}, {"expires": STARTED}, {"one_off": True},
        {"start_time": STARTED}, {"args": "[1]"},
    ],
)  # fmt: skip
def test_every_drift_is_mended(drift):
    bot = a_bot()
    sync_schedule()
    PeriodicTask.objects.filter(name=f"bot {bot.pk}").update(**drift)

    assert sum(sync_schedule().values()) >= 1
    assert sync_schedule() == UNCHANGED
    row = entry_of(bot)
    assert (row.enabled, row.task, row.expires) == (True, "bots.run_cycle", None)


def test_a_sync_with_nothing_amiss_is_two_queries_however_many_bots(django_assert_num_queries):
    for _ in range(10):
        a_bot()
    sync_schedule()

    with django_assert_num_queries(2):
        assert sync_schedule() == UNCHANGED


def test_a_bot_stopped_during_the_sync_gets_no_entry(monkeypatch):
    bot = a_bot()
    from bots import schedule

    wanted = schedule._wanted()
    models.Bot.objects.filter(pk=bot.pk).update(status=BotStatus.PAUSED)
    monkeypatch.setattr(schedule, "_wanted", lambda: wanted)

    assert sync_schedule()["created"] == 4  # a mark, the sweep and those of the alerts
    assert not PeriodicTask.objects.filter(task="bots.run_cycle").exists()


def test_a_bot_started_during_the_sync_keeps_its_entry(monkeypatch):
    bot = a_bot()
    from bots import schedule

    sync_schedule()
    others = [(owner, entry) for owner, entry in schedule._wanted() if owner is None]
    monkeypatch.setattr(schedule, "_wanted", lambda: others)

    assert sync_schedule()["deleted"] == 0
    assert entry_of(bot)


# --- the grid -------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", Schedule)
def test_ticks_stay_on_the_grid_however_late_they_are_sent(schedule):
    bot = a_bot(schedule=schedule)
    schedule_bot(bot)
    with time_machine.travel(STARTED + timedelta(hours=1), tick=False) as clock:
        entry, slots = GridEntry(entry_of(bot), app=app), []
        for late in (0.0, 3.0, 0.001, 20.0, 0.0, 7.5):
            while not (due := entry.is_due()).is_due:
                clock.shift(due.next)
            clock.shift(late)
            slots.append(slot_due(bot, datetime.now(UTC)))
            wait = entry.is_due().next
            entry = next(entry)
            assert entry.last_run_at <= datetime.now(UTC)
            assert entry.last_run_at + timedelta(seconds=60) == datetime.now(UTC) + timedelta(
                seconds=wait
            )

    assert [later - slot for slot, later in pairwise(slots)] == [timedelta(seconds=60)] * 5
    assert slots[0] == due_slot(slots[0], 60, schedule, STARTED)


def test_an_entry_without_a_phase_is_left_as_the_library_has_it():
    interval = IntervalSchedule.objects.create(every=7, period=IntervalSchedule.SECONDS)
    row = PeriodicTask.objects.create(
        name="other", task="other", interval=interval, last_run_at=STARTED
    )

    assert GridEntry(row, app=app).last_run_at == STARTED


# --- the scheduler --------------------------------------------------------------------------------


def test_the_scheduler_mends_the_schedule_when_it_starts(scheduler):
    assert set(scheduler.schedule) == {
        "mark shard 0", "sweep", "alerts scan", "alerts delivery"
    }  # fmt: skip


def test_it_ticks_for_each_entry_once_in_an_interval():
    bots = [a_bot(interval_seconds=5), a_bot(interval_seconds=7)]
    began, sent = datetime(2026, 3, 1, 13, tzinfo=UTC), list[str]()
    with time_machine.travel(began, tick=False) as clock:
        scheduler = GridScheduler(app)
        scheduler.apply_entry = lambda entry, producer=None: sent.append(entry.name)
        scheduler.__dict__["producer"] = None
        PeriodicTask.objects.update(last_run_at=began)
        scheduler._schedule = scheduler.all_as_schedule()
        while datetime.now(UTC) < began + timedelta(seconds=70.5):
            clock.shift(max(scheduler.tick(), 0.0))
        scheduler._finalize.cancel()

    assert [sent.count(f"bot {bot.pk}") for bot in bots] == [14, 10]


def test_it_hears_of_a_start_and_a_stop(scheduler):
    tick_all(scheduler)
    bot = a_bot()
    schedule_bot(bot)
    tick_all(scheduler)
    assert f"bot {bot.pk}" in [event.entry.name for event in scheduler._heap]
    unschedule_bot(bot.pk)
    tick_all(scheduler)

    assert f"bot {bot.pk}" not in [event.entry.name for event in scheduler._heap]


def test_it_hears_of_a_change_that_committed_after_a_later_one(scheduler):
    """Its time was taken before the transaction waited: it is earlier than the one seen last."""
    tick_all(scheduler)
    bot = a_bot()
    schedule_bot(bot)
    PeriodicTasks.objects.update(last_update=STARTED)
    tick_all(scheduler)

    assert f"bot {bot.pk}" in scheduler.schedule


def test_it_hears_of_a_change_between_its_first_read_and_its_first_look(monkeypatch):
    bot, read = a_bot(status=BotStatus.DRAFT), GridScheduler.all_as_schedule

    def read_and_start(self):
        found = read(self)
        monkeypatch.undo()
        services.start_bot(bot.pk, by="test")
        return found

    monkeypatch.setattr(GridScheduler, "all_as_schedule", read_and_start)
    scheduler = GridScheduler(app)

    assert f"bot {bot.pk}" in scheduler.schedule
    scheduler._finalize.cancel()


def test_it_asks_for_changes_once_in_a_while_only(scheduler, monkeypatch):
    tick_all(scheduler)
    monkeypatch.setattr(beat, "CHECK_SECONDS", 60)
    with CaptureQueriesContext(connection) as captured:
        for _ in range(50):
            scheduler.tick()

    assert captured.captured_queries == []


def test_two_seconds_and_a_nap_are_less_than_five():
    assert beat.CHECK_SECONDS + app.conf.beat_max_loop_interval <= 5


def test_ticks_are_written_back_together_and_cause_no_reading_again(scheduler):
    bots = [a_bot() for _ in range(10)]
    sync_schedule()
    PeriodicTask.objects.update(last_run_at=STARTED)
    sent = tick_all(scheduler)
    seen = last_change()
    with CaptureQueriesContext(connection) as captured:
        scheduler.sync()

    assert {f"bot {bot.pk}" for bot in bots} <= set(sent)
    assert len([query for query in captured if query["sql"].startswith("UPDATE")]) == 1
    assert last_change() == seen
    assert {entry_of(bot).total_run_count for bot in bots} == {1}
    assert min(entry_of(bot).last_run_at for bot in bots) > datetime.now(UTC) - timedelta(minutes=1)


def test_times_that_could_not_be_written_are_written_later(scheduler, monkeypatch):
    from django.db import OperationalError

    bot = a_bot()
    sync_schedule()
    PeriodicTask.objects.update(last_run_at=STARTED)
    tick_all(scheduler)
    real = scheduler.Model

    def refuse(*args, **options):
        raise OperationalError("gone")

    scheduler._dirty.add(f"bot {bot.pk}")
    scheduler.Model = SimpleNamespace(objects=SimpleNamespace(bulk_update=refuse))
    scheduler.sync()
    assert f"bot {bot.pk}" in scheduler._dirty
    scheduler.Model = real
    scheduler.sync()

    assert entry_of(bot).last_run_at > STARTED and not scheduler._dirty


def test_reading_the_schedule_is_a_fixed_number_of_queries(scheduler):
    counts = []
    for _ in range(2):
        for _ in range(5):
            a_bot()
        sync_schedule()
        with CaptureQueriesContext(connection) as captured:
            scheduler.all_as_schedule()
        counts.append(len(captured))

    assert counts[0] == counts[1]


@pytest.mark.slow
def test_a_thousand_bots_are_ticked_in_time(scheduler, monkeypatch):
    """Generous, for a busy machine; the library's own scheduler takes many times as long."""
    monkeypatch.setattr(beat, "CHECK_SECONDS", 2)
    proto = a_bot()
    sync_schedule()
    row = entry_of(proto)
    PeriodicTask.objects.bulk_create(
        PeriodicTask(
            name=f"bot {n}", task=row.task, interval=row.interval, queue=row.queue,
            kwargs=row.kwargs, headers=row.headers, expire_seconds=59, last_run_at=STARTED,
        )
        for n in range(1000)
    )  # fmt: skip
    scheduler._checked_at = float("-inf")
    PeriodicTasks.update_changed()
    began = time.monotonic()
    sent = tick_all(scheduler)

    assert len(sent) >= 1000
    assert time.monotonic() - began < 5
