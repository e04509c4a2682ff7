"""The cycle on its worst days: prices gone, answers lost, models raving, people pausing in the middle."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest

from bots.cycle import mark, run_cycle
from bots.domain.entries import ExitPlan
from bots.domain.records import CycleOutcome
from bots.execution import begin_closing
from bots.protection import is_settled
from bots.rerun import rerun
from llm.domain import Completion, Decision, DecisionAction, DecisionOutcome
from market.domain.enums import OrderPurpose, OrderStatus
from risk.domain import Code, Limits, TradingState
from risk.profiles import profile
from tests.bots.desks import Stand, buys, says, stand
from tests.scenarios.tables import SYMBOL

pytestmark = pytest.mark.usefixtures("either_ledger")


def entries(s):
    return [o for o in s.ledger.orders.values() if o.purpose is OrderPurpose.ENTRY]


def test_an_entry_is_filled_and_protected_in_the_same_cycle() -> None:
    s = stand(None, buys())
    record = run_cycle(s.desk, "1")
    assert record.outcome is CycleOutcome.DECIDED
    assert s.ledger.book.positions[SYMBOL].quantity == D(15)
    stop, target = (
        [o for o in s.ledger.book.open_orders.values() if o.purpose is purpose]
        for purpose in (OrderPurpose.STOP, OrderPurpose.TARGET)
    )
    assert [(o.trigger_price, o.quantity, o.reduce_only) for o in stop] == [(D(95), D(15), True)]
    assert [(o.trigger_price, o.quantity) for o in target] == [(D(110), D(15))]
    assert record.order_ids[0] == entries(s)[0].client_order_id


def test_a_slot_is_decided_once() -> None:
    s = stand(None, buys(), buys())
    run_cycle(s.desk, "1")
    assert run_cycle(s.desk, "1").outcome is CycleOutcome.SKIPPED
    assert len(s.trader.views) == 1
    assert len(entries(s)) == 1


def test_no_market_data_asks_nobody_and_opens_nothing() -> None:
    s = stand(None, buys())
    s.feed.down = True
    assert run_cycle(s.desk, "1").outcome is CycleOutcome.VENUE_UNAVAILABLE
    assert not s.trader.views
    assert not s.ledger.orders


def test_an_unusable_instrument_is_no_reason_to_pay_for_a_prompt() -> None:
    s = stand(None, buys())
    s.feed.unusable[SYMBOL] = "frozen"
    assert run_cycle(s.desk, "1").outcome is CycleOutcome.NO_MARKET
    assert not s.trader.views


def test_an_unknown_venue_state_opens_nothing_but_closes_go() -> None:
    s = stand(None, buys())
    s.broker.cut_sync = True
    run_cycle(s.desk, "1")
    assert [d.code for _, d in s.ledger.denials] == [Code.VENUE_UNKNOWN]
    s.broker.cut_sync = False
    s.trader.answers = [buys(), says(DecisionAction.CLOSE)]
    s.tick()
    run_cycle(s.desk, "2")
    assert s.ledger.book.positions
    s.broker.cut_sync = True
    s.tick()
    run_cycle(s.desk, "3")
    assert not s.ledger.book.positions


def test_a_lost_answer_is_never_sent_again_and_its_fate_is_learnt() -> None:
    s = stand(None, buys(), buys())
    s.broker.cut_submit = "after"
    run_cycle(s.desk, "1")
    (entry,) = entries(s)
    assert entry.status is OrderStatus.UNKNOWN
    assert not s.ledger.book.positions
    s.broker.cut_submit = None
    s.tick()
    run_cycle(s.desk, "2")  # the trader wants in again: by now it is known that it is in
    assert [o.status for o in entries(s)] == [OrderStatus.FILLED]
    assert s.ledger.book.positions[SYMBOL].quantity == D(15)
    assert [d.code for _, d in s.ledger.denials] == [Code.ADD_NOT_ALLOWED]
    assert s.broker.submitted.count(entry.client_order_id) == 1
    s.tick("94")
    mark(s.desk)  # its stop was resting at the venue all along
    assert [t.exit_reason for t in s.ledger.closed_trades] == ["STOP"]
    assert s.ledger.book.cash == s.broker.venue.state.cash


def test_a_stop_that_fills_while_nobody_knows_of_the_entry_makes_no_phantom() -> None:
    s = stand(None, buys())
    s.broker.cut_submit = "after"
    run_cycle(s.desk, "1")
    s.broker.cut_submit = None
    s.tick("94")
    mark(s.desk)
    assert not s.ledger.book.positions
    assert s.ledger.book.cash == s.broker.venue.state.cash


def test_an_entry_that_never_arrived_is_found_out_and_frees_its_symbol() -> None:
    s = stand(None, buys())
    s.broker.cut_submit = "before"
    run_cycle(s.desk, "1")
    s.broker.cut_submit = None
    s.tick()  # 15 s: not found, which proves nothing yet
    s.trader.answers = [buys()]
    run_cycle(s.desk, "2")
    assert [d.code for _, d in s.ledger.denials] == [Code.ORDER_UNRESOLVED]
    s.tick()  # 30 s, second look-up
    mark(s.desk)
    assert {o.status for o in s.ledger.orders.values()} == {OrderStatus.NEVER_ARRIVED}
    assert not s.ledger.book.open_orders
    s.trader.answers = [buys()]
    run_cycle(s.desk, "3")
    assert s.ledger.book.positions[SYMBOL].quantity == D(15)


def without_protection(*answers: Decision) -> Stand:
    """A position whose stop and target the venue has lost."""
    s = stand(None, buys(), *answers)
    run_cycle(s.desk, "1")
    for order in list(s.ledger.book.open_orders.values()):
        s.ledger.apply(s.broker.venue.cancel(order.client_order_id), s.desk.instruments)
    return s


def test_a_stop_without_an_answer_flattens_after_ten_seconds() -> None:
    s = without_protection()
    s.broker.cut_submit = "before"
    s.tick()
    mark(s.desk)
    assert s.ledger.book.positions
    s.broker.cut_submit = None
    s.tick()
    mark(s.desk)
    assert not s.ledger.book.positions
    assert "PROTECTION_FAILED" in [n.kind for n in s.ledger.notices]


def test_a_close_that_never_arrived_is_tried_again_with_a_new_id() -> None:
    s = stand(None, buys(), says(DecisionAction.CLOSE))
    run_cycle(s.desk, "1")
    s.broker.cut_submit = "before"
    s.tick()
    run_cycle(s.desk, "2")
    s.broker.cut_submit = None
    for _ in range(3):
        s.tick()
        mark(s.desk)
    assert not s.ledger.book.positions
    closes = [o for o in s.ledger.orders.values() if o.purpose is OrderPurpose.CLOSE]
    assert [o.status for o in closes] == [OrderStatus.NEVER_ARRIVED, OrderStatus.FILLED]


def test_an_unanswered_cancel_does_not_stop_a_flatten() -> None:
    s = stand(only_hard_drawdown("0.005"), buys())
    run_cycle(s.desk, "1")
    s.broker.cut_cancel = True
    for _ in range(3):
        s.tick("96")
        mark(s.desk)
    assert not s.ledger.book.positions


def test_an_entry_does_not_leave_behind_a_close_that_failed() -> None:
    other = "OTHER/USDT:USDT"
    s = stand(profile("balanced", max_open_positions=1), buys(), symbols=(SYMBOL, other))
    s.feed.prices[other] = D(100)
    run_cycle(s.desk, "1")
    s.broker.refuse_purpose = "CLOSE"
    rotate = (says(DecisionAction.CLOSE).items[0], replace(buys().items[0], symbol=other))
    s.trader.answers = [Decision(trader="literal", items=rotate)]
    s.tick()
    record = run_cycle(s.desk, "2")
    assert set(s.ledger.book.positions) == {SYMBOL}
    assert record.verdict is not None
    assert [d.code for d in record.verdict.denials] == [Code.MAX_POSITIONS]
    assert rerun(record.evidence()) == ()
    s.broker.refuse_purpose = None
    s.trader.answers = [Decision(trader="literal", items=rotate)]
    s.tick()
    mark(s.desk)  # the close is tried again until it is done
    s.tick()
    run_cycle(s.desk, "3")
    assert set(s.ledger.book.positions) == {other}


def test_a_close_that_filled_makes_room_in_the_same_cycle() -> None:
    other = "OTHER/USDT:USDT"
    s = stand(profile("balanced", max_open_positions=1), buys(), symbols=(SYMBOL, other))
    s.feed.prices[other] = D(100)
    run_cycle(s.desk, "1")
    rotate = (replace(buys().items[0], symbol=other), says(DecisionAction.CLOSE).items[0])
    s.trader.answers = [Decision(trader="literal", items=rotate)]
    s.tick()
    record = run_cycle(s.desk, "2")
    assert set(s.ledger.book.positions) == {other}
    assert rerun(record.evidence()) == ()


def test_one_look_up_proves_nothing_however_late() -> None:
    s = stand(None, buys())
    s.broker.cut_submit = "before"
    run_cycle(s.desk, "1")
    s.tick(by=timedelta(minutes=5))
    mark(s.desk)
    assert {o.status for o in s.ledger.orders.values()} == {OrderStatus.UNKNOWN}
    s.tick(by=timedelta(seconds=1))
    mark(s.desk)
    assert {o.status for o in s.ledger.orders.values()} == {OrderStatus.NEVER_ARRIVED}


def test_a_stop_past_liquidation_is_tightened_and_told() -> None:
    s = stand(None, buys())
    run_cycle(s.desk, "1")  # 15 at 100 with 5×: liquidation at 1200 ÷ (15 × 0.99) = 80.81
    s.ledger.set_plan(SYMBOL, ExitPlan(stop_price=D(80), target_price=D(110)))
    s.tick()
    mark(s.desk)
    (stop,) = [o for o in s.ledger.book.open_orders.values() if o.purpose is OrderPurpose.STOP]
    assert stop.trigger_price == D("84.7")  # 100 − 0.8 × 19.19 = 84.65, up to the tick
    assert "PROTECTION_TIGHTENED" in [n.kind for n in s.ledger.notices]


def test_protection_is_settled_only_when_nothing_is_left_to_do() -> None:
    s = without_protection()
    assert not is_settled(s.ledger.book, s.desk.instruments)
    s.tick()
    mark(s.desk)
    assert is_settled(s.ledger.book, s.desk.instruments)
    s.broker.refuse_purpose = "CLOSE"
    begin_closing(s.desk, SYMBOL)
    assert not is_settled(s.ledger.book, s.desk.instruments)


def test_a_discarded_decision_was_still_paid_for() -> None:
    paid = Decision(
        trader="literal", completions=(Completion(text="{}", model="m", cost=D("0.5")),)
    )
    s = stand(None, paid)
    s.trader.thinking = lambda: setattr(s.ledger, "take_desk", lambda: False)
    assert run_cycle(s.desk, "1").outcome is CycleOutcome.DISCARDED
    del s.ledger.take_desk
    s.ledger.heal()  # whoever holds the desk next books what was owed
    assert s.ledger.book.totals.llm_cost == D("0.5")


def test_the_same_cycle_run_again_after_a_crash_asks_for_the_same_ids() -> None:
    s = stand(None, buys(), buys())
    run_cycle(s.desk, "1")
    sent = list(s.broker.submitted)
    s.ledger.forget_slots()  # as if the row had been lost with the worker
    run_cycle(s.desk, "1")
    assert s.broker.submitted == sent


@pytest.mark.parametrize(
    "outcome",
    [outcome for outcome in DecisionOutcome if outcome is not DecisionOutcome.DECIDED],
)
def test_whatever_a_model_fails_at_is_a_recorded_hold(outcome: DecisionOutcome) -> None:
    failed = Decision(trader="literal", outcome=outcome, reason="as it goes")
    s = stand(None, failed)
    record = run_cycle(s.desk, "1")
    assert record.decision is failed
    assert not s.ledger.orders
    assert s.ledger.book.breakers.model_failures == 1


def test_model_failures_in_a_row_stop_opening() -> None:
    failed = Decision(trader="literal", outcome=DecisionOutcome.UNREADABLE)
    s = stand(profile("balanced", max_model_failures=2), failed, failed, buys())
    for slot in "123":
        run_cycle(s.desk, slot)
        s.tick()
    assert Code.MODEL_FAILURES in {d.code for _, d in s.ledger.denials}
    assert not s.ledger.book.positions


def test_model_cost_is_charged_once_and_stays_in_the_identity() -> None:
    paid = Decision(
        trader="literal", completions=(Completion(text="{}", model="m", cost=D("0.0123")),)
    )
    s = stand(None, paid)
    run_cycle(s.desk, "1")
    assert s.ledger.book.totals.llm_cost == D("0.0123")
    assert s.ledger.book.cash == D("9999.9877") == s.ledger.book.totals.cash


def test_an_unknown_cost_books_nothing_and_says_so() -> None:
    unknown = Decision(trader="literal", completions=(Completion(text="{}", model="m", cost=None),))
    s = stand(None, unknown)
    run_cycle(s.desk, "1")
    assert s.ledger.book.cash == D(10_000)
    assert [n.kind for n in s.ledger.notices] == ["MODEL_COST_UNKNOWN"]


def test_a_pause_while_the_model_thinks_stops_the_entry() -> None:
    s = stand(None, buys())

    def pause() -> None:
        s.ledger.opening_allowed = False

    s.trader.thinking = pause
    run_cycle(s.desk, "1")
    assert [d.code for _, d in s.ledger.denials] == [Code.BOT_NOT_ACTIVE]
    assert not s.ledger.book.positions


def test_a_slow_model_does_not_trade_on_old_prices() -> None:
    s = stand(None, buys())
    s.trader.thinking = lambda: s.tick("101")  # 100 bps away from the prompt, 50 allowed
    run_cycle(s.desk, "1")
    assert [d.code for _, d in s.ledger.denials] == [Code.PRICE_MOVED]


def test_a_stop_hit_while_the_model_thinks_is_seen_before_it_acts() -> None:
    s = stand(None, buys(), says(DecisionAction.CLOSE))
    run_cycle(s.desk, "1")
    s.tick("99.9")
    s.trader.thinking = lambda: s.tick("94")
    record = run_cycle(s.desk, "2")
    assert [t.exit_reason for t in s.ledger.closed_trades] == ["STOP"]
    assert record.plan is not None
    assert "NOOP" in record.plan.notes[0]


def test_mark_fills_a_paper_stop_between_decisions() -> None:
    s = stand(None, buys())
    run_cycle(s.desk, "1")
    s.tick("94.9")
    mark(s.desk)
    (trade,) = s.ledger.closed_trades
    assert (trade.exit_reason, trade.exit_price) == ("STOP", D("94.9"))
    assert not s.ledger.book.open_orders


def test_a_partial_close_resizes_its_protection() -> None:
    s = stand(None, buys(), says(DecisionAction.REDUCE, reduce_fraction="0.4"))
    run_cycle(s.desk, "1")
    s.tick()
    run_cycle(s.desk, "2")
    resting = {o.purpose: o.quantity for o in s.ledger.book.open_orders.values()}
    assert resting == {OrderPurpose.STOP: D(9), OrderPurpose.TARGET: D(9)}


def test_a_refused_adjust_leaves_the_old_stop() -> None:
    s = stand(None, buys(), says(DecisionAction.ADJUST, stop_loss=90))  # wider: refused
    run_cycle(s.desk, "1")
    s.tick()
    run_cycle(s.desk, "2")
    (stop,) = [o for o in s.ledger.book.open_orders.values() if o.purpose is OrderPurpose.STOP]
    assert stop.trigger_price == D(95)


def test_an_adjust_places_the_new_stop_before_the_old_one_goes() -> None:
    s = stand(None, buys(), says(DecisionAction.ADJUST, stop_loss=97))
    run_cycle(s.desk, "1")
    s.tick()
    run_cycle(s.desk, "2")
    (stop,) = [o for o in s.ledger.book.open_orders.values() if o.purpose is OrderPurpose.STOP]
    assert (stop.trigger_price, stop.quantity) == (D(97), D(15))
    stops = [o for o in s.ledger.orders.values() if o.purpose is OrderPurpose.STOP]
    assert [o.status for o in stops] == [OrderStatus.CANCELED, OrderStatus.ACCEPTED]


def test_a_stop_that_cannot_rest_flattens_the_position() -> None:
    s = stand(None, buys(), says(DecisionAction.REDUCE, reduce_fraction="0.4"))
    run_cycle(s.desk, "1")
    s.broker.refuse_purpose = "STOP"
    for order in list(s.ledger.book.open_orders.values()):  # the venue lost the one that rested
        s.ledger.apply(s.broker.venue.cancel(order.client_order_id), s.desk.instruments)
    s.tick()
    mark(s.desk)
    assert not s.ledger.book.positions
    assert "PROTECTION_FAILED" in [n.kind for n in s.ledger.notices]


def only_hard_drawdown(fraction: str) -> Limits:
    return profile(
        "balanced",
        hard_drawdown_fraction=fraction,
        soft_drawdown_fraction=None,
        max_daily_loss_fraction=None,
    )


def test_absurd_marks_never_flatten() -> None:
    s = stand(only_hard_drawdown("0.005"), buys(take_profit=112, stop_loss=94))
    run_cycle(s.desk, "1")
    for _ in range(3):  # mark 3.2% under the last trade: more than a real one strays
        s.tick("98", mark="94.8")
        mark(s.desk)
    assert s.ledger.book.positions
    assert s.ledger.book.breakers.state is TradingState.ACTIVE


def test_a_hard_drawdown_needs_two_beats_and_then_flattens_and_halts() -> None:
    s = stand(only_hard_drawdown("0.005"), buys())
    run_cycle(s.desk, "1")
    s.tick("96")
    mark(s.desk)
    assert s.ledger.book.positions  # one beat is not enough
    s.tick("96")
    seen = mark(s.desk)
    assert seen is not None
    assert seen.state is TradingState.HALTED
    assert not s.ledger.book.positions
    s.tick("100")
    s.trader.answers = [buys()]
    assert run_cycle(s.desk, "2").outcome is CycleOutcome.HALTED
    assert len(s.trader.views) == 1


def test_a_soft_drawdown_asks_for_close_or_keep_once() -> None:
    limits = profile("balanced", soft_drawdown_fraction="0.005", max_daily_loss_fraction=None)
    s = stand(limits, buys())
    run_cycle(s.desk, "1")
    s.tick("96")
    run_cycle(s.desk, "2")
    assert s.trader.views[-1].emergency == Code.SOFT_DRAWDOWN
    s.tick("96")
    run_cycle(s.desk, "3")
    assert s.trader.views[-1].emergency is None


def test_a_price_that_is_gone_makes_no_equity_point_and_no_entry() -> None:
    s = stand(None, buys())
    run_cycle(s.desk, "1")
    points = len(s.ledger.equity_curve()[0])
    del s.feed.prices[SYMBOL]
    s.clock.advance_to(s.clock.now() + timedelta(seconds=15))
    assert run_cycle(s.desk, "2").outcome is CycleOutcome.NO_MARKET
    assert len(s.ledger.equity_curve()[0]) == points
    assert s.ledger.book.positions  # nobody guessed what it is worth


def test_the_trader_is_told_what_it_holds_and_what_was_denied() -> None:
    s = stand(
        None,
        buys(),
        says(
            DecisionAction.SELL_TO_ENTER, notional=500, stop_loss=105, take_profit=90, confidence=1
        ),
    )
    run_cycle(s.desk, "1")
    s.tick()
    run_cycle(s.desk, "2")
    s.tick("101")
    run_cycle(s.desk, "3")
    view = s.trader.views[-1]
    (held,) = view.positions
    assert (held.quantity, held.entry_price, held.mark_price, held.stop_loss) == (
        D(15),
        D(100),
        D(101),
        D(95),
    )
    assert held.liquidation_price is not None and held.liquidation_price < D(95)
    assert [d.code for d in view.denials] == [Code.FLIP]
    assert view.invocation == 3
    assert view.account.equity == D(10_000) + 15 - D("1.5")
