"""ccxt's market structures as instruments: exact steps, stated margins, everything else refused by name."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from market.domain.enums import InstrumentKind, InstrumentStatus, TriggerBasis
from market.domain.instruments import UnsupportedInstrument
from market.venues.ccxt_instruments import (
    default_tiers,
    instrument_of,
    instruments_of,
    published_tiers,
)
from market.venues.venue_table import VENUES, TierUnit, venue_spec

AS_OF = datetime(2026, 5, 3, tzinfo=UTC)
BYBIT = venue_spec("bybit")


def perpetual(**more):
    return {
        "symbol": "BTC/USDT:USDT", "base": "BTC", "quote": "USDT", "settle": "USDT", "type": "swap",
        "spot": False, "swap": True, "future": False, "option": False, "linear": True, "inverse": False,
        "active": True, "taker": "0.0006", "maker": "-0.0001", "contractSize": "0.01", "expiry": None,
        "precision": {"amount": "1.0", "price": "0.10"},
        "limits": {"leverage": {"max": "100.00"}, "amount": {"min": "2", "max": "9000"},
                   "cost": {"min": "5"}, "market": {"max": "120"}},
        "info": {},
    } | more  # fmt: skip


def spot(**more):
    kind = {"symbol": "BTC/USDT", "type": "spot", "spot": True, "swap": False, "settle": None}
    return perpetual(**kind, linear=None, inverse=None, contractSize=None, **more)


def test_a_perpetual():
    one = instrument_of(perpetual(), BYBIT, as_of=AS_OF)

    assert (one.kind, one.symbol, one.settle) == (InstrumentKind.PERPETUAL, "BTC/USDT:USDT", "USDT")
    assert (str(one.price_step), str(one.quantity_step)) == ("0.1", "1")
    assert [one.min_quantity, one.max_quantity, one.max_market_quantity] == [2, 9000, 120]
    assert [one.min_notional, one.contract_size, one.max_leverage] == [5, Decimal("0.01"), 100]
    assert (one.taker_fee, one.maker_fee) == (Decimal("0.0006"), Decimal("-0.0001"))
    assert one.margin_tiers == default_tiers(Decimal(100))
    assert (one.status, one.as_of) == (InstrumentStatus.TRADING, AS_OF)
    assert one.trigger_bases == frozenset(TriggerBasis)
    assert one.funding_interval == timedelta(hours=8)


def test_spot():
    one = instrument_of(spot(), BYBIT, as_of=AS_OF)

    assert [one.kind, one.settle, one.max_leverage] == [InstrumentKind.SPOT, "USDT", 1]
    assert [one.margin_tiers, one.funding_interval, one.contract_size] == [(), None, 1]
    assert one.trigger_bases == frozenset({TriggerBasis.LAST})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"linear": False, "inverse": True, "settle": "BTC"}, "inverse contracts"),
        ({"linear": False, "inverse": False, "settle": "ETH"}, "quanto"),
        ({"settle": "USDC"}, "settles in USDC and is quoted in USDT"),
        ({"swap": False, "future": True, "expiry": 1798675200000}, "dated futures"),
        ({"swap": False, "option": True}, "options"),
        ({"swap": False, "type": "index"}, "'index' is neither"),
        ({"precision": {"amount": "1", "price": None}}, "no step of price"),
        ({"precision": {"amount": "0", "price": "1"}}, "quantity_step must be above zero"),
        ({"contractSize": None}, "no contractSize"),
        ({"taker": "lots"}, "is not a number"),
    ],
)
def test_what_is_not_traded_is_refused_with_the_reason(changes, reason):
    with pytest.raises(UnsupportedInstrument, match=reason):
        instrument_of(perpetual(**changes), BYBIT, as_of=AS_OF)


@pytest.mark.parametrize(("told", "step"), [("2", "0.01"), (0, "1"), ("8", "1E-8")])
def test_a_step_told_as_a_count_of_decimals(told, step):
    market = perpetual(precision={"amount": told, "price": told}, limits={})

    one = instrument_of(market, BYBIT, as_of=AS_OF, decimal_places=True)

    assert one.price_step == one.quantity_step == one.min_quantity == Decimal(step)


def test_what_a_venue_does_not_tell_is_stated():
    one = instrument_of(perpetual(limits={}, taker=None, maker=None), BYBIT, as_of=AS_OF)

    assert [one.max_leverage, one.taker_fee, one.min_notional] == [20, Decimal("0.001"), 0]
    assert (one.max_quantity, one.max_market_quantity) == (None, None)


@pytest.mark.parametrize(
    ("info", "delisting_at", "interval"),
    [
        ({"deliveryDate": "4133404800000"}, None, 8),
        ({"deliveryDate": "1798675200000"}, datetime(2026, 12, 31, tzinfo=UTC), 8),
        ({"expTime": ""}, None, 8),
        ({"expTime": "1798675200000"}, datetime(2026, 12, 31, tzinfo=UTC), 8),
        ({"deliveryTime": "0", "fundingInterval": "240"}, None, 4),
    ],
)
def test_a_delisting_and_the_funding_interval(info, delisting_at, interval):
    one = instrument_of(perpetual(info=info), BYBIT, as_of=AS_OF)

    assert (one.delisting_at, one.funding_interval) == (delisting_at, timedelta(hours=interval))


@pytest.mark.parametrize(
    ("active", "status"), [(True, "TRADING"), (None, "TRADING"), (False, "SUSPENDED")]
)
def test_the_status(active, status):
    assert instrument_of(perpetual(active=active), BYBIT, as_of=AS_OF).status == status


@pytest.mark.parametrize("leverage", [1, 3, 20, 75, 125])
def test_the_stated_margins_are_continuous_and_rise(leverage):
    tiers = default_tiers(Decimal(leverage))

    assert Decimal(1) / (2 * leverage) <= tiers[0].maintenance_rate <= Decimal("0.5")
    for below, above in pairwise(tiers):
        cap = Decimal(str(below.notional_cap))
        assert below.maintenance_rate <= above.maintenance_rate
        assert cap * below.maintenance_rate - below.deduction == (
            cap * above.maintenance_rate - above.deduction
        )
    assert tiers[-1].notional_cap is None


def test_published_tiers_in_notional_and_in_contracts():
    told = [
        {"maxNotional": "3000", "maintenanceMarginRate": "0.004", "maxLeverage": "100"},
        {"maxNotional": "9000", "maintenanceMarginRate": "0.01", "maxLeverage": "50"},
    ]

    notional = published_tiers(told, TierUnit.NOTIONAL, Decimal(600))
    contracts = published_tiers(told, TierUnit.CONTRACTS, Decimal(600))

    assert [tier.notional_cap for tier in notional] == [3000, None]
    assert [tier.notional_cap for tier in contracts] == [1_800_000, None]
    assert contracts[1].deduction == 1_800_000 * Decimal("0.006")
    with pytest.raises(ValueError, match="no margin tiers"):
        published_tiers([], TierUnit.NOTIONAL, Decimal(1))


@pytest.mark.recorded_data
@pytest.mark.parametrize(
    ("recorded", "venue", "taken", "refused"),
    [("bybit", "bybit", 52, 18), ("binanceus", "binance", 541, 0)],
)
def test_recorded_markets(market_data_dir, recorded, venue, taken, refused):
    path = market_data_dir / "venues" / "ccxt_markets_bybit_binanceus.json"
    markets = {one["symbol"]: one for one in json.loads(path.read_text())[recorded]}

    instruments, reasons = instruments_of(markets, VENUES[venue], as_of=AS_OF)

    assert (len(instruments), len(reasons)) == (taken, refused)
    assert all("UNSUPPORTED_INSTRUMENT" in reason for reason in reasons.values())
    for one in instruments:
        market = markets[one.symbol]
        assert one.price_step == Decimal(str(market["precision"]["price"]))
        assert one.quantity_step == Decimal(str(market["precision"]["amount"]))
        assert one.round_quantity(one.min_quantity) > 0
        assert one.is_spot == market["spot"]
