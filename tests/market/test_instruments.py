"""Instruments: they round, they refuse, and they are read from JSON with one clear sentence when wrong."""

# mypy: disable-error-code="comparison-overlap"

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.domain.enums import InstrumentKind, InstrumentStatus, RejectCode, TriggerBasis
from market.domain.instruments import (
    Instrument,
    MarginTier,
    UnsupportedInstrument,
    margin_tiers,
)
from tests.market.sim_broker.venue import PERPETUAL, SPOT_COIN

RAW = {
    "symbol": "ETH/USDT:USDT",
    "base": "ETH",
    "quote": "USDT",
    "settle": "USDT",
    "kind": "PERPETUAL",
    "price_step": "0.01",
    "quantity_step": 0.001,
    "min_quantity": "0.001",
    "min_notional": 5,
    "margin_tiers": [["50000", "0.004"], [None, "0.01"]],
}


def test_deductions_make_the_requirement_continuous_at_every_cap() -> None:
    tiers = margin_tiers(("50000", "0.004"), ("250000", "0.005"), (None, "0.01"))
    assert [tier.deduction for tier in tiers] == [0, 50, 1300]
    for below, above in pairwise(tiers):
        cap = below.notional_cap
        assert cap is not None
        assert (
            cap * below.maintenance_rate - below.deduction
            == cap * above.maintenance_rate - above.deduction
        )


@pytest.mark.parametrize(
    ("notional", "rate"),
    [
        ("0", "0.004"),
        ("50000", "0.004"),
        ("50000.01", "0.005"),
        ("250001", "0.01"),
        ("1E15", "0.01"),
    ],
)
def test_the_tier_of_a_notional(notional: str, rate: str) -> None:
    assert PERPETUAL.tier(D(notional)).maintenance_rate == D(rate)


def test_the_last_tier_has_no_end_even_if_it_states_one() -> None:
    capped = replace(
        PERPETUAL, margin_tiers=(MarginTier(notional_cap=D(10), maintenance_rate=D("0.1")),)
    )
    assert capped.tier(D(11)).maintenance_rate == D("0.1")


@given(st.decimals(min_value=0, max_value=10**9, places=9))
def test_an_instrument_rounds_quantities_down_and_prices_to_the_nearest_tick(value: D) -> None:
    quantity, price = PERPETUAL.round_quantity(value), PERPETUAL.round_price(value)
    assert 0 <= value - quantity < PERPETUAL.quantity_step
    assert abs(price - value) <= PERPETUAL.price_step / 2
    assert PERPETUAL.notional(-quantity, D(2)) == quantity * 2


@pytest.mark.parametrize(
    ("quantity", "is_market", "code"),
    [
        ("0", True, RejectCode.MIN_QUANTITY),
        ("-1", True, RejectCode.MIN_QUANTITY),
        ("0.0005", True, RejectCode.MIN_QUANTITY),
        ("0.0015", True, RejectCode.QUANTITY_STEP),
        ("6", True, RejectCode.MAX_QUANTITY),
        ("6", False, None),
        ("11", False, RejectCode.MAX_QUANTITY),
        ("5", True, None),
    ],
)
def test_quantity_filters(quantity: str, is_market: bool, code: RejectCode | None) -> None:
    one = replace(PERPETUAL, max_quantity=D(10), max_market_quantity=D(5))
    assert one.quantity_refusal(D(quantity), is_market=is_market) is code


@pytest.mark.parametrize(
    ("quantity", "price", "is_dust"),
    [("0.0009", 1000, True), ("0.04", 100, True), ("0.0509", 100, False), ("-0.04", 100, True)],
)
def test_dust(quantity: str, price: int, is_dust: bool) -> None:
    assert SPOT_COIN.is_dust(D(quantity), D(price)) == is_dust


# --- from JSON ----------------------------------------------------------------------------------------


def test_read_from_json() -> None:
    raw = json.loads(json.dumps(RAW)) | {
        "max_leverage": 20,
        "funding_interval": 28800,
        "trigger_bases": ["MARK"],
        "status": "REDUCE_ONLY",
        "delisting_at": "2030-01-01T00:00:00+00:00",
        "max_open_orders": 10,
        "price_band": "0.05",
    }
    one = Instrument.from_mapping(raw)
    assert (one.kind, one.quantity_step, one.max_leverage) == (
        InstrumentKind.PERPETUAL,
        D("0.001"),
        20,
    )
    assert one.funding_interval == timedelta(hours=8)
    assert one.trigger_bases == {TriggerBasis.MARK}
    assert one.status is InstrumentStatus.REDUCE_ONLY
    assert [tier.deduction for tier in one.margin_tiers] == [0, 300]
    assert not one.is_spot
    assert Instrument.from_mapping(RAW).max_quantity is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"settle": "BTC"}, "UNSUPPORTED_INSTRUMENT"),
        ({"kind": "OPTION"}, "OPTION"),
        ({"colour": 1}, "unknown field 'colour'"),
        ({"price_step": None}, "price_step"),
        ({"price_step": "0"}, "price_step must be above zero"),
        ({"quantity_step": "-1"}, "quantity_step must be above zero"),
        ({"contract_size": "nan"}, "not a finite number"),
        ({"min_notional": "-1"}, "min_notional is never below zero"),
        ({"max_leverage": "0.5"}, "max_leverage is at least 1"),
        ({"margin_tiers": []}, "needs its margin tiers"),
        ({"margin_tiers": "0.01"}, "list of"),
        ({"margin_tiers": [["1"]]}, "list of"),
        ({"margin_tiers": [["x", "0.1"]]}, "not a number"),
        ({"margin_tiers": [["9", "0.1"], ["8", "0.2"]]}, "must rise"),
        ({"margin_tiers": [[None, "0.1"], ["8", "0.2"]]}, "only the last"),
        ({"margin_tiers": [[None, "1"]]}, "maintenance rate"),
        ({"delisting_at": "2030-01-01"}, "time zone"),
        ({"funding_interval": "8h"}, "8h"),
        ({"kind": "SPOT", "max_leverage": 3}, "spot has leverage 1"),
        ({"status": "GONE"}, "GONE"),
        ({"trigger_bases": ["INDEX"]}, "INDEX"),
        ({"trigger_bases": []}, "trigger_bases names at least one price"),
        ({"trigger_bases": 5}, "ETH/USDT:USDT: "),
        ({"trigger_bases": None}, "trigger_bases may be left out, not null"),
        ({"base": 5}, "base is a text, not 5"),
        ({"settle": " "}, "settle is a text"),
        ({"min_quantity": "-0.001"}, "min_quantity is never below zero"),
        ({"max_leverage": -3}, "max_leverage is at least 1"),
        ({"max_leverage": None}, "max_leverage may be left out, not null"),
        ({"taker_fee": None}, "taker_fee may be left out, not null"),
        ({"taker_fee": "1"}, "taker_fee is a fraction of notional"),
        ({"liquidation_fee": "-0.01"}, "liquidation_fee is never below zero"),
        ({"max_quantity": "0"}, "max_quantity must be above zero, or left out"),
        ({"max_open_orders": -1}, "max_open_orders must be above zero, or left out"),
        ({"price_band": "-0.1"}, "price_band must be above zero, or left out"),
        ({"funding_interval": 0}, "funding_interval must be above zero"),
        ({"min_notional": "1e999999"}, "min_notional is too large a number"),
        ({"price_step": "1e-999999"}, "price_step is too small a number"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, object], words: str) -> None:
    with pytest.raises(UnsupportedInstrument, match=words):
        Instrument.from_mapping(RAW | change)


@pytest.mark.parametrize("name", ["symbol", "price_step", "min_notional"])
def test_what_is_missing_is_said(name: str) -> None:
    with pytest.raises(UnsupportedInstrument, match=f"lacks '{name}'"):
        Instrument.from_mapping({key: value for key, value in RAW.items() if key != name})
