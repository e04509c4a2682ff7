"""A new bot by one form: what is suggested is sound, a refusal stands beside its field, nothing is lost."""

import re
from decimal import Decimal as D
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from bots import models, runtime, services
from bots.forms import PARAMS, RULES, NewBotForm
from bots.pages.new_bot import form_context
from llm.hosts import Provider
from llm.models import ModelProfile
from llm.traders.registry import trader_names, trader_parameters
from market.domain.enums import InstrumentStatus
from market.errors import VenueUnavailable
from market.instrument_rows import row_of
from risk.models import RiskProfile
from risk.services import copy_profile
from tests.bots.bulk_rows import BEGAN
from tests.bots.paper_desks import paper_bot
from tests.scenarios.tables import instrument
from tradingagent.accounts.models import IdempotencyKey, User

BTC, ETH, SOL = (f"{base}/USDT:USDT" for base in ("BTC", "ETH", "SOL"))


@pytest.fixture
def ann(db) -> User:
    return User.objects.create_user("ann@example.org")


@pytest.fixture
def client(ann) -> Client:
    signed_in = Client()
    signed_in.force_login(ann)
    return signed_in


def sent(user: User, **changes: Any) -> dict[str, Any]:
    """What the form suggests, with some fields typed otherwise."""
    return {**NewBotForm(user).suggestions(), **changes}


def send(client: Client, user: User, **changes: Any) -> Any:
    return client.post(reverse("new_bot"), sent(user, **changes))


def error_of(answer: Any, field: str) -> str:
    """The text of the error slot of a field."""
    html = answer.content.decode()
    found = re.search(
        rf'id="err-{re.escape(field)}"[^>]*>(.*?)</span></span></span>', html, re.DOTALL
    )
    return "" if found is None else unescape(re.sub(r"<[^>]*>", "", found[1])).strip()


def scripted(owner: User | None, name: str, folder: Path) -> ModelProfile:
    path = folder / f"{name}.json"
    path.write_text('["{}"]')
    return ModelProfile.objects.create(
        owner=owner, name=name, provider=Provider.SCRIPTED, params={"completions": str(path)}
    )


# --- the way through -------------------------------------------------------------------------------------


def test_what_is_suggested_makes_a_bot(client, ann):
    answer = send(client, ann)

    bot = models.Bot.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, reverse("bot", args=[bot.pk]))
    assert [str(one) for one in get_messages(answer.wsgi_request)] == [
        f"{bot.name} is ready. Start it when you are."
    ]
    assert (bot.owner, bot.mode, bot.status) == (ann, "PAPER", "DRAFT")
    assert (bot.venue, bot.symbols, bot.capital) == ("simulated", [BTC, ETH, SOL], 10_000)
    assert (bot.trader, bot.risk_profile.name) == ("ema_trend", "balanced")
    assert (bot.interval_seconds, bot.timeframe_seconds) == (180, 180)
    assert bot.trader_params["stop_context_atr"] == "3"
    assert bot.cohort is None and bot.sim_account is not None


def test_everything_that_is_typed_counts(client, ann):
    mine = copy_profile(RiskProfile.objects.get(owner=None, name="conservative"), ann, "mine")

    send(
        client, ann, mind="rule:seeded_random", simulated=[SOL], interval="60", timeframe="60",
        capital=" 12 345.67 ", risk=str(mine.pk), name="  Knot ",
        **{"seeded_random-seed": "7", "seeded_random-rate": "0.5", "seeded_random-side": "short"},
    )  # fmt: skip

    bot = models.Bot.objects.get()
    assert (bot.name, bot.trader, bot.symbols) == ("Knot", "seeded_random", [SOL])
    assert (bot.interval_seconds, bot.timeframe_seconds) == (60, 60)
    assert (bot.capital, bot.risk_profile) == (D("12345.67"), mine)
    assert {name: bot.trader_params[name] for name in ("seed", "rate", "side")} == {
        "seed": "7", "rate": "0.5", "side": "short"
    }  # fmt: skip


@pytest.mark.parametrize("name", trader_names())
def test_every_baseline_can_be_made_as_suggested(client, ann, name):
    assert send(client, ann, mind=f"rule:{name}").status_code == 302
    assert models.Bot.objects.get().trader == name


def test_a_model_is_made_with_the_owners_words(client, ann, tmp_path):
    model = scripted(ann, "sonnet", tmp_path)

    send(client, ann, mind=f"model:{model.pk}", owner_words="Trade little. ")

    bot = models.Bot.objects.get()
    assert (bot.model_profile, bot.trader, bot.trader_params) == (model, "", {})
    assert bot.owner_words == "Trade little."


def test_words_to_a_model_are_not_kept_for_a_rule(client, ann):
    send(client, ann, owner_words="Trade little.")

    assert models.Bot.objects.get().owner_words == ""


def test_a_form_that_is_sent_twice_makes_one_bot(client, ann):
    first, second = (send(client, ann, request_id="one", name="Knot") for _ in range(2))

    assert models.Bot.objects.count() == 1
    assert first["Location"] == second["Location"]


def test_a_form_that_was_refused_may_be_sent_again(client, ann):
    refused = send(client, ann, request_id="one", capital="x")
    made = send(client, ann, request_id="one")

    assert (refused.status_code, made.status_code) == (422, 302)
    assert 'name="request_id" value="one"' in refused.content.decode()
    assert IdempotencyKey.objects.get().status == 303


# --- choices ---------------------------------------------------------------------------------------------


def test_only_models_that_can_be_asked_are_listed(client, ann, tmp_path):
    bob = User.objects.create_user("bob@example.org")
    scripted(ann, "mine", tmp_path)
    scripted(None, "shared", tmp_path)
    theirs = scripted(bob, "theirs", tmp_path)
    broken = ModelProfile.objects.create(owner=ann, name="broken", provider=Provider.SCRIPTED)

    minds = {
        row.mind.name: row.mind.value for row in client.get(reverse("new_bot")).context["minds"]
    }

    assert {"mine", "shared"} <= set(minds) and not {"theirs", "broken"} & set(minds)
    for one in (theirs, broken):
        answer = send(client, ann, mind=f"model:{one.pk}")
        assert answer.status_code == 422 and error_of(answer, "mind")
    assert not models.Bot.objects.exists()


def test_limits_of_others_are_not_listed(client, ann):
    bob = User.objects.create_user("bob@example.org")
    theirs = copy_profile(RiskProfile.objects.get(owner=None, name="aggressive"), bob, "theirs")

    answer = send(client, ann, risk=str(theirs.pk))

    assert answer.status_code == 422 and error_of(answer, "risk")
    assert "theirs" not in client.get(reverse("new_bot")).content.decode()


def test_every_baseline_and_parameter_has_words():
    assert set(RULES) == set(trader_names())
    for name in trader_names():
        assert set(trader_parameters(name)) <= set(PARAMS)


def test_presets_say_their_main_limits(ann):
    rows = {row.name: row.text for row in form_context(NewBotForm(ann))["profiles"]}

    assert rows["Balanced"] == (
        "10× at most, 1% at risk a trade, 2× of equity held, halts at 15% drawdown"
    )
    assert rows["Conservative"].startswith("3× at most, 0.5% at risk a trade")
    assert "no limit but margin" in rows["Raw"]


def test_real_money_is_told_and_not_offered(client):
    html = client.get(reverse("new_bot")).content.decode()

    assert "Trading with real money is not built yet." in html
    assert 'name="mode"' not in html


def test_what_is_typed_for_a_real_venue(ann):
    for symbol, base in (
        (BTC, "BTC"),
        ("BTC/USDC:USDC", "BTC"),
        ("BTC/USDT", "BTC"),
        ("kPEPE/USDC:USDC", "kPEPE"),
    ):
        row = row_of("binanceusdm", instrument(symbol=symbol), BEGAN)
        row.base = base
        row.save()
    gone = row_of("binanceusdm", instrument(symbol="OLD/USDT:USDT"), BEGAN)
    gone.base, gone.status = "OLD", InstrumentStatus.SUSPENDED
    gone.save()

    form = NewBotForm(
        ann, sent(ann, venue="binanceusdm", symbols="btc, kpepe, old,,ETH/USDT:USDT , btc")
    )

    assert form.is_valid(), form.errors
    assert form.wish().symbols == ("BTC/USDT:USDT", "kPEPE/USDC:USDC", "old", "ETH/USDT:USDT")


# --- refusals ----------------------------------------------------------------------------------------------

REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"capital": ""}, "capital", "required"),
    ({"capital": "ten"}, "capital", "An amount"),
    ({"capital": "-5"}, "capital", "Above zero"),
    ({"capital": "0"}, "capital", "Above zero"),
    ({"capital": "NaN"}, "capital", "An amount"),
    ({"capital": "1e99"}, "capital", "Above zero"),
    ({"capital": "0.000000001"}, "capital", "eight digits"),
    ({"simulated": []}, "simulated", "Choose at least one"),
    ({"simulated": ["NO/USDT:USDT"]}, "simulated", "valid choice"),
    ({"venue": "nowhere"}, "venue", "valid choice"),
    ({"venue": "binanceusdm", "symbols": " , "}, "symbols", "Name at least one"),
    ({"mind": "rule:nobody"}, "mind", "valid choice"),
    ({"mind": ""}, "mind", "required"),
    ({"interval": "7"}, "interval", "valid choice"),
    ({"timeframe": "7"}, "timeframe", "valid choice"),
    ({"risk": "0"}, "risk", "valid choice"),
    ({"name": "x" * 81}, "name", "at most 80"),
    ({"name": "taken"}, "name", "There is a bot 'taken' already."),
    ({"ema_trend-fast": "x"}, "ema_trend-fast", "'x' is not a whole number."),
    ({"ema_trend-fast": "60"}, "ema_trend-fast", "below slow 50"),
    ({"ema_trend-leverage": "0.5"}, "ema_trend-leverage", "at least 1"),
    ({"ema_trend-stop_context_atr": ""}, "ema_trend-stop_context_atr", "want a stop with every entry"),
    ({"ema_trend-stop_atr": "2"}, "ema_trend-stop_atr", "not both"),
    ({"ema_trend-stop_context_atr": "x"}, "ema_trend-stop_context_atr", "is not a number"),
    ({"ema_trend-side": "up"}, "ema_trend-side", "valid choice"),
    ({"mind": "rule:seeded_random", "seeded_random-rate": "2"}, "seeded_random-rate", "at most 1"),
    ({"mind": "rule:rsi_mean_reversion", "rsi_mean_reversion-low": "80"}, "rsi_mean_reversion-low",
     "Low 80 and high 70 must be 0 < low"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "field", "sentence"), REFUSED)
def test_what_is_wrong_stands_beside_its_field(client, ann, changes, field, sentence):
    paper_bot(ann, name="taken")

    answer = send(client, ann, **changes)

    assert answer.status_code == 422
    assert sentence in error_of(answer, field)
    assert models.Bot.objects.count() == 1
    checked = client.post(reverse("new_bot_check"), sent(ann, **changes))
    assert sentence in error_of(checked, field)
    assert "Something is still missing" in checked.content.decode()


def test_without_limits_a_rule_needs_no_stop(client, ann):
    raw = RiskProfile.objects.get(owner=None, name="raw")

    answer = send(
        client, ann, risk=str(raw.pk), **{"ema_trend-stop_context_atr": "", "ema_trend-reward": ""}
    )

    assert answer.status_code == 302


def test_what_was_typed_is_not_lost(client, ann):
    typed = {
        "name": "Knot", "capital": "ten", "mind": "rule:rsi_mean_reversion", "simulated": [SOL],
        "interval": "900", "rsi_mean_reversion-period": "21", "venue": "simulated",
    }  # fmt: skip

    html = send(client, ann, **typed).content.decode()

    for wanted in (
        'name="name" value="Knot"', 'name="capital" value="ten"', '<option value="900" selected>',
        'name="rsi_mean_reversion-period" value="21"',
    ):  # fmt: skip
        assert wanted in html
    assert re.search(r'value="rule:rsi_mean_reversion"[^>]* checked', html)
    assert re.findall(r'name="simulated" value="([^"]*)"[^>]* checked', html) == [SOL]
    assert html.count('aria-invalid="true"') == 1


@pytest.mark.parametrize(
    ("refusal", "field"),
    [
        (services.BotRefused("simulated does not list X", "symbols"), "simulated"),
        (services.BotRefused("no such timeframe", "timeframe_seconds"), "timeframe"),
        (VenueUnavailable("simulated does not answer"), "venue"),
    ],
)
def test_what_the_venue_says_stands_beside_its_field(client, ann, monkeypatch, refusal, field):
    def refuses(*_: Any, **__: Any) -> None:
        raise refusal

    monkeypatch.setattr(services, "create_bot", refuses)

    answer = send(client, ann)

    assert answer.status_code == 422
    text = str(refusal)
    assert error_of(answer, field) == f"{text[0].upper()}{text[1:]}."


def test_a_refusal_of_the_whole_stands_above(client, ann, monkeypatch):
    def refuses(*_: Any, **__: Any) -> None:
        raise services.BotRefused("not today")

    monkeypatch.setattr(services, "create_bot", refuses)

    assert '<p class="form-error" role="alert">' in send(client, ann).content.decode()


# --- checking ----------------------------------------------------------------------------------------------


def test_checking_makes_nothing_and_asks_no_venue(client, ann, monkeypatch):
    def asked(*_: Any, **__: Any) -> None:
        raise AssertionError("a venue was asked")

    monkeypatch.setattr(runtime, "open_feed", asked)

    answer = client.post(reverse("new_bot_check"), sent(ann, venue="okx", symbols=BTC))

    html = answer.content.decode()
    assert answer.status_code == 200 and not models.Bot.objects.exists()
    assert "public prices of okx" in html
    assert "<html" not in html and html.count("hx-swap-oob") == len(NewBotForm(ann).fields) + 1
    assert client.get(reverse("new_bot_check")).status_code == 405


def test_what_will_happen_is_said_from_the_start(client):
    said = client.get(reverse("new_bot")).context["summary"]

    assert said.startswith(
        "The bot follows the rule EMA trend: every 3 minutes it looks at BTC, ETH and SOL"
    )
    for wanted in (
        "10,000 of paper money", "Every position has its stop resting", "loss of 4% in a day",
        "15% below its peak everything is closed",
    ):  # fmt: skip
        assert wanted in said


def test_a_form_of_another_site_is_refused(ann):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ann)

    assert strict.post(reverse("new_bot"), sent(ann)).status_code == 403
