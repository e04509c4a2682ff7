"""The commands of the mind: what they store and ask, what they say, what they exit with."""

import json
from decimal import Decimal as D
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from bots import models, stored_record
from llm.hosts import HOSTS, Provider
from llm.models import BudgetDay, LLMCall, ModelProfile, ProviderKey
from llm.services import set_budget
from tests.bots.desks import buys
from tests.bots.paper_desks import paper_desk
from tests.llm.hosts.server import says
from tests.llm.hosts.stage import VARIABLE, assert_no_key, canary, priced, profile_of
from tests.llm.hosts.wires import chat
from tradingagent.accounts.models import AuditEntry, User

pytestmark = pytest.mark.django_db(transaction=True)
BTC = "BTC/USDT:USDT"
BUY = {
    "summary": "Up it goes.",
    "decisions": [
        {"symbol": BTC, "action": "buy_to_enter", "confidence": 0.8, "risk_fraction": 0.01, "leverage": 3,
         "stop_loss": 30000, "take_profit": 90000, "justification": "It rises."}
    ],
}  # fmt: skip


@pytest.fixture
def ann() -> User:
    return User.objects.create_user("ann@example.org")


def told(name: str, *arguments: str) -> str:
    """What a command prints; it has to succeed."""
    out = StringIO()
    call_command(name, *arguments, stdout=out)
    return out.getvalue()


def ended(name: str, *arguments: str) -> tuple[int, str]:
    """(exit code, what was printed) of a command that exits by itself."""
    out = StringIO()
    with pytest.raises(SystemExit) as end:
        call_command(name, *arguments, stdout=out)
    return int(str(end.value)), out.getvalue()


# --- create_model_profile ----------------------------------------------------------------------------


@pytest.mark.parametrize("provider", HOSTS)
def test_every_provider_can_be_stored_as_people_write_it(provider) -> None:
    address = "http://127.0.0.1:9/v1"
    said = told(
        "create_model_profile", "Mine", "--provider", provider.lower().replace("_", "-"),
        "--model", "m", "--base-url", address,
    )  # fmt: skip

    row = ModelProfile.objects.get()
    assert said.splitlines()[-1] == str(row.pk)
    assert said.startswith(f"Mine: m of {HOSTS[provider].label} at {address}")
    assert (row.owner, row.provider, row.model) == (None, provider, "m")


def test_all_that_can_be_set_is_set(ann) -> None:
    told("create_model_profile", "second", "--provider", "ollama", "--model", "s", "--owner", ann.email)  # fmt: skip
    told(
        "create_model_profile", "first", "--provider", "openai", "--model", "m", "--owner", ann.email,
        "--key-env", VARIABLE, "--param", "temperature=0.2", "--param", "effort=low", "--deadline", "30",
        "--token-budget", "9000", "--requests-per-minute", "5", "--tokens-per-minute", "90000",
        "--fallback", "second",
    )  # fmt: skip

    row = ModelProfile.objects.get(name="first")
    assert row.params == {"temperature": 0.2, "effort": "low"}
    assert (row.deadline_seconds, row.token_budget) == (30, 9000)
    assert (row.requests_per_minute, row.tokens_per_minute) == (5, 90000)
    assert row.fallback == ModelProfile.objects.get(name="second")
    assert (row.key_env, row.provider_key.key.reveal()) == ("", canary())
    assert AuditEntry.objects.filter(action="save_model_profile").count() == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--provider", "nobody"), "'nobody' is none of anthropic, openai"),
        (("--provider", "openai"), "Name the model of OpenAI."),
        (("--provider", "openai-compatible", "--model", "m"), "Give the host's address."),
        (("--provider", "openai", "--model", "m", "--base-url", "ftp://x"), "Enter a valid URL."),
        (("--provider", "openai", "--model", "m", "--deadline", "0"), "deadline"),
        (("--provider", "openai", "--model", "m", "--param", "colour=red"), "no parameter 'colour'"),
        (("--provider", "openai", "--model", "m", "--param", "temperature=9"), "from 0 to 2"),
        (("--provider", "anthropic", "--model", "m", "--param", "temperature=1"), "no temperature"),
        (("--provider", "openai", "--model", "m", "--param", "x"), "is not NAME=VALUE"),
        (("--provider", "openai", "--model", "m", "--fallback", "gone"), "no model profile 'gone'"),
        (("--provider", "openai", "--model", "m", "--owner", "b@x.org"), "no user 'b@x.org'"),
        (
            ("--provider", "openai", "--model", "m", "--owner", "ann@example.org", "--key-env", "UNSET_KEY"),
            "UNSET_KEY is not set",
        ),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_said_and_stores_nothing(ann, arguments, sentence) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("create_model_profile", "Mine", *arguments)

    assert sentence in str(refused.value)
    assert not ModelProfile.objects.exists() and not ProviderKey.objects.exists()


def test_a_name_is_taken_once(ann) -> None:
    whose = ("--owner", ann.email, "--key-env", VARIABLE)
    arguments = ("Mine", "--provider", "openai", "--model", "m", *whose)
    told("create_model_profile", *arguments)

    with pytest.raises(CommandError, match="already"):
        call_command("create_model_profile", *arguments)
    assert (ModelProfile.objects.count(), ProviderKey.objects.count()) == (1, 1)


# --- probe_model -------------------------------------------------------------------------------------


def test_a_probe_is_one_real_decision_with_what_it_cost(host) -> None:
    host.answer_with(says(chat(json.dumps(BUY))))
    priced(Provider.DEEPSEEK)
    profile_of(host, Provider.DEEPSEEK, name="Mine")

    said = told("probe_model", "Mine", "--symbols", BTC)

    assert said.startswith("Mine: DECIDED\nUp it goes.\nbuy_to_enter   BTC/USDT:USDT ")
    assert "confidence 0.8  risk_fraction 0.01  leverage 3  stop_loss 30000" in said
    assert "m-1-dated: 600 tokens in (200 cached), 50 out, cost 0.00201 US dollars, " in said
    assert BTC in host.body["messages"][1]["content"]
    call = LLMCall.objects.get()
    assert (call.cost_center, call.cost) == ("probe", D("0.00201"))
    assert not models.Bot.objects.exists() and not models.Order.objects.exists()


def test_a_probe_of_one_s_own_model_is_paid_from_one_s_own_budget(host, ann, monkeypatch) -> None:
    ann.is_staff = True  # else a model on this machine can't be reached
    ann.save()
    host.answer_with(says(chat(json.dumps(BUY))))
    row = profile_of(host, Provider.OLLAMA, name="Mine", owner=ann)
    center = f"user:{ann.pk}"
    set_budget(owner=ann, cost_center=center, money_per_day=None, calls_per_day=1, by=ann)

    report: Any = json.loads(told("probe_model", row.name, "--json"))
    code, said = ended("probe_model", row.name, "--json")

    assert (report["outcome"], report["cost"], report["output_tokens"]) == ("DECIDED", None, 50)
    assert report["decisions"][0]["stop_loss"] == "30000"
    assert (code, json.loads(said)["outcome"]) == (1, "OVER_BUDGET")
    assert "may ask models 1 times a day, and has" in json.loads(said)["reason"]
    assert BudgetDay.objects.get(cost_center=center).calls == len(host.requests) == 1


def test_a_model_that_gives_none_ends_with_its_reason(host, caplog) -> None:
    host.answer_with(says({"error": {"message": f"bad key {canary()}"}}, status=401))
    profile_of(host, Provider.OPENAI, name="Mine")

    code, said = ended("probe_model", "Mine")

    assert (code, said) == (1, "Mine: UNAVAILABLE: the host refused the key (401)\n")
    assert_no_key(said, records=caplog.records)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("Nobody",), "there is no model profile 'Nobody'"),
        (("Mine", "--symbols", "GONE/USDT:USDT"), "simulated does not list GONE/USDT:USDT"),
        (("Mine", "--venue", "nowhere"), "nowhere"),
        (("Mine", "--owner", "b@x.org"), "there is no user 'b@x.org'"),
    ],
)
def test_a_probe_that_can_t_be_is_said_and_nobody_is_asked(host, arguments, sentence) -> None:
    profile_of(host, Provider.OPENAI, name="Mine")

    with pytest.raises(CommandError) as refused:
        call_command("probe_model", *arguments)

    assert sentence in str(refused.value)
    assert not host.requests


# --- replay_decision ---------------------------------------------------------------------------------


@pytest.fixture
def cycle(monkeypatch) -> models.TradingCycle:
    stored_record.forget()
    desk = paper_desk(monkeypatch, name="Tidewater")
    desk.trader.answers.append(buys())
    desk.cycle("1")
    return models.TradingCycle.objects.get()


def test_a_decision_comes_out_identical(cycle) -> None:
    assert "Tidewater, " in (said := told("replay_decision", str(cycle.pk)))
    assert said.endswith(" UTC: identical\n")
    report: Any = json.loads(told("replay_decision", str(cycle.pk)[:8], "--json"))
    assert (report["identical"], report["differences"], report["decision"]) == (True, [], str(cycle.pk))  # fmt: skip


def test_a_difference_is_shown_and_is_the_exit_code(cycle) -> None:
    raw: Any = stored_record.unpack(bytes(cycle.record or b""))
    raw["plan"]["notes"] = ["made up"]

    class Changed:
        def evidence(self) -> bytes:
            return json.dumps(raw).encode()

    data, blobs = stored_record.pack(Changed())  # type: ignore[arg-type]
    stored_record.store_blobs(blobs)
    models.TradingCycle.objects.update(record=data)

    code, said = ended("replay_decision", str(cycle.pk))
    assert (code, said) == (1, 'plan /notes: was ["made up"], is []\n')
    code, said = ended("replay_decision", str(cycle.pk), "--json")
    assert code == 1
    assert json.loads(said)["differences"] == [
        {"stage": "plan", "path": "/notes", "was": '["made up"]', "now": "[]"}
    ]


def test_what_can_t_be_made_again_is_said(cycle) -> None:
    for wanted in ("nothing", "00000000", "abc"):
        with pytest.raises(CommandError, match=f"there is no decision '{wanted}'"):
            call_command("replay_decision", wanted)
    models.TradingCycle.objects.update(record=None)
    with pytest.raises(CommandError, match="nothing was recorded"):
        call_command("replay_decision", str(cycle.pk))
