"""The pages of limits: what they say, what they change, and whose profiles nobody else sees."""

import re
from datetime import timedelta
from decimal import Decimal as D
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bots import models
from bots.domain.bot import BotStatus
from bots.forms_limits import GROUPS, Kind, LimitsForm, kind_of, read, typed
from risk.catalogue import RULES
from risk.models import AccountLimits, RiskProfile, RiskProfileVersion
from risk.profiles import PROFILES, SENTENCES
from risk.services import CHANGEABLE, change_profile, copy_profile
from risk.versions import limits_of
from tests.bots.desks import buys
from tests.bots.paper_desks import paper_bot, paper_desk
from tradingagent.accounts.models import AuditEntry, User

LIMITS = reverse("limits")
ACCOUNT = reverse("account_limits")


@pytest.fixture
def ann(db) -> User:
    return User.objects.create_user("ann@example.org")


@pytest.fixture
def bob(db) -> User:
    return User.objects.create_user("bob@example.org")


@pytest.fixture
def client(ann) -> Client:
    signed_in = Client()
    signed_in.force_login(ann)
    return signed_in


def preset(name: str = "balanced") -> RiskProfile:
    return RiskProfile.objects.get(owner=None, name=name)


def mine(owner: User, name: str = "Mine", source: str = "balanced") -> RiskProfile:
    return copy_profile(preset(source), owner, name)


def at(name: str, row: RiskProfile) -> str:
    return reverse(name, args=[row.pk])


def change(client: Client, row: RiskProfile, **fields: str) -> Any:
    """Send the whole form as a browser would, with these fields typed otherwise."""
    row.refresh_from_db()
    said = {key: value for key, value in LimitsForm(row).initial.items() if value is not None}
    return client.post(at("change_limits", row), {**said, **fields})


def told(answer: Any) -> list[str]:
    return [str(one) for one in get_messages(answer.wsgi_request)]


def error_of(answer: Any, field: str) -> str:
    found = re.search(
        rf'id="id_{field}-error">(.*?)</span></span>', answer.content.decode(), re.DOTALL
    )
    return "" if found is None else unescape(re.sub(r"<[^>]*>", "", found[1])).strip()


def text_of(answer: Any) -> str:
    return unescape(" ".join(re.sub(r"<[^>]*>", " ", answer.content.decode()).split()))


# --- the list ---------------------------------------------------------------------------------------------


def test_presets_and_ones_own_with_main_limits_and_bots(client, ann, bob):
    row = mine(ann)
    mine(bob, "Theirs")
    paper_bot(ann, name="Wren", risk_profile=row)
    paper_bot(ann, name="Gone", risk_profile=row, status=BotStatus.ARCHIVED)
    paper_bot(bob, name="Bobs")

    answer = client.get(LIMITS)

    [line] = answer.context["own"]
    assert [one.value for one in line.figures] == ["10×", "1%", "4%", "15%"]
    assert [bot.name for bot in line.bots] == ["Wren"]
    names = [one.name for one in answer.context["presets"]]
    assert names == ["Conservative", "Balanced", "Aggressive", "Raw"]
    html = answer.content.decode()
    assert "Theirs" not in html and "Bobs" not in html and "no limit" in html
    assert at("change_limits", row) in html and at("change_limits", preset()) not in html


def test_the_pages_take_as_many_queries_however_long_they_are(client, ann):
    counts = []
    for number in range(1, 4):
        row = mine(ann, f"Mine {number}")
        for other in range(number):
            paper_bot(ann, name=f"b{number}{other}", risk_profile=row)
            change_profile(row, {"max_leverage": str(other + 3)}, by=ann)
        with CaptureQueriesContext(connection) as listed:
            client.get(LIMITS)
        with CaptureQueriesContext(connection) as shown:
            client.get(at("risk_profile", row))
        counts.append((len(listed), len(shown)))

    assert counts[1] == counts[2] and counts[0][0] == counts[1][0]
    assert (
        counts[2][0] <= 8 and counts[2][1] <= 11
    )  # three and six of the page, the rest of the shell


def test_a_bot_leads_to_its_limits_and_settings_do(client, ann):
    bot = paper_bot(ann)

    assert (
        at("risk_profile", bot.risk_profile)
        in client.get(reverse("bot", args=[bot.pk])).content.decode()
    )
    assert f'href="{LIMITS}"' in client.get(reverse("account_settings")).content.decode()


# --- a copy -----------------------------------------------------------------------------------------------


def test_a_copy_is_ones_own_and_leads_to_its_form(client, ann):
    for _ in range(2):
        answer = client.post(at("copy_limits", preset()), {"name": " Mine ", "request_id": "one"})

    row = RiskProfile.objects.get(owner=ann)
    assert answer["Location"] == at("change_limits", row)
    assert (row.name, row.version) == ("Mine", 1)
    assert row.limits().max_leverage == preset().limits().max_leverage
    assert set(told(answer)) == {"Mine begins as Balanced is. No bot follows it yet."}
    assert AuditEntry.objects.filter(action="copy_profile").count() == 1


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "required"),
        ("Taken", "of this name already"),
        ("Balanced", "A preset is called so"),
        ("x" * 81, "80 characters"),
    ],
)
def test_a_name_that_can_not_be_taken(client, ann, name, sentence):
    mine(ann, "Taken")

    answer = client.post(at("copy_limits", preset()), {"name": name})

    assert answer.status_code == 422 and sentence in error_of(answer, "name")
    assert RiskProfile.objects.filter(owner=ann).count() == 1


# --- a change ---------------------------------------------------------------------------------------------


def test_every_limit_has_a_field_and_the_form_changes_nothing_by_itself(client, ann):
    named = [name for _, names in GROUPS.values() for name in names]
    assert sorted(named) == sorted(set(CHANGEABLE) - {"raw"}) and len(named) == len(set(named))
    for source in PROFILES:
        row = mine(ann, f"As {source}", source)
        page = client.get(at("change_limits", row))
        html = page.content.decode()
        for name in LimitsForm(row).names:
            assert f'name="{name}"' in html and SENTENCES[name][0] in unescape(html)
            assert name == "size" or RULES[name].code in html

        answer = change(client, row)

        assert told(answer)[-1] == f"Nothing differs: version 1 of As {source} stays."
    assert not RiskProfileVersion.objects.filter(version=2).exists()


def test_shares_are_what_the_sentences_write_as_percent():
    for name in SENTENCES:
        if kind_of(name) in (Kind.SHARE, Kind.NUMBER):
            assert (kind_of(name) is Kind.SHARE) == SENTENCES[name][1](D(1)).endswith("%"), name


@pytest.mark.parametrize("text", ["0.0000001", "12.3456789", "100", "33.3333333333"])
def test_a_percent_is_exact_both_ways(text):
    value = read("risk_per_trade_fraction", text)

    assert value * 100 == D(text) and typed("risk_per_trade_fraction", value) == text


CHANGES: list[tuple[str, str, Any]] = [
    ("risk_per_trade_fraction", "0.75", D("0.0075")),
    ("risk_per_trade_fraction", "2 %", D("0.02")),
    ("risk_per_trade_fraction", "", None),
    ("max_position_notional_fraction", "250", D("2.5")),
    ("min_confidence", "0.7", D("0.7")),
    ("max_leverage", "12.5", D("12.5")),
    ("max_spread_bps", "0", D(0)),
    ("max_open_positions", "7", 7),
    ("max_open_positions", "", None),
    ("allow_shorts", "no", False),
    ("allow_adding", "yes", True),
    ("cooldown_after_stop", "45", timedelta(minutes=45)),
    ("cooldown_after_stop", "90 s", timedelta(seconds=90)),
    ("cooldown_after_stop", "", timedelta(0)),
    ("no_trade_windows", "sat,sun\r\n\r\n mon-fri 22:00-02:00 ", ["sat,sun", "mon-fri 22:00-02:00"]),
    ("allowed_symbols", "ETH/USDT:USDT\r\nBTC/USDT:USDT", ["BTC/USDT:USDT", "ETH/USDT:USDT"]),
    ("allowed_symbols", "none", []),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "value"), CHANGES)
def test_a_limit_of_each_kind_is_changed(client, ann, name, text, value):
    row = mine(ann)
    before = {one: getattr(row.limits(), one) for one in CHANGEABLE if one != name}

    answer = change(client, row, **{name: text})

    row.refresh_from_db()
    assert told(answer) == ["Mine: version 2 is in force from each bot's next cycle."]
    assert (row.version, getattr(row, name)) == (2, value)
    assert {one: getattr(row.limits(), one) for one in before} == before
    assert AuditEntry.objects.get(action="change_profile").actor == ann
    again = client.get(at("change_limits", row)).context["form"]
    assert read(name, str(again[name].value())) == value


REFUSED: list[tuple[str, str, str]] = [
    ("risk_per_trade_fraction", "150", "Above 0%, and at most 100%."),
    ("risk_per_trade_fraction", "0", "Above 0%, and at most 100%."),
    ("risk_per_trade_fraction", "0,5", "Give a number, such as 2.5."),
    ("risk_per_trade_fraction", "1e1", "Give a number, such as 2.5."),
    ("risk_per_trade_fraction", "NaN", "Give a number, such as 2.5."),
    ("risk_per_trade_fraction", "0.12345678901", "more digits than can be kept"),
    ("max_leverage", "0.5", "At least 1."),
    ("max_leverage", "ten", "Give a number, such as 2.5."),
    ("min_confidence", "65", "At least 0, and at most 1."),
    ("max_open_positions", "-1", "At least 0."),
    ("max_open_positions", "1.5", "Give a whole number."),
    ("allow_shorts", "perhaps", "Select a valid choice."),
    ("min_hold", "soon", "Give whole minutes, such as 30; or seconds, such as 90 s."),
    ("min_hold", "9999999999", "At most a year."),
    ("no_trade_windows", "sat,sun\nweekend", "'weekend' is no window: write `sat,sun`"),
    ("no_trade_windows", "2026-12-16 13:00/2026-12-15 13:00", "ends before it begins."),
    ("allowed_symbols", "BTC", "'BTC' is no instrument: one a line, such as BTC/USDT:USDT."),
    ("soft_drawdown_fraction", "40", "Above the drawdown that halts, 15%"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "sentence"), REFUSED)
def test_what_makes_no_sense_is_said_beside_it_and_nothing_typed_is_lost(
    client, ann, name, text, sentence
):
    row = mine(ann)

    answer = change(client, row, **{"max_trades_per_day": "4321", name: text})

    assert answer.status_code == 422
    assert sentence in error_of(answer, name)
    html = unescape(answer.content.decode())
    assert 'value="4321"' in html and (text in html or name == "allow_shorts")
    row.refresh_from_db()
    assert row.version == 1 and not AuditEntry.objects.filter(action="change_profile").exists()


def test_what_the_service_refuses_stands_in_the_form(client, ann):
    row = mine(ann)
    form = LimitsForm(row, QueryDict(urlencode(LimitsForm(row).initial)))
    assert form.is_valid()

    form.refuse(ValueError("soft_drawdown_fraction 0.2 is above hard_drawdown_fraction 0.1"))
    form.refuse(ValueError("something else"))

    assert form.errors["soft_drawdown_fraction"][-1].startswith("soft_drawdown_fraction 0.2 is")
    assert form.non_field_errors() == ["something else."]


def test_a_limit_that_was_not_sent_is_not_lifted(client, ann):
    row = mine(ann)

    answer = client.post(at("change_limits", row), {"max_leverage": "5"})

    row.refresh_from_db()
    assert answer.status_code == 422 and row.version == 1
    assert error_of(answer, "max_daily_loss_fraction") == "It was not sent."


def test_a_change_that_was_made_meanwhile_is_not_taken_back_unseen(client, ann):
    row = mine(ann)
    change_profile(row, {"max_leverage": "2"}, by=ann)

    answer = change(client, row, seen="1", max_leverage="10")

    assert answer.status_code == 422 and "Version 2 was made meanwhile." in text_of(answer)
    assert 'name="seen" value="2"' in answer.content.decode()
    assert change(client, row, max_leverage="10").status_code == 302


def test_a_form_that_is_sent_twice_makes_one_version(client, ann):
    row = mine(ann)
    said = {**LimitsForm(row).initial, "max_leverage": "4", "request_id": "one"}

    answers = [client.post(at("change_limits", row), said) for _ in range(2)]

    row.refresh_from_db()
    assert row.version == 2 and {one["Location"] for one in answers} == {at("risk_profile", row)}


# --- one profile ------------------------------------------------------------------------------------------


def test_versions_say_what_changed_by_whom(client, ann):
    row = mine(ann)
    changes = {"max_leverage": None, "no_trade_windows": ["sat,sun"], "min_hold": "600"}
    change_profile(row, changes, by=ann)
    change_profile(row, {"max_leverage": "4"}, by=User.objects.create_user("op@example.org"))

    answer = client.get(at("risk_profile", row))

    third, second, first = answer.context["versions"]
    assert [(one.before, one.after) for one in third.changes] == [("no limit", "4×")]
    assert [(one.before, one.after) for one in second.changes] == [
        ("10×", "no limit"), ("none", "10 min"), ("none", "sat,sun"),
    ]  # fmt: skip
    assert (third.by, second.by, first.by, first.is_first) == ("the operator", "you", "you", True)
    text = text_of(answer)
    assert "Leverage, at most: 10× → became no limit" in text
    assert "As it was copied." in text and "op@example.org" not in text


@pytest.mark.parametrize("name", PROFILES)
def test_what_a_version_keeps_reads_back_as_it_was(db, name):
    row = preset(name)

    assert limits_of(row.versions.get(version=row.version).limits) == row.limits()


def test_a_profile_says_every_limit_with_its_code(client, ann):
    text = text_of(client.get(at("risk_profile", mine(ann))))

    for name, rule in RULES.items():
        assert SENTENCES[name][0] in text, name
        assert rule.code in text


# --- a bot follows another -----------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_bot_is_given_another_profile(monkeypatch, client, ann):
    row, bot = mine(ann), paper_desk(monkeypatch, owner=ann, name="Wren").bot
    assert "Wren" in client.get(at("risk_profile", row)).content.decode()

    answer = client.post(at("give_limits", row), {"bot": str(bot.pk)})

    bot.refresh_from_db()
    assert bot.risk_profile == row
    assert told(answer) == ["Wren follows Mine, version 1, from its next cycle."]
    assert AuditEntry.objects.filter(action="update_bot").count() == 1


def test_who_can_not_be_given_one(client, ann, bob):
    row = mine(ann)
    theirs = paper_bot(bob, name="Theirs")
    gone = paper_bot(ann, name="Gone", status=BotStatus.ARCHIVED)
    beside = paper_bot(ann, name="Beside", cohort="00000000-0000-0000-0000-000000000001")
    for bot in (theirs, gone, beside):
        answer = client.post(at("give_limits", row), {"bot": str(bot.pk)})
        assert answer.status_code == 422

    free = paper_bot(ann, name="Free")
    models.Bot.objects.filter(pk=free.pk).update(symbols=[])
    refused = client.post(at("give_limits", row), {"bot": str(free.pk)})

    assert told(refused) == ["A bot needs at least one symbol."]
    assert not models.Bot.objects.filter(risk_profile=row).exists()


@pytest.mark.django_db(transaction=True)
def test_the_next_cycle_is_judged_by_the_new_version(monkeypatch, client, ann):
    row = mine(ann)
    desk = paper_desk(monkeypatch, owner=ann, risk_profile=row)
    change(client, row, max_leverage="2")

    desk.cycle("2026-01-01T00:00:00Z", buys(leverage=8))

    assert {one.leverage for one in models.Order.objects.filter(bot=desk.bot)} == {2}


# --- all bots together --------------------------------------------------------------------------------------


def test_limits_over_all_bots_are_set_and_lifted(client, ann):
    said = {
        "max_exposure_per_asset": "5,000", "max_gross_exposure": "", "max_margin_used": "0",
        "max_daily_loss": "250.5",
    }  # fmt: skip
    answer = client.post(ACCOUNT, {**said, "request_id": "one"})

    row = AccountLimits.objects.get(user=ann)
    assert (row.max_exposure_per_asset, row.max_daily_loss) == (5000, D("250.5"))
    assert (row.max_gross_exposure, row.max_margin_used) == (None, 0)
    assert told(answer) == ["The limits over all your bots are in force at once."]
    assert 'value="250.5"' in client.get(LIMITS).content.decode()
    client.post(ACCOUNT, {**said, "max_daily_loss": ""})
    row.refresh_from_db()
    assert row.max_daily_loss is None
    assert AuditEntry.objects.filter(action="set_account_limits").count() == 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("-1", "At least 0,"),
        ("much", "Give an amount, such as 5000."),
        ("1.1234567890123", "more digits"),
    ],
)
def test_an_amount_that_makes_no_sense_is_said_beside_it(client, ann, text, sentence):
    said = dict.fromkeys(
        ("max_exposure_per_asset", "max_gross_exposure", "max_margin_used"), "4321"
    )

    answer = client.post(ACCOUNT, {**said, "max_daily_loss": text})

    assert answer.status_code == 422 and sentence in error_of(answer, "max_daily_loss")
    assert 'value="4321"' in answer.content.decode()
    assert not AccountLimits.objects.exists()


# --- whose ------------------------------------------------------------------------------------------------


def test_a_profile_of_another_user_is_not_there(client, bob):
    row = mine(bob)

    paths = (
        "risk_profile", "copy_limits", "change_limits", "rename_limits", "delete_limits", "try_limits",
        "give_limits",
    )  # fmt: skip
    for name in paths:
        for method in (client.get, client.post):
            assert method(at(name, row), {"name": "x"}).status_code in (404, 405)
    assert RiskProfile.objects.exclude(owner=None).count() == 1


def test_a_preset_is_changed_by_nobody(client):
    row = preset()

    page = client.get(at("risk_profile", row)).content.decode()
    for name in ("change_limits", "rename_limits", "delete_limits"):
        assert client.get(at(name, row)).status_code in (404, 405)
        assert client.post(at(name, row), {"name": "x"}).status_code == 404
        assert at(name, row) not in page
    assert change(client, row, max_leverage="2").status_code == 404
    row.refresh_from_db()
    assert row.limits().max_leverage == 10


def test_nobody_is_asked_to_sign_in(db):
    assert Client().get(LIMITS)["Location"].startswith(reverse("account_login"))
