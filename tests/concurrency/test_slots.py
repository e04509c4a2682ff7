"""One decision per slot and one cycle per bot, whoever delivers it how often."""

import pytest

from bots import models, services
from tests.chaos import checks
from tests.chaos.processes import fork, in_child
from tests.chaos.scene import enters, open_scene
from tests.concurrency.stage import Signal, all_is_well, at_once, bot_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def scene():
    scene = open_scene("the bot")
    scene.wants(enters(scene.price), scene.price)
    return scene


def test_two_workers_on_one_slot_decide_once(scene):
    def work() -> bool:
        return scene.decide() is not None

    assert sorted(at_once(work, work)) == [False, True]
    assert bot_of(scene).skipped_slots == 1
    assert models.TradingCycle.objects.count() == 1
    assert models.Order.objects.filter(purpose="ENTRY").count() == 1
    assert models.ModelCharge.objects.count() == 1
    all_is_well(scene)


def test_a_task_delivered_again_changes_nothing_but_the_count(scene):
    assert in_child(lambda: scene.decide() is not None)
    before = checks.print_of(scene.bot_id)
    assert not in_child(lambda: scene.decide() is not None)
    assert checks.print_of(scene.bot_id) == before
    assert bot_of(scene).skipped_slots == 1


def test_a_request_is_run_once_whoever_brings_it(scene):
    def work() -> bool:
        with scene.open():
            return services.run_requested(scene.bot_id, "one") is not None

    assert sorted(at_once(work, work)) == [False, True]
    assert [cycle.slot for cycle in models.TradingCycle.objects.all()] == ["run:one"]


def test_another_slot_is_skipped_while_a_cycle_thinks(scene, settings):
    settings.CYCLE_LEASE_SECONDS = 30
    asked, answered = Signal(), Signal()

    def think() -> None:
        asked.send()
        answered.wait()

    scene.thinking = think
    thinker = fork(lambda: scene.decide() is not None)
    asked.wait()
    scene.pass_time()
    assert not in_child(lambda: scene.decide() is not None)
    answered.send()
    assert thinker.wait()
    assert models.TradingCycle.objects.count() == bot_of(scene).skipped_slots == 1
    all_is_well(scene)
