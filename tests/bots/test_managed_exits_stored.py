"""Managed exits of a stored bot: marks that do what is due, restarts, older books, services and commands."""

import json
from datetime import timedelta
from decimal import Decimal as D
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from bots import models, queries, rows, runtime, services, stored_record
from bots.domain.bot import BotStatus
from bots.domain.exits import ExitRules, Rung
from bots.domain.stored_book import book_from
from market.domain.enums import OrderPurpose, OrderStatus
from tests.bots.desks import buys
from tests.bots.paper_desks import paper_bot, paper_desk
from tests.scenarios.tables import SYMBOL
from tradingagent.accounts.models import AuditEntry, User

pytestmark = pytest.mark.django_db(transaction=True)

RULES = ExitRules(
    trailing_fraction=D("0.02"),
    trailing_from_r=D("0.5"),
    break_even_at_r=D("0.3"),
    ladder=(Rung(at_r=D(1), fraction=D("0.5")),),
    time_stop=timedelta(hours=4),
)


@pytest.fixture
def desk(monkeypatch):
    """A long of 15 at 100 with its stop at 95, by a bot with every rule on."""
    stored_record.forget()
    desk = paper_desk(monkeypatch, buys(take_profit=130), **rows.exit_columns(RULES))
    desk.cycle("open")
    desk.mark()
    return desk


def stops():
    living = models.Order.objects.filter(purpose=OrderPurpose.STOP, status=OrderStatus.ACCEPTED)
    return [(row.trigger_price, row.quantity) for row in living]


def plan(desk):
    return book_from(desk.state.book, {}).plans[SYMBOL]


def test_a_mark_does_what_is_due_and_only_then_takes_the_desk(desk) -> None:
    desk.tick("100.5")
    done = desk.mark()
    assert (done.quiet, done.marked) == (1, 0)
    desk.tick("105")
    done = desk.mark()
    assert (done.quiet, done.marked) == (0, 1)
    assert stops() == [(D("102.9"), D("7.5"))]
    assert models.Position.objects.get().quantity == D("7.5")
    desk.tick("105")
    assert desk.mark().quiet == 1
    assert desk.differences() == []


def test_a_restart_forgets_nothing(desk) -> None:
    desk.tick("105")
    desk.mark()
    before = plan(desk)
    assert (before.first_stop_price, before.managed_stop_price, before.rungs_taken) == (
        D(95), D("102.9"), 1,
    )  # fmt: skip
    runtime._models.clear()  # each mark and each cycle opens its desk anew: nothing else is kept
    desk.tick("105")
    desk.cycle("hold")
    assert plan(desk) == before
    assert models.Order.objects.filter(purpose=OrderPurpose.LADDER).count() == 1


def test_a_time_stop_ends_a_trade_between_decisions(desk) -> None:
    desk.tick("101", by=timedelta(hours=4))
    desk.mark()
    assert models.ClosedTrade.objects.get().exit_reason == "TIME_STOP"
    assert not models.Position.objects.exists()
    assert desk.differences() == []


@pytest.mark.parametrize("status", [BotStatus.PAUSED, BotStatus.DRAFT])
def test_exits_go_on_whatever_the_status(desk, status: BotStatus) -> None:
    models.Bot.objects.update(status=status, is_halted=True)
    desk.tick("105")
    desk.mark()
    assert stops() == [(D("102.9"), D("7.5"))]


def test_each_is_recorded_as_the_bots_own_act(desk) -> None:
    desk.tick("105")
    desk.mark()
    told = queries.own_acts(models.Bot.objects.get(), 9)
    assert [(symbol, text) for _, symbol, text in told] == [
        (SYMBOL, "trailing stop: the stop moves from 95 to 102.9, mark 105"),
        (SYMBOL, "ladder: rung 1 of 1 at 1 R closes 7.5, mark 105"),
    ]


def test_a_book_from_before_managed_exits_is_read(desk) -> None:
    state = desk.state
    raw = json.loads(state.book)
    for name in ("closing_as", "first_stop_price", "managed_stop_price", "rungs_taken"):
        del raw["plans"][SYMBOL][name]
    state.book = json.dumps(raw)
    state.save()
    assert plan(desk).first_stop_price is None
    desk.tick("105")  # its risk is not known any more: nothing in R
    desk.mark()
    assert stops() == [(D(95), D(15))]


def test_the_model_is_told_its_rules(desk) -> None:
    described = runtime.open_desk(runtime.load_bot(desk.bot.pk)).desk.described_limits
    assert ("Stop trails the mark price", "at 2% from 0.5 R on") in described


def test_rules_are_changed_audited_and_in_force_from_the_next_beat(desk) -> None:
    rules = ExitRules(trailing_fraction=D("0.01"))
    services.manage_exits_of(desk.bot.pk, rules, by=desk.bot.owner)
    entry = AuditEntry.objects.get(action="update_bot")
    assert entry.before["exits"]["Takes partial profits"] == "50% at 1 R"
    assert entry.after["exits"] == {"Stop trails the mark price": "at 1%"}
    desk.tick("105")
    desk.mark()
    assert stops() == [(D("103.9"), D(15))]


def test_a_bot_beside_others_keeps_its_rules(desk) -> None:
    models.Bot.objects.update(cohort=desk.bot.pk)
    with pytest.raises(services.BotRefused, match="only its name may change"):
        services.manage_exits_of(desk.bot.pk, ExitRules(), by=desk.bot.owner)


@pytest.mark.parametrize(
    "columns",
    [
        {"trailing_fraction": D("0.9")},
        {"trailing_from_r": D(1)},
        {"break_even_at_r": D(0)},
        {"time_stop": timedelta(seconds=5)},
    ],
)
def test_the_database_refuses_what_makes_no_sense(columns) -> None:
    with pytest.raises(IntegrityError, match="bot_exits_make_sense"), transaction.atomic():
        models.Bot.objects.filter(pk=paper_bot().pk).update(**columns)


def create(*arguments: str) -> models.Bot:
    User.objects.get_or_create(email="owner@example.org")
    out = StringIO()
    call_command(
        "create_bot", "--owner", "owner@example.org", "--mode", "paper", "--venue", "simulated",
        "--symbols", "BTC/USDT:USDT", "--trader", "flat", "--interval", "180", "--capital", "10000",
        "--risk", "balanced", *arguments, stdout=out,
    )  # fmt: skip
    return models.Bot.objects.get(pk=out.getvalue().split()[-1])


def test_the_command_makes_a_bot_with_its_exits() -> None:
    bot = create(
        "--trailing-stop", "2%", "--trailing-from", "0.5", "--break-even", "0.3", "--ladder", "1:50%",
        "--time-stop", "4h",
    )  # fmt: skip
    assert rows.exits_of(bot) == RULES
    assert rows.exits_of(create()).is_off


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--trailing-stop", "90%"), "a stop trails at 0.1% to 50% of the price, not 90%"),
        (("--trailing-from", "1"), "needs its distance"),
        (("--ladder", "half"), "a rung is written as 1:50%"),
        (("--ladder", "1:80%,2:80%"), "close 160%"),
        (("--time-stop", "soon"), "no length of time"),
    ],
)
def test_the_command_refuses_in_a_sentence(arguments, sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        create(*arguments)
    assert not models.Bot.objects.exists()
