"""The page of one decision: its record whole, its sums honest, recomputed on request, and one's own."""

import html as markup
import json
import re
from dataclasses import replace
from decimal import Decimal as D
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bots import models, runtime, stored_record
from bots.pages import evidence
from bots.pages.rulings import rulings_of
from llm.domain import Completion, DecisionAction, Usage
from llm.providers.scripted import ScriptedChat
from llm.traders.llm_trader import LLMTrader
from tests.bots.bulk_rows import cycle_row, fill, order_row
from tests.bots.desks import buys, says
from tests.bots.paper_desks import PaperDesk, paper_bot, paper_desk
from tests.scenarios.tables import SYMBOL
from tests.web.test_charts_queries import fills
from tradingagent.accounts.models import User

pytestmark = pytest.mark.django_db(transaction=True)

WISH: dict[str, Any] = {
    "summary": "I buy the <break>.",
    "decisions": [
        {"symbol": SYMBOL, "action": "buy_to_enter", "confidence": 0.8, "notional": 1500, "leverage": 25,
         "stop_loss": 95, "take_profit": 115, "invalidation_condition": "a close under 96",
         "justification": "It broke out, with volume."}
    ],
}  # fmt: skip


def reply(text: str | None = None, cost: D | None = D("0.0216")) -> Completion:
    return Completion(
        text=text or json.dumps(WISH), model="mind-4", cost=cost, latency_ms=11_400,
        usage=Usage(input_tokens=6412, output_tokens=912, cached_tokens=4180),
    )  # fmt: skip


@pytest.fixture
def ann(transactional_db) -> User:
    return User.objects.create_user("ann@example.org")


@pytest.fixture
def desk(ann, monkeypatch) -> PaperDesk:
    stored_record.forget()
    return paper_desk(monkeypatch, owner=ann, name="Tidewater")


@pytest.fixture
def look(client, ann):
    """The text of a cycle's page."""
    client.force_login(ann)

    def ask(cycle: models.TradingCycle, address: str = "", status: int = 200) -> str:
        href = reverse("decision", args=[cycle.bot_id, cycle.pk])
        answer = client.get(f"{href}{address}")
        assert answer.status_code == status
        return answer.content.decode()

    return ask


def asks_a_model(monkeypatch, *lines) -> None:
    trader = LLMTrader(chat=ScriptedChat(lines=list(lines), name="mind-4"))
    monkeypatch.setattr(runtime, "_trader", lambda bot: trader)


def last(desk: PaperDesk) -> Any:
    return models.TradingCycle.objects.filter(bot=desk.bot).order_by("-started_at").first()


def words(page: str) -> str:
    """The text of the page's content, tags left out."""
    inner = page[page.index("<main") : page.index("</main>")]
    return " ".join(markup.unescape(re.sub(r"<[^>]+>", " ", inner)).split())


# --- a model's decision ------------------------------------------------------------------------------


@pytest.fixture
def decided(desk, monkeypatch) -> Any:
    """A long that was held to 10×, bought at 100."""
    asks_a_model(monkeypatch, reply())
    desk.cycle("1")
    return last(desk)


def test_a_decision_is_told_whole(decided, look):
    page = look(decided)
    text = words(page)

    assert "I buy the &lt;break&gt;." in page
    for said in (
        "What it saw", SYMBOL, "What it said", "mind-4, 11.4 s", "Buy TEST", "0.80", "1,500", "25×",
        "95.0", "115.0", "a close under 96", "It broke out, with volume.", "What the limits did",
        "clamped", "MAX_LEVERAGE wanted=25 allowed=10", "Leverage, at most: 10×.", "10×",
        "What was executed", "Buy to open TEST", "Filled", "Sell stop TEST", "Sell target TEST", "Resting",
        "What it cost", "0.022 USD", "6,412 in, 912 out", "Equity stands before this cycle's own fees",
    ):  # fmt: skip
        assert said in text, said


def test_what_it_cost_are_the_fees_of_its_own_fills(decided, look):
    fee = sum(models.Fill.objects.filter(order__cycle=decided).values_list("fee", flat=True))

    assert fee == D("1.5")
    assert "Equity when it decided 10,000.00 USDT Fees 1.5000 USDT Model 0.022 USD" in words(
        look(decided)
    )


def test_an_unknown_price_is_no_zero(desk, look, monkeypatch):
    asks_a_model(monkeypatch, reply(cost=None))
    desk.cycle("1")

    text = words(look(last(desk)))

    assert "Model unknown" in text and "cost unknown" in text
    assert not re.search(r"\b0\.00 USD\b", text)


def test_prompt_and_reply_are_one_click_away_and_print(decided, look):
    page = look(decided)
    record: Any = stored_record.unpack(decided.record)
    prompt = record["decision"]["prompts"][0]

    folds = re.findall(r"<details class=\"fold[^>]*>(.*?)</details>", page, re.DOTALL)
    assert len(folds) == 2
    assert markup.escape(prompt["user"]) in folds[0]
    assert markup.escape(json.dumps(WISH)) in folds[1]


def test_a_second_try_is_shown_as_such(desk, look, monkeypatch):
    asks_a_model(monkeypatch, reply("no JSON at all"), reply())
    desk.cycle("1")

    page = look(last(desk))

    assert "Second try: the prompt" in page and "no JSON at all" in page
    assert "2 tries" in words(page)


def test_what_does_not_fit_is_said_and_is_in_nobodys_way(desk, look, monkeypatch):
    odd = {**WISH, "decisions": [{**WISH["decisions"][0], "justification": "It broke 140 today."}]}
    answer = replace(reply(json.dumps(odd)), reasoning="First I thought of a short.")
    asks_a_model(monkeypatch, answer)
    desk.cycle("1")

    page = look(last(desk))

    assert "Cites 140, which stands nowhere in what it saw" in words(page)
    assert "What it thought" in page and "First I thought of a short." in page
    assert "Sell stop TEST" in words(page)  # it traded all the same


def test_a_sound_answer_is_not_doubted(desk, decided, look):
    assert "Worth doubting" not in look(decided)


@pytest.mark.parametrize("text", ["no JSON at all", "{}"])
def test_an_answer_that_can_not_be_read_is_a_hold(desk, look, monkeypatch, text):
    asks_a_model(monkeypatch, *[reply(text)] * 2)
    desk.cycle("1")

    said = words(look(last(desk)))

    assert "could not be read, so everything was held" in said
    assert "No order was sent." in said and "There was nothing for them to judge." in said


def test_a_fill_away_from_its_quote_is_measured(decided, look):
    order = models.Order.objects.get(cycle=decided, purpose="ENTRY")
    order.filled_notional = order.filled_quantity * D("100.05")
    order.save()

    assert "+5.0 bps" in words(look(decided))


# --- a rule's ----------------------------------------------------------------------------------------


def test_a_rule_has_no_prompt_and_says_so(desk, look):
    desk.cycle("1", replace(buys(leverage=5), trader="ema_trend"))

    page = look(last(desk))
    text = words(page)

    assert "EMA trend is a rule: it has no prompt and no reply." in text
    assert "Model a rule, none" in text
    assert "<details" not in page
    assert f"{SYMBOL} 100.00" in text  # the mark beside which it was judged


def test_a_rule_that_wanted_nothing_keeps_only_a_hash(desk, look):
    desk.cycle("1")

    text = words(look(last(desk)))

    assert "only the hash of what it saw is kept" in text
    assert "what is not mentioned is held" in text


def test_a_refusal_stands_in_words_with_its_code(desk, look):
    desk.cycle("1", buys(stop_loss=99, take_profit="99.5", confidence="0.1"))

    text = words(look(last(desk)))

    assert "denied" in text and "nothing was sent" in text
    (denial,) = last(desk).denials
    assert denial["code"] in text
    for name, value in denial["context"].items():
        assert f"{name}={value}" in text


def test_a_close_and_a_moved_stop(desk, look):
    desk.cycle("1", buys())
    desk.tick("104")
    desk.cycle("2", says(DecisionAction.ADJUST, stop_loss=99))
    assert "Move the stop to 99.000 of TEST" in words(look(last(desk)))

    desk.tick()
    desk.cycle("3", says(DecisionAction.CLOSE))
    text = words(look(last(desk)))
    assert "Close the long of TEST" in text and "Sell to close TEST" in text


# --- recomputed --------------------------------------------------------------------------------------


def test_nothing_is_recomputed_unless_asked(decided, look):
    assert "dentical" not in look(decided)


def test_what_is_stored_comes_out_identical(decided, look):
    page = look(decided, "?check")

    assert "Prompt, reading, plan and verdict come out byte for byte as they were stored." in words(
        page
    )
    assert "Recomputes" in page


def test_a_changed_record_is_found_out(desk, decided, look):
    raw: Any = stored_record.unpack(decided.record)
    raw["plan"]["notes"] = ["made up"]

    class Changed:
        def evidence(self) -> bytes:
            return json.dumps(raw).encode()

    data, blobs = stored_record.pack(Changed())  # type: ignore[arg-type]
    stored_record.store_blobs(blobs)
    models.TradingCycle.objects.filter(pk=decided.pk).update(record=data)

    text = words(look(decided, "?check"))

    assert "Comes out otherwise today Plan:" in text
    assert "Identical" not in text


def test_a_rule_that_wanted_nothing_leaves_nothing_to_recompute(desk, look):
    desk.cycle("1")

    assert "Nothing to recompute" in words(look(last(desk), "?check"))


def test_a_look_changes_nothing(decided, look, client):
    before = models.TradingCycle.objects.values().get(pk=decided.pk)
    look(decided, "?check")

    assert models.TradingCycle.objects.values().get(pk=decided.pk) == before
    assert client.post(reverse("decision", args=[decided.bot_id, decided.pk])).status_code == 405


# --- records of every kind ---------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["", "?check"])
@pytest.mark.parametrize("status", ["RUNNING", "ABANDONED"])
def test_a_cycle_without_a_record_is_no_error(desk, look, status, address):
    cycle = cycle_row(desk.bot, 1)
    cycle.status, cycle.record, cycle.outcome, cycle.equity = status, None, None, None
    cycle.ended_at = None
    cycle.save()

    text = words(look(cycle, address))

    assert ("deciding now" in text) == (status == "RUNNING")
    assert ("cut off" in text) == (status == "ABANDONED")


def test_a_cycle_that_asked_nobody_says_why(desk, look):
    desk.feed.down = True
    desk.cycle("1")

    text = words(look(last(desk)))

    assert "Nobody was asked in this cycle: the feed is down." in text
    assert "What it said" not in text


def test_an_empty_record_shows_nothing_and_breaks_nothing():
    for record in ({}, {"decision": None, "plan": None, "verdict": None, "context": None}):
        assert evidence.saw(record) == ((), ())
        found: tuple[Any, ...] = (
            evidence.wishes(record, {}), rulings_of(record, {}), evidence.marks(record),
            evidence.left_out(record), evidence.noted(record), evidence.account(record),
            evidence.recomputable(record), evidence.prompts(record),
        )  # fmt: skip
        assert set(found) == {()}
        assert evidence.asked(record) is None


# --- whose it is, its neighbours, its cost -----------------------------------------------------------


def test_another_users_decision_is_not_there(client, decided):
    theirs = paper_bot(User.objects.create_user("bob@example.org"), name="theirs")
    client.force_login(theirs.owner)

    assert client.get(reverse("decision", args=[decided.bot_id, decided.pk])).status_code == 404
    assert client.get(reverse("decision", args=[theirs.pk, decided.pk])).status_code == 404


def test_a_decision_of_another_bot_of_ones_own_is_not_this_ones(ann, decided, look):
    other = paper_bot(ann, name="other")
    cycle = cycle_row(other, 1)
    cycle.save()

    look(cycle)
    cycle.bot = decided.bot
    look(cycle, status=404)


def test_neighbours_are_decisions_of_the_same_bot(ann, look):
    bot = paper_bot(ann)
    rows = [cycle_row(bot, number, "DECIDED" if number != 2 else "") for number in range(6)]
    models.TradingCycle.objects.bulk_create(
        [*rows, cycle_row(paper_bot(ann, name="o"), 3, "DECIDED")]
    )
    in_order = list(
        models.TradingCycle.objects.filter(bot=bot)
        .exclude(decision="")
        .order_by("started_at", "pk")
    )

    for place, cycle in enumerate(in_order):
        page = look(cycle)
        found = dict(re.findall(r'rel="(prev|next)" href="[^"]*/decisions/([^"/]+)/"', page))
        assert found.get("prev") == (str(in_order[place - 1].pk) if place else None)
        assert found.get("next") == (str(in_order[place + 1].pk) if place < 4 else None)


@pytest.mark.parametrize("check", ["", "?check"])
def test_the_number_of_queries_is_fixed(ann, decided, look, check):
    def counted() -> int:
        with CaptureQueriesContext(connection) as caught:
            look(decided, check)
        return len(caught)

    young = counted()
    fill(decided.bot, 1000, 10)
    fills(decided.bot, 1000)
    for _ in range(20):
        order = order_row(decided.bot, 1)
        order.cycle = decided
        order.save()

    assert counted() == young
    assert young <= 16  # of these the session, its user and the menu are five


def test_a_missing_one_is_not_there(desk, look):
    cycle = cycle_row(desk.bot, 1)
    cycle.pk = uuid4()
    look(cycle, status=404)
