"""Asking a model: every way it can fail is a recorded hold, and the record says what was sent."""

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from pydantic import TypeAdapter

from llm.decider import reread
from llm.domain import Completion, Decision, DecisionAction, DecisionOutcome, StopRequirement, Usage
from llm.errors import BudgetExhausted, ModelRefused, ModelTimedOut, ModelUnavailable
from llm.ports import ChatModel, Trader
from llm.prompts import EMERGENCY, STANDARD, prompt_facts, render, render_facts, with_repair
from llm.providers.scripted import ScriptedChat
from llm.traders.llm_trader import LLMTrader
from market.domain.canonical import canonical_bytes
from market.domain.enums import PositionSide
from tests.llm.views import BTC, ETH, holding, series, snapshot, view, walk

CANDLES = series(walk(60))
SEEN = view(snapshot(CANDLES), snapshot(CANDLES, ETH, unusable="STALE"))
BUY = json.dumps(
    {"summary": "Up.", "decisions": [{"symbol": "BTC", "action": "buy", "risk_fraction": 0.01,
                                      "stop_loss": 46000, "confidence": 0.7}]}
)  # fmt: skip
BAD = json.dumps({"decisions": [{"symbol": "BTC", "action": "buy", "stop_loss": "soon"}]})
USAGE = Usage(input_tokens=1000, output_tokens=50, cached_tokens=10)


def said(text, **changes):
    return Completion(
        **{"text": text, "model": "m", "usage": USAGE, "cost": Decimal("0.01"), **changes}
    )


def decide(*lines, seen=SEEN, **settings):
    chat = ScriptedChat(lines=lines, hold_at_end=False)
    trader = LLMTrader(chat=chat, **settings)
    decision = trader.decide(seen)
    check_record(decision)
    return decision, chat


def check_record(decision):
    """What the record makes today is what it says (P6), also after a trip through its bytes."""
    stored = TypeAdapter(Decision).validate_python(json.loads(canonical_bytes(decision)))
    assert canonical_bytes(reread(stored)) == canonical_bytes(decision)
    if decision.prompts:
        assert stored.facts is not None
        assert render_facts(stored.facts) == decision.prompts[0]
    if decision.outcome is not DecisionOutcome.DECIDED:
        assert decision.items == ()
        assert decision.reason


def test_a_good_answer():
    decision, chat = decide(said(BUY))
    assert decision.outcome is DecisionOutcome.DECIDED
    assert decision.trader == "scripted"
    assert decision.summary == "Up."
    (item,) = decision.items
    assert (item.symbol, item.action) == (BTC, DecisionAction.BUY_TO_ENTER)
    assert decision.cost == Decimal("0.01")
    assert decision.completions[0].usage == USAGE
    assert list(chat.asked) == [(decision.prompts[0], None)]
    assert decision.prompts[0] == render(prompt_facts(SEEN, STANDARD), STANDARD)


def test_one_repair_with_the_reason():
    decision, chat = decide(said(BAD), said(BUY))
    assert decision.outcome is DecisionOutcome.DECIDED
    assert len(decision.items) == 1
    (first, none), (again, repair) = chat.asked
    assert none is None
    assert again == first
    assert repair == f"{BTC}: stop_loss must be a plain number, not 'soon'"
    assert decision.prompts == (first, with_repair(first, repair))
    assert decision.cost == Decimal("0.02")
    assert [one.text for one in decision.completions] == [BAD, BUY]


def test_only_one_repair():
    decision, chat = decide(said(BAD), said("no JSON"), said(BUY))
    assert decision.outcome is DecisionOutcome.UNREADABLE
    assert decision.reason == "the answer holds no JSON object"
    assert len(chat.asked) == len(decision.completions) == 2


FAILURES = [
    (ModelUnavailable("no such model"), DecisionOutcome.UNAVAILABLE),
    (ModelTimedOut("after 60 s"), DecisionOutcome.TIMED_OUT),
    (ModelRefused("policy"), DecisionOutcome.REFUSED),
    (BudgetExhausted("5 of 5 dollars today"), DecisionOutcome.OVER_BUDGET),
]


@pytest.mark.parametrize(("failure", "outcome"), FAILURES)
def test_a_failure_is_a_recorded_hold(failure, outcome):
    decision, _ = decide(failure)
    assert decision.outcome is outcome
    assert decision.reason == str(failure)
    assert len(decision.prompts) == 1
    assert decision.completions == ()
    assert decision.facts is not None


@pytest.mark.parametrize(("failure", "outcome"), FAILURES)
def test_a_failed_repair_leaves_the_first_answer_unreadable(failure, outcome):
    decision, _ = decide(said(BAD), failure)
    assert decision.outcome is DecisionOutcome.UNREADABLE
    assert "stop_loss must be a plain number" in decision.reason
    assert f"the second try failed: {failure}" in decision.reason
    left = 1 if outcome is DecisionOutcome.OVER_BUDGET else 2  # what never left is no request
    assert (len(decision.prompts), len(decision.completions)) == (left, 1)
    assert reread(decision) == decision
    assert decision.cost == Decimal("0.01")


def test_a_failure_without_words_still_has_a_reason():
    assert decide(ModelTimedOut())[0].reason == "ModelTimedOut"


@pytest.mark.parametrize("stop_reason", ["refusal", "content_filter"])
def test_a_refusal_is_not_asked_again(stop_reason):
    decision, chat = decide(said(BUY, stop_reason=stop_reason), said(BUY))
    assert decision.outcome is DecisionOutcome.REFUSED
    assert len(chat.asked) == 1


@pytest.mark.parametrize("stop_reason", ["max_tokens", "length"])
def test_an_answer_cut_off_is_never_read_however_whole_it_looks(stop_reason):
    decision, chat = decide(said(BUY, stop_reason=stop_reason), said(BUY))
    assert decision.outcome is DecisionOutcome.DECIDED
    assert chat.asked[1][1] == "the answer was cut off at the token limit; answer in fewer words"
    cut = said(BUY, stop_reason=stop_reason)
    assert decide(cut, cut)[0].outcome is DecisionOutcome.UNREADABLE


def test_a_late_answer_does_not_trade():
    decision, chat = decide(said(BUY, latency_ms=60_001), said(BUY))
    assert decision.outcome is DecisionOutcome.TIMED_OUT
    assert decision.reason == "the answer came after 60.0 s"
    assert len(decision.completions) == len(chat.asked) == 1
    both, _ = decide(said(BAD, latency_ms=40_000), said(BUY, latency_ms=30_000))
    assert both.outcome is DecisionOutcome.TIMED_OUT
    assert decide(said(BUY, latency_ms=60_000))[0].outcome is DecisionOutcome.DECIDED


class Watching:
    """A model that notes how long it was given."""

    name = "watching"

    def __init__(self, *lines):
        self.lines = list(lines)
        self.deadlines = []

    def complete(self, prompt, *, deadline, repair=None):
        self.deadlines.append(deadline)
        return self.lines.pop(0)


def test_the_second_try_gets_what_is_left_of_the_deadline():
    chat: ChatModel = Watching(said(BAD, latency_ms=12_500), said(BUY))
    LLMTrader(chat=chat, deadline=timedelta(seconds=30)).decide(SEEN)
    assert chat.deadlines == [timedelta(seconds=30), timedelta(seconds=17.5)]  # type: ignore[attr-defined]
    late = Watching(said(BAD, latency_ms=29_000), said(BUY))
    decision = LLMTrader(chat=late, deadline=timedelta(seconds=30)).decide(SEEN)
    assert len(late.deadlines) == 1
    assert decision.outcome is DecisionOutcome.UNREADABLE
    assert decision.reason.endswith("; no time for a second try")
    check_record(decision)


def test_an_unknown_cost_stays_unknown():
    decision, _ = decide(said(BAD, cost=None), said(BUY))
    assert decision.cost is None


def test_instruments_out_of_the_prompt_can_only_be_left():
    """An unusable instrument may be closed when it is held; else it is none of ours."""
    close = said('{"decisions": [{"symbol": "ETH", "action": "close"}]}')
    free, _ = decide(close)
    assert free.items == ()
    assert "none of our instruments" in free.notes[0]
    held, _ = decide(close, seen=holding(SEEN, PositionSide.LONG, ETH))
    assert [item.symbol for item in held.items] == [ETH]


def test_what_is_held_tells_what_sell_means():
    sell = said('{"decisions": [{"symbol": "BTC", "action": "sell"}]}')
    assert decide(sell)[0].items[0].action is DecisionAction.SELL_TO_ENTER
    held, _ = decide(sell, seen=holding(SEEN, PositionSide.LONG))
    assert held.items[0].action is DecisionAction.CLOSE


def test_risk_in_money_is_read_over_exact_equity():
    arena = said('{"BTC": {"signal": "buy_to_enter", "risk_usd": 50, "stop_loss": 46000}}')
    assert decide(arena)[0].items[0].risk_fraction == Decimal("0.005")


def test_in_an_emergency_it_asks_the_other_question_and_takes_close_or_keep_only():
    seen = replace(holding(SEEN, PositionSide.LONG), emergency="soft drawdown")
    wanted = [{"symbol": "BTC", "action": "close"}, {"symbol": "ETH", "action": "buy"}]
    decision, chat = decide(said(json.dumps({"decisions": wanted})), seen=seen)
    assert chat.asked[0][0].template_name == EMERGENCY.name
    assert [item.action for item in decision.items] == [DecisionAction.CLOSE]
    tried, _ = decide(said(BUY), seen=seen)
    assert tried.outcome is DecisionOutcome.DECIDED
    assert tried.items == ()
    assert "buy_to_enter is not open to choice now" in " ".join(tried.notes)


def test_a_prompt_that_fits_no_budget_is_not_sent():
    decision, chat = decide(said(BUY), token_budget=100)
    assert decision.outcome is DecisionOutcome.OVER_BUDGET
    assert not chat.asked
    assert "tokens of 100, even when trimmed" in decision.reason
    fits, _ = decide(said(BUY), token_budget=2000)
    assert fits.outcome is DecisionOutcome.DECIDED


def test_owner_words_stand_in_for_none():
    decision, _ = decide(said(BUY), owner_words="Only trade BTC.")
    assert "| Only trade BTC." in decision.prompts[0].user
    own = replace(SEEN, owner_words="Trade nothing.")
    decision, _ = decide(said(BUY), seen=own, owner_words="Only trade BTC.")
    assert "Only trade BTC." not in decision.prompts[0].user


def test_the_model_trader_is_a_trader_that_names_stops():
    trader: Trader = LLMTrader(chat=ScriptedChat(lines=(), name="m1"))
    assert (trader.name, trader.stop) == ("m1", StopRequirement.REQUIRED)


def test_a_bug_of_a_provider_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        decide(ZeroDivisionError())


def test_a_changed_reading_is_seen():
    decision, _ = decide(said(BUY))
    tampered = replace(decision, items=())
    assert reread(tampered) != tampered
    assert reread(decision) == decision
    repaired, _ = decide(said(BAD), said(BUY))
    first, second = repaired.prompts
    forged = replace(repaired, prompts=(first, replace(second, user="something else")))
    assert reread(forged).prompts == repaired.prompts
    with pytest.raises(ValueError, match="has no facts"):
        reread(replace(decision, facts=None))
