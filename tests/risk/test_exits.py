"""Closes, reduces and changes of protection: reduce-only, never blocked by what limits opening."""

from dataclasses import replace
from datetime import timedelta

import pytest

from market.domain.enums import OrderPurpose
from risk.domain import Code, HeldProtection, Intent, Requester, TradingState
from risk.engine import review
from risk.profiles import PROFILES, profile
from tests.risk.build import (
    BTC,
    ETH,
    LONG,
    NOW,
    SHORT,
    D,
    context,
    entry,
    instrument,
    leave,
    mirrored,
    move,
    open_limits,
    position,
    quote,
    rule_on,
)

SIDES = pytest.mark.parametrize("side", [LONG, SHORT])


# --- Closes ----------------------------------------------------------------------------------------


@SIDES
def test_a_close_of_what_is_held_passes(side):
    where = context([position(side.sign * 3)])

    for quantity in ("1", "3"):
        intent = leave(quantity, side)
        assert rule_on(intent, where, open_limits()).approved == intent


@SIDES
def test_a_close_is_at_most_what_is_held(side):
    ruling = rule_on(leave("5", side), context([position(side.sign * 3)]), open_limits())

    assert ruling.approved == leave("3", side)
    assert [str(clamp) for clamp in ruling.clamps] == ["REDUCE_ONLY wanted=5 allowed=3"]


@SIDES
def test_nothing_is_closed_that_is_not_held(side):
    other = SHORT if side is LONG else LONG

    for where in (context(), context([position(other.sign * 3)])):
        assert rule_on(leave("1", side), where, open_limits()).denial.code is Code.NOTHING_HELD


def test_two_closes_close_what_is_held_once():
    verdict = review([leave("2"), leave("2"), leave("2")], context([position(3)]), open_limits())

    first, second, third = verdict.rulings
    assert first.approved == leave("2")
    assert second.approved == leave("1")
    assert third.denial.code is Code.NOTHING_HELD


@pytest.mark.parametrize(
    ("quantity", "code"),
    [("0", Code.NO_SIZE), ("-1", Code.NO_SIZE), ("0.001", Code.MIN_SIZE), ("NaN", Code.INVALID)],
)
def test_a_close_needs_a_quantity(quantity, code):
    assert rule_on(leave(quantity), context([position(3)]), open_limits()).denial.code is code


def test_closes_come_first_whatever_the_order():
    where = context([position(3), position(2, ETH)], protection={ETH: HeldProtection()})
    intents: list[Intent] = [entry(symbol="SOL/USDT:USDT"), move(ETH, stop_price=D(45)), leave("3")]

    rulings = review(intents, where, open_limits()).rulings

    assert [ruling.intent for ruling in rulings] == [intents[2], intents[1], intents[0]]


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("state", TradingState)
def test_no_profile_blocks_a_close_in_any_state(name, state):
    """Stale, moved, unusable, bankrupt, unknown instrument, out of every budget: closes go."""
    where = context(
        [position(3)],
        cash=-500,
        state=state,
        state_reason=Code.HARD_DRAWDOWN,
        unusable={BTC: "frozen"},
        quotes={},
        instruments={},
    )

    for purpose in (OrderPurpose.CLOSE, OrderPurpose.REDUCE):
        intent = leave("1", purpose=purpose)
        assert rule_on(intent, where, profile(name)).approved == intent


HOLD = timedelta(minutes=30)


def hold(*, since=timedelta(minutes=10), mark=100, **changes):
    """A long opened `since` ago with its stop at 90 and an ATR of 5."""
    values = {
        "protection": {BTC: HeldProtection(stop_price=D(90), opened_at=NOW - since)},
        "atr": {BTC: D(5)},
        "quotes": {BTC: quote(mark=D(mark))},
        **changes,
    }
    return context([position(3)], **values)


def test_minimum_hold_denies_a_trader_s_close():
    limits = open_limits(min_hold=HOLD)
    early = HOLD - timedelta(microseconds=1)

    denial = rule_on(leave("3"), hold(since=early), limits).denial
    assert str(denial) == f"MIN_HOLD until={(NOW + timedelta(microseconds=1)).isoformat()}"
    assert rule_on(leave("3"), hold(since=HOLD), limits).approved
    assert rule_on(leave("3"), hold(), open_limits()).approved


@pytest.mark.parametrize("requester", [Requester.PERSON, Requester.PROTECTION])
def test_minimum_hold_binds_nobody_else(requester):
    assert rule_on(leave("3", requester=requester), hold(), open_limits(min_hold=HOLD)).approved


@pytest.mark.parametrize(
    ("where", "passes"),
    [
        (hold(state=TradingState.REDUCING), True),
        (hold(state=TradingState.HALTED), True),
        (hold(mark="95"), True),
        (hold(mark="95.01"), False),
        (hold(atr={}), True),
        (hold(protection={}), True),
        (hold(protection={BTC: HeldProtection(opened_at=NOW)}), True),
        (hold(protection={BTC: HeldProtection(stop_price=D(90))}), True),  # opened 5 hours ago
    ],
    ids=["reducing", "halted", "1 ATR", "beyond", "no ATR", "nothing known", "no stop", "position"],
)
def test_minimum_hold_is_void_when_leaving_is_urgent(where, passes):
    ruling = rule_on(leave("3"), where, open_limits(min_hold=HOLD))

    assert (ruling.denial is None) is passes


@pytest.mark.parametrize(
    ("quotes", "passes"), [({BTC: quote(mark=D(92))}, True), ({}, False)], ids=["fresh", "booked"]
)
def test_how_near_the_stop_is_the_freshest_mark_says(quotes, passes):
    """Booked at a mark of 100; where there is a quote, it counts."""
    where = replace(hold(), quotes=quotes)
    assert where.account.marks[BTC] == 100

    ruling = rule_on(leave("3"), where, open_limits(min_hold=HOLD))

    assert (ruling.denial is None) is passes


@SIDES
def test_where_flips_are_allowed_an_entry_against_a_position_closes_it(side):
    against = SHORT if side is LONG else LONG
    where = context([position(side.sign * 3)])
    wish = entry(against, "7")

    ruling = rule_on(wish, where, open_limits(allow_flips=True))

    assert ruling.intent == wish
    assert ruling.approved == replace(leave("3", side), leverage=D(10))
    assert [str(clamp) for clamp in ruling.clamps] == ["FLIP wanted=7 allowed=0"]


def test_a_close_and_an_entry_of_one_symbol_do_not_turn_it_in_one_step():
    where = context([position(3)])

    for side, code in ((SHORT, Code.FLIP), (LONG, Code.ADD_NOT_ALLOWED)):
        verdict = review([leave("3"), entry(side)], where, open_limits())
        assert [ruling.approved is not None for ruling in verdict.rulings] == [True, False]
        assert [denial.code for denial in verdict.denials] == [code]


# --- Protection ------------------------------------------------------------------------------------


def held(side, **changes):
    """3 contracts from 100 at 10×, the stop at 95 and the target at 110 (mirrored for a short)."""
    resting = HeldProtection(stop_price=mirrored(95, side), target_price=mirrored(110, side))
    values = {"protection": {BTC: resting}, **changes}
    return context([position(side.sign * 3)], **values)


def moved(side, where=None, *, stop=None, target=None, **limits):
    """(stop, target, codes) of what is approved of a change, prices as a long would say them."""
    wish = move(
        stop_price=None if stop is None else mirrored(stop, side),
        target_price=None if target is None else mirrored(target, side),
    )
    verdict = review([wish], held(side) if where is None else where, open_limits(**limits))
    (ruling,) = verdict.rulings
    codes = [denial.code for denial in verdict.denials]
    if ruling.approved is None:
        return None, None, codes
    shown = [
        None if price is None else mirrored(price, side)
        for price in (ruling.approved.stop_price, ruling.approved.target_price)
    ]
    return *shown, codes


@SIDES
def test_stop_and_target_move(side):
    assert moved(side, stop=97, target=120) == (97, 120, [])
    assert moved(side, stop=97) == (97, None, [])
    assert moved(side, target=105) == (None, 105, [])
    assert moved(side, stop=95) == (95, None, [])


@SIDES
def test_a_stop_on_the_wrong_side_of_mark_is_refused(side):
    assert moved(side, stop="99.99") == (D("99.99"), None, [])
    for price in (100, 101):
        assert moved(side, stop=price) == (None, None, [Code.STOP_WRONG_SIDE])


@SIDES
def test_a_stop_does_not_widen(side):
    assert moved(side, stop="94.99") == (None, None, [Code.STOP_WIDENED])
    assert moved(side, stop="94.99", stop_may_widen=True) == (D("94.99"), None, [])
    naked = context([position(side.sign * 3)])
    assert moved(side, naked, stop="94.99") == (D("94.99"), None, [])


@SIDES
def test_a_moved_stop_stays_inside_liquidation(side):
    liquidation = D(90) / D("0.996") if side is LONG else D(110) / D("1.004")
    way = abs(100 - liquidation)
    limit = (100 - way * D("0.8")).quantize(D("0.01"))
    limits = {"stop_to_liquidation_fraction": D("0.8"), "stop_may_widen": True}

    assert moved(side, stop=limit + D("0.01"), **limits)[2] == []
    assert moved(side, stop=limit - D("0.01"), **limits)[2] == [Code.STOP_PAST_LIQUIDATION]
    assert moved(side, stop=limit - D("0.01"), stop_may_widen=True)[2] == []
    assert moved(side, stop=D("90"), stop_may_widen=True)[2] == [Code.STOP_PAST_LIQUIDATION]


@SIDES
def test_a_target_on_the_wrong_side_of_mark_is_refused(side):
    assert moved(side, target="100.01") == (None, D("100.01"), [])
    for price in (100, 99):
        assert moved(side, target=price) == (None, None, [Code.TARGET_WRONG_SIDE])


@SIDES
def test_the_good_half_of_a_change_goes(side):
    assert moved(side, stop=97, target=99) == (97, None, [Code.TARGET_WRONG_SIDE])
    assert moved(side, stop=90, target=120) == (None, 120, [Code.STOP_WIDENED])
    both = [Code.STOP_WRONG_SIDE, Code.TARGET_WRONG_SIDE]
    assert moved(side, stop=101, target=99) == (None, None, both)


def test_a_refused_half_is_a_part_of_the_ruling():
    ruling = rule_on(move(stop_price=D(97), target_price=D(99)), held(LONG), open_limits())

    assert ruling.denial is None
    assert [str(denial) for denial in ruling.refused_parts] == [
        "TARGET_WRONG_SIDE target=99 mark=100"
    ]


@pytest.mark.parametrize("price", ["NaN", "-1", "0", "Infinity"])
def test_impossible_prices_are_refused_apart(price):
    ruling = rule_on(move(stop_price=D(price), target_price=D(120)), held(LONG), open_limits())

    assert ruling.approved == move(target_price=D(120))
    assert [denial.code for denial in ruling.refused_parts] == [Code.INVALID]


def test_triggers_come_out_on_the_tick():
    wish = move(stop_price=D("97.006"), target_price=D("119.994"))

    assert rule_on(wish, held(LONG), open_limits()).approved == move(
        stop_price=D("97.01"), target_price=D("119.99")
    )


def test_protection_needs_a_position_and_a_mark():
    assert rule_on(move(stop_price=D(97)), context(), open_limits()).denial.code is (
        Code.NOTHING_HELD
    )
    blind = held(LONG, quotes={}, equity=D(1))
    assert rule_on(move(stop_price=D(97)), blind, open_limits()).denial.code is Code.STALE


@pytest.mark.parametrize("state", TradingState)
def test_protection_moves_in_every_state(state):
    wish = move(stop_price=D(97))
    where = held(LONG, state=state, unusable={BTC: "frozen"}, equity=D(-1))

    assert rule_on(wish, where, profile("conservative")).approved == wish


def test_an_empty_change_changes_nothing():
    assert rule_on(move(), held(LONG), open_limits()).approved == move()


def test_raw_still_refuses_a_trigger_that_would_fire_at_once():
    ruling = rule_on(move(stop_price=D(101)), held(LONG), profile("raw"))
    assert ruling.denial.code is Code.STOP_WRONG_SIDE
    wide = move(stop_price=D(80))
    assert rule_on(wide, held(LONG), profile("raw")).approved == wide


def test_a_spot_position_can_be_sold():
    spot = "BTC/USDT"
    where = context([position("2.505", spot, leverage=1)], instruments={spot: instrument(spot)})

    ruling = rule_on(leave("2.505", symbol=spot), where, open_limits())

    assert ruling.approved.quantity == D("2.50")  # floored to the step: fees were taken in the coin
