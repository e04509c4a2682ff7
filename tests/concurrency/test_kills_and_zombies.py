"""Processes killed and frozen anywhere: the next slot heals, the zombie does nothing. `make chaos` runs 500."""

import signal
import time
from datetime import timedelta
from decimal import Decimal as D

import pytest
import time_machine
from django.utils import timezone

from bots import models, services
from bots.acts import ManualOrder
from bots.ledger import DjangoLedger
from bots.models import CycleStatus
from market.domain.enums import PositionSide
from tests.chaos.points import Points
from tests.chaos.processes import ChildFailed, fork, in_child
from tests.chaos.runs import Matrix
from tests.chaos.scene import enters, open_scene
from tests.concurrency.stage import all_is_well, bot_of, orders_of
from tests.scenarios.tables import SYMBOL

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_seeded_sample_of_deaths_is_healed():
    results = list(Matrix(seed=20261122).run(20))

    assert [(one.act, one.kind, one.point, one.faults) for one in results if one.faults] == []
    assert {one.kind for one in results} == {"kill", "freeze"}


def opening(points: Points):
    scene = open_scene("the bot")
    scene.wants(enters(scene.price), scene.price)
    scene.points = points
    return scene, fork(scene.decide)


def wait_for_lease() -> None:
    time.sleep(1.1)


def next_slot(scene):
    scene.points = Points()
    scene.pass_time()
    scene.wants(None, scene.price)
    return in_child(lambda: scene.decide() is not None)


def test_a_cycle_that_died_before_its_request_left_orders_nothing():
    scene, child = opening(Points(end=("before submit", 0)))
    assert child.wait() is None
    assert [order.status for order in orders_of(scene)] == ["SUBMITTED"] * 3
    wait_for_lease()
    assert next_slot(scene)
    assert [order.status for order in orders_of(scene)] == ["NEVER_ARRIVED"] * 3
    all_is_well(scene)


def test_a_cycle_that_died_before_its_answer_was_booked_is_healed_by_asking():
    scene, child = opening(Points(end=("after submit", 0)))
    assert child.wait() is None
    assert not models.Position.objects.exists()
    wait_for_lease()
    assert next_slot(scene)
    assert models.Position.objects.get().quantity == 15
    assert len(orders_of(scene, purpose="ENTRY")) == 1
    all_is_well(scene)


def test_orders_that_a_dead_cycle_had_only_written_are_canceled_unsent():
    scene, child = opening(Points(end=("after the commit of _write_new", 0)))
    assert child.wait() is None
    assert [order.status for order in orders_of(scene)] == ["INITIALIZED"] * 3
    wait_for_lease()
    assert next_slot(scene)
    assert {(order.status, order.reason) for order in orders_of(scene)} == {
        ("CANCELED", "never sent: whoever wrote it is gone")
    }
    all_is_well(scene)


def test_nobody_takes_over_before_the_lease_has_run_out():
    scene, child = opening(Points(end=("after decide", 0)))
    assert child.wait() is None
    assert not next_slot(scene)
    assert bot_of(scene).skipped_slots == 1
    wait_for_lease()
    assert next_slot(scene)
    all_is_well(scene)


def test_a_zombie_in_the_model_call_neither_trades_nor_keeps_the_desk():
    scene, child = opening(Points(end=("after decide", 0), signal=signal.SIGSTOP))
    assert child.wait_until_frozen()
    wait_for_lease()
    assert next_slot(scene)
    child.wake()
    assert child.wait().record.outcome == "DISCARDED"
    assert orders_of(scene) == []
    assert bot_of(scene).desk_until is None
    assert models.TradingCycle.objects.filter(status=CycleStatus.RUNNING).count() == 0
    assert next_slot(scene)  # books the zombie's bill as well
    all_is_well(scene)


def test_a_zombie_with_orders_written_can_not_claim_them():
    frozen_at = ("after the commit of _write_new", 0)
    scene, child = opening(Points(end=frozen_at, signal=signal.SIGSTOP))
    assert child.wait_until_frozen()
    wait_for_lease()
    assert next_slot(scene)
    child.wake()
    with pytest.raises(ChildFailed, match="LeaseLost"):
        child.wait()
    assert {order.status for order in orders_of(scene)} == {"CANCELED"}
    all_is_well(scene)


def test_a_zombie_can_not_book_the_answer_that_it_holds():
    scene, child = opening(Points(end=("after submit", 0), signal=signal.SIGSTOP))
    assert child.wait_until_frozen()
    wait_for_lease()
    assert next_slot(scene)
    fills = models.Fill.objects.count()
    child.wake()
    with pytest.raises(ChildFailed, match="LeaseLost"):
        child.wait()
    assert models.Fill.objects.count() == fills == 1
    all_is_well(scene)


def test_a_flatten_whose_worker_died_is_sent_again():
    scene = open_scene("the bot")
    scene.wants(enters(scene.price), scene.price)
    in_child(scene.decide)
    scene.points = Points(end=("before sync", 0))
    scene.pass_time()
    assert in_child(scene.flatten) is None
    scene.points = Points()
    action = models.ManualAction.objects.get()
    assert action.status == "RUNNING"
    long_ago = action.requested_at - timedelta(minutes=3)
    models.ManualAction.objects.update(requested_at=long_ago, taken_at=long_ago)
    wait_for_lease()
    with scene.open():
        assert services.sweep()["sent_again"] == 1
        assert services.perform_action(action.pk).status == "DONE"
    assert not models.Position.objects.exists()
    all_is_well(scene)


def test_an_order_by_hand_whose_worker_died_is_not():
    scene = open_scene("the bot")
    wish = ManualOrder(symbol=SYMBOL, side=PositionSide.LONG, notional=D(500), stop_price=D(95))
    with scene.open():
        action = services.order_by_hand(scene.bot_id, wish, by="a person")
        long_ago = action.requested_at - timedelta(minutes=3)
        models.ManualAction.objects.update(
            status="RUNNING", requested_at=long_ago, taken_at=long_ago
        )
        swept = services.sweep()
        assert (swept["lost_actions"], swept["sent_again"]) == (1, 0)
        assert services.perform_action(action.pk) is None
    assert models.ManualAction.objects.get().status == "FAILED"


def test_an_order_by_hand_that_has_failed_does_not_leave(monkeypatch):
    """Its worker slept before it claimed. The sweep has said that it failed: whoever asked may have asked again."""
    scene = open_scene("the bot")
    wish = ManualOrder(
        symbol=SYMBOL,
        side=PositionSide.LONG,
        notional=D(500),
        stop_price=D(95),
        target_price=D(110),
    )
    claim, swept = DjangoLedger.claim, []

    def late(ledger, orders):
        with time_machine.travel(timezone.now() + timedelta(minutes=3)):
            swept.append(services.sweep()["lost_actions"])
            return claim(ledger, orders)

    with scene.open():
        action = services.order_by_hand(scene.bot_id, wish, by="a person")
        monkeypatch.setattr(DjangoLedger, "claim", late)
        services.perform_action(action.pk)
    assert swept == [1]
    assert models.ManualAction.objects.get().status == "FAILED"
    assert {order.status for order in orders_of(scene)} == {"DENIED"}
    assert not models.Position.objects.exists()
    all_is_well(scene)
