"""Who holds what (docs/concurrency.md): each row of its table, by name."""

import time
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D
from unittest.mock import patch

import pytest
from django.db import transaction
from django.utils import timezone

from bots import events, leases, models, runtime, services
from bots.cycle import execute
from bots.domain.bot import BotStatus
from bots.domain.events import EventKind
from bots.models import CycleStatus
from bots.observation import observe
from bots.ports import LeaseLost
from tests.chaos.processes import fork, in_child
from tests.chaos.scene import Scene, enters, open_scene
from tests.concurrency.stage import Signal, all_is_well, at_once, bot_of, orders_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def scene() -> Scene:
    scene = open_scene("the bot")
    scene.wants(enters(scene.price), scene.price)
    return scene


def ledger_of(scene: Scene, patience: timedelta = timedelta(0)):
    return runtime.open_desk(runtime.load_bot(scene.bot_id), patience=patience).ledger


def written(scene: Scene, ledger):
    """The orders of an entry, written by a holder and not yet claimed."""
    desk = runtime.open_desk(runtime.load_bot(scene.bot_id)).desk
    orders = []

    def refuse(given):
        orders.extend(given)
        return ()

    desk = replace(desk, ledger=ledger, broker=desk.broker._port)  # type: ignore[attr-defined]
    seen = observe(desk, scene.clock.now())
    with patch.object(ledger, "claim", refuse):
        execute(desk, enters(scene.price), seen, seen, "slot")
    return orders


# --- cycle row ----------------------------------------------------------------------------------------


def test_cycle_row_a_slot_and_a_bot_have_one(scene):
    now = scene.clock.now()
    assert leases.open_cycle(scene.bot_id, "1", "ann", now)
    assert leases.open_cycle(scene.bot_id, "1", "ben", now) is None
    assert leases.open_cycle(scene.bot_id, "2", "ben", now) is None
    assert bot_of(scene).skipped_slots == 2


def test_cycle_row_of_the_dead_is_abandoned_by_the_next_and_not_tried_again(scene, settings):
    settings.CYCLE_LEASE_SECONDS = 0.2
    now = scene.clock.now()
    dead = leases.open_cycle(scene.bot_id, "1", "ann", now)
    assert dead is not None
    assert leases.abandon_expired() == 0
    time.sleep(0.25)
    assert leases.open_cycle(scene.bot_id, "2", "ben", now)
    assert models.TradingCycle.objects.get(pk=dead).status == CycleStatus.ABANDONED
    assert not leases.extend_cycle(dead, "ann", 30)
    assert leases.open_cycle(scene.bot_id, "1", "ann", now) is None


def test_cycle_row_is_abandoned_once_by_two_sweeps(scene, settings):
    settings.CYCLE_LEASE_SECONDS = 0
    leases.open_cycle(scene.bot_id, "1", "ann", scene.clock.now())
    time.sleep(0.05)
    assert sorted(at_once(leases.abandon_expired, leases.abandon_expired)) == [0, 1]


# --- desk lease ---------------------------------------------------------------------------------------


def test_desk_lease_is_given_to_one_of_many(scene):
    with scene.open():
        assert sorted(at_once(*[lambda: ledger_of(scene).take_desk()] * 4)) == [0, 0, 0, 1]


def test_desk_lease_a_mark_that_finds_it_taken_goes_away(scene, settings):
    in_child(scene.decide)
    settings.DESK_LEASE_SECONDS = 30
    scene.pass_time()
    scene.wants(None, D(94))
    with scene.open():
        assert ledger_of(scene).take_desk()
        began = time.monotonic()
        done = services.mark_shard()
    assert (done.looked_at, done.marked, done.failed) == (1, 0, 0)
    assert time.monotonic() - began < 1


def test_desk_lease_a_cycle_waits_until_it_is_let_go(scene, settings):
    settings.DESK_LEASE_SECONDS = 30
    taken = Signal()

    def hold() -> None:
        with scene.open():
            ledger = ledger_of(scene)
            assert ledger.take_desk()
            taken.send()
            time.sleep(0.7)
            ledger.release_desk()

    holder = fork(hold)
    taken.wait()
    assert in_child(lambda: scene.decide().record.outcome) == "DECIDED"
    holder.wait()
    all_is_well(scene)


def test_desk_lease_a_cycle_waits_two_seconds_at_most(scene, settings):
    settings.DESK_LEASE_SECONDS = 30
    with scene.open():
        assert ledger_of(scene).take_desk()
    began = time.monotonic()
    assert in_child(scene.decide) is None
    assert 2 <= time.monotonic() - began < 4
    cycle = models.TradingCycle.objects.get()
    assert (cycle.outcome, cycle.reason) == ("SKIPPED", "the desk is busy")


def test_desk_lease_that_was_lost_can_neither_book_nor_claim_nor_release(scene):
    with scene.open():
        old = ledger_of(scene)
        assert old.take_desk()
        orders = written(scene, old)
        time.sleep(1.1)
        new = ledger_of(scene)
        assert new.take_desk()
        for act in (
            lambda: old.claim(orders),
            lambda: old.move_order(orders[0].client_order_id, "CANCELED", "late"),
            lambda: old.write_orders(orders[:1]) or old.count_lookup(orders[0].client_order_id),
        ):
            with pytest.raises(LeaseLost):
                act()
        old.release_desk()
        assert bot_of(scene).desk_owner == new.owner
        new.release_desk()
    all_is_well(scene)


def test_desk_lease_half_gone_is_renewed_before_the_venue_is_spoken_to(scene, settings):
    """Something was told of the bot meanwhile, which moved the number of its events and nothing else."""
    settings.DESK_LEASE_SECONDS = 30
    with scene.open():
        ledger = ledger_of(scene)
        assert ledger.take_desk()
        services.flatten_bot(scene.bot_id, by="a person")
        ledger._lease.renewed_at -= 20
        ledger.stay()
        assert not ledger._lease.is_old()
        ledger.release_desk()
    all_is_well(scene)


def test_desk_lease_that_was_lost_is_said_so_before_the_venue_is_spoken_to(scene):
    with scene.open():
        old = ledger_of(scene)
        assert old.take_desk()
        time.sleep(1.1)
        assert ledger_of(scene).take_desk()
        with pytest.raises(LeaseLost):
            old.stay()


def test_desk_lease_of_one_who_may_not_read_the_book_is_let_go(scene):
    with scene.open():
        ledger = ledger_of(scene)
        ledger.cycle_id = leases.cycle_id_of(scene.bot_id, "given up")
        assert not ledger.take_desk()
    assert bot_of(scene).desk_until is None


# --- submit claim -------------------------------------------------------------------------------------


def test_submit_claim_is_granted_once(scene):
    with scene.open():
        ledger = ledger_of(scene)
        assert ledger.take_desk()
        orders = written(scene, ledger)
        assert len(ledger.claim(orders)) == 3
        with pytest.raises(LeaseLost, match="claimed before"):
            ledger.claim(orders)
        ledger.release_desk()
    assert {order.status for order in orders_of(scene)} == {"SUBMITTED"}


def test_submit_claim_is_not_granted_twice_by_the_database(scene):
    """The order was claimed by somebody this holder does not know of."""
    with scene.open():
        ledger = ledger_of(scene)
        assert ledger.take_desk()
        orders = written(scene, ledger)
        models.Order.objects.filter(purpose="ENTRY").update(
            status="SUBMITTED", submitted_at=timezone.now()
        )
        with pytest.raises(LeaseLost, match="claimed before"):
            ledger.claim(orders)
        ledger.release_desk()
    assert orders_of(scene, purpose="ENTRY")[0].status == "SUBMITTED"


def test_submit_claim_after_a_pause_is_canceled(scene):
    with scene.open():
        ledger = ledger_of(scene)
        assert ledger.take_desk()
        orders = written(scene, ledger)
        services.pause_bot(scene.bot_id, by="a person")
        assert ledger.claim(orders) == ()
        ledger.release_desk()
    found = {(order.status, order.reason, order.submitted_at) for order in orders_of(scene)}
    assert found == {("CANCELED", "BOT_NOT_ACTIVE", None)}
    all_is_well(scene)


def test_submit_claim_reads_the_status_itself(scene):
    """Nobody told of the pause: no event has moved the bot's sequence."""
    with scene.open():
        ledger = ledger_of(scene)
        assert ledger.take_desk()
        orders = written(scene, ledger)
        models.Bot.objects.filter(pk=scene.bot_id).update(status=BotStatus.PAUSED)
        assert ledger.claim(orders) == ()
        ledger.release_desk()
    assert {order.status for order in orders_of(scene)} == {"CANCELED"}


def test_submit_claim_left_open_by_the_dead_is_canceled(scene):
    with scene.open():
        dead = ledger_of(scene)
        assert dead.take_desk()
        written(scene, dead)
        time.sleep(1.1)
        heir = ledger_of(scene)
        assert heir.take_desk()
        heir.release_desk()
    assert {order.status for order in orders_of(scene)} == {"CANCELED"}
    all_is_well(scene)


# --- halt ---------------------------------------------------------------------------------------------


def test_halt_stops_the_claim_of_a_holder_who_does_not_know_of_it(scene):
    with scene.open():
        ledger = ledger_of(scene)
        assert ledger.take_desk()
        orders = written(scene, ledger)
        services.halt(by="a person", bot_id=scene.bot_id)
        assert ledger.claim(orders) == ()
        ledger.release_desk()
    assert {order.reason for order in orders_of(scene)} == {"BOT_NOT_ACTIVE"}


@pytest.mark.parametrize("stop", ["halt", "pause"])
def test_halt_and_pause_are_asked_for_at_the_claim_whatever_was_decided_before(scene, stop):
    with scene.open():
        if stop == "halt":
            services.halt(by="a person", bot_id=scene.bot_id)
        else:
            services.pause_bot(scene.bot_id, by="a person")
        ledger = ledger_of(scene)
        assert ledger.take_desk()
        with patch.object(ledger, "may_open", lambda: True):  # as if the limits had not been asked
            orders = written(scene, ledger)
        assert ledger.claim(orders) == ()
        ledger.release_desk()
    assert {order.reason for order in orders_of(scene)} == {"BOT_NOT_ACTIVE"}


def test_halt_waits_for_a_claim_under_way_and_names_its_order(scene):
    claimed = Signal()

    def claim() -> None:
        with scene.open():
            ledger = ledger_of(scene)
            assert ledger.take_desk()
            orders = written(scene, ledger)

            def slow(_) -> None:
                claimed.send()
                time.sleep(0.5)

            ledger._recheck = slow
            assert len(ledger.claim(orders)) == 3
            ledger.release_desk()

    claimer = fork(claim)
    claimed.wait()
    halted = services.halt(by="a person", bot_id=scene.bot_id)
    claimer.wait()
    assert halted.in_flight == (models.Order.objects.get(purpose="ENTRY").client_order_id,)


# --- event sequence -----------------------------------------------------------------------------------


def test_event_sequence_has_no_hole_when_services_and_holders_write_at_once(scene):
    def people() -> None:
        for _ in range(10):
            services.halt(by="a person", bot_id=scene.bot_id)
            with transaction.atomic():
                events.emit(scene.bot_id, [(timezone.now(), EventKind.BOT, {"act": "seen"})])
            models.TradingHalt.objects.filter(resumed_at=None).update(resumed_at=timezone.now())
            models.Bot.objects.filter(pk=scene.bot_id).update(is_halted=False)

    def cycles() -> None:
        for _ in range(8):
            scene.pass_time()
            scene.decide()

    at_once(people, people, cycles)
    assert bot_of(scene).event_sequence >= 2 * 2 * 10
    assert bot_of(scene).status == BotStatus.ACTIVE
    all_is_well(scene)
