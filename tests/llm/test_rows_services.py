"""From rows to a trader that decides, and from its decision to rows of what it cost."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from llm.domain import Completion, Decision, DecisionOutcome, Usage
from llm.errors import BudgetExhausted, ModelTimedOut
from llm.hosts import Provider
from llm.models import LLMCall, ModelPrice, ModelProfile, PromptTemplate, ProviderKey
from llm.prompts import STANDARD
from llm.providers.scripted import ScriptedChat
from llm.services import (
    ProviderNotAvailable,
    change_provider_key,
    chat_model,
    create_model_profile,
    create_provider_key,
    record_calls,
    save_model_price,
    save_prompt_template,
    trader_for,
)
from llm.traders.llm_trader import LLMTrader
from tests.llm.scenes import first_view
from tests.risk.build import D
from tradingagent.accounts.models import AuditEntry, User
from tradingagent.accounts.secrets import HIDDEN, Secret

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOLD = '{"summary": "Nothing.", "decisions": []}'


@pytest.fixture
def root() -> User:
    return User.objects.create_superuser("root@example.org")


@pytest.fixture
def ann() -> User:
    return User.objects.create_user("ann@example.org")


@pytest.fixture
def script(tmp_path) -> str:
    path = tmp_path / "completions.json"
    path.write_text(json.dumps([{"text": HOLD}]))
    return str(path)


@pytest.fixture
def profile(root, script) -> ModelProfile:
    return create_model_profile(
        owner=None,
        name="a script",
        provider=Provider.SCRIPTED,
        params={"completions": script},
        deadline_seconds=45,
        token_budget=50_000,
        by=root,
    )


# --- Traders ---------------------------------------------------------------------------------------


def test_a_scripted_profile_decides(profile):
    trader = trader_for(profile, None, "Prefer ETH.")

    decision = trader.decide(replace(first_view(), owner_words=""))

    assert trader.template == STANDARD
    assert (trader.deadline, trader.token_budget) == (timedelta(seconds=45), 50_000)
    assert (decision.trader, decision.outcome) == ("a script", DecisionOutcome.DECIDED)
    assert decision.summary == "Nothing."
    assert "Prefer ETH." in decision.prompts[0].user


def test_a_template_is_fixed_by_its_first_use(profile, ann):
    row = save_prompt_template(
        PromptTemplate(owner=ann, name="mine", system="Trade.", user="{{clock}}"), by=ann
    )
    edited = PromptTemplate.objects.get(pk=row.pk)
    edited.system = "Trade well."
    edited.save()

    trader = trader_for(profile, row, "")  # `row` is older than what is stored

    assert trader.template.system == "Trade well."
    assert row.used_at is not None
    assert trader_for(profile, row, "").template == trader.template


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({}, "takes params"),
        ({"completions": 7}, "takes params"),
        ({"completions": "x", "temperature": 1}, "takes params"),
        ({"completions": "/no/such/file"}, "x: there is no completions file"),
    ],
)
def test_a_script_that_can_t_be_played_is_said(params, words):
    with pytest.raises(ProviderNotAvailable, match=words):
        chat_model(ModelProfile(name="x", provider=Provider.SCRIPTED, params=params))


# --- Calls -----------------------------------------------------------------------------------------


def said(text: str, **changes) -> Completion:
    values = {
        "model": "m-1",
        "usage": Usage(input_tokens=100, output_tokens=20, cached_tokens=40),
        "cost": D("0.0012"),
        "latency_ms": 900,
    }
    return Completion(text=text, **{**values, **changes})


def decide(*lines) -> Decision:
    return LLMTrader(chat=ScriptedChat(lines=lines)).decide(first_view())


def recorded(decision: Decision) -> list[tuple]:
    rows = record_calls("bot 7", decision, None, NOW)
    assert LLMCall.objects.count() == len(rows)
    return [
        (row.outcome, row.input_tokens, row.cost, row.latency_ms, row.error)
        for row in LLMCall.objects.order_by("pk")
    ]


def test_an_answer_is_one_row(profile):
    decision = decide(said(HOLD))

    record_calls("bot 7", decision, profile, NOW)

    row = LLMCall.objects.get()
    assert (row.cost_center, row.at, row.profile) == ("bot 7", NOW, profile)
    assert (row.trader, row.model) == ("scripted", "m-1")
    assert (row.template_name, row.template_version) == ("standard", 1)
    assert row.template_hash == STANDARD.hash
    assert (row.input_tokens, row.output_tokens, row.cached_tokens) == (100, 20, 40)
    assert (row.outcome, row.cost, row.latency_ms, row.error) == ("DECIDED", D("0.0012"), 900, "")


def test_each_try_is_a_row():
    first, second = recorded(decide(said("no json"), said(HOLD, cost=None)))

    assert first == ("UNREADABLE", 100, D("0.0012"), 900, "asked once more")
    assert second == ("DECIDED", 100, None, 900, "")


def test_a_call_without_answer_is_a_row_of_unknown_cost():
    assert recorded(decide(ModelTimedOut("too late"))) == [("TIMED_OUT", 0, None, None, "too late")]


def test_a_second_try_without_answer_is_a_row():
    _, second = recorded(decide(said("no json"), ModelTimedOut("too late")))

    assert second[:4] == ("UNREADABLE", 0, None, None)
    assert "the second try failed: too late" in second[4]


def test_what_was_not_sent_is_no_row():
    over = replace(LLMTrader(chat=ScriptedChat(lines=[HOLD])), token_budget=1).decide(first_view())

    assert over.outcome is DecisionOutcome.OVER_BUDGET
    assert recorded(over) == []
    assert recorded(decide(BudgetExhausted("spent"))) == []
    assert recorded(Decision(trader="flat")) == []


def test_calls_are_stored_in_one_insert(django_assert_num_queries):
    decision = decide(said("no json"), said(HOLD))

    with django_assert_num_queries(1):
        record_calls("bot 7", decision, None, NOW)


# --- Writes ----------------------------------------------------------------------------------------


def test_only_staff_may_name_a_file(ann, root, script):
    values: dict[str, Any] = {
        "name": "s",
        "provider": Provider.SCRIPTED,
        "params": {"completions": script},
    }

    with pytest.raises(ValidationError, match="Only staff"):
        create_model_profile(owner=ann, by=ann, **values)
    assert create_model_profile(owner=ann, by=root, **values).owner == ann


def test_a_profile_that_makes_no_sense_is_not_stored(ann):
    bad: list[dict[str, Any]] = [
        {"deadline_seconds": 601},
        {"params": []},
        {"base_url": "not an address"},
        {"key_env": "OPENAI_API_KEY"},
        {"name": ""},
    ]
    for values in bad:
        with pytest.raises(ValidationError):
            create_model_profile(
                **{"owner": ann, "name": "x", "provider": Provider.OPENAI, "by": ann, **values}
            )
    assert not ModelProfile.objects.exists()


def test_keys_are_stored_renamed_and_replaced(ann):
    row = create_provider_key(
        owner=ann, provider=Provider.OPENAI, name="mine", key=Secret("sk-one"), by=ann
    )
    change_provider_key(row, name="ours", key=None, by=ann)
    assert ProviderKey.objects.get().key.reveal() == "sk-one"
    change_provider_key(row, name="ours", key=Secret("sk-two"), by=ann)

    stored = ProviderKey.objects.get()
    assert (stored.name, stored.key.reveal()) == ("ours", "sk-two")
    entries = list(AuditEntry.objects.order_by("pk"))
    assert [entry.action for entry in entries] == [
        "create_provider_key",
        "change_provider_key",
        "change_provider_key",
    ]
    assert entries[0].after["key"] == HIDDEN
    assert entries[1].after == {"name": "ours", "key_replaced": False}
    assert "sk-" not in str([(entry.before, entry.after) for entry in entries])


@pytest.mark.parametrize("name", ["", "mine"])
def test_a_key_needs_a_new_name(ann, name):
    values = {"owner": ann, "provider": Provider.OPENAI, "key": Secret("sk"), "by": ann}
    create_provider_key(name="mine", **values)

    with pytest.raises(ValidationError):
        create_provider_key(name=name, **values)


def test_a_change_is_audited_before_and_after(ann):
    row = save_prompt_template(
        PromptTemplate(owner=ann, name="mine", system="Trade.", user="{{clock}}"), by=ann
    )
    row.system = "Hold."
    save_prompt_template(row, by=ann)

    made, changed = AuditEntry.objects.order_by("pk")
    assert (made.before, made.after["system"]) == (None, "Trade.")
    assert (changed.before["system"], changed.after["system"]) == ("Trade.", "Hold.")


def test_prices_are_checked(root):
    values = {"provider": Provider.OPENAI, "model_pattern": "m", "valid_from": NOW.date()}
    save_model_price(
        ModelPrice(**values, input_price=D(1), output_price=D(2), cached_price=D("0.1")), by=root
    )
    with pytest.raises(ValidationError):
        save_model_price(
            ModelPrice(**values, input_price=D(-1), output_price=D(2), cached_price=D(0)), by=root
        )
