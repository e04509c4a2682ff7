"""What a profile would let through of an entry: sized and judged as a cycle does, on the market of now."""

import re
from decimal import Decimal as D
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from bots import services
from market.errors import VenueUnavailable
from risk.models import RiskProfile
from risk.services import change_profile, copy_profile
from tests.web.test_limits_page import at, text_of
from tradingagent.accounts.models import User

pytestmark = pytest.mark.django_db(transaction=True)
ASKED = {
    "venue": "simulated", "symbol": "BTC/USDT:USDT", "side": "LONG", "capital": "10000", "risk": "1", "leverage": "5",
}  # fmt: skip


@pytest.fixture
def ann(transactional_db) -> User:
    return User.objects.create_user("ann@example.org")


@pytest.fixture
def client(ann) -> Client:
    signed_in = Client()
    signed_in.force_login(ann)
    return signed_in


def mark() -> D:
    [seen] = services.probing.market_of(services.Sight(), (ASKED["symbol"],)).instruments
    assert seen.quote is not None
    return seen.quote.mark


def ask(client: Client, row: RiskProfile, **changes: Any) -> Any:
    now = mark()
    prices = {"stop": f"{now * D('0.98'):.1f}", "target": f"{now * D('1.08'):.1f}"}
    return client.get(at("try_limits", row), {**ASKED, **prices, **changes})


def preset(name: str) -> RiskProfile:
    return RiskProfile.objects.get(owner=None, name=name)


def test_an_entry_is_sized_clamped_and_told_in_words(client):
    answer = ask(client, preset("conservative"))

    found = answer.context["found"]
    assert found.denial is None and found.allowed is not None
    assert found.wanted.at_stop <= 100 and found.wanted.leverage == 5
    assert found.allowed.leverage == 3 and found.allowed.at_stop <= 50
    assert found.allowed.liquidation < found.entry
    assert found.allowed.margin * 3 == pytest.approx(found.allowed.notional)
    text = text_of(answer)
    for code in ("MAX_LEVERAGE wanted=5 allowed=3", "clamped", "Lost at the stop"):
        assert code in text
    assert re.search(r"Reward to risk after fees [3-4]\.\d\d to 1", text)


def test_what_is_denied_says_by_which_limit(client, ann):
    row = copy_profile(preset("balanced"), ann, "Mine")
    change_profile(row, {"allow_shorts": False}, by=ann)
    now = mark()

    answer = ask(client, row, side="SHORT", stop=f"{now * 2:.1f}", target=f"{now / 2:.1f}")

    assert answer.context["found"].allowed is None
    assert "SIDE_NOT_ALLOWED side=SHORT" in text_of(answer)


@pytest.mark.parametrize(
    ("field", "text", "sentence"),
    [
        ("symbol", "NONE/USDT:USDT", "Simulated does not list NONE/USDT:USDT."),
        ("stop", "", "Stop: This field is required."),
        ("stop", "low", "Stop: Enter a number."),
        ("risk", "101", "Risk: Ensure this value is less than or equal to 100."),
        ("leverage", "0", "Leverage: Ensure this value is greater than"),
        ("venue", "nowhere", "Market: Select a valid choice."),
    ],
)
def test_what_can_not_be_reckoned_is_a_sentence(client, field, text, sentence):
    answer = ask(client, preset("balanced"), **{field: text})

    assert answer.status_code == 200 and sentence in text_of(answer)


def test_a_silent_market_is_a_sentence(client, monkeypatch):
    def silent(*_: Any) -> None:
        raise VenueUnavailable("no answer")

    monkeypatch.setattr(services, "what_if", silent)

    assert "No answer." in text_of(ask(client, preset("balanced")))


def test_a_raw_profile_judges_none(client):
    raw = preset("raw")

    assert client.get(at("try_limits", raw)).status_code == 404
    assert (
        reverse("try_limits", args=[raw.pk])
        not in client.get(at("risk_profile", raw)).content.decode()
    )
