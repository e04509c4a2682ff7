"""A bot's model is paid from its own budget, within its limits, and from its owner's; by the owner's day."""

from datetime import UTC, date, datetime
from decimal import Decimal as D
from typing import Any

import pytest

from bots import models, runtime
from llm.domain import Decision, DecisionOutcome
from llm.hosts import Provider
from llm.models import BudgetDay, LLMCall, ModelProfile
from llm.prices import micros
from llm.services import set_budget
from market.venues.clocks import SteppedClock
from tests.chaos.scene import open_scene
from tests.llm.hosts.server import Host, says
from tests.llm.hosts.stage import priced, profile_of
from tests.llm.hosts.wires import OPENAI
from tests.llm.scenes import first_view
from tradingagent.accounts.models import User

pytestmark = pytest.mark.django_db(transaction=True)
NIGHT = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def fresh_models(monkeypatch) -> None:
    monkeypatch.setattr(runtime, "_models", {})
    monkeypatch.setattr(runtime, "_CLOCK", SteppedClock(NIGHT))


@pytest.fixture
def bot(host) -> models.Bot:
    host.answer_with(says(OPENAI.says()))
    priced(Provider.OPENAI)
    scene = open_scene("the bot", time_zone="Asia/Tokyo", asks_a_model=True)
    profile = profile_of(host, Provider.OPENAI)
    models.Bot.objects.filter(pk=scene.bot_id).update(model_profile=profile)
    return runtime.load_bot(scene.bot_id)


def decides(bot: models.Bot) -> Decision:
    return runtime._decider(runtime.load_bot(bot.pk)).decide(first_view())


def limits(bot: models.Bot, **columns: Any) -> None:
    type(bot.risk_profile).objects.filter(pk=bot.risk_profile_id).update(**columns)


def days(bot: models.Bot) -> dict[str, tuple[date, int, int]]:
    return {
        row.cost_center: (row.day, row.money, row.calls)
        for row in BudgetDay.objects.order_by("cost_center")
    }


def test_a_request_is_booked_under_the_bot_and_its_owner_on_the_owner_s_day(bot, host):
    decision = decides(bot)

    assert decision.outcome is DecisionOutcome.DECIDED
    booked = (date(2026, 3, 2), micros(OPENAI.cost), 1)  # in Tokyo it is tomorrow
    assert days(bot) == {f"bot:{bot.pk}": booked, f"user:{bot.owner_id}": booked}
    row = LLMCall.objects.get()
    assert (row.cost_center, row.cost) == (f"bot:{bot.pk}", OPENAI.cost)
    assert decision.cost == OPENAI.cost
    assert len(host.requests) == 1


def refused(bot: models.Bot, host: Host) -> str:
    """Why nothing left."""
    before = len(host.requests), LLMCall.objects.count()
    decision = decides(bot)
    assert decision.outcome is DecisionOutcome.OVER_BUDGET
    assert decision.items == ()
    assert (len(host.requests), LLMCall.objects.count()) == before
    return decision.reason


def test_the_limits_of_a_bot_cap_its_budget(bot, host):
    limits(bot, max_llm_cost_per_day=D("0.05"))
    assert refused(bot, host).startswith("the bot may spend 0.05")
    assert days(bot) == {}


@pytest.mark.parametrize(("of_limits", "of_budget"), [("0.01", "5"), ("5", "0.01"), (None, "0.01")])
def test_the_smaller_of_both_counts(of_limits, of_budget, bot, host):
    limits(bot, max_llm_cost_per_day=None if of_limits is None else D(of_limits))
    set_budget(
        owner=bot.owner, cost_center=runtime.cost_center(bot.pk), money_per_day=D(of_budget),
        calls_per_day=None, by=bot.owner,
    )  # fmt: skip
    assert "may spend 0.01" in refused(bot, host)


def test_the_owner_s_budget_holds_for_all_bots_together(bot, host):
    limits(bot, max_llm_cost_per_day=D(100))
    set_budget(
        owner=bot.owner, cost_center=f"user:{bot.owner_id}", money_per_day=None, calls_per_day=2,
        by=bot.owner,
    )  # fmt: skip
    other = open_scene("another", asks_a_model=True)
    models.Bot.objects.filter(pk=other.bot_id).update(model_profile=bot.model_profile)

    outcomes = [decides(one).outcome.value for one in (bot, runtime.load_bot(other.bot_id))]

    assert outcomes == ["DECIDED", "DECIDED"]
    assert refused(bot, host) == "All bots together may ask models 2 times a day, and has"
    assert days(bot)[f"bot:{bot.pk}"][2] == 1


def test_the_operator_s_budget_holds_for_all_users_and_names_no_figures(bot, host):
    operator = User.objects.create(email="operator@example.org")
    set_budget(
        owner=operator, cost_center=runtime.EVERYBODY, money_per_day=D(100), calls_per_day=1,
        by=operator,
    )  # fmt: skip
    other = open_scene("another's", email="other@example.org", asks_a_model=True)
    models.Bot.objects.filter(pk=other.bot_id).update(model_profile=bot.model_profile)

    assert decides(runtime.load_bot(other.bot_id)).outcome is DecisionOutcome.DECIDED
    assert days(bot)["everybody"] == (date(2026, 3, 1), micros(OPENAI.cost), 1)
    assert refused(bot, host) == "All users together have asked models today as much as they may"


def test_a_budget_that_is_raised_counts_at_once(bot, host):
    limits(bot, max_llm_cost_per_day=D(0))
    refused(bot, host)
    limits(bot, max_llm_cost_per_day=D(5))
    assert decides(bot).outcome is DecisionOutcome.DECIDED


def test_the_next_day_begins_at_the_owner_s_midnight(bot, host, monkeypatch):
    set_budget(
        owner=bot.owner, cost_center=runtime.cost_center(bot.pk), money_per_day=None,
        calls_per_day=1, by=bot.owner,
    )  # fmt: skip
    assert decides(bot).outcome is DecisionOutcome.DECIDED
    refused(bot, host)
    runtime._CLOCK.advance_to(datetime(2026, 3, 2, 14, 59, tzinfo=UTC))  # type: ignore[attr-defined]
    refused(bot, host)
    runtime._CLOCK.advance_to(datetime(2026, 3, 2, 15, 0, tzinfo=UTC))  # type: ignore[attr-defined]
    assert decides(bot).outcome is DecisionOutcome.DECIDED


def test_a_model_is_made_once_and_anew_when_its_profile_changed(bot, host):
    decides(bot)
    [(_, first)] = runtime._models.values()
    decides(bot)
    [(_, same)] = runtime._models.values()
    ModelProfile.objects.filter(pk=bot.model_profile_id).update(model="m-2")
    decides(bot)
    [(_, another)] = runtime._models.values()
    assert same is first and another is not first
    assert host.body["model"] == "m-2"


def test_a_profile_that_can_t_be_asked_is_a_hold(bot, host, monkeypatch):
    monkeypatch.delenv("A_KEY_OF_TESTS")
    decision = decides(bot)
    assert decision.outcome is DecisionOutcome.UNAVAILABLE
    assert "A_KEY_OF_TESTS is not set" in decision.reason
    assert host.requests == []
