"""Doubts about what a model said: found where they are, and silent where a sentence may mean something else."""

from decimal import Decimal as D

import pytest

from llm.checks import DoubtKind, doubts
from llm.domain import Completion, Decision, DecisionAction, DecisionItem
from llm.prompts import STANDARD, prompt_facts
from tests.llm.scenes import full_view

VIEW = full_view()
FACTS = prompt_facts(VIEW, STANDARD)
SYMBOL = FACTS["instruments"][0]["symbol"]
MARK = D(FACTS["instruments"][0]["mark"])
OTHER = FACTS["instruments"][1]["symbol"]
EQUITY = VIEW.account.equity


def entry(**changes) -> DecisionItem:
    values = {
        "symbol": SYMBOL,
        "action": DecisionAction.BUY_TO_ENTER,
        "confidence": D("0.7"),
        "risk_fraction": D("0.01"),
        "leverage": D(3),
        "stop_loss": MARK * D("0.97"),
        "take_profit": MARK * D("1.06"),
    }
    return DecisionItem(**values | changes)


def found(*items: DecisionItem, text: str = "{}", summary: str = "", facts=FACTS, **changes):
    decision = Decision(
        trader="m", items=items, summary=summary, facts=facts,
        completions=(Completion(text=text, model="m"),), **changes,
    )  # fmt: skip
    return [(doubt.kind, doubt.symbol, doubt.text) for doubt in doubts(decision)]


def test_a_sound_decision_raises_none():
    said = f"The mark {MARK:,} holds above its average; risking 1% for twice that."

    assert found(entry(justification=said), summary=f"Long at {MARK}.") == []


@pytest.mark.parametrize(
    "words",
    [
        "about {0:.0f}",
        "~{0:.0f}",
        "${0:,.2f}",
        "near {0:,.1f} now",
        "broke {0:.2f}, held",
    ],
)
def test_a_price_that_was_never_shown_is_named(words):
    wrong = MARK * D("1.31")
    [(kind, symbol, text)] = found(entry(justification=words.format(wrong)))

    assert (kind, symbol) == (DoubtKind.PRICE, SYMBOL)
    assert "stands nowhere in what it saw" in text


@pytest.mark.parametrize(
    "words",
    [
        "RSI14 at 71, EMA20 above EMA50",
        "on the 4h and the 15m",
        "a gain of 31% and 3x",
        "since 2026-03-01 12:30",
        "volume of 900000000000",
        "1.5, 2.5 and 0.3",
        "",
    ],
)
def test_numbers_that_are_no_price_say_nothing(words):
    assert found(entry(justification=words), summary=words) == []


def test_its_own_levels_may_be_spoken_of():
    item = entry()
    said = f"stop {item.stop_loss:.1f}, target {item.take_profit:.1f}"

    assert found(entry(justification=said)) == []


def test_rounding_is_no_doubt():
    """`95k` means 94,500 to 95,500."""
    facts = {
        "instruments": [{"symbol": "BTC", "mark": "95321.4", "series": [["mid", ["95410"]]]}],
        "reading": {"symbols": ["BTC"], "held": [], "equity": "10000"},
    }
    item = {"symbol": "BTC", "stop_loss": D(90_000), "take_profit": D(99_900)}
    for near in ("~95k", "95,300", "95,000", "95.3k", "95321"):
        assert found(entry(justification=near, **item), facts=facts) == [], near
    for far in ("~97k", "96,500", "95,700", "94k"):
        [doubt] = found(entry(justification=far, **item), facts=facts)
        assert doubt[0] is DoubtKind.PRICE, far


def test_the_summary_is_read_against_the_one_instrument_that_it_can_mean():
    assert found(summary=f"It fell to {MARK * D('0.72'):.2f}.")[0][1] == SYMBOL


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"justification": "risking 5% here"}, "Speaks of 5% at risk, and its numbers make 1%."),
        ({"justification": "I risk about 0.1% of equity"}, "Speaks of 0.1% at risk"),
        (
            {"notional": EQUITY * 2, "stop_loss": MARK * D("0.95")},
            "Its size and stop risk 10%, and it states 1%.",
        ),
    ],
)
def test_a_stated_risk_that_its_numbers_do_not_make(changes, words):
    [(kind, _, text)] = found(entry(**changes))

    assert kind is DoubtKind.RISK
    assert words in text


def test_a_risk_that_fits_is_no_doubt():
    for said in ("risking 1%", "risk is about 1.1% of equity", "a good risk-reward"):
        assert found(entry(justification=said)) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"confidence": None}, "without the confidence"),
        ({"stop_loss": None}, "without the stop"),
        ({"risk_fraction": None}, "without a size"),
        ({"stop_loss": MARK * D("1.02")}, "on the winning side"),
        ({"take_profit": MARK * D("0.98")}, "on the losing side"),
        (
            {
                "action": DecisionAction.SELL_TO_ENTER,
                "stop_loss": MARK * D("0.98"),
                "take_profit": MARK * D("0.9"),
            },
            "on the winning side",
        ),
    ],
)
def test_instructions_that_were_broken(changes, words):
    doubt = found(entry(**changes))

    assert [one[0] for one in doubt] == [DoubtKind.INSTRUCTION]
    assert words in doubt[0][2]


def test_text_around_the_object_and_items_at_odds():
    assert "around the JSON" in found(text='Sure: {"decisions": []}')[0][2]
    assert found(void=(OTHER,))[0][1:] == (OTHER, "It gave items that contradict each other.")


def test_nothing_is_said_of_rules_and_of_records_without_facts():
    assert doubts(Decision(trader="ema_trend", items=(entry(stop_loss=None),))) == ()
    assert found(entry(stop_loss=None), facts=None) == []
