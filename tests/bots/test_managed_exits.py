"""Managed exits at a desk: what is due is done once, on both ledgers, whatever dies or is loosened in between."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest

from bots.cycle import mark, run_cycle
from bots.domain.entries import ExitReason, NoticeKind
from bots.domain.exits import ExitRules, Rung
from bots.protection import is_settled
from llm.domain import DecisionAction
from market.domain.enums import OrderPurpose, OrderStatus
from market.domain.evolve import evolve
from risk.profiles import profile
from tests.bots.desks import Stand, buys, says, stand
from tests.scenarios.tables import SYMBOL

pytestmark = pytest.mark.usefixtures("either_ledger")

TRAILING = ExitRules(trailing_fraction=D("0.02"))
BREAK_EVEN = ExitRules(break_even_at_r=D(1))
HALVES = ExitRules(
    ladder=(Rung(at_r=D("0.5"), fraction=D("0.5")), Rung(at_r=D(1), fraction=D("0.2")))
)


def entered(exits: ExitRules, *answers, limits=None, **wish) -> Stand:
    """A long of 15 at 100, its stop at 95 (R is 5), its target far away."""
    s = stand(limits, buys(take_profit=130, **wish), *answers, exits=exits)
    run_cycle(s.desk, "1")
    assert s.ledger.book.positions[SYMBOL].quantity == D(15)
    return s


def beat(s: Stand, price: str, **options) -> None:
    s.tick(price, **options)
    mark(s.desk)


def resting(s: Stand, purpose: OrderPurpose = OrderPurpose.STOP):
    return [
        (o.trigger_price, o.quantity)
        for o in s.ledger.book.open_orders.values()
        if o.purpose is purpose
    ]


def orders(s: Stand, purpose: OrderPurpose):
    return [o for o in s.ledger.orders.values() if o.purpose is purpose]


def acts(s: Stand) -> list[str]:
    return [n.text for n in s.ledger.notices if n.kind is NoticeKind.MANAGED_EXIT]


def test_without_rules_nothing_moves() -> None:
    s = entered(ExitRules())
    beat(s, "120")
    assert resting(s) == [(D(95), D(15))]
    assert not acts(s)


def test_a_trailing_stop_follows_up_and_stays() -> None:
    s = entered(TRAILING)
    assert resting(s) == [(D(98), D(15))]
    for price, stop in (("105", "102.9"), ("103.5", "102.9"), ("110", "107.8")):
        beat(s, price)
        assert resting(s) == [(D(stop), D(15))]
    beat(s, "107.7")
    [trade] = s.ledger.closed_trades
    assert (trade.exit_reason, trade.exit_price) == (ExitReason.STOP, D("107.7"))
    assert acts(s) == [
        "trailing stop: the stop moves from 95 to 98, mark 100",
        "trailing stop: the stop moves from 98 to 102.9, mark 105",
        "trailing stop: the stop moves from 102.9 to 107.8, mark 110",
    ]


def test_there_is_no_moment_without_a_stop() -> None:
    s = entered(TRAILING)
    s.broker.cut_cancel = True  # the old one can't be taken away yet
    beat(s, "105")
    assert sorted(price for price, _ in resting(s)) == [D(98), D("102.9")]
    s.broker.cut_cancel = False
    beat(s, "105")
    assert resting(s) == [(D("102.9"), D(15))]


def test_break_even_pays_both_fees() -> None:
    s = entered(BREAK_EVEN)
    beat(s, "104.9")
    assert resting(s) == [(D(95), D(15))]
    beat(s, "105")
    assert resting(s) == [(D("100.3"), D(15))]  # 0.1% twice is 100.2002: up to the next tick
    beat(s, "100.3")
    [trade] = s.ledger.closed_trades
    assert D(0) <= trade.net_pnl < D("1.5")


def test_a_ladder_takes_each_rung_once_and_protection_follows() -> None:
    s = entered(HALVES)
    beat(s, "102.4")
    assert not orders(s, OrderPurpose.LADDER)
    beat(s, "102.5")
    assert s.ledger.book.positions[SYMBOL].quantity == D("7.5")
    assert resting(s) == [(D(95), D("7.5"))]
    assert resting(s, OrderPurpose.TARGET) == [(D(130), D("7.5"))]
    for _ in range(3):
        beat(s, "103")
    assert s.ledger.book.positions[SYMBOL].quantity == D("7.5")
    beat(s, "106")
    assert s.ledger.book.positions[SYMBOL].quantity == D("4.5")  # a fifth of all that was entered
    beat(s, "109")
    assert s.ledger.book.plans[SYMBOL].rungs_taken == 2
    assert [o.reduce_only for o in orders(s, OrderPurpose.LADDER)] == [True, True]


def test_a_leap_takes_every_rung_that_it_passed() -> None:
    s = entered(HALVES)
    beat(s, "107")
    assert s.ledger.book.positions[SYMBOL].quantity == D("4.5")
    assert acts(s) == [
        "ladder: rung 1 of 2 at 0.5 R closes 7.5, mark 107",
        "ladder: rung 2 of 2 at 1 R closes 3, mark 107",
    ]


def test_the_last_rung_of_a_whole_ladder_ends_the_trade() -> None:
    whole = ExitRules(
        ladder=(Rung(at_r=D("0.5"), fraction=D("0.5")), Rung(at_r=D(1), fraction=D("0.5")))
    )
    s = entered(whole)
    beat(s, "107")
    [trade] = s.ledger.closed_trades
    assert (trade.exit_reason, trade.exit_price) == (ExitReason.LADDER, D(107))
    assert not s.ledger.book.open_orders


def test_a_rung_below_the_minimum_is_left_and_said() -> None:
    s = entered(ExitRules(ladder=(Rung(at_r=D("0.5"), fraction=D("0.001")),)))
    beat(s, "103")
    assert s.ledger.book.positions[SYMBOL].quantity == D(15)
    assert acts(s) == ["ladder: rung 1 of 1 at 0.5 R is below the venue's minimum and is left"]


def test_a_rung_whose_answer_was_lost_is_not_taken_twice() -> None:
    s = entered(HALVES)
    s.broker.cut_submit = "after"
    beat(s, "103")
    [sent] = orders(s, OrderPurpose.LADDER)
    assert sent.status is OrderStatus.UNKNOWN
    s.broker.cut_submit = None
    for _ in range(3):
        beat(s, "103")
    assert s.ledger.book.positions[SYMBOL].quantity == D("7.5")
    assert len(orders(s, OrderPurpose.LADDER)) == 1
    assert s.ledger.book.plans[SYMBOL].rungs_taken == 1


def test_a_rung_that_filled_before_it_was_written_down_is_found_whatever_the_price() -> None:
    s = entered(HALVES)
    beat(s, "103")
    plan = s.ledger.book.plans[SYMBOL]
    s.ledger.set_plan(SYMBOL, evolve(plan, rungs_taken=0))  # as if the process had died in between
    beat(s, "101")
    assert s.ledger.book.plans[SYMBOL].rungs_taken == 1
    assert len(orders(s, OrderPurpose.LADDER)) == 1


def test_a_rung_that_is_refused_is_tried_three_times() -> None:
    s = entered(HALVES)
    s.broker.refuse_purpose = OrderPurpose.LADDER
    for _ in range(5):
        beat(s, "103")
    assert len(orders(s, OrderPurpose.LADDER)) == 3
    assert s.ledger.book.positions[SYMBOL].quantity == D(15)
    assert acts(s)[-1] == "ladder: rung 1 was refused 3 times and is left"


def test_a_time_stop_closes_what_was_held_too_long() -> None:
    s = entered(ExitRules(time_stop=timedelta(minutes=30)))
    beat(s, "101", by=timedelta(minutes=29, seconds=59))
    assert s.ledger.book.positions
    beat(s, "101", by=timedelta(seconds=1))
    [trade] = s.ledger.closed_trades
    assert trade.exit_reason is ExitReason.TIME_STOP
    assert acts(s) == ["time stop: held for 30 min, it is being closed"]
    assert not s.ledger.book.open_orders


def test_a_time_stop_needs_no_trusted_price() -> None:
    s = entered(ExitRules(time_stop=timedelta(minutes=30)))
    s.feed.unusable[SYMBOL] = "frozen"
    beat(s, "101", by=timedelta(minutes=31))
    assert not s.ledger.book.positions


@pytest.mark.parametrize("trouble", ["unusable", "implausible", "venue unknown"])
def test_nothing_moves_on_what_cannot_be_trusted(trouble: str) -> None:
    s = entered(replace(TRAILING, ladder=HALVES.ladder))
    before = resting(s)
    if trouble == "unusable":
        s.feed.unusable[SYMBOL] = "frozen"
    s.broker.cut_sync = trouble == "venue unknown"
    beat(s, "110", mark="120" if trouble == "implausible" else None)
    assert resting(s) == before
    assert not orders(s, OrderPurpose.LADDER)
    s.feed.unusable.clear()
    s.broker.cut_sync = False
    beat(s, "110")
    assert resting(s) == [(D("107.8"), D("4.5"))]


def may_widen():
    return replace(profile("balanced"), stop_may_widen=True)


def test_a_trader_does_not_loosen_what_the_bot_has_moved() -> None:
    loosens = says(DecisionAction.ADJUST, stop_loss=96)
    s = entered(TRAILING, loosens, limits=may_widen())
    beat(s, "105")
    s.tick("104")
    record = run_cycle(s.desk, "2")
    assert not record.verdict.denials  # the limits allow it
    assert resting(s) == [(D("102.9"), D(15))]
    assert len(orders(s, OrderPurpose.STOP)) == 3, "nothing looser ever rested"
    assert acts(s)[-1] == (
        "the stop goes back from 96 to 102.9: what the bot has moved is not loosened"
    )


def test_what_a_dying_cycle_loosened_is_put_back_by_the_next_beat() -> None:
    s = entered(TRAILING, limits=may_widen())
    beat(s, "105")
    plan = s.ledger.book.plans[SYMBOL]
    s.ledger.set_plan(SYMBOL, evolve(plan, stop_price=D(96)))
    beat(s, "104")
    assert resting(s) == [(D("102.9"), D(15))]


def test_a_trader_may_tighten_further() -> None:
    s = entered(TRAILING, says(DecisionAction.ADJUST, stop_loss="103.5"))
    beat(s, "105")
    s.tick("104.5")
    run_cycle(s.desk, "2")
    assert resting(s) == [(D("103.5"), D(15))]


def test_a_position_that_is_being_closed_is_left_alone() -> None:
    s = entered(replace(TRAILING, ladder=HALVES.ladder), says(DecisionAction.CLOSE))
    s.broker.refuse_purpose = OrderPurpose.CLOSE
    s.tick("101")
    run_cycle(s.desk, "2")
    told = len(acts(s))
    beat(s, "110")
    assert s.ledger.book.positions
    assert len(acts(s)) == told


def test_an_entry_without_a_stop_gets_one_that_trails() -> None:
    s = stand(profile("raw"), buys(stop_loss=None, take_profit=None), exits=TRAILING)
    run_cycle(s.desk, "1")
    assert [price for price, _ in resting(s)] == [D(98)]
    beat(s, "105")
    assert [price for price, _ in resting(s)] == [D("102.9")]


def test_a_short_is_managed_the_other_way_round() -> None:
    sells = says(
        DecisionAction.SELL_TO_ENTER, notional=1500, leverage=5, stop_loss=105, take_profit=70,
        confidence="0.8",
    )  # fmt: skip
    s = stand(None, sells, exits=replace(TRAILING, ladder=HALVES.ladder))
    run_cycle(s.desk, "1")
    assert resting(s) == [(D(102), D(15))]
    beat(s, "97.5")
    assert s.ledger.book.positions[SYMBOL].quantity == D("-7.5")
    assert resting(s) == [(D("99.5"), D("7.5"))]  # 97.5 × 1.02 = 99.45, on a tick away from it


def test_a_beat_that_is_repeated_does_nothing() -> None:
    s = entered(replace(TRAILING, break_even_at_r=D(1), ladder=HALVES.ladder))
    beat(s, "106")
    known = len(s.ledger.orders)
    assert is_settled(s.ledger.book, s.desk.instruments)
    for _ in range(3):
        beat(s, "106")
    assert len(s.ledger.orders) == known


def test_the_trader_is_told_the_stop_that_the_bot_has_moved() -> None:
    s = entered(TRAILING)
    beat(s, "105")
    s.tick("105")
    run_cycle(s.desk, "2")
    [position] = s.trader.views[-1].positions
    assert position.stop_loss == D("102.9")
