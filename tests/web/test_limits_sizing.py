"""What a profile would let through of an entry: sized and judged as a cycle does, on the market of now."""

import re
from decimal import Decimal as D
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bots import models, runtime, services
from bots.domain.bot import BotStatus
from market.errors import VenueUnavailable
from risk.models import RiskProfile
from risk.services import change_profile, copy_profile, set_account_limits
from tests.bots.desks import buys
from tests.bots.paper_desks import paper_bot, paper_desk
from tests.scenarios.tables import SYMBOL
from tests.web.test_limits_page import at, text_of
from tradingagent.accounts.models import AuditEntry, User

pytestmark = pytest.mark.django_db(transaction=True)
ASKED = {
    "account": "simulated", "symbol": "BTC/USDT:USDT", "side": "LONG", "capital": "10000", "risk": "1",
    "leverage": "5", "stop_by": "FRACTION", "stop": "2", "target_by": "RATIO", "target": "3", "timeframe": "3600",
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
    return client.get(at("try_limits", row), {**ASKED, **changes})


def preset(name: str = "balanced") -> RiskProfile:
    return RiskProfile.objects.get(owner=None, name=name)


def codes(answer: Any) -> list[str]:
    found = answer.context["found"]
    return [one.code for one in (found.denial, *found.besides) if one is not None]


# --- in numbers ------------------------------------------------------------------------------------


def test_an_entry_is_sized_clamped_and_told_in_words(client):
    answer = ask(client, preset("conservative"))

    found = answer.context["found"]
    assert found.denial is None and found.allowed is not None
    assert found.wanted.at_stop <= 100 and found.wanted.leverage == 5
    assert found.allowed.leverage == 3 and found.allowed.at_stop <= 50
    assert found.allowed.liquidation < found.entry
    assert found.allowed.margin * 3 == pytest.approx(found.allowed.notional)
    assert D(3) <= found.reward_risk < D("3.01")
    assert found.allowed.at_target / found.allowed.at_stop == pytest.approx(D("2.8"), abs=D("0.3"))
    text = text_of(answer)
    for said in ("MAX_LEVERAGE wanted=5 allowed=3", "clamped", "Lost at stop, 1 R", "Way to it"):
        assert said in text
    assert re.search(r"Reward to risk 3\.\d\d to 1", text)
    assert "equity 10,000.00." in text


def test_the_numbers_are_those_of_a_calculator(client, ann):
    """No limits: 1% of 10,000 at risk, 5×, a stop by price."""
    row = copy_profile(preset(), ann, "Mine")
    off = ("max_slippage_bps", "max_position_notional_fraction", "stop_to_liquidation_fraction")
    change_profile(row, dict.fromkeys(off), by=ann)
    stop = f"{mark() * D('0.97'):.1f}"

    found = ask(client, row, stop_by="PRICE", stop=stop, target_by="FRACTION", target="10").context[
        "found"
    ]

    size, fee, price = found.allowed.quantity, found.instrument.taker_fee, found.entry
    each = price - D(stop) + fee * (price + D(stop))
    assert found.stop == D(stop) and found.target == found.instrument.round_price(price * D("1.1"))
    assert size == found.instrument.round_quantity(100 / each)
    assert found.allowed.at_stop == size * each
    assert found.allowed.fees == size * fee * (price + D(stop))
    assert found.allowed.at_target == size * (found.target - price - fee * (price + found.target))
    assert found.allowed.notional == size * price and found.allowed.margin == size * price / 5
    away = (found.mark - found.allowed.liquidation) / found.mark
    assert found.allowed.liquidation_away == away and D("0.15") < away < D("0.21")
    assert found.allowed.carried * price < 50_000 < (found.allowed.carried * price) * D("1.01")


@pytest.mark.parametrize(("side", "sign"), [("LONG", 1), ("SHORT", -1)])
def test_a_stop_and_a_target_in_atr(client, side, sign):
    answer = ask(client, preset(), side=side, stop_by="ATR", stop="2", target_by="ATR", target="6")

    found = answer.context["found"]
    assert found.atr > 0 and "ATR(14)" in text_of(answer)
    tick = found.instrument.price_step
    assert abs(sign * (found.entry - found.stop) - 2 * found.atr) <= tick
    assert abs(sign * (found.target - found.entry) - 6 * found.atr) <= tick


def test_the_candles_of_the_atr_are_those_asked_for(client):
    hours, minutes = (
        ask(client, preset(), stop_by="ATR", timeframe=str(seconds)).context["found"].atr
        for seconds in (3600, 60)
    )

    assert hours > minutes


# --- what the limits say ---------------------------------------------------------------------------


def test_what_is_denied_says_by_which_limits(client, ann):
    row = copy_profile(preset(), ann, "Mine")
    change_profile(row, {"allow_shorts": False, "allowed_symbols": ["ETH/USDT:USDT"]}, by=ann)

    answer = ask(client, row, side="SHORT", target="1")

    assert answer.context["found"].allowed is None
    assert codes(answer) == ["INSTRUMENT_NOT_ALLOWED", "SIDE_NOT_ALLOWED", "REWARD_RISK"]
    text = text_of(answer)
    assert "SIDE_NOT_ALLOWED side=SHORT" in text and "Besides: Not that side" in text


def test_a_stop_on_the_wrong_side(client):
    answer = ask(
        client, preset(), stop_by="PRICE", stop=f"{mark() * 2:.1f}", target_by="NONE", target=""
    )

    assert codes(answer) == ["STOP_WRONG_SIDE"]


def test_the_limits_over_all_bots_have_their_say(client, ann):
    set_account_limits(ann, {"max_gross_exposure": 100}, by=ann)

    answer = ask(client, preset())

    assert codes(answer) == ["ACCOUNT_GROSS_EXPOSURE"] and "denied" in text_of(answer)
    assert answer.context["found"].allowed is None


# --- of a bot --------------------------------------------------------------------------------------


@pytest.fixture
def desk(monkeypatch, ann):
    found = paper_desk(monkeypatch, owner=ann, name="Wren")
    monkeypatch.setattr(runtime, "feed_of", lambda venue, timeframe: found.feed)
    return found


def of(desk: Any, **changes: str) -> dict[str, str]:
    return {"account": str(desk.bot.pk), "symbol": SYMBOL, "capital": "", **changes}


def test_of_a_bot_what_it_holds_counts(client, desk):
    desk.cycle("2026-01-01T00:00:00Z", buys())
    desk.tick("101")
    before = models.Bot.objects.values().get(), models.BotState.objects.values().get()

    answer = ask(client, preset(), **of(desk))

    assert codes(answer)[0] == "ADD_NOT_ALLOWED"
    found = answer.context["found"]
    assert found.mark == 101 and found.equity != 10_000
    assert before == (models.Bot.objects.values().get(), models.BotState.objects.values().get())
    assert models.Order.objects.filter(purpose="ENTRY").count() == 1


def test_a_bot_that_may_not_open_says_so_and_what_else(client, desk):
    models.Bot.objects.update(status=BotStatus.PAUSED)

    assert codes(ask(client, preset(), **of(desk), target="1")) == ["BOT_NOT_ACTIVE", "REWARD_RISK"]


def test_a_bot_trades_its_own_instruments_only(client, desk):
    answer = ask(client, preset(), **of(desk, symbol="ETH/USDT:USDT"))

    assert f"Wren trades {SYMBOL} and nothing else." in text_of(answer)


def test_a_price_that_may_not_be_traded_on_is_not_reckoned_with(client, desk):
    desk.feed.prices.clear()
    assert "has no price now, so nothing is reckoned." in text_of(ask(client, preset(), **of(desk)))

    desk.feed.prices[SYMBOL] = D(100)
    desk.feed.unusable[SYMBOL] = "the quote is 40 seconds old"
    answer = ask(client, preset(), **of(desk))
    assert "nothing is reckoned: the quote is 40 seconds old." in text_of(answer)
    assert "found" not in answer.context


def test_another_user_s_bot_is_no_choice(client):
    bob = User.objects.create_user("bob@example.org")
    theirs = paper_bot(bob, name="Theirs")

    answer = ask(client, preset(), account=str(theirs.pk))

    assert "Account: Choose one of these." in text_of(answer)
    assert "Theirs" not in client.get(at("try_limits", preset())).content.decode()


def test_a_profile_leads_to_an_entry_of_a_bot_that_follows_it(client, desk):
    profile = client.get(at("risk_profile", preset()))
    [link] = re.findall(r'href="(\S+/try/\?account=\S+)"', profile.content.decode())

    page = client.get(link)

    assert f'<option value="{desk.bot.pk}" selected>Wren</option>' in page.content.decode()


def test_nothing_is_written_and_the_queries_are_few(client, desk):
    desk.cycle("2026-01-01T00:00:00Z", buys())
    audited = AuditEntry.objects.count()
    with CaptureQueriesContext(connection) as captured:
        ask(client, preset(), **of(desk))

    sent = [one["sql"] for one in captured.captured_queries]
    assert not [one for one in sent if one.startswith(("INSERT", "UPDATE", "DELETE"))]
    assert len(sent) <= 14 and AuditEntry.objects.count() == audited


# --- what can't be reckoned ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "text", "sentence"),
    [
        ("symbol", "NONE/USDT:USDT", "Simulated does not list NONE/USDT:USDT."),
        ("symbol", "", "Instrument: Name an instrument, such as BTC/USDT:USDT."),
        ("stop", "", "Stop: Give a number, such as 2.5."),
        ("stop", "low", "Stop: Give a number, such as 2.5."),
        ("stop", "NaN", "Stop: Give a number, such as 2.5."),
        ("stop", "1e400", "Stop: At most 20 digits."),
        ("stop", "-1", "Stop: Give a number above 0."),
        ("stop", "100", "Stop: Less than 100%: a price stays above 0."),
        ("target", "", "Target: Give a number, or choose no target."),
        ("capital", "", "Equity: Give the equity of an account that holds nothing."),
        ("risk", "101", "Risk: At most 100."),
        ("leverage", "0", "Leverage: Give a number above 0."),
        ("side", "UP", "Side: Long or short."),
        ("stop_by", "LUCK", "Stop by: Choose one of these."),
        ("account", "nowhere", "Account: Choose one of these."),
    ],
)
def test_what_can_not_be_reckoned_is_a_sentence(client, field, text, sentence):
    answer = ask(client, preset(), **{field: text})

    assert answer.status_code == 200 and sentence in text_of(answer)
    assert "found" not in answer.context


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"side": "SHORT", "target": "90"}, "That far from the entry the price would be -"),
        ({"stop_by": "PRICE", "stop": "999999999"}, "so no reward follows from it."),
        ({"stop_by": "ATR", "stop": "99999"}, "That far from the entry the price would be -"),
    ],
)
def test_a_stop_or_target_that_can_not_be(client, changes, sentence):
    assert sentence in text_of(ask(client, preset(), **changes))


def test_too_few_candles_for_an_atr(client, monkeypatch):
    monkeypatch.setattr(services.sizing, "atr_of", lambda seen: None)

    text = text_of(ask(client, preset(), stop_by="ATR"))

    assert "There are too few closed candles of 60 min for an ATR of BTC/USDT:USDT." in text


def test_a_silent_market_is_a_sentence(client, monkeypatch):
    def silent(*_: Any) -> None:
        raise VenueUnavailable("no answer")

    monkeypatch.setattr(services, "what_if", silent)

    assert "No answer." in text_of(ask(client, preset()))


def test_a_raw_profile_judges_none(client):
    raw = preset("raw")

    assert client.get(at("try_limits", raw)).status_code == 404
    assert (
        reverse("try_limits", args=[raw.pk])
        not in client.get(at("risk_profile", raw)).content.decode()
    )
