"""A halt that flattens, on the worst days: answers lost, a venue that is down and comes back, fills that come late.
It closes once, goes on until flat, says what it could not close, and opens nothing meanwhile."""

from datetime import timedelta
from decimal import Decimal as D

import pytest

from bots import models, runtime, services
from bots.acts import ManualOrder
from bots.cycle import mark, run_cycle
from bots.reconciliation import ARRIVAL_GRACE
from market.domain.enums import OrderPurpose, OrderStatus, PositionSide
from market.domain.evolve import evolve
from market.domain.orders import VenueReport
from market.errors import VenueUnavailable
from market.venues.paper_broker import PaperBroker
from risk.domain import Code, TradingState
from tests.bots.desks import buys, stand
from tests.bots.paper_desks import PaperDesk, paper_desk
from tests.scenarios.tables import SYMBOL

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(monkeypatch) -> PaperDesk:
    monkeypatch.setattr(
        "bots.enqueue.current_app", type("App", (), {"send_task": lambda *_, **__: None})
    )
    desk = paper_desk(monkeypatch, buys())
    desk.cycle("open")
    assert models.Position.objects.get().quantity == D(15)
    return desk


class Wire:
    """The way to the venue; what is cut raises, before or after the venue has acted."""

    def __init__(self, monkeypatch) -> None:
        self.acts = {
            name: getattr(PaperBroker, name) for name in ("submit", "cancel", "lookup", "sync")
        }
        self.cut: dict[str, str] = {}
        for name in self.acts:
            monkeypatch.setattr(PaperBroker, name, self._through(name))

    def _through(self, name: str):
        def spoken(broker, *given):
            if self.cut.get(name) == "before":
                raise VenueUnavailable("no answer")
            answer = self.acts[name](broker, *given)
            if self.cut.get(name) == "after":
                raise VenueUnavailable("no answer")
            return answer

        return spoken

    def down(self) -> None:
        self.cut = dict.fromkeys(self.acts, "before")

    def up(self) -> None:
        self.cut = {}


@pytest.fixture
def wire(monkeypatch) -> Wire:
    return Wire(monkeypatch)


def closes() -> list[models.Order]:
    return list(
        models.Order.objects.filter(purpose=OrderPurpose.CLOSE).order_by("created_at", "pk")
    )


def is_over(desk: PaperDesk) -> bool:
    """Flat, nothing resting, the books in order, and still halted."""
    return (
        not models.Position.objects.exists()
        and not models.Order.objects.filter(status__in=models.LIVING_STATUSES).exists()
        and desk.differences() == []
        and models.Bot.objects.get().is_halted
    )


def beats(desk: PaperDesk, number: int = 1, by: timedelta = timedelta(seconds=15)) -> None:
    for _ in range(number):
        desk.tick(by=by)
        desk.mark()


@pytest.mark.parametrize("lost", ["before", "after"])
def test_a_bot_halted_while_the_fate_of_its_close_is_unknown_closes_once(desk, wire, lost) -> None:
    wire.cut = {"submit": lost, "lookup": "before", "sync": "before"}
    asked = services.close_position(desk.bot.pk, SYMBOL, by="x")
    services.perform_action(asked.pk)
    assert [order.status for order in closes()] == [OrderStatus.UNKNOWN]

    [action_id] = services.halt(by="x", reason="now", flatten=True).actions
    action = services.perform_action(action_id)

    assert (action.status, action.result["left"]) == ("PENDING", {SYMBOL: "15"})
    assert len(closes()) == 1  # it is asked about, and no second one leaves
    wire.up()
    if lost == "before":
        beats(desk)
        assert [order.status for order in closes()] == [OrderStatus.UNKNOWN]
        beats(desk, 2, by=ARRIVAL_GRACE)
        assert [order.status for order in closes()] == [
            OrderStatus.NEVER_ARRIVED,
            OrderStatus.FILLED,
        ]
    desk.tick()
    assert services.perform_action(action_id).status == "DONE"
    assert models.Fill.objects.filter(order__purpose=OrderPurpose.CLOSE).count() == 1
    assert is_over(desk)


def test_a_flatten_at_a_venue_that_is_down_says_what_is_left_and_ends_when_it_is_back(
    desk, wire
) -> None:
    wire.down()
    halted = services.halt(by="x", flatten=True)
    [action_id] = halted.actions
    for _ in range(3):
        action = services.perform_action(action_id)
        assert (action.status, action.result["is_flat"]) == ("PENDING", False)
        assert action.result["left"] == {SYMBOL: "15"}
        beats(desk)
    desk.feed.down = True  # now not even prices come
    action = services.perform_action(action_id)
    assert action.result["left"] == {SYMBOL: "15"}
    assert action.result["reason"] == "the feed is down"

    desk.feed.down = False
    wire.up()
    beats(desk, 4, by=ARRIVAL_GRACE)  # by marks alone, before the action's next try

    assert not models.Position.objects.exists()
    assert services.perform_action(action_id).status == "DONE"
    assert is_over(desk)


def test_a_close_that_the_venue_refuses_is_tried_again_under_another_name(desk, wire) -> None:
    [action_id] = services.halt(by="x", flatten=True).actions
    refusals = iter([True, True])
    submit = wire.acts["submit"]

    def refuses(broker, order, attached=()):
        from market.errors import OrderRefused

        if next(refusals, False):
            raise OrderRefused("NOT_TODAY")
        return submit(broker, order, attached)

    wire.acts["submit"] = refuses
    assert services.perform_action(action_id).status == "DONE"
    assert sorted(order.status for order in closes()) == ["FILLED", "REJECTED", "REJECTED"]
    assert all(order.reduce_only for order in closes())
    assert is_over(desk)


def test_a_fill_that_comes_after_the_flatten_is_flattened_too(desk, wire) -> None:
    [action_id] = services.halt(by="x", flatten=True).actions
    assert services.perform_action(action_id).status == "DONE"
    assert services.sweep()["halts_completed"] == 0
    services.resume(by="x")
    desk.tick(by=timedelta(hours=2))
    wire.cut = {"submit": "after"}
    desk.cycle("again", buys())
    wire.down()
    [entry] = models.Order.objects.filter(status=OrderStatus.UNKNOWN, purpose=OrderPurpose.ENTRY)
    halted = services.halt(by="x", flatten=True)
    assert halted.in_flight == (entry.pk,)
    [action_id] = halted.actions
    # given up too early: what is told of it later is a late fill
    models.Order.objects.filter(status=OrderStatus.UNKNOWN).update(status=OrderStatus.NEVER_ARRIVED)
    assert services.perform_action(action_id).status == "DONE"
    wire.up()

    desk.tick()
    models.Order.objects.filter(status=OrderStatus.NEVER_ARRIVED).update(status=OrderStatus.UNKNOWN)
    desk.mark()
    assert models.Position.objects.exists()
    assert services.sweep()["halts_completed"] == 1
    assert services.sweep()["halts_completed"] == 0  # it is under way
    assert services.perform_action(action_id).status == "DONE"
    assert is_over(desk)


def test_nothing_new_is_begun_until_somebody_resumes(desk) -> None:
    [action_id] = services.halt(by="x", flatten=True).actions
    services.perform_action(action_id)
    wish = ManualOrder(
        symbol=SYMBOL,
        side=PositionSide.LONG,
        notional=D(500),
        stop_price=D(95),
        target_price=D(110),
    )

    def opens(name: str) -> list[str]:
        desk.tick(by=timedelta(hours=1))
        verdict = desk.cycle(name, buys()).record.verdict
        by_hand = services.order_by_hand(desk.bot.pk, wish, by="x")
        told = services.perform_action(by_hand.pk).result["denials"]
        return [*(denial.code for denial in verdict.denials), *(one.split()[0] for one in told)]

    assert opens("halted") == ["BOT_NOT_ACTIVE", "BOT_NOT_ACTIVE"]
    services.pause_bot(desk.bot.pk, by="x")
    services.start_bot(desk.bot.pk, by="x")  # no way around it
    assert opens("started again") == ["BOT_NOT_ACTIVE", "BOT_NOT_ACTIVE"]
    assert not models.Position.objects.exists()
    services.resume(by="x")
    assert opens("resumed")[0] != "BOT_NOT_ACTIVE"
    assert models.Position.objects.exists()


def test_a_desk_that_is_busy_is_waited_for_and_the_flatten_asked_again(desk, monkeypatch) -> None:
    ledger = runtime.open_desk(runtime.load_bot(desk.bot.pk)).ledger
    assert ledger.take_desk()
    [action_id] = services.halt(by="x", flatten=True).actions
    monkeypatch.setitem(runtime.open_desk.__kwdefaults__, "patience", timedelta(0))
    assert services.perform_action(action_id) is None
    assert models.ManualAction.objects.get().status == "PENDING"
    ledger.release_desk()
    assert services.perform_action(action_id).status == "DONE"
    assert is_over(desk)


def test_while_halted_an_entry_of_unknown_fate_is_cancelled_though_nothing_is_held(
    monkeypatch,
) -> None:
    s = stand(None, buys())
    s.broker.cut_submit = "before"
    run_cycle(s.desk, "1")
    s.broker.cut_submit = None
    (entry,) = (one for one in s.ledger.book.open_orders.values() if not one.reduce_only)
    halted = evolve(
        s.ledger.book.breakers, state=TradingState.HALTED, reasons=frozenset({Code.HARD_DRAWDOWN})
    )
    s.ledger.set_breakers(halted)
    cancelled: list[str] = []

    def cancel(order_id: str) -> list[VenueReport]:
        cancelled.append(order_id)
        return []

    monkeypatch.setattr(s.broker, "cancel", cancel)
    s.tick()
    mark(s.desk)
    assert entry.client_order_id in cancelled
    assert not s.ledger.book.positions


def test_what_is_opened_after_a_resume_is_not_closed_by_the_flatten_of_the_halt(desk, wire) -> None:
    wire.down()
    [action_id] = services.halt(by="x", flatten=True).actions
    services.perform_action(action_id)
    wire.up()
    beats(desk, 4, by=ARRIVAL_GRACE)
    assert not models.Position.objects.exists()  # the marks were faster than the action's next try

    services.resume(by="x")
    desk.trader.answers = [buys()]
    desk.tick()
    desk.cycle("again")
    action = services.perform_action(action_id)

    assert (action.status, action.result) == (
        "FAILED",
        {"error": "the halt was ended before everything was closed: what is opened from then on stays open"},
    )  # fmt: skip
    assert models.Position.objects.get().quantity == D(15)
    assert services.perform_action(action_id) is None
