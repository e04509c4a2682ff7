"""What becomes of cycles when the process is told to end, and of those that a dead one left."""

from datetime import timedelta

import pytest
from django.utils import timezone

from bots import leases, models, services
from bots.domain.records import CycleOutcome
from bots.models import CycleStatus
from bots.services import ending
from tests.chaos.scene import enters, open_scene

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def scene():
    scene = open_scene("the bot")
    scene.wants(enters(scene.price), scene.price)
    return scene


def test_a_reply_that_comes_after_the_end_was_asked_for_is_not_traded_on(scene):
    given_up = []
    scene.thinking = lambda: given_up.append(services.discard_replies())
    run = scene.decide()

    assert given_up == [1]
    assert run.record.outcome is CycleOutcome.DISCARDED
    assert not models.Order.objects.exists()
    assert models.ModelCharge.objects.count() == 1  # it was paid for all the same


def test_the_same_reply_is_traded_on_otherwise(scene):
    assert scene.decide().record.outcome is CycleOutcome.DECIDED
    assert models.Order.objects.exists()


def test_whoever_holds_its_desk_ends_its_stage(scene, monkeypatch):
    given_up = []
    finish = models.TradingCycle.objects.filter(status=CycleStatus.RUNNING)
    snapshot = scene.feed.snapshot

    def look(*asked):
        given_up.append((services.discard_replies(), finish.count()))
        return snapshot(*asked)

    monkeypatch.setattr(scene.feed, "snapshot", look, raising=False)
    run = scene.decide()

    assert given_up == [(0, 1), (0, 1)]  # before the decision, and after it
    assert run.record.outcome is CycleOutcome.DECIDED


def test_cycles_of_other_processes_are_not_given_up(scene):
    other = open_scene("another's bot")
    leases.open_cycle(other.bot_id, "a slot", "another process", timezone.now())
    given_up = []
    scene.thinking = lambda: given_up.append(services.discard_replies())
    scene.decide()

    assert given_up == [1]
    assert models.TradingCycle.objects.get(bot_id=other.bot_id).status == CycleStatus.RUNNING


def test_nothing_is_under_way_afterwards(scene):
    scene.decide()

    assert ending._under_way == set()
    assert services.discard_replies() == 0


def test_what_a_dead_process_left_is_let_go_of_at_once(scene):
    soon = timezone.now() + timedelta(minutes=5)
    models.Bot.objects.filter(pk=scene.bot_id).update(desk_owner="dead", desk_until=soon, fence=7)
    leases.open_cycle(scene.bot_id, "died", "dead", timezone.now())
    assert scene.decide() is None

    assert services.take_over() == 1
    bot = models.Bot.objects.get(pk=scene.bot_id)
    assert (bot.desk_owner, bot.desk_until, bot.fence) == ("", None, 7)
    assert models.TradingCycle.objects.get(slot="died").status == CycleStatus.ABANDONED
    scene.pass_time()
    assert scene.decide().record.outcome is CycleOutcome.DECIDED


def test_whoever_was_not_dead_after_all_finds_its_desk_lost(scene):
    scene.thinking = services.take_over

    assert scene.decide().record.outcome is CycleOutcome.DISCARDED
    assert not models.Order.objects.exists()
