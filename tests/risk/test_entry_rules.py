"""Rules that deny an entry: at the limit it is allowed, one step beyond it is denied. Both sides."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from market.domain.enums import InstrumentStatus, PositionSide
from market.domain.instruments import margin_tiers
from risk.domain import Code, HeldProtection, OrderIntent, Tempo, TradingState
from risk.engine import review
from risk.rules.entry import is_sound
from tests.risk.build import (
    BTC,
    ETH,
    INSTRUMENTS,
    LONG,
    MARKS,
    NOW,
    SHORT,
    SOL,
    SPOT,
    D,
    context,
    entry,
    instrument,
    mirrored,
    open_limits,
    position,
    quote,
    resting,
    rule_on,
)

SIDES = pytest.mark.parametrize("side", [LONG, SHORT])


def code_of(intent, where=None, **limits):
    """The code of the denial, or None when the intent passes unchanged."""
    ruling = rule_on(intent, context() if where is None else where, open_limits(**limits))
    if ruling.denial is None:
        assert ruling.approved == intent
        assert ruling.clamps == ()
        return None
    assert ruling.approved is None
    return ruling.denial.code


@SIDES
def test_nothing_in_the_way(side):
    assert code_of(entry(side)) is None


# --- Gates -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [TradingState.REDUCING, TradingState.HALTED])
def test_only_an_active_bot_opens_and_the_reason_is_the_code(state):
    assert code_of(entry(), context(state=state, state_reason=Code.DAILY_LOSS)) is Code.DAILY_LOSS
    assert code_of(entry(), context(state=state)) is Code.BOT_NOT_ACTIVE


@pytest.mark.parametrize(
    ("equity", "code"), [("0.01", None), ("0", Code.NO_EQUITY), ("-1", Code.NO_EQUITY)]
)
def test_equity_above_zero(equity, code):
    assert code_of(entry(), context(equity=D(equity))) is code


def test_instrument_allowed():
    assert code_of(entry(), allowed_symbols=frozenset({BTC})) is None
    assert code_of(entry(), allowed_symbols=frozenset({ETH})) is Code.INSTRUMENT_NOT_ALLOWED


@pytest.mark.parametrize(
    "where",
    [
        context(unusable={BTC: "stale candles"}),
        context(instruments={ETH: INSTRUMENTS[ETH]}),
        context(instruments={BTC: instrument(status=InstrumentStatus.REDUCE_ONLY)}),
        context(instruments={BTC: instrument(status=InstrumentStatus.SUSPENDED)}),
        context(instruments={BTC: instrument(delisting_at=NOW + timedelta(days=30))}),
    ],
    ids=["bad data", "unknown", "reduce only", "suspended", "delisting"],
)
def test_instrument_usable(where):
    ruling = rule_on(entry(), where, open_limits())

    assert ruling.denial.code is Code.INSTRUMENT_UNUSABLE
    assert ruling.denial.context["reason"]


def test_side_allowed():
    assert code_of(entry(LONG), allow_shorts=False) is None
    assert code_of(entry(SHORT), allow_shorts=False) is Code.SIDE_NOT_ALLOWED
    assert code_of(entry(SHORT, symbol=SPOT)) is Code.SIDE_NOT_ALLOWED
    assert code_of(entry(LONG, symbol=SPOT)) is None
    assert code_of(entry(PositionSide.FLAT)) is Code.INVALID


@pytest.mark.parametrize(
    ("age", "code"),
    [
        (timedelta(seconds=10), None),
        (timedelta(seconds=10, microseconds=1), Code.STALE),
        (timedelta(days=2), Code.STALE),
    ],
)
def test_price_age(age, code):
    where = context(quotes={BTC: quote(at=NOW - age)})

    assert code_of(entry(), where, max_price_age_seconds=10) is code
    assert code_of(entry(), where) is None


@pytest.mark.parametrize(
    "quotes",
    [
        {},
        {BTC: quote(mark=D(0), bid=D(100), ask=D(100))},
        {BTC: quote(bid=D(0))},
        {BTC: quote(bid=D("100.01"))},
    ],
    ids=["missing", "zero mark", "zero bid", "crossed"],
)
def test_a_quote_that_can_t_be_read_is_no_price(quotes):
    assert code_of(entry(), context(quotes=quotes)) is Code.STALE


def changed(name: str, value: str) -> OrderIntent:
    change: dict[str, Any] = {name: D(value)}
    return replace(entry(), **change)


@pytest.mark.parametrize(
    ("value", "sound"),
    [("9E+30", True), ("1E+31", False), ("1E-30", True), ("9E-31", False), ("-1E+31", False)],
)
def test_numbers_that_can_be_reckoned_with(value, sound):
    assert is_sound(D(value)) is sound


def test_a_book_with_a_mark_of_zero_is_worth_nobody_knows_what():
    """It would count as no exposure at all."""
    where = context([position(3, ETH)], quotes={BTC: quote()})
    where = replace(where, account=replace(where.account, marks={BTC: D(100), ETH: D(0)}))

    assert code_of(entry(), where) is Code.STALE


@pytest.mark.parametrize("name", ["reference_price", "leverage", "stop_price", "target_price"])
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-1", "0", "1E+50", "1E-50"])
def test_numbers_are_sound(name, value):
    assert code_of(changed(name, value)) is Code.INVALID


@pytest.mark.parametrize("name", ["quantity", "quote_quantity", "confidence"])
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1E+50"])
def test_amounts_are_sound(name, value):
    assert code_of(changed(name, value)) is Code.INVALID


def test_leverage_below_one_is_no_leverage():
    assert code_of(entry(leverage=D(1))) is None
    assert code_of(entry(leverage=D("0.99"))) is Code.INVALID


def test_order_resolved():
    unknown = resting(LONG, "1", is_unresolved=True)
    known = replace(unknown, is_unresolved=False)

    assert code_of(entry(), context(resting_entries=(unknown,)), allow_adding=True) is (
        Code.ORDER_UNRESOLVED
    )
    assert code_of(entry(), context(resting_entries=(known,)), allow_adding=True) is None
    assert code_of(entry(symbol=ETH), context(resting_entries=(unknown,))) is None


# --- What is held ----------------------------------------------------------------------------------


@SIDES
def test_no_adding(side):
    held = context([position(side.sign)])
    waiting = context(resting_entries=(resting(side, "1"),))

    for where in (held, waiting):
        assert code_of(entry(side), where) is Code.ADD_NOT_ALLOWED
        assert code_of(entry(side), where, allow_adding=True) is None
    twice = review([entry(side), entry(side)], context(), open_limits())
    assert [d.code for d in twice.denials] == [Code.ADD_NOT_ALLOWED]


@SIDES
def test_no_flip(side):
    against = SHORT if side is LONG else LONG
    waiting = context(resting_entries=(resting(side, "1"),))

    assert code_of(entry(against), context([position(side.sign)])) is Code.FLIP
    assert code_of(entry(against), waiting, allow_adding=True) is Code.FLIP
    both = review([entry(side), entry(against)], context(), open_limits(allow_adding=True))
    assert [d.code for d in both.denials] == [Code.FLIP]


def test_dust_on_spot_is_flat():
    where = context([position("0.03", SPOT, leverage=1)])  # worth 3, under the minimum of 5

    assert code_of(entry(symbol=SPOT), where, max_open_positions=1) is None
    assert code_of(entry(), where, max_open_positions=1) is None


@SIDES
def test_an_addition_keeps_the_stop_and_leverage_that_are_there(side):
    held = HeldProtection(stop_price=mirrored(90, side), target_price=mirrored(130, side))
    where = context([position(side.sign, leverage=5)], protection={BTC: held})
    wish = entry(side, leverage=D(8), stop_price=mirrored(95, side))

    ruling = rule_on(wish, where, open_limits(allow_adding=True))

    assert ruling.approved == replace(
        wish, leverage=D(5), stop_price=held.stop_price, target_price=held.target_price
    )
    assert [str(c) for c in ruling.clamps] == ["MAX_LEVERAGE wanted=8 allowed=5"]
    denied = rule_on(wish, where, open_limits(allow_adding=True, max_leverage=D(4)))
    assert denied.denial.code is Code.MAX_LEVERAGE


@SIDES
def test_an_addition_to_a_naked_position_needs_a_stop_there(side):
    where = context([position(side.sign)])
    wish = entry(side, stop_price=mirrored(95, side))

    assert code_of(wish, where, allow_adding=True, stop_required=True) is Code.STOP_REQUIRED


# --- Prices ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mark", "code"),
    [
        ("100.5", None),
        ("100.51", Code.PRICE_MOVED),
        ("99.5", None),
        ("99.49", Code.PRICE_MOVED),
    ],
)
def test_price_drift(mark, code):
    where = context(quotes={BTC: quote(mark=D(mark))}, prompt_marks={BTC: D(100)})

    assert code_of(entry(), where, max_price_drift_bps=D(50)) is code


def test_a_price_nobody_saw_has_moved():
    where = context(prompt_marks={})

    assert code_of(entry(), where, max_price_drift_bps=D(50)) is Code.PRICE_MOVED
    assert code_of(entry(), where) is None


@SIDES
def test_spread(side):
    at, beyond = quote(bid=D("99.9"), ask=D("100.1")), quote(bid=D("99.89"), ask=D("100.1"))

    assert code_of(entry(side), context(quotes={BTC: at}), max_spread_bps=D(20)) is None
    assert code_of(entry(side), context(quotes={BTC: beyond}), max_spread_bps=D(20)) is Code.SPREAD


@SIDES
def test_slippage_of_the_expected_fill(side):
    at, beyond, better = (mirrored(p, side) for p in ("100.25", "100.26", "99"))
    limits = {"max_slippage_bps": D(25)}

    assert code_of(entry(side, reference_price=at), **limits) is None
    assert code_of(entry(side, reference_price=beyond), **limits) is Code.SLIPPAGE
    assert code_of(entry(side, reference_price=better), **limits) is None


@SIDES
def test_slippage_is_measured_from_our_side_of_the_book(side):
    """The spread is another limit's: a long pays the ask, a short gets the bid, and neither slips by that."""
    wide = {LONG: quote(bid=D(98)), SHORT: quote(ask=D(102))}[side]
    at, beyond = (mirrored(p, side) for p in ("100.25", "100.26"))
    where, limits = context(quotes={BTC: wide}), {"max_slippage_bps": D(25)}

    assert code_of(entry(side, reference_price=at), where, **limits) is None
    assert code_of(entry(side, reference_price=beyond), where, **limits) is Code.SLIPPAGE


@SIDES
def test_stop_present(side):
    with_stop = entry(side, stop_price=mirrored(95, side))

    assert code_of(entry(side), stop_required=True) is Code.STOP_REQUIRED
    assert code_of(with_stop, stop_required=True) is None


@SIDES
def test_stop_on_the_right_side_of_mark(side):
    for price, code in (("99.99", None), (100, Code.STOP_WRONG_SIDE), (101, Code.STOP_WRONG_SIDE)):
        assert code_of(entry(side, stop_price=mirrored(price, side))) is code


@SIDES
def test_a_stop_between_mark_and_fill_is_on_the_wrong_side(side):
    mark = mirrored(99, side)
    where = context(quotes={BTC: quote(mark=mark, bid=D(100), ask=D(100))})

    for price in ("99.5", 99):
        assert code_of(entry(side, stop_price=mirrored(price, side)), where) is (
            Code.STOP_WRONG_SIDE
        )
    where = context(quotes={BTC: quote(mark=mirrored(101, side), bid=D(100), ask=D(100))})
    assert code_of(entry(side, stop_price=D(100)), where) is Code.STOP_WRONG_SIDE


@SIDES
def test_target_on_the_right_side_of_mark_and_fill(side):
    for price, code in (
        ("100.01", None), (100, Code.TARGET_WRONG_SIDE), (99, Code.TARGET_WRONG_SIDE),
    ):  # fmt: skip
        assert code_of(entry(side, target_price=mirrored(price, side))) is code
    where = context(quotes={BTC: quote(mark=mirrored(101, side), bid=D(100), ask=D(100))})
    for price in ("100.5", 101):
        assert code_of(entry(side, target_price=mirrored(price, side)), where) is (
            Code.TARGET_WRONG_SIDE
        )
    where = context(quotes={BTC: quote(mark=mirrored(99, side), bid=D(100), ask=D(100))})
    assert code_of(entry(side, target_price=D(100)), where) is Code.TARGET_WRONG_SIDE


@pytest.mark.parametrize(
    ("stated", "code"),
    [("0.55", None), ("0.54", Code.MIN_CONFIDENCE), (None, Code.MIN_CONFIDENCE)],
)
def test_confidence(stated, code):
    wish = entry(confidence=None if stated is None else D(stated))

    assert code_of(wish, min_confidence=D("0.55")) is code


@SIDES
def test_reward_to_risk(side):
    def wish(target):
        return entry(side, stop_price=mirrored(96, side), target_price=mirrored(target, side))

    assert code_of(wish(106), min_reward_risk=D("1.5")) is None
    assert code_of(wish("105.99"), min_reward_risk=D("1.5")) is Code.REWARD_RISK
    denial = rule_on(wish(101), context(), open_limits(min_reward_risk=D(2))).denial
    assert str(denial) == "REWARD_RISK ratio=0.25 reward=1 risk=4 needed=2"


@SIDES
def test_reward_to_risk_pays_both_taker_fees(side):
    where = context(instruments={BTC: instrument(taker_fee=D("0.001"))})
    fees_at = {price: D("0.001") * (100 + mirrored(price, side)) for price in (96, 106)}
    ratio = (6 - fees_at[106]) / (4 + fees_at[96])
    wish = entry(side, stop_price=mirrored(96, side), target_price=mirrored(106, side))

    assert code_of(wish, where, min_reward_risk=ratio - D("1E-9")) is None
    assert code_of(wish, where, min_reward_risk=ratio + D("1E-9")) is Code.REWARD_RISK


def test_reward_to_risk_needs_both_ends():
    assert code_of(entry(stop_price=D(96)), min_reward_risk=D(1)) is Code.NO_TARGET
    assert code_of(entry(target_price=D(104)), min_reward_risk=D(1)) is Code.STOP_REQUIRED


@SIDES
def test_the_expected_fill_is_never_better_than_the_book(side):
    where = context(quotes={BTC: quote(bid=D(99), ask=D(101))})
    wish = entry(side, stop_price=mirrored(97, side), target_price=mirrored(105, side))

    assert code_of(wish, where, min_reward_risk=D(1)) is None  # 4 ÷ 4 from the touch, not 5 ÷ 3
    assert code_of(wish, where, min_reward_risk=D("1.01")) is Code.REWARD_RISK


@SIDES
def test_stop_inside_liquidation(side):
    # 10× with 0.4%: a long is liquidated at 90 ÷ 0.996, a short at 110 ÷ 1.004
    liquidation = D(90) / D("0.996") if side is LONG else D(110) / D("1.004")
    way = abs(100 - liquidation)
    at = D(100) - side.sign * way * D("0.8")
    inside = at.quantize(D("0.01")) + side.sign * D("0.01")
    outside = at.quantize(D("0.01")) - side.sign * D("0.01")
    beyond = D(100) - side.sign * (way + D("0.02"))
    limits = {"stop_to_liquidation_fraction": D("0.8")}

    assert code_of(entry(side, stop_price=inside), **limits) is None
    assert code_of(entry(side, stop_price=outside), **limits) is Code.STOP_PAST_LIQUIDATION
    assert code_of(entry(side, stop_price=outside)) is None
    beyond = beyond.quantize(D("0.01"))
    assert code_of(entry(side, stop_price=beyond)) is Code.STOP_PAST_LIQUIDATION
    assert code_of(entry(side, stop_price=beyond, leverage=D(5)), **limits) is None


@pytest.mark.parametrize(("side", "rate"), [(LONG, "0.375"), (SHORT, "0.25")])
def test_the_way_to_liquidation_to_the_cent(side, rate):
    """At 2× and these rates liquidation is exactly 20 away: 50 ÷ 0.625 = 80 and 150 ÷ 1.25 = 120."""
    where = context(instruments={BTC: instrument(margin_tiers=margin_tiers((None, rate)))})

    def code(stop, fraction):
        wish = entry(side, leverage=D(2), stop_price=mirrored(stop, side))
        return code_of(wish, where, stop_to_liquidation_fraction=fraction)

    assert code(84, D("0.8")) is None
    assert code("83.99", D("0.8")) is Code.STOP_PAST_LIQUIDATION
    for fraction in (None, D(1)):
        assert code("80.01", fraction) is None
        assert code(80, fraction) is Code.STOP_PAST_LIQUIDATION


@SIDES
def test_the_stop_of_an_addition_is_judged_on_the_whole_position(side):
    held = HeldProtection(stop_price=mirrored(93, side))
    deep = position(side.sign * 9, price=mirrored(101, side), leverage=10)
    where = context([deep], protection={BTC: held})
    limits = {"allow_adding": True, "stop_to_liquidation_fraction": D("0.8")}

    assert code_of(entry(side, stop_price=held.stop_price), context(), **limits) is None
    assert code_of(entry(side, stop_price=held.stop_price), where, **limits) is (
        Code.STOP_PAST_LIQUIDATION
    )


# --- Tempo and count -------------------------------------------------------------------------------


def test_trades_per_day():
    for today, code in ((4, None), (5, Code.TRADES_PER_DAY)):
        where = context(tempo=Tempo(entries_today=today))
        assert code_of(entry(), where, max_trades_per_day=5) is code
    where = context(tempo=Tempo(entries_today=4))
    both = review([entry(), entry(symbol=ETH)], where, open_limits(max_trades_per_day=5))
    assert [(d.symbol, d.code) for d in both.denials] == [(ETH, Code.TRADES_PER_DAY)]


def test_opens_per_cycle():
    for before, code in ((1, None), (2, Code.OPENS_PER_CYCLE)):
        where = context(tempo=Tempo(opens_this_cycle=before))
        assert code_of(entry(), where, max_opens_per_cycle=2) is code
    three = [entry(), entry(symbol=ETH), entry(symbol=SOL)]
    verdict = review(three, context(), open_limits(max_opens_per_cycle=2))
    assert [(d.symbol, d.code) for d in verdict.denials] == [(SOL, Code.OPENS_PER_CYCLE)]


def test_cooldown():
    pause = timedelta(minutes=30)
    for stopped_at, code in (
        (NOW - pause, None),
        (NOW - pause + timedelta(microseconds=1), Code.COOLDOWN),
    ):
        where = context(tempo=Tempo(stopped_at={BTC: stopped_at}))
        assert code_of(entry(), where, cooldown_after_stop=pause) is code
        assert code_of(entry(symbol=ETH), where, cooldown_after_stop=pause) is None
        assert code_of(entry(), where) is None


def test_positions_count_what_rests_and_what_was_just_approved():
    where = context([position(1, ETH)], resting_entries=(resting(LONG, "1", SOL),))

    assert code_of(entry(), where, max_open_positions=3) is None
    assert code_of(entry(), where, max_open_positions=2) is Code.MAX_POSITIONS
    assert code_of(entry(symbol=SOL), where, max_open_positions=2, allow_adding=True) is None
    both = review([entry(), entry(symbol=ETH)], context(), open_limits(max_open_positions=1))
    assert [(d.symbol, d.code) for d in both.denials] == [(ETH, Code.MAX_POSITIONS)]


# --- Fail closed -----------------------------------------------------------------------------------


def test_a_position_without_a_mark_stops_every_entry():
    quotes = {symbol: quote(symbol) for symbol in MARKS if symbol != SOL}
    where = context([position(1, SOL)], quotes=quotes, equity=D(10_000))

    assert code_of(entry(), where) is Code.STALE
    assert code_of(entry(), context(resting_entries=(resting(LONG, "1", SOL),), quotes=quotes)) is (
        Code.STALE
    )


def test_a_denial_says_its_numbers():
    ruling = rule_on(entry(confidence=D("0.5")), context(), open_limits(min_confidence=D("0.55")))

    assert str(ruling.denial) == "MIN_CONFIDENCE stated=0.5 needed=0.55"
