"""Sizes: the formula of TRADING, the smaller of two, rounding down, and saying why there is none."""

from typing import Any

import pytest

from market.domain.enums import OrderPurpose
from risk.domain import Code, Requester
from risk.profiles import profile
from risk.sizing import EntryWish, size_entry
from tests.risk.build import (
    BTC,
    ETH,
    LONG,
    NOW,
    SHORT,
    D,
    context,
    instrument,
    mirrored,
    open_limits,
    quote,
    rule_on,
)

SIDES = pytest.mark.parametrize("side", [LONG, SHORT])


def sized(side=LONG, *, equity=10_000, slippage=None, **wish):
    """The quantity of a wish at a price of 100."""
    where = context(equity=equity, instruments={BTC: wish.pop("instrument", instrument())})
    values: dict[str, Any] = {key: D(value) for key, value in wish.items()}
    intent = size_entry(
        EntryWish(symbol=BTC, side=side, **values), where, open_limits(max_slippage_bps=slippage)
    )
    return intent.quantity


@SIDES
def test_by_risk(side):
    assert sized(side, risk_fraction="0.01", stop_price=mirrored(95, side)) == 20


@SIDES
def test_by_risk_with_costs(side):
    """10,000 × 1% ÷ (|100 − stop| + 0.1% of both + 25 bps of 100)."""
    stop = mirrored(95, side)
    quantity = sized(side, risk_fraction="0.01", stop_price=stop, slippage=D(25),
                     instrument=instrument(taker_fee=D("0.001")))  # fmt: skip

    by_hand = {LONG: "18.36", SHORT: "18.33"}  # 100 ÷ 5.445, 100 ÷ 5.455
    assert quantity == D(by_hand[side])


def test_by_notional():
    assert sized(notional="2_500") == 25
    assert sized(notional="2_500.99") == 25


def test_the_smaller_of_both():
    assert sized(risk_fraction="0.01", stop_price="95", notional="1000") == 10
    assert sized(risk_fraction="0.01", stop_price="95", notional="9000") == 20


def test_per_contract():
    tens = instrument(contract_size=D(10))

    assert sized(risk_fraction="0.01", stop_price="95", instrument=tens) == 2
    assert sized(notional="2500", instrument=tens) == D("2.5")


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"risk_fraction": "0.01"},
        {"risk_fraction": "0", "stop_price": "95"},
        {"risk_fraction": "-0.01", "stop_price": "95"},
        {"risk_fraction": "0.01", "stop_price": "NaN"},
        {"notional": "0"},
        {"notional": "-1"},
        {"notional": "NaN"},
        {"notional": "100", "equity": 0},
        {"notional": "100", "equity": -5},
    ],
)
def test_nothing_to_size_by(wish):
    assert sized(**wish) == 0


def test_a_risk_of_nothing_gives_no_size():
    assert sized(risk_fraction="0.01", stop_price="100") == 0


def test_less_than_a_step_stays_unrounded_so_that_the_veto_can_say_so():
    assert sized(notional="0.99") == D("0.0099")


@SIDES
def test_an_intent_of_a_wish(side):
    quotes = {BTC: quote(bid=D("99.9"), ask=D("100.1"))}
    wish = EntryWish(
        symbol=BTC, side=side, notional=D(1000), leverage=D(5), stop_price=mirrored(95, side),
        target_price=mirrored(110, side), confidence=D("0.7"), requester=Requester.PERSON,
    )  # fmt: skip

    intent = size_entry(wish, context(quotes=quotes), open_limits())

    price = {LONG: D("100.1"), SHORT: D("99.9")}[side]
    assert intent.purpose is OrderPurpose.ENTRY
    assert intent.reference_price == price
    assert intent.quantity == (1000 / price).quantize(D("0.01"), "ROUND_DOWN")
    assert (intent.side, intent.leverage, intent.requester) == (side, D(5), Requester.PERSON)
    assert (intent.stop_price, intent.target_price) == (wish.stop_price, wish.target_price)
    assert (intent.confidence, intent.quote_quantity) == (D("0.7"), None)


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({}, Code.NO_SIZE),
        ({"risk_fraction": D("0.01")}, Code.NO_SIZE),
        ({"notional": D("0.5")}, Code.MIN_SIZE),
        ({"notional": D(4)}, Code.MIN_SIZE),
        ({"notional": D(100)}, None),
    ],
)
def test_what_sizing_can_t_size_the_veto_denies_with_the_reason(wish, code):
    intent = size_entry(EntryWish(symbol=BTC, side=LONG, **wish), context(), open_limits())
    denial = rule_on(intent, context(), open_limits()).denial

    assert (denial and denial.code) is code


def test_without_a_quote_or_an_instrument():
    wish = EntryWish(symbol=BTC, side=LONG, notional=D(100))
    for where, code in (
        (context(quotes={}), Code.STALE),
        (context(quotes={ETH: quote(ETH, at=NOW)}), Code.STALE),
        (context(instruments={}), Code.INSTRUMENT_UNUSABLE),
    ):
        intent = size_entry(wish, where, open_limits())
        assert rule_on(intent, where, open_limits()).denial.code is code


def test_a_size_at_the_risk_limit_is_not_clamped():
    """Plan and veto reckon alike: a wish at exactly the limit passes as it is."""
    limits = profile("balanced", min_reward_risk=None, min_confidence=None)
    where = context(instruments={BTC: instrument(taker_fee=D("0.00045"))})
    wish = EntryWish(symbol=BTC, side=LONG, risk_fraction=D("0.01"), stop_price=D("97.31"))

    intent = size_entry(wish, where, limits)

    assert rule_on(intent, where, limits).approved == intent
