"""The rules of managed exits by themselves: what is due at a price, never looser, and what is refused."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.domain.entries import ExitPlan
from bots.domain.exits import (
    ExitRules,
    Holding,
    InvalidExits,
    Rung,
    break_even_price,
    closer_stop,
    in_words,
    is_loosened,
    ladder_from,
    ladder_text,
    next_price,
    overdue_at,
    rung_due,
    span_words,
)
from market.domain.enums import PositionSide

LADDER = (Rung(at_r=D(1), fraction=D("0.5")), Rung(at_r=D(2), fraction=D("0.25")))


def held(
    stop: str | None = "95", *, side: str = "LONG", entry: str = "100", **plan: Any
) -> Holding:
    """A long at 100 with its stop at 95: R is 5. `first`: the stop that it was entered with, if another."""
    first = plan.pop("first", stop)
    return Holding(
        side=PositionSide(side),
        entry_price=D(entry),
        plan=ExitPlan(
            stop_price=None if stop is None else D(stop),
            first_stop_price=None if first is None else D(first),
            **plan,
        ),
        taker_fee=D("0.0005"),
        price_step=D("0.1"),
    )


def trails(fraction: str = "0.02", from_r: str | None = None) -> ExitRules:
    return ExitRules(
        trailing_fraction=D(fraction), trailing_from_r=None if from_r is None else D(from_r)
    )


# name, rules, holding, mark, where the stop moves and by which rule
MOVES: list[tuple[str, ExitRules, Holding, str, tuple[str, str] | None]] = [
    ("closer than the stop at once", trails(), held(), "100", ("98", "trailing stop")),
    ("follows up", trails(), held("98", first="95"), "110", ("107.8", "trailing stop")),
    ("stays when the price falls", trails(), held("98", first="95"), "99", None),
    ("a small step is not worth two requests", trails("0.1"), held("90", first="85"), "100.9", None),
    ("a step of a tenth of the distance is", trails("0.1"), held("90", first="85"), "101", ("90.9", "trailing stop")),
    ("on a tick, away from the market", trails(), held(), "100.07", ("98", "trailing stop")),
    ("not before its profit", trails(from_r="1"), held(), "104.9", None),
    ("from its profit on", trails(from_r="1"), held(), "105", ("102.9", "trailing stop")),
    ("no risk known, no profit in R", trails(from_r="1"), held(None), "150", None),
    ("no stop yet: one is set wherever the price is", trails(), held(None), "90", ("88.2", "trailing stop")),
    ("a short follows down", trails(), held("105", side="SHORT"), "90", ("91.8", "trailing stop")),
    ("a short stays when the price rises", trails(), held("101", side="SHORT", first="105"), "100", None),
    ("a short without a stop", trails(), held(None, side="SHORT"), "120", ("122.4", "trailing stop")),
    ("break-even not yet", ExitRules(break_even_at_r=D(1)), held(), "104.9", None),
    ("break-even at 1 R", ExitRules(break_even_at_r=D(1)), held(), "105", ("100.2", "break-even")),
    ("break-even is done", ExitRules(break_even_at_r=D(1)), held("100.2", first="95"), "106", None),
    ("break-even of a short", ExitRules(break_even_at_r=D(1)), held("105", side="SHORT"), "95", ("99.9", "break-even")),
    ("R smaller than the fees waits for the fees", ExitRules(break_even_at_r=D(1)), held("99.99"), "100.1", None),
    ("and a tick more", ExitRules(break_even_at_r=D(1)), held("99.99"), "100.3", ("100.2", "break-even")),
    ("a stop past the entry has no R", ExitRules(break_even_at_r=D(1)), held("101"), "120", None),
    ("the closest of two wins", replace(trails("0.01"), break_even_at_r=D(1)), held(), "110",
     ("108.9", "trailing stop")),
    ("whichever it is", replace(trails("0.09"), break_even_at_r=D(1)), held(), "106", ("100.2", "break-even")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "holding", "mark", "moved"), [case[1:] for case in MOVES], ids=[c[0] for c in MOVES]
)
def test_where_a_stop_moves(
    rules: ExitRules, holding: Holding, mark: str, moved: tuple[str, str] | None
) -> None:
    found = closer_stop(rules, holding, D(mark))
    assert found == (None if moved is None else (D(moved[0]), moved[1]))


RUNGS: list[tuple[str, Holding, str, int]] = [
    ("not yet", held(), "104.9", 0),
    ("the first", held(), "105", 1),
    ("one at a time", held(), "112", 1),
    ("the second", held(rungs_taken=1), "110", 2),
    ("the second is higher", held(rungs_taken=1), "109", 0),
    ("all taken", held(rungs_taken=2), "150", 0),
    ("of a short", held("105", side="SHORT"), "95", 1),
    ("R is of the first stop", held("100.2", first="95"), "105", 1),
    ("without a stop there is no R", held(None), "500", 0),
]


@pytest.mark.parametrize(
    ("holding", "mark", "number"), [case[1:] for case in RUNGS], ids=[case[0] for case in RUNGS]
)
def test_which_rung_is_due(holding: Holding, mark: str, number: int) -> None:
    assert rung_due(ExitRules(ladder=LADDER), holding, D(mark)) == number


prices = st.decimals("1", "1000", places=1)
fractions = st.decimals("0.001", "0.5", places=3)
rs = st.decimals("0.1", "20", places=1)


@st.composite
def rule_sets(draw: st.DrawFn) -> ExitRules:
    trailing = draw(st.none() | fractions)
    levels = sorted(set(draw(st.lists(rs, max_size=4))))
    return ExitRules(
        trailing_fraction=trailing,
        trailing_from_r=draw(st.none() | rs) if trailing is not None else None,
        break_even_at_r=draw(st.none() | rs),
        ladder=tuple(Rung(at_r=level, fraction=D("0.2")) for level in levels),
    )


@st.composite
def holdings(draw: st.DrawFn) -> Holding:
    side = draw(st.sampled_from([PositionSide.LONG, PositionSide.SHORT]))
    first = draw(st.none() | prices)
    return Holding(
        side=side,
        entry_price=draw(prices),
        plan=ExitPlan(
            stop_price=draw(st.none() | prices),
            first_stop_price=first,
            rungs_taken=draw(st.integers(0, 4)),
        ),
        taker_fee=draw(st.decimals("0", "0.002", places=4)),
        price_step=draw(st.sampled_from([D("0.1"), D("0.01"), D(1)])),
    )


@given(rule_sets(), holdings(), prices, st.booleans())
def test_a_stop_is_never_loosened_and_never_past_the_market(
    rules: ExitRules, holding: Holding, mark: D, is_due: bool
) -> None:
    due = next_price(rules, holding)
    if is_due and due is not None and due.is_finite() and due > 0:
        mark = due  # where something happens: seldom met by chance
    moved = closer_stop(rules, holding, mark)
    if moved is None:
        return
    price = moved[0]
    assert holding.is_closer(price, holding.plan.stop_price)
    assert holding.sign * (mark - price) > 0, "it would fire at once"


@given(rule_sets(), holdings(), prices)
def test_something_is_due_exactly_from_the_next_price_on(
    rules: ExitRules, holding: Holding, mark: D
) -> None:
    is_due = closer_stop(rules, holding, mark) is not None or rung_due(rules, holding, mark) > 0
    price = next_price(rules, holding)
    assert is_due == (price is not None and holding.is_reached(price, mark))


@given(rule_sets(), holdings(), prices)
def test_what_was_done_is_not_due_again(rules: ExitRules, holding: Holding, mark: D) -> None:
    for _ in range(8):  # a move may make room for none, a rung for the next
        plan = holding.plan
        moved, rung = closer_stop(rules, holding, mark), rung_due(rules, holding, mark)
        if moved is not None:
            plan = replace(plan, stop_price=moved[0], managed_stop_price=moved[0])
        if rung:
            plan = replace(plan, rungs_taken=rung)
        holding = replace(holding, plan=plan)
    price = next_price(rules, holding)
    assert price is None or not holding.is_reached(price, mark)


@given(holdings())
def test_break_even_pays_both_fees_and_at_most_a_tick_more(holding: Holding) -> None:
    price, fee = break_even_price(holding), holding.taker_fee
    gain = holding.sign * (price - holding.entry_price) - fee * (price + holding.entry_price)
    assert D("-1E-20") <= gain <= holding.price_step


def test_who_loosens_a_managed_stop_is_seen() -> None:
    assert is_loosened(held("97", first="95", managed_stop_price=D(98)))
    assert not is_loosened(held("98", first="95", managed_stop_price=D(98)))
    assert not is_loosened(held("99", first="95", managed_stop_price=D(98)))
    assert is_loosened(held("101", side="SHORT", managed_stop_price=D(99)))
    assert is_loosened(held(None, managed_stop_price=D(98)))
    assert not is_loosened(held("80"))


def test_a_time_stop_runs_from_the_opening() -> None:
    opened = datetime(2026, 1, 1, tzinfo=UTC)
    rules = ExitRules(time_stop=timedelta(hours=4))
    assert overdue_at(rules, opened) == opened + timedelta(hours=4)
    assert overdue_at(ExitRules(), opened) is None


@pytest.mark.parametrize(
    ("rules", "about", "sentence"),
    [
        ({"trailing_fraction": D(0)}, "trailing_fraction", "a stop trails at 0.1% to 50% of the price, not 0%"),
        ({"trailing_fraction": D("0.6")}, "trailing_fraction", "not 60%"),
        ({"trailing_from_r": D(1)}, "trailing_from_r", "needs its distance"),
        ({"trailing_fraction": D("0.1"), "trailing_from_r": D(-1)}, "trailing_from_r",
         "from 0, and at most 100, not -1"),
        ({"break_even_at_r": D(0)}, "break_even_at_r", "above 0, and at most 100, not 0"),
        ({"break_even_at_r": D(101)}, "break_even_at_r", "not 101"),
        ({"ladder": (Rung(at_r=D(2), fraction=D("0.1")),) * 2}, "ladder", "2 R comes after 2 R"),
        ({"ladder": (Rung(at_r=D(0), fraction=D("0.1")),)}, "ladder", "above 0"),
        ({"ladder": (Rung(at_r=D(1), fraction=D(0)),)}, "ladder", "a share above 0 and at most 1, not 0"),
        ({"ladder": tuple(Rung(at_r=D(n), fraction=D("0.4")) for n in (1, 2, 3))}, "ladder", "close 120%"),
        ({"ladder": tuple(Rung(at_r=D(n), fraction=D("0.1")) for n in range(1, 7))}, "ladder", "5 rungs, not 6"),
        ({"time_stop": timedelta(seconds=30)}, "time_stop", "from one minute to 365 days"),
        ({"time_stop": timedelta(days=366)}, "time_stop", "from one minute to 365 days"),
    ],
)  # fmt: skip
def test_rules_that_make_no_sense_are_refused(
    rules: dict[str, Any], about: str, sentence: str
) -> None:
    with pytest.raises(InvalidExits, match=re.escape(sentence)) as refused:
        ExitRules(**rules)
    assert refused.value.about == about


def test_a_ladder_is_written_and_read() -> None:
    assert ladder_from("1:50%, 2:0.25") == LADDER
    assert ladder_from(" 1R : 50% ; 2 R:25% ") == LADDER
    assert ladder_from(ladder_text(LADDER)) == LADDER
    assert ladder_from("") == ()


@pytest.mark.parametrize(
    "text", ["1", "1:", ":50%", "one:50%", "1:half", "1:nan", "inf:50%", "1:50%:2"]
)
def test_a_rung_that_cannot_be_read_says_how_it_is_written(text: str) -> None:
    with pytest.raises(InvalidExits, match="a rung is written as 1:50%"):
        ladder_from(text)


def test_rules_in_words() -> None:
    assert in_words(ExitRules()) == ()
    rules = ExitRules(
        trailing_fraction=D("0.015"),
        trailing_from_r=D(1),
        break_even_at_r=D(1),
        ladder=LADDER,
        time_stop=timedelta(hours=4),
    )
    assert in_words(rules) == (
        ("Stop trails the mark price", "at 1.5% from 1 R on"),
        ("Stop moves to break-even", "at 1 R"),
        ("Takes partial profits", "50% at 1 R, 25% at 2 R"),
        ("Closes what was held for", "4 h"),
    )
    assert span_words(timedelta(days=1, minutes=90)) == "1 d 1 h 30 min"


def test_all_off_is_off() -> None:
    assert ExitRules().is_off
    assert not ExitRules(time_stop=timedelta(hours=1)).is_off
