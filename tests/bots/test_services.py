"""What a door may ask: bots made, told, started, paused, put away; closes, flattens and orders by hand."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest
from django.db import transaction
from django_celery_beat.models import PeriodicTask

from bots import enqueue as enqueuing
from bots import models, services
from bots.acts import ManualOrder
from bots.domain.bot import BotMode, BotStatus, Schedule
from bots.services import BotRefused, BotWish, NothingToResume, NotNow, creating
from llm.domain import DecisionAction
from market.domain.enums import OrderStatus, PositionSide
from risk.models import RiskProfile
from risk.services import copy_profile
from tests.bots.desks import buys, says
from tests.bots.paper_desks import paper_bot, paper_desk
from tests.scenarios.tables import SYMBOL
from tradingagent.accounts.models import AuditEntry, User

pytestmark = pytest.mark.django_db(transaction=True)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def sent(monkeypatch) -> list[tuple[str, dict]]:
    """The tasks that were put in a queue."""
    found: list[tuple[str, dict]] = []

    class App:
        @staticmethod
        def send_task(name: str, kwargs: dict) -> None:
            found.append((name, kwargs))

    monkeypatch.setattr(enqueuing, "current_app", App)
    return found


@pytest.fixture
def desk(monkeypatch, sent):
    return paper_desk(monkeypatch)


@pytest.fixture
def wish(desk) -> BotWish:
    return BotWish(
        owner=desk.bot.owner,
        mode=BotMode.PAPER,
        venue="simulated",
        symbols=(SYMBOL,),
        capital=D(5000),
        risk_profile=RiskProfile.objects.get(owner=None, name="balanced"),
        trader="ema_trend",
        params={"stop_atr": "3", "reward": "2"},
        interval_seconds=180,
        timeframe_seconds=180,
    )


def test_a_new_bot_is_a_draft_with_its_books_opened(wish) -> None:
    bot = services.create_bot(wish, by=wish.owner)
    bot.refresh_from_db()
    assert (bot.status, bot.schedule, bot.currency) == (BotStatus.DRAFT, Schedule.BAR_CLOSE, "USDT")
    assert bot.name == "ema_trend on TEST"
    assert services.create_bot(wish, by="command").name == "ema_trend on TEST 2"
    state = bot.state
    assert (state.cash, state.equity, state.deposits) == (D(5000),) * 3
    assert bot.sim_account.opening_cash == D(5000)
    assert [entry.kind for entry in bot.entries.all()] == ["DEPOSIT"]
    assert AuditEntry.objects.filter(action="create_bot").count() == 2
    assert not PeriodicTask.objects.filter(name__contains=str(bot.pk)).exists()


REFUSALS = [
    ({"mode": BotMode.LIVE}, "real money is not built yet"),
    ({"symbols": ()}, "at least one symbol"),
    ({"symbols": ("NOPE/USDT:USDT",)}, "does not list NOPE/USDT:USDT"),
    ({"capital": D(0)}, "capital must be above zero"),
    ({"capital": D(-5)}, "capital must be above zero"),
    ({"interval_seconds": 4}, "at least 5 s"),
    ({"timeframe_seconds": 90}, "whole minutes"),
    ({"timeframe_seconds": 0}, "whole minutes"),
    ({"trader": "nobody"}, "no trader 'nobody'"),
    ({"params": {"speed": "9"}}, "no parameter 'speed'"),
    ({"params": {}}, "names no stop"),
    ({"trader": ""}, "name a trader or a model"),
    ({"name": "x" * 81}, "name"),
    ({"interval_seconds": 100, "schedule": Schedule.BAR_CLOSE}, "whole timeframes"),
]


@pytest.mark.parametrize(("changes", "sentence"), REFUSALS)
def test_what_makes_no_sense_is_refused_and_leaves_nothing(wish, changes, sentence) -> None:
    before = models.Bot.objects.count()
    with pytest.raises(BotRefused, match=sentence):
        services.create_bot(replace(wish, **changes), by=wish.owner)
    assert models.Bot.objects.count() == before == models.BotState.objects.count()


def test_anothers_profile_is_refused_as_if_it_did_not_exist(wish) -> None:
    preset = RiskProfile.objects.get(owner=None, name="balanced")
    theirs = copy_profile(preset, User.objects.create(email="b@example.org"), "mine")
    with pytest.raises(BotRefused, match="no such risk profile"):
        services.create_bot(replace(wish, risk_profile=theirs), by=wish.owner)


def test_a_name_is_taken_once_per_owner(wish) -> None:
    services.create_bot(replace(wish, name="mine"), by=wish.owner)
    with pytest.raises(BotRefused, match="'mine' already"):
        services.create_bot(replace(wish, name="mine"), by=wish.owner)


def test_start_and_pause_move_the_schedule_with_the_bot(wish, sent) -> None:
    bot = services.create_bot(wish, by=wish.owner)
    started = services.start_bot(bot.pk, by=wish.owner)
    assert started.status == BotStatus.ACTIVE and started.started_at is not None
    [task] = PeriodicTask.objects.filter(kwargs__contains=str(bot.pk))
    assert (task.task, task.queue, task.interval.every) == ("bots.run_cycle", "cycles", 180)
    assert task.expires is None and task.expire_seconds < 180
    assert sent == [("bots.run_cycle", {"bot_id": str(bot.pk)})]
    with pytest.raises(NotNow, match="is ACTIVE"):
        services.start_bot(bot.pk, by=wish.owner)
    services.pause_bot(bot.pk, by=wish.owner)
    assert not PeriodicTask.objects.filter(kwargs__contains=str(bot.pk)).exists()
    acts = [event.payload["act"] for event in bot.events.order_by("sequence")]
    assert acts == ["created", "start_bot", "pause_bot"]


def test_a_start_that_is_undone_leaves_neither_schedule_nor_task(wish, sent) -> None:
    bot = services.create_bot(wish, by=wish.owner)
    with transaction.atomic():
        services.start_bot(bot.pk, by=wish.owner)
        transaction.set_rollback(True)
    assert models.Bot.objects.get(pk=bot.pk).status == BotStatus.DRAFT
    assert not PeriodicTask.objects.exists()
    assert sent == []


def test_a_bot_started_under_a_halt_stays_halted(wish) -> None:
    services.halt(by="admin@example.org", reason="maintenance")
    bot = services.create_bot(wish, by=wish.owner)
    assert services.start_bot(bot.pk, by=wish.owner).is_halted
    services.resume(by="admin@example.org")
    assert not models.Bot.objects.get(pk=bot.pk).is_halted


def test_halts_overlap_and_end_one_by_one(desk) -> None:
    owner = desk.bot.owner
    other = paper_bot(User.objects.create(email="other@example.org"))

    def halted() -> list[bool]:
        return [models.Bot.objects.get(pk=one.pk).is_halted for one in (desk.bot, other)]

    services.halt(by=owner, user=owner)
    assert halted() == [True, False]
    services.halt(by="admin")
    services.halt(by=owner, bot_id=desk.bot.pk)
    services.resume(by="admin")
    assert halted() == [True, False]
    services.resume(by=owner, bot_id=desk.bot.pk)
    assert halted() == [True, False]
    services.resume(by=owner, user=owner)
    assert halted() == [False, False]
    with pytest.raises(NothingToResume):
        services.resume(by=owner, user=owner)


def test_a_halt_names_the_entries_that_had_left(desk) -> None:
    desk.cycle("1", buys())
    models.Order.objects.filter(purpose="ENTRY").update(status=OrderStatus.UNKNOWN)
    halted = services.halt(by="admin", flatten=True)
    assert halted.in_flight == tuple(
        models.Order.objects.filter(purpose="ENTRY").values_list("pk", flat=True)
    )
    assert len(halted.actions) == 1


def test_a_pause_keeps_what_is_held_protected_or_flattens_it(desk, sent) -> None:
    desk.cycle("1", buys())
    services.pause_bot(desk.bot.pk, by=desk.bot.owner, flatten=True)
    [(name, arguments)] = sent
    assert name == "bots.perform_action"
    action = services.perform_action(arguments["action_id"])
    assert action.result["is_flat"] and not models.Position.objects.exists()
    assert not models.Order.objects.filter(status__in=models.LIVING_STATUSES).exists()
    assert services.perform_action(arguments["action_id"]) is None
    assert desk.differences() == []


def test_archiving_needs_flat_and_nothing_resting(desk) -> None:
    desk.cycle("1", buys())
    services.pause_bot(desk.bot.pk, by=desk.bot.owner)
    with pytest.raises(NotNow, match="holds a position"):
        services.archive_bot(desk.bot.pk, by=desk.bot.owner)
    services.perform_action(services.flatten_bot(desk.bot.pk, by=desk.bot.owner).pk)
    assert services.archive_bot(desk.bot.pk, by=desk.bot.owner).status == BotStatus.ARCHIVED
    with pytest.raises(NotNow):
        services.run_now(desk.bot.pk, by=desk.bot.owner)


def test_one_position_is_closed_and_the_others_stay(monkeypatch, sent) -> None:
    symbols = (SYMBOL, "OTHER/USDT:USDT")
    desk = paper_desk(monkeypatch, symbols=symbols)
    answer = buys()
    both = replace(
        answer, items=tuple(replace(answer.items[0], symbol=symbol) for symbol in symbols)
    )
    desk.cycle("1", both)
    assert models.Position.objects.count() == 2
    with pytest.raises(ValueError, match="nothing is held of NOPE"):
        services.close_position(desk.bot.pk, "NOPE", by=desk.bot.owner)
    action = services.close_position(desk.bot.pk, SYMBOL, by=desk.bot.owner)
    assert services.perform_action(action.pk).result["is_flat"]
    assert [row.symbol for row in models.Position.objects.all()] == ["OTHER/USDT:USDT"]


def test_the_same_request_asks_once(desk, sent) -> None:
    first = services.flatten_bot(desk.bot.pk, by=desk.bot.owner, request_id="r1")
    again = services.flatten_bot(desk.bot.pk, by=desk.bot.owner, request_id="r1")
    assert first.pk == again.pk
    assert len(sent) == 1


def test_an_order_by_hand_passes_the_same_limits(desk) -> None:
    asked = ManualOrder(
        symbol=SYMBOL, side=PositionSide.LONG, notional=D(1500), leverage=D(5),
        stop_price=D(95), target_price=D(110),
    )  # fmt: skip

    def done(order: ManualOrder) -> dict:
        action = services.order_by_hand(desk.bot.pk, order, by=desk.bot.owner)
        return services.perform_action(action.pk).result

    assert "STOP_REQUIRED" in done(replace(asked, stop_price=None))["denials"][0]
    assert "MAX_LEVERAGE" in done(replace(asked, leverage=D(50)))["clamps"][0]
    services.perform_action(services.flatten_bot(desk.bot.pk, by=desk.bot.owner).pk)
    result = done(replace(asked, notional=None, quantity=D(10)))
    assert len(result["order_ids"]) == 3 and not result["denials"]
    assert models.Position.objects.get().quantity == D(10)
    assert "ADD_NOT_ALLOWED" in done(asked)["denials"][0]
    with pytest.raises(ValueError, match="one of them"):
        services.order_by_hand(desk.bot.pk, replace(asked, quantity=D(1)), by="x")
    assert desk.differences() == []


def test_an_order_by_hand_of_a_paused_bot_is_denied(desk) -> None:
    services.pause_bot(desk.bot.pk, by=desk.bot.owner)
    order = ManualOrder(
        symbol=SYMBOL, side=PositionSide.LONG, notional=D(1500), stop_price=D(95), target_price=D(110)
    )  # fmt: skip
    action = services.order_by_hand(desk.bot.pk, order, by=desk.bot.owner)
    assert "BOT_NOT_ACTIVE" in services.perform_action(action.pk).result["denials"][0]


def test_while_the_clock_is_held_still_a_decision_is_judged_on_the_account_as_it_is(desk) -> None:
    """A machine's clock that was set back stands still for as long. Somebody buys by hand while the model thinks:
    the bot's own entry would add to that."""
    order = ManualOrder(
        symbol=SYMBOL, side=PositionSide.LONG, notional=D(500), stop_price=D(95), target_price=D(110)
    )  # fmt: skip

    def buys_by_hand() -> None:
        action = services.order_by_hand(desk.bot.pk, order, by=desk.bot.owner)
        services.perform_action(action.pk)

    desk.trader.thinking = buys_by_hand
    record = desk.cycle("1", buys()).record
    assert "ADD_NOT_ALLOWED" in str(record.verdict.denials)
    assert models.Position.objects.get().quantity == D(5)
    assert desk.differences() == []


def test_a_bot_is_told_otherwise_but_leaves_no_position_behind(desk) -> None:
    desk.feed.traded = (*desk.feed.traded, replace(desk.feed.traded[0], symbol="OTHER/USDT:USDT"))
    desk.cycle("1", buys())
    with pytest.raises(BotRefused, match="close it first"):
        services.update_bot(desk.bot.pk, {"symbols": ["OTHER/USDT:USDT"]}, by=desk.bot.owner)
    with pytest.raises(BotRefused, match="capital of a bot can't be changed"):
        services.update_bot(desk.bot.pk, {"capital": D(1)}, by=desk.bot.owner)
    changes = {"symbols": [SYMBOL, "OTHER/USDT:USDT"], "interval_seconds": 100}
    told = services.update_bot(desk.bot.pk, changes, by=desk.bot.owner)
    assert (told.schedule, told.symbols) == (Schedule.SPREAD, ["OTHER/USDT:USDT", SYMBOL])
    [task] = PeriodicTask.objects.filter(kwargs__contains=str(desk.bot.pk))
    assert task.interval.every == 100
    desk.tick()
    assert desk.cycle("2", says(DecisionAction.CLOSE)).record.order_ids
    assert desk.differences() == []


def test_a_bot_that_was_told_otherwise_meanwhile_is_not_told_on_what_it_was(
    desk, monkeypatch
) -> None:
    """Each change makes sense alone: decisions each minute on its bars, or bars of three minutes. Together they
    would make a bot that waits for bars which do not close when it is due."""
    services.update_bot(desk.bot.pk, {"timeframe_seconds": 60}, by=desk.bot.owner)
    checked = creating._checked

    def meanwhile(bot):
        monkeypatch.setattr(creating, "_checked", checked)
        services.update_bot(desk.bot.pk, {"timeframe_seconds": 180}, by="another")
        return checked(bot)

    monkeypatch.setattr(creating, "_checked", meanwhile)
    with pytest.raises(BotRefused, match="told otherwise meanwhile"):
        services.update_bot(desk.bot.pk, {"interval_seconds": 60}, by=desk.bot.owner)
    bot = models.Bot.objects.get()
    assert (bot.interval_seconds, bot.timeframe_seconds) == (180, 180)
    assert bot.schedule == Schedule.BAR_CLOSE


def test_a_person_resumes_what_the_hard_drawdown_halted(desk) -> None:
    RiskProfile.objects.filter(name="balanced").update(
        soft_drawdown_fraction=D("0.001"), hard_drawdown_fraction=D("0.003")
    )
    desk.cycle("1", buys())
    for _ in range(2):
        desk.tick("97")
        desk.mark()
    assert desk.state.trading_state == "HALTED"
    services.resume(by=desk.bot.owner, bot_id=desk.bot.pk)
    state = desk.state
    assert (state.trading_state, state.peak_nav) == ("ACTIVE", state.equity)
    assert AuditEntry.objects.filter(action="resume_breakers").exists()


def test_sweeping_sends_lost_closes_again_and_fails_lost_orders(desk, sent) -> None:
    flatten = services.flatten_bot(desk.bot.pk, by="x")
    order = services.order_by_hand(
        desk.bot.pk,
        ManualOrder(symbol=SYMBOL, side=PositionSide.LONG, notional=D(100)),
        by="x",
    )
    long_ago = flatten.requested_at - timedelta(hours=1)
    models.ManualAction.objects.update(status="RUNNING", requested_at=long_ago, taken_at=long_ago)
    sent.clear()
    assert services.sweep()["lost_actions"] == 1
    assert models.ManualAction.objects.get(pk=order.pk).status == "FAILED"
    assert sent == [("bots.perform_action", {"action_id": str(flatten.pk)})]


def test_run_now_opens_nothing_for_a_draft_and_asks_once(desk) -> None:
    models.Bot.objects.update(status=BotStatus.DRAFT)
    desk.trader.answers.append(buys())
    run = services.run_requested(desk.bot.pk, "r1")
    assert [denial.code for denial in run.record.verdict.denials] == ["BOT_NOT_ACTIVE"]
    assert services.run_requested(desk.bot.pk, "r1") is None
    assert services.run_slot(desk.bot.pk, "2022-01-03T12:00:00Z") is None  # a tick does nothing
    assert {stage for stage, _ in run.stages} >= {"market", "sync", "decide", "close the cycle"}
