"""What a door asked for, on days when something stands in its way: it stays wanted, or is refused in words."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest

from bots import enqueue as enqueuing
from bots import models, runtime, services
from bots.acts import ManualOrder
from bots.books import open_books
from llm.domain import Completion, Decision, DecisionOutcome
from llm.models import ModelProfile
from market.domain.enums import OrderStatus, PositionSide
from market.errors import VenueUnavailable
from risk.models import AccountLimits, RiskProfile
from risk.services import copy_profile
from tests.bots.desks import buys
from tests.bots.paper_desks import paper_bot, paper_desk
from tests.scenarios.tables import SYMBOL

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sent(monkeypatch) -> list[str]:
    found: list[str] = []

    class App:
        @staticmethod
        def send_task(name: str, kwargs: dict) -> None:
            found.append(name)

    monkeypatch.setattr(enqueuing, "current_app", App)
    return found


@pytest.fixture
def desk(monkeypatch, sent):
    return paper_desk(monkeypatch)


def test_a_bot_told_otherwise_while_its_model_thinks_opens_nothing(desk) -> None:
    def tell() -> None:
        services.update_bot(desk.bot.pk, {"owner_words": "be careful"}, by="x")

    desk.trader.thinking = tell
    desk.cycle("1", buys())
    assert {order.status for order in models.Order.objects.all()} == {OrderStatus.CANCELED}
    desk.trader.thinking = None
    desk.tick()
    desk.cycle("2", buys())
    assert models.Position.objects.exists()


def test_a_flatten_goes_on_until_the_venue_answers(desk, monkeypatch) -> None:
    desk.cycle("1", buys())
    action = services.flatten_bot(desk.bot.pk, by="x")

    def silent(bot: models.Bot, feed: object) -> None:
        raise VenueUnavailable("the list of instruments can't be read")

    with monkeypatch.context() as turned:
        turned.setattr(runtime, "instruments_of", silent)
        assert services.perform_action(action.pk).status == "PENDING"
        turned.setattr(runtime, "instruments_of", lambda bot, feed: 1 / 0)
        assert services.perform_action(action.pk).result == {"error": "division by zero"}
    assert services.perform_action(action.pk).status == "DONE"
    assert not models.Position.objects.exists()


def test_a_flatten_does_not_forget_an_entry_of_unknown_fate(desk, monkeypatch) -> None:
    from market.venues.paper_broker import PaperBroker

    submit, silence = PaperBroker.submit, VenueUnavailable("no answer")

    def lost(self, order, attached=()):
        submit(self, order, attached)
        raise silence

    def silent(self, *_):
        raise silence

    with monkeypatch.context() as turned:
        turned.setattr(PaperBroker, "submit", lost)
        desk.cycle("1", buys())
        for name in ("sync", "lookup", "cancel"):
            turned.setattr(PaperBroker, name, silent)
        halted = services.halt(by="x", bot_id=desk.bot.pk, flatten=True)
        [action_id] = halted.actions
        assert len(halted.in_flight) == 1
        assert services.perform_action(action_id).status == "PENDING"
    desk.tick()
    assert services.perform_action(action_id).status == "DONE"
    assert not models.Position.objects.exists()
    assert desk.differences() == []


def test_the_flattens_of_a_halt_are_completed_by_the_sweep(desk, sent) -> None:
    desk.cycle("1", buys())
    services.halt(by="x", reason="now", flatten=True)
    models.ManualAction.objects.all().delete()  # as if it had died before it asked
    assert services.sweep()["halts_completed"] == 1
    assert services.sweep()["halts_completed"] == 0
    action = models.ManualAction.objects.get()
    assert services.perform_action(action.pk).result["is_flat"]


def test_what_is_wrong_with_a_model_does_not_keep_marks_and_closes(desk, monkeypatch) -> None:
    desk.cycle("1", buys())
    monkeypatch.undo()
    profile = ModelProfile.objects.create(name="gone", provider="ANTHROPIC", model="m")
    models.Bot.objects.update(trader="", model_profile=profile)
    monkeypatch.setattr(runtime, "open_feed", lambda bot: desk.feed)
    monkeypatch.setattr(runtime, "clock", lambda: desk.clock)
    desk.tick()
    record = desk.cycle("2").record
    assert record.decision.outcome is DecisionOutcome.UNAVAILABLE
    assert "is not set where this process runs" in record.decision.reason
    desk.tick("94")
    assert desk.mark().marked == 1
    assert not models.Position.objects.exists()


def test_an_order_by_hand_is_not_sent_into_another_market(desk) -> None:
    wish = ManualOrder(symbol=SYMBOL, side=PositionSide.LONG, notional=D(500), stop_price=D(95))
    action = services.order_by_hand(desk.bot.pk, wish, by="x")
    models.ManualAction.objects.update(requested_at=action.requested_at - timedelta(minutes=2))
    assert "waited too long" in services.perform_action(action.pk).result["error"]
    assert not models.Order.objects.exists()


@pytest.mark.parametrize(
    ("request_id", "sentence"), [("x" * 61, "at most 60"), ("halt:1", "does not begin with")]
)
def test_request_ids_that_can_not_be(desk, request_id: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        services.flatten_bot(desk.bot.pk, by="x", request_id=request_id)
    with pytest.raises(ValueError, match=sentence):
        services.run_now(desk.bot.pk, by="x", request_id=request_id)


def test_a_request_id_is_of_one_request(desk) -> None:
    desk.cycle("1", buys())
    services.close_position(desk.bot.pk, SYMBOL, by="x", request_id="r")
    with pytest.raises(ValueError, match="something else"):
        services.flatten_bot(desk.bot.pk, by="x", request_id="r")


@pytest.mark.parametrize(("gross", "opens"), [(2000, True), (1000, False)])
def test_an_entry_at_market_counts_against_the_owners_limits(
    monkeypatch, sent, gross, opens
) -> None:
    desk = paper_desk(monkeypatch)
    profile = copy_profile(
        RiskProfile.objects.get(owner=None, name="balanced"), desk.bot.owner, "p"
    )
    RiskProfile.objects.filter(pk=profile.pk).update(max_slippage_bps=None)
    models.Bot.objects.update(risk_profile=profile)
    AccountLimits.objects.create(user=desk.bot.owner, max_gross_exposure=D(gross))
    desk.cycle("1", buys())
    assert models.Position.objects.exists() is opens
    if not opens:
        [order] = models.Order.objects.filter(purpose="ENTRY")
        assert order.status == OrderStatus.DENIED
        assert order.reason.startswith("ACCOUNT_GROSS_EXPOSURE wanted=1650 allowed=1000")


def test_a_cost_that_is_not_charged_counts_to_the_budget(desk) -> None:
    models.Bot.objects.update(charge_llm_cost=False)
    RiskProfile.objects.filter(name="balanced").update(max_llm_cost_per_day=D("0.4"))
    paid = Decision(
        trader="literal", completions=(Completion(text="{}", model="m", cost=D("0.5")),)
    )
    desk.cycle("1", paid)
    desk.tick()
    desk.cycle("2", buys())
    assert desk.state.cash == D(10_000)
    assert desk.state.trading_state == "REDUCING"
    assert not models.Position.objects.exists()


def test_an_answer_that_uses_up_the_budget_opens_nothing_any_more(desk) -> None:
    RiskProfile.objects.filter(name="balanced").update(max_llm_cost_per_day=D("0.4"))
    spends = replace(buys(), completions=(Completion(text="{}", model="m", cost=D("0.4")),))
    desk.trader.thinking = desk.tick
    verdict = desk.cycle("1", spends).record.verdict
    assert [denial.code for denial in verdict.denials] == ["LLM_BUDGET"]
    assert not models.Order.objects.exists()
    assert (desk.state.trading_state, desk.state.llm_cost) == ("REDUCING", D("0.4"))
    desk.tick(by=timedelta(days=1))
    assert desk.cycle("tomorrow", buys()).record.order_ids


def test_a_clock_that_lags_turns_no_day_back(desk) -> None:
    desk.tick(by=timedelta(hours=12))
    desk.cycle("1")
    navs = desk.state.day_navs
    ledger = runtime.open_desk(runtime.load_bot(desk.bot.pk)).ledger
    assert ledger.take_desk()
    ledger.record_equity(desk.clock.now() - timedelta(hours=1), D(9000))
    ledger.record_equity(desk.clock.now(), D(9000))
    ledger.release_desk()
    assert desk.state.day_navs == navs == '["10000", "10000"]'


def test_a_cycle_that_fails_is_given_up_and_told(desk) -> None:
    desk.trader.thinking = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        desk.cycle("1")
    cycle = models.TradingCycle.objects.get()
    assert (cycle.status, cycle.reason) == ("ABANDONED", "ZeroDivisionError: division by zero")
    assert models.Event.objects.get(kind="CYCLE").payload["outcome"] == "FAILED"
    desk.trader.thinking = None
    desk.tick()
    assert desk.cycle("2", buys()).record.order_ids


def test_every_cycle_is_counted(desk) -> None:
    for slot in "123":
        desk.cycle(slot)
        desk.tick()
    desk.feed.down = True
    desk.cycle("4")
    assert desk.state.cycles == 4


def test_marks_that_can_not_be_written_keep_no_other_back(desk, monkeypatch) -> None:
    from bots import marks

    desk.cycle("1", buys())
    other = paper_bot()
    desk.trader.answers.append(buys())
    services.run_slot(other.pk, "1")
    desk.tick(by=timedelta(minutes=2))
    store = marks._store

    def fails_for_the_other(mine):
        mine = list(mine)
        if any(one.bot_id == other.pk for one in mine):
            raise ValueError("does not fit")
        store(mine)

    monkeypatch.setattr(marks, "_store", fails_for_the_other)
    assert desk.mark().written == 1
    assert not models.Bot.objects.exclude(desk_owner="").exists()


def test_books_are_opened_once(desk) -> None:
    with pytest.raises(Exception, match=r"(?i)unique"):
        open_books(runtime.config_of(desk.bot), desk.clock.now())
