"""Limits that clamp: exactly at the limit passes unchanged, one step beyond is cut back, no room is denied."""

from dataclasses import replace

import pytest

from market.domain.instruments import MarginTier
from market.domain.numbers import plain
from risk.domain import Code, HeldProtection
from risk.engine import review
from risk.rules.size import Budget
from tests.risk.build import (
    BTC,
    ETH,
    INSTRUMENTS,
    LONG,
    PEPE,
    SHORT,
    SOL,
    SPOT,
    D,
    context,
    entry,
    instrument,
    leave,
    mirrored,
    open_limits,
    position,
    quote,
    resting,
    rule_on,
)

SIDES = pytest.mark.parametrize("side", [LONG, SHORT])


def clamped(ruling):
    """(quantity, clamps as text) of an approved entry, (None, code) of a denied one."""
    if ruling.denial is not None:
        return None, ruling.denial.code
    return ruling.approved.quantity, [str(clamp) for clamp in ruling.clamps]


def held_to(limits, *, at, code, where=None, side=LONG, step="0.01", **wish):
    """The largest quantity that passes is `at`: it passes unchanged, and a step more is cut to it."""
    where = context() if where is None else where
    assert clamped(rule_on(entry(side, at, **wish), where, limits)) == (D(at), [])
    more = D(at) + D(step)
    expected = [f"{code} wanted={plain(more)} allowed={at}"]
    assert clamped(rule_on(entry(side, more, **wish), where, limits)) == (D(at), expected)


# --- Leverage --------------------------------------------------------------------------------------


def leverage_of(ruling):
    return ruling.approved.leverage, [str(clamp) for clamp in ruling.clamps]


def test_leverage_is_held_to_the_profile():
    limits = open_limits(max_leverage=D(20))

    assert leverage_of(rule_on(entry(leverage=D(20)), context(), limits)) == (D(20), [])
    assert leverage_of(rule_on(entry(leverage=D(25)), context(), limits)) == (
        D(20),
        ["MAX_LEVERAGE wanted=25 allowed=20"],
    )


def test_leverage_is_held_to_the_instrument():
    assert leverage_of(rule_on(entry(leverage=D(51)), context(), open_limits())) == (
        D(50),
        ["MAX_LEVERAGE wanted=51 allowed=50"],
    )


def test_leverage_is_held_to_the_margin_tier_of_the_whole_position():
    tiers = (
        MarginTier(notional_cap=D(1000), maintenance_rate=D("0.004"), max_leverage=D(50)),
        MarginTier(notional_cap=None, maintenance_rate=D("0.01"), max_leverage=D(5)),
    )
    where = context(instruments={BTC: instrument(margin_tiers=tiers)})

    assert leverage_of(rule_on(entry(quantity="10"), where, open_limits())) == (D(10), [])
    assert leverage_of(rule_on(entry(quantity="10.01"), where, open_limits())) == (
        D(5),
        ["MAX_LEVERAGE wanted=10 allowed=5"],
    )
    where = replace(where, resting_entries=(resting(LONG, "9"),))
    ruling = rule_on(entry(quantity="1.01"), where, open_limits(allow_adding=True))
    assert ruling.approved.leverage == 5


@pytest.mark.parametrize(("most", "code"), [("10", None), ("9.99", Code.MAX_LEVERAGE)])
def test_an_addition_has_the_leverage_of_what_is_held_or_is_denied(most, code):
    where = context([position(3, leverage=10)])
    limits = open_limits(allow_adding=True, max_leverage=D(most))

    denial = rule_on(entry(leverage=D(10)), where, limits).denial

    assert (denial and denial.code) is code


@pytest.mark.parametrize(
    "prices",
    [quote(mark=D(101), bid=D(100), ask=D(100)), quote(bid=D(101), ask=D(101))],
    ids=["mark above the fill", "fill above the mark"],
)
def test_the_margin_tier_is_that_of_the_dearer_of_fill_and_mark(prices):
    tiers = (
        MarginTier(notional_cap=D(1000), maintenance_rate=D("0.004"), max_leverage=D(50)),
        MarginTier(notional_cap=None, maintenance_rate=D("0.01"), max_leverage=D(5)),
    )
    where = context(quotes={BTC: prices}, instruments={BTC: instrument(margin_tiers=tiers)})
    limits = open_limits()

    assert leverage_of(rule_on(entry(quantity="9.9"), where, limits))[0] == 10  # 999.9 at 101
    assert leverage_of(rule_on(entry(quantity="9.91"), where, limits))[0] == 5  # 1000.91


# --- Per order -------------------------------------------------------------------------------------


def test_max_quantity_of_one_order():
    for most, at_market in ((7, None), (9, 7)):
        inst = instrument(max_quantity=D(most), max_market_quantity=at_market and D(at_market))
        where = context(instruments={BTC: inst})
        held_to(open_limits(), at="7", code="MAX_QUANTITY", where=where)


@SIDES
def test_position_notional(side):
    limits = open_limits(max_position_notional_fraction=D("0.25"))

    held_to(limits, at="25", code="POSITION_NOTIONAL", side=side)


def test_position_notional_counts_what_is_held_and_what_rests():
    limits = open_limits(max_position_notional_fraction=D("0.25"), allow_adding=True)
    where = context(
        [position(5), position(99, SOL)], resting_entries=(resting(LONG, "3"),), equity=D(10_000)
    )

    held_to(limits, at="17", code="POSITION_NOTIONAL", where=where)


@SIDES
def test_risk_per_trade(side):
    limits = open_limits(risk_per_trade_fraction=D("0.01"))

    held_to(limits, at="20", code="RISK_PER_TRADE", side=side, stop_price=mirrored(95, side))


@SIDES
def test_risk_per_trade_includes_both_fees_and_the_slippage_allowance(side):
    where = context(instruments={BTC: instrument(taker_fee=D("0.001"))})
    limits = open_limits(risk_per_trade_fraction=D("0.01"), max_slippage_bps=D(25))
    stop = mirrored(95, side)
    each = 5 + D("0.001") * (100 + stop) + D("0.25")
    at = (100 / each).quantize(D("0.01"), "ROUND_DOWN")

    held_to(limits, at=str(at), code="RISK_PER_TRADE", side=side, where=where, stop_price=stop)


def test_risk_per_trade_without_a_stop_is_the_whole_margin():
    limits = open_limits(risk_per_trade_fraction=D("0.01"))

    held_to(limits, at="10", code="RISK_PER_TRADE", leverage=D(10))  # 10 × 100 ÷ 10 = 1%
    held_to(limits, at="1", code="RISK_PER_TRADE", symbol=SPOT)
    costly = context(instruments={BTC: instrument(taker_fee=D("0.01"), contract_size=D(10))})
    held_to(limits, at="0.83", code="RISK_PER_TRADE", where=costly)  # 100 ÷ (100 + 10 + 10)


@SIDES
def test_the_risk_of_an_addition_is_summed(side):
    limits = open_limits(risk_per_trade_fraction=D("0.01"), allow_adding=True)
    where = context(
        [position(side.sign * 12)], protection={BTC: HeldProtection(stop_price=mirrored(95, side))}
    )

    held_to(limits, at="8", code="RISK_PER_TRADE", side=side, where=where)
    full = replace(where, resting_entries=(resting(side, "8"),))
    assert clamped(rule_on(entry(side), full, limits)) == (None, Code.RISK_PER_TRADE)


# --- Exposure --------------------------------------------------------------------------------------


@SIDES
def test_gross_exposure(side):
    limits = open_limits(max_gross_exposure=D(2))
    where = context([position(-100, ETH)], resting_entries=(resting(SHORT, "150", SOL),))

    held_to(limits, at="120", code="GROSS_EXPOSURE", side=side, where=where)
    # 5,000 + 3,000 + 12,000 = 2 × 10,000


@SIDES
def test_net_exposure_is_signed(side):
    limits = open_limits(max_net_exposure=D(1))
    same = context([position(side.sign * 100, ETH)])
    other = context([position(-side.sign * 100, ETH)])

    held_to(limits, at="50", code="NET_EXPOSURE", side=side, where=same)
    held_to(limits, at="150", code="NET_EXPOSURE", side=side, where=other)


@SIDES
def test_an_entry_that_leaves_net_exposure_past_its_limit_is_denied(side):
    where = context([position(-side.sign * 300, ETH, leverage=50)])  # 1.5 × equity the other way
    limits = open_limits(max_net_exposure=D(1))

    assert clamped(rule_on(entry(side, "49.99"), where, limits)) == (None, Code.NET_EXPOSURE)
    assert clamped(rule_on(entry(side, "50"), where, limits)) == (D(50), [])


@SIDES
def test_correlated_exposure_is_of_the_group(side):
    limits = open_limits(max_correlated_exposure=D(1))
    groups = {"ETH": "BTC"}
    held = [position(side.sign * 100, ETH), position(side.sign * 300, SOL)]

    held_to(
        limits, at="50", code="CORRELATED_EXPOSURE", side=side, where=context(held, groups=groups)
    )
    held_to(limits, at="100", code="CORRELATED_EXPOSURE", side=side, where=context(held))


def test_unlisted_bases_move_together():
    instruments = {**INSTRUMENTS, PEPE: instrument(PEPE), SOL: instrument(SOL, base="WIF")}
    where = context([position(250, SOL)], instruments=instruments)
    limits = open_limits(max_correlated_exposure=D(1))

    held_to(limits, at="500", code="CORRELATED_EXPOSURE", where=where, symbol=PEPE,
            reference_price=D(10))  # fmt: skip


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ("max_gross_exposure", Code.GROSS_EXPOSURE),
        ("max_net_exposure", Code.NET_EXPOSURE),
        ("max_correlated_exposure", Code.CORRELATED_EXPOSURE),
        ("max_position_notional_fraction", Code.POSITION_NOTIONAL),
    ],
)
def test_no_room_at_all_is_that_limit_s_denial(field, code):
    where = context([position(100)])  # exactly 1 × equity
    limits = open_limits(allow_adding=True, **{field: D(1)})

    denial = rule_on(entry(), where, limits).denial
    assert str(denial) == f"{code} wanted=10100 allowed=10000"


# --- Margin and cash -------------------------------------------------------------------------------


@SIDES
def test_margin_used(side):
    limits = open_limits(max_margin_used_fraction=D("0.3"))
    where = context([position(100, ETH, leverage=5)], resting_entries=(resting(LONG, "100", SOL),))

    held_to(limits, at="180", code="MARGIN_USED", side=side, where=where)  # 1,000 + 200 + 1,800


def test_lower_leverage_raises_margin_and_both_hold_at_the_end():
    limits = open_limits(max_leverage=D(2), max_margin_used_fraction=D("0.3"))

    ruling = rule_on(entry(quantity="200", leverage=D(10)), context(), limits)

    assert ruling.approved.quantity == 60
    assert ruling.approved.leverage == 2
    assert [clamp.code for clamp in ruling.clamps] == [Code.MAX_LEVERAGE, Code.MARGIN_USED]


@SIDES
def test_available_margin(side):
    where = context([position(100, ETH, leverage=5)], cash=3_000, equity=D(100_000))

    held_to(open_limits(), at="200", code="AVAILABLE_MARGIN", side=side, where=where)


def test_available_margin_pays_the_fee_and_what_rests():
    where = context(
        cash=1_110,
        equity=D(100_000),
        instruments={BTC: instrument(taker_fee=D("0.001")), ETH: INSTRUMENTS[ETH]},
        resting_entries=(resting(LONG, "10", ETH, price=D(100)),),  # its limit, not the mark of 50
    )

    held_to(open_limits(), at="100", code="AVAILABLE_MARGIN", where=where)  # 100 + 1,000 + 10


def test_a_long_may_fill_at_its_limit_and_must_be_payable_there():
    limits = open_limits(max_slippage_bps=D(100))

    held_to(limits, at="990.09", code="AVAILABLE_MARGIN", where=context(equity=D(10**6)))
    held_to(limits, at="1000", code="AVAILABLE_MARGIN", where=context(equity=D(10**6)), side=SHORT)


def test_no_cash_is_no_entry():
    where = context([position(200, ETH, leverage=1)])

    assert clamped(rule_on(entry(), where, open_limits())) == (None, Code.AVAILABLE_MARGIN)


# --- The end of the clamps -------------------------------------------------------------------------


def test_what_is_left_must_be_tradable():
    small = instrument(min_notional=D(50))
    where = context(instruments={BTC: small})
    assert clamped(rule_on(entry(quantity="0.5"), where, open_limits())) == (D("0.5"), [])
    assert clamped(rule_on(entry(quantity="0.49"), where, open_limits())) == (None, Code.MIN_SIZE)
    small = instrument(min_quantity=D(2))
    where = context(instruments={BTC: small})
    assert clamped(rule_on(entry(quantity="2"), where, open_limits())) == (D(2), [])
    assert clamped(rule_on(entry(quantity="1.99"), where, open_limits())) == (None, Code.MIN_SIZE)
    tight = open_limits(max_position_notional_fraction=D("0.0199"))
    assert clamped(rule_on(entry(quantity="2"), where, tight)) == (None, Code.MIN_SIZE)


@SIDES
def test_the_minimum_notional_is_met_at_the_lower_of_fill_and_mark(side):
    for mark, price in ((99, 100), (100, 99)):
        where = context(
            instruments={BTC: instrument(min_notional=D(99))},
            quotes={BTC: quote(mark=D(mark), bid=D(price), ask=D(price))},
        )
        enough, short_of_it = (entry(side, q, reference_price=D(price)) for q in ("1", "0.99"))
        assert rule_on(enough, where, open_limits()).denial is None
        assert rule_on(short_of_it, where, open_limits()).denial.code is Code.MIN_SIZE


def test_a_clamp_that_went_wrong_is_caught_at_the_end(monkeypatch):
    """Fail closed: whatever a budget says it leaves, what would be sent is measured once more."""
    monkeypatch.setattr(Budget, "largest", lambda self, instrument: D(99))
    limits = open_limits(max_gross_exposure=D("0.5"))

    denial = rule_on(entry(quantity="100"), context(), limits).denial

    assert str(denial) == "GROSS_EXPOSURE wanted=9900 allowed=5000"


@pytest.mark.parametrize(("quantity", "code"), [("0", Code.NO_SIZE), ("-1", Code.NO_SIZE),
                                                ("0.009", Code.MIN_SIZE)])  # fmt: skip
def test_no_size(quantity, code):
    assert clamped(rule_on(entry(quantity=quantity), context(), open_limits())) == (None, code)


def test_quantities_and_triggers_come_out_in_steps():
    wish = entry(quantity="1.239", stop_price=D("95.004"), target_price=D("110.006"))

    approved = rule_on(wish, context(), open_limits()).approved

    assert (approved.quantity, approved.stop_price, approved.target_price) == (
        D("1.23"),
        D("95.00"),
        D("110.01"),
    )


def test_contract_size_counts_everywhere():
    tens = {BTC: instrument(contract_size=D(10))}
    where = context(instruments=tens)
    wishes = {"stop_price": D(95)}

    for field, value, at, code in (
        ("max_position_notional_fraction", "0.5", "5", "POSITION_NOTIONAL"),
        ("max_gross_exposure", "0.5", "5", "GROSS_EXPOSURE"),
        ("risk_per_trade_fraction", "0.01", "2", "RISK_PER_TRADE"),
        ("max_margin_used_fraction", "0.1", "10", "MARGIN_USED"),
    ):
        held_to(open_limits(**{field: D(value)}), at=at, code=code, where=where, **wishes)


def test_every_clamp_is_recorded_in_turn():
    limits = open_limits(
        max_leverage=D(2),
        max_position_notional_fraction=D("0.9"),
        max_gross_exposure=D("0.8"),
        risk_per_trade_fraction=D("0.03"),
        max_margin_used_fraction=D("0.2"),
    )

    ruling = rule_on(entry(quantity="100", stop_price=D(95)), context(), limits)

    assert [str(clamp) for clamp in ruling.clamps] == [
        "POSITION_NOTIONAL wanted=100 allowed=90",
        "GROSS_EXPOSURE wanted=90 allowed=80",
        "MAX_LEVERAGE wanted=10 allowed=2",
        "RISK_PER_TRADE wanted=80 allowed=60",
        "MARGIN_USED wanted=60 allowed=40",
    ]


def test_earlier_items_use_up_the_room():
    limits = open_limits(max_gross_exposure=D(1))

    verdict = review(
        [entry(quantity="60"), entry(SHORT, "60", ETH), entry(quantity="60", symbol=SOL)],
        context(),
        limits,
    )

    assert [clamped(ruling) for ruling in verdict.rulings] == [
        (D(60), []),
        (D(60), []),
        (D(50), ["GROSS_EXPOSURE wanted=60 allowed=50"]),
    ]


def test_a_close_of_the_same_reply_makes_room():
    where = context([position(100, ETH, leverage=1)], cash=5_000, equity=D(10_000))
    limits = open_limits(max_open_positions=1, max_gross_exposure=D("0.5"))
    wish = entry(quantity="50")

    alone = review([wish], where, limits)
    after = review([wish, leave("100", symbol=ETH)], where, limits)

    assert [d.code for d in alone.denials] == [Code.MAX_POSITIONS]
    assert [ruling.approved for ruling in after.rulings] == [leave("100", symbol=ETH), wish]


def test_a_reduce_of_the_same_reply_frees_its_share_of_margin():
    where = context([position(100, ETH, leverage=5)], equity=D(10_000))
    limits = open_limits(max_margin_used_fraction=D("0.1"))

    verdict = review([entry(quantity="60"), leave("40", symbol=ETH)], where, limits)

    assert clamped(verdict.rulings[1]) == (D(40), ["MARGIN_USED wanted=60 allowed=40"])


def test_a_close_at_a_loss_frees_only_what_is_left_of_its_margin():
    losing = position(100, ETH, price=D(60), leverage=2)  # margin 3,000, 1,000 of it lost at 50
    where = context([losing], cash=3_000, equity=D(100_000))

    verdict = review([entry(quantity="300"), leave("100", symbol=ETH)], where, open_limits())

    assert clamped(verdict.rulings[1]) == (D(200), ["AVAILABLE_MARGIN wanted=300 allowed=200"])


def test_a_gain_that_is_not_booked_yet_can_t_be_spent():
    winning = position(100, ETH, price=D(40), leverage=2)
    where = context([winning], cash=2_000, equity=D(100_000))

    verdict = review([entry(quantity="300"), leave("50", symbol=ETH)], where, open_limits())

    assert clamped(verdict.rulings[1]) == (D(100), ["AVAILABLE_MARGIN wanted=300 allowed=100"])


def test_an_entry_resting_at_market_is_valued_at_mark():
    where = context(cash=1_000, resting_entries=(resting(LONG, "10", ETH, price=D(0)),),
                    quotes={s: quote(s) for s in (BTC, ETH)}, equity=D(10_000))  # fmt: skip
    limits = open_limits(max_margin_used_fraction=D("0.06"))

    held_to(limits, at="55", code="MARGIN_USED", where=where)
