"""The kill switch with fifty model calls in flight: in force within a second, everything flat, until resumed."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal as D

import pytest
from django.db import close_old_connections, connection, transaction
from django.utils import timezone

from bots import models, services
from tests.chaos.processes import in_child
from tests.chaos.scene import Scene, enters, open_scene
from tests.concurrency.stage import PATIENCE, all_is_well, at_once
from tradingagent.accounts.models import User

pytestmark = pytest.mark.django_db(transaction=True)
BOTS, HOLDERS = 50, 6


class Crowd:
    """Many bots in one process, each in a thread of its own, all asking a model that is silent."""

    def __init__(self) -> None:
        self.scenes = [
            open_scene(f"bot {number}", email=f"{number % 2}@example.org", asks_a_model=True)
            for number in range(BOTS)
        ]
        for scene in self.scenes[:HOLDERS]:
            scene.wants(enters(D(100)), D(100))
            in_child(scene.decide)
        self.stage = self.scenes[-1]
        self.stage.pass_time()
        self.stage.wants(enters(D(100)), D(100))
        self.stage.thinking = self._think
        self.asked, self.answer = threading.Semaphore(0), threading.Event()

    def _think(self) -> None:
        self.asked.release()
        assert self.answer.wait(30)

    def decide(self, pool: ThreadPoolExecutor) -> list:
        """All begin to decide; returns once every model was asked."""
        slot = self.stage.slot()

        def work(scene: Scene):
            try:
                run = services.run_slot(scene.bot_id, slot)
                return None if run is None else run.record
            finally:
                close_old_connections()
                connection.close()

        running = [pool.submit(work, scene) for scene in self.scenes]
        for _ in self.scenes:
            assert self.asked.acquire(timeout=30)
        return running


def test_a_halt_with_fifty_model_calls_in_flight():
    crowd = Crowd()
    with crowd.stage.open(), ThreadPoolExecutor(BOTS) as pool:
        running = crowd.decide(pool)
        began = time.monotonic()
        halted = services.halt(by="a person", reason="enough", flatten=True)
        took = time.monotonic() - began
        in_force_at = timezone.now()
        assert took < 1
        assert (len(halted.bots), halted.in_flight, len(halted.actions)) == (BOTS, (), HOLDERS)

        for action in halted.actions:  # the desk's queue: never behind a model call
            services.perform_action(action)
        assert not models.Position.objects.exists()

        crowd.answer.set()
        records = [one.result(30) for one in running]

    assert {record.outcome for record in records} == {"DECIDED"}
    assert not models.Order.objects.filter(purpose="ENTRY", submitted_at__gt=in_force_at).exists()
    assert not models.Position.objects.exists()
    assert models.Bot.objects.filter(is_halted=True).count() == BOTS
    all_is_well(*crowd.scenes)
    _only_a_person_resumes(crowd.scenes[0])


def _only_a_person_resumes(scene: Scene) -> None:
    scene.clock.advance_to(scene.clock.now().replace(hour=20))

    def buys() -> int:
        scene.wants(enters(D(100)), D(100))
        scene.pass_time()
        in_child(scene.decide)
        return models.Position.objects.filter(bot_id=scene.bot_id).count()

    assert buys() == 0
    with scene.open(), pytest.raises(services.NothingToResume):  # the halt of all covers it
        services.resume(by="a person", user=User.objects.get(email="0@example.org"))
    services.resume(by="a person")
    assert not models.Bot.objects.filter(is_halted=True).exists()
    scene.pass_time()
    assert buys() == 1


def test_a_halt_of_one_user_stops_theirs_alone_while_all_models_think():
    crowd = Crowd()
    theirs, others = (User.objects.get(email=f"{number}@example.org") for number in (0, 1))
    with crowd.stage.open(), ThreadPoolExecutor(BOTS) as pool:
        running = crowd.decide(pool)
        began = time.monotonic()
        halted = services.halt(by=theirs, user=theirs, flatten=True)
        assert time.monotonic() - began < 1
        in_force_at = timezone.now()
        for action in halted.actions:
            services.perform_action(action)
        crowd.answer.set()
        for one in running:
            one.result(30)
    late = models.Order.objects.filter(purpose="ENTRY", submitted_at__gt=in_force_at)
    assert not late.filter(bot__owner=theirs).exists()
    assert late.filter(bot__owner=others).exists()
    assert not models.Position.objects.filter(bot__owner=theirs).exists()
    assert models.Position.objects.filter(bot__owner=others).count() == BOTS // 2
    all_is_well(*crowd.scenes)


def test_answers_that_come_with_the_halt_leave_before_it_or_never():
    crowd = Crowd()
    with crowd.stage.open(), ThreadPoolExecutor(BOTS) as pool:
        running = crowd.decide(pool)
        crowd.answer.set()
        time.sleep(0.05)
        services.halt(by="a person")
        in_force_at = timezone.now()
        for one in running:
            one.result(30)
    late = models.Order.objects.filter(purpose="ENTRY", submitted_at__gt=in_force_at)
    assert not late.exists()
    for entry in models.Order.objects.filter(purpose="ENTRY", status="CANCELED"):
        assert entry.reason == "BOT_NOT_ACTIVE"


@pytest.mark.postgres
def test_a_halt_is_in_force_though_a_process_that_froze_keeps_one_bot_locked():
    """PostgreSQL ends such a transaction after a minute: nobody must wait for that to stop all others."""
    scenes = [open_scene("a bot"), open_scene("another")]
    frozen, free = sorted(scenes, key=lambda scene: scene.bot_id)
    for scene in scenes:
        scene.wants(enters(D(100)), D(100))
        in_child(scene.decide)
    locked, thaw = threading.Event(), threading.Event()

    def freeze() -> None:
        with transaction.atomic():
            models.Bot.objects.select_for_update(no_key=True).get(pk=frozen.bot_id)
            locked.set()
            thaw.wait(PATIENCE)
        connection.close()

    process = threading.Thread(target=freeze)
    process.start()
    assert locked.wait(PATIENCE)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '300ms'")
        halted = services.halt(by="a person", flatten=True)
        cursor.execute("SET lock_timeout = '20s'")
    assert halted.bots == (free.bot_id,) and len(halted.actions) == 1
    thaw.set()
    process.join(PATIENCE)
    with frozen.open():
        assert services.sweep()["halts_completed"] == 1
        for action in models.ManualAction.objects.all():
            services.perform_action(action.pk)
    assert not models.Position.objects.exists()
    assert set(models.Bot.objects.values_list("is_halted", flat=True)) == {True}
    all_is_well(frozen, free)


def test_a_bot_that_could_not_be_flagged_opens_nothing():
    scene = open_scene("the bot")
    services.halt(by="a person")
    models.Bot.objects.update(is_halted=False)
    scene.wants(enters(D(100)), D(100))
    in_child(scene.decide)
    assert not models.Position.objects.exists()


def test_halts_and_marks_of_the_same_bots_do_not_wait_in_a_circle():
    """Each locks many bots' rows at once."""
    scenes = [open_scene(f"bot {number}") for number in range(20)]
    ids = [scene.bot_id for scene in scenes]

    def again(act: Callable[[], object]) -> Callable[[], int]:
        return lambda: len([act() for _ in range(15)])

    def halts() -> None:
        services.halt(by="a person")
        services.resume(by="a person")

    assert at_once(again(halts), again(lambda: _value(ids)), again(lambda: _value(ids[::-1]))) == [
        15,
        15,
        15,
    ]
    assert not models.Bot.objects.exclude(desk_until=None).exists()


def _value(ids) -> int:
    """What a mark writes of quiet bots."""
    from bots.domain.stored_book import book_from
    from bots.marks import Valued, write_valued
    from bots.recent import Recent

    found = {bot.pk: bot for bot in models.Bot.objects.select_related("state")}
    return write_valued(
        [
            Valued(
                bot_id=one,
                fence=found[one].fence,
                sequence=found[one].event_sequence,
                opened_at=found[one].state.opened_at,
                book=book_from(found[one].state.book, {}),
                recent=Recent.from_text(found[one].state.recent),
                has_point=False,
            )
            for one in ids
        ]
    )
