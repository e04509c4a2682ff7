"""The calculators: sizes that margin carries, stops and targets from fractions, ATR and reward to risk.

Each is held to what it means (worked back in exact fractions) and to the veto, which must agree with it.
"""

from decimal import Decimal
from fractions import Fraction as F
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.domain.enums import PositionSide
from risk.domain import Code
from risk.sizing import (
    ImpossiblePrice,
    quantity_for_margin,
    quantity_for_risk,
    stop_by_atr,
    stop_by_fraction,
    target_by_atr,
    target_by_fraction,
    target_by_ratio,
)
from tests.risk.build import (
    BTC,
    LONG,
    SHORT,
    D,
    context,
    entry,
    instrument,
    open_limits,
    rule_on,
)

SIDES = pytest.mark.parametrize("side", [LONG, SHORT])
TICK = F("0.01")


def decimals(low: str, high: str, places: int = 4):
    return st.decimals(D(low), D(high), places=places)


sides = st.sampled_from([LONG, SHORT])
prices = decimals("1", "100000", 2)
fees = st.sampled_from([D(0), D("0.0002"), D("0.0005"), D("0.001")])


# --- by hand ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "stop", "target"), [(LONG, "98.00", "104.00"), (SHORT, "102.00", "96.00")]
)
def test_by_fraction(side, stop, target):
    """2% and 4% of 100."""
    assert stop_by_fraction(instrument(), side, entry=D(100), fraction=D("0.02")) == D(stop)
    assert target_by_fraction(instrument(), side, entry=D(100), fraction=D("0.04")) == D(target)


@pytest.mark.parametrize(
    ("side", "stop", "target"), [(LONG, "97.69", "104.62"), (SHORT, "102.31", "95.38")]
)
def test_by_atr(side, stop, target):
    """1.5 and 3 times an ATR of 1.54, on the tick."""
    atr = D("1.54")
    assert stop_by_atr(instrument(), side, entry=D(100), atr=atr, multiple=D("1.5")) == D(stop)
    assert target_by_atr(instrument(), side, entry=D(100), atr=atr, multiple=D(3)) == D(target)


@pytest.mark.parametrize(
    ("side", "fee", "target"),
    [
        (LONG, "0", "110"),  # 5 at risk, twice that above 100
        (SHORT, "0", "90"),
        (LONG, "0.001", "110.61"),  # (100 × 1.001 + 2 × 5.195) ÷ 0.999 = 110.6006, up to the tick
        (SHORT, "0.001", "89.40"),  # (100 × 0.999 − 2 × 5.205) ÷ 1.001 = 89.4006, down to the tick
    ],
)
def test_by_ratio(side, fee, target):
    stop = D(95) if side is LONG else D(105)
    listed = instrument(taker_fee=D(fee))

    found = target_by_ratio(listed, side, entry=D(100), stop=stop, ratio=D(2))

    assert found == D(target)


@SIDES
def test_what_margin_carries(side):
    """1,000 at 5×, no fee: 5,000 of notional; at 0.1% each contract takes 20 + 0.1; a long may pay 1% more."""
    plain = quantity_for_margin(instrument(), cash=D(1000), leverage=D(5), entry=D(100), side=side)
    costly = quantity_for_margin(
        instrument(taker_fee=D("0.001")), cash=D(1000), leverage=D(5), entry=D(100), side=side
    )
    slipping = quantity_for_margin(
        instrument(), cash=D(1000), leverage=D(5), entry=D(100), side=side, slippage_bps=D(100)
    )
    assert plain == 50
    assert round(costly, 4) == D("49.7512")
    assert round(slipping, 4) == (D("49.5050") if side is LONG else 50)


def test_nothing_is_carried_by_nothing():
    said: dict[str, Any] = {"entry": D(100), "side": LONG}
    assert quantity_for_margin(instrument(), cash=D(-5), leverage=D(5), **said) == 0
    for wrong in ({"leverage": D(0), "entry": D(100)}, {"leverage": D(5), "entry": D(0)}):
        with pytest.raises(ValueError, match="carries nothing"):
            quantity_for_margin(instrument(), cash=D(1), side=LONG, **wrong)


# --- what can't be ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fraction", ["1", "1.5"])
def test_a_price_at_zero_or_below_is_none(fraction):
    with pytest.raises(ImpossiblePrice, match="that far from the entry the price would be"):
        stop_by_fraction(instrument(), LONG, entry=D(100), fraction=D(fraction))
    with pytest.raises(ImpossiblePrice):
        target_by_atr(instrument(), SHORT, entry=D(100), atr=D(100), multiple=D(fraction))


def test_a_short_can_not_win_more_than_its_price():
    with pytest.raises(ImpossiblePrice):
        target_by_ratio(instrument(), SHORT, entry=D(100), stop=D(150), ratio=D(2))


@pytest.mark.parametrize(("side", "stop"), [(LONG, "100"), (LONG, "101"), (SHORT, "99")])
def test_no_ratio_without_a_risk(side, stop):
    with pytest.raises(ValueError, match="wrong side"):
        target_by_ratio(instrument(), side, entry=D(100), stop=D(stop), ratio=D(2))


# --- for any numbers -------------------------------------------------------------------------------


@given(sides, prices, decimals("0.0001", "0.9"))
def test_a_fraction_is_that_far_away_within_half_a_tick(side, price, fraction):
    stop = stop_by_fraction(instrument(), side, entry=price, fraction=fraction)
    target = target_by_fraction(instrument(), side, entry=price, fraction=fraction)

    assert abs(side.sign * (F(price) - F(stop)) - F(fraction) * F(price)) <= TICK / 2
    assert abs(side.sign * (F(target) - F(price)) - F(fraction) * F(price)) <= TICK / 2
    assert F(stop) % TICK == F(target) % TICK == 0


@given(sides, prices, decimals("0.01", "0.3"), decimals("0.1", "3", 2))
def test_atr_is_that_far_away_within_half_a_tick(side, price, share, multiple):
    atr = price * share
    stop = stop_by_atr(instrument(), side, entry=price, atr=atr, multiple=multiple)
    target = target_by_atr(instrument(), side, entry=price, atr=atr, multiple=multiple)

    assert abs(side.sign * (F(price) - F(stop)) - F(multiple) * F(atr)) <= TICK / 2
    assert abs(side.sign * (F(target) - F(price)) - F(multiple) * F(atr)) <= TICK / 2


def ratio_of(side: PositionSide, price: Decimal, stop: Decimal, target: Decimal, fee: F) -> F:
    """Reward to risk as TRADING says it, in exact fractions."""
    p, s, t = F(price), F(stop), F(target)
    reward = side.sign * (t - p) - fee * (p + t)
    return reward / (side.sign * (p - s) + fee * (p + s))


@given(sides, prices, decimals("0.001", "0.1"), decimals("0.5", "5", 2), fees)
def test_a_target_by_ratio_is_the_nearest_that_keeps_it(side, price, share, ratio, fee):
    listed = instrument(taker_fee=fee)
    stop = listed.round_price(price * (1 - side.sign * share))
    if side.sign * (price - stop) <= 0:
        return  # the tick swallowed the way to the stop

    target = target_by_ratio(listed, side, entry=price, stop=stop, ratio=ratio)

    assert ratio_of(side, price, stop, target, F(fee)) >= F(ratio)
    nearer = target - side.sign * D("0.01")
    assert ratio_of(side, price, stop, nearer, F(fee)) < F(ratio)


@given(sides, decimals("0.001", "0.1"), decimals("0.5", "5", 2), fees)
def test_the_veto_passes_a_target_by_ratio_and_none_that_is_nearer(side, share, ratio, fee):
    listed = instrument(taker_fee=fee)
    where = context(instruments={BTC: listed})
    stop = stop_by_fraction(listed, side, entry=D(100), fraction=share)
    target = target_by_ratio(listed, side, entry=D(100), stop=stop, ratio=ratio)
    limits = open_limits(min_reward_risk=ratio)

    def judged(price: Decimal) -> Code | None:
        wish = entry(side, "1", stop_price=stop, target_price=price, leverage=D(1))
        denial = rule_on(wish, where, limits).denial
        return None if denial is None else denial.code

    assert judged(target) is None
    assert judged(target - side.sign * D("0.01")) in (Code.REWARD_RISK, Code.TARGET_WRONG_SIDE)


@given(
    sides, decimals("1", "30", 1), fees, st.sampled_from([None, D(0), D(25), D(100)]),
    decimals("100", "20000", 2),
)  # fmt: skip
def test_the_veto_carries_exactly_as_much(side, leverage, fee, slippage, cash):
    listed = instrument(taker_fee=fee, margin_tiers=instrument().margin_tiers[-1:])
    where = context(cash=cash, instruments={BTC: listed})
    carried = quantity_for_margin(
        listed, cash=cash, leverage=leverage, entry=D(100), side=side, slippage_bps=slippage
    )
    far_too_much = entry(side, 10 * carried, leverage=leverage)

    ruling = rule_on(far_too_much, where, open_limits(max_slippage_bps=slippage))

    [clamp] = ruling.clamps
    assert (clamp.code, clamp.after) == (Code.AVAILABLE_MARGIN, listed.round_quantity(carried))


@given(
    sides,
    prices,
    decimals("0.001", "0.2"),
    decimals("0.001", "0.1"),
    fees,
    decimals("1", "1000000", 2),
)
def test_what_is_lost_at_the_stop_is_the_risk_that_was_asked_for(
    side, price, share, risk, fee, equity
):  # fmt: skip
    listed = instrument(taker_fee=fee)
    stop = price * (1 - side.sign * share)
    quantity = quantity_for_risk(listed, equity=equity, risk_fraction=risk, entry=price, stop=stop)
    assert quantity is not None

    p, s = F(price), F(stop)
    lost = F(quantity) * (abs(p - s) + F(fee) * (p + s))
    assert abs(lost - F(equity) * F(risk)) <= F(equity) * F(risk) / 10**20
