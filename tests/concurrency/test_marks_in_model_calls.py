"""While a model thinks for a minute, marks protect; the cycle then plans on the account as it is."""

from datetime import timedelta
from decimal import Decimal as D

import pytest

from bots import models
from bots.models import CycleStatus
from tests.chaos.processes import fork, in_child
from tests.chaos.scene import CLOSES, enters, open_scene
from tests.concurrency.stage import Signal, all_is_well

pytestmark = pytest.mark.django_db(transaction=True)
MINUTE = timedelta(minutes=1)


def test_a_stop_fires_during_the_model_call_and_the_late_close_is_nothing(settings):
    settings.CYCLE_LEASE_SECONDS = 30
    scene = open_scene("the bot")
    scene.wants(enters(scene.price), scene.price)
    in_child(scene.decide)
    scene.pass_time()
    scene.wants(CLOSES, D(100), after=D(94))
    asked, answered = Signal(), Signal()

    def think() -> None:
        asked.send()
        answered.wait()
        scene.pass_time(MINUTE)

    scene.thinking = think
    thinker = fork(lambda: scene.decide().record)
    asked.wait()
    scene.pass_time(timedelta(seconds=15))
    scene.feed.prices[next(iter(scene.feed.prices))] = D(94)
    marked_at = scene.clock.now()
    assert in_child(lambda: scene.mark().marked) == 1
    assert models.TradingCycle.objects.filter(status=CycleStatus.RUNNING).exists()
    trade = models.ClosedTrade.objects.get()
    assert (trade.exit_reason, trade.closed_at) == ("STOP", marked_at)
    answered.send()

    record = thinker.wait()
    assert record.outcome == "DECIDED"
    assert record.order_ids == ()
    assert "NOOP" in str(record.plan.notes) + str(record.verdict)
    assert not models.Position.objects.exists()
    assert models.Order.objects.filter(purpose="CLOSE").count() == 0
    all_is_well(scene)
