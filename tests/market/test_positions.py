"""Positions: folds of fills, exact to the last unit; margin, liquidation, bankruptcy, funding."""

# mypy: disable-error-code="comparison-overlap"

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal as D

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from market.domain.enums import OrderSide, PositionSide
from market.domain.instruments import MarginTier, margin_tiers
from market.domain.numbers import CASH_QUANTUM, quantize_cash
from market.domain.orders import Fill
from market.domain.positions import (
    FlipInOneFill,
    Position,
    apply_fill,
    bankruptcy_price,
    fee_value,
    funding_amount,
    is_liquidated,
    liquidation_price,
    maintenance_margin,
    signed_quantity,
    split_fill,
)
from tests.market.sim_broker.venue import PERPETUAL, SPOT, SPOT_COIN, SYMBOL

NOW = datetime(2022, 1, 1, tzinfo=UTC)
BUY, SELL = OrderSide.BUY, OrderSide.SELL
FLAT = Position(symbol=SYMBOL)
QUANTITIES = st.integers(1, 5000).map(lambda steps: D(steps) / 1000)
PRICES = st.integers(1, 20_000).map(lambda ticks: D(ticks) / 10)
TRADES = st.lists(st.tuples(st.sampled_from([BUY, SELL]), QUANTITIES, PRICES), max_size=12)


def fill(
    side=BUY, quantity="1", price="100", *, fee="0", currency="USDT", symbol=SYMBOL, name="t1"
) -> Fill:
    return Fill(
        venue_trade_id=name, client_order_id="a", symbol=symbol, side=side, quantity=D(quantity), price=D(price),
        fee=D(fee), fee_currency=currency, at=NOW,
    )  # fmt: skip


def opened(side=BUY, quantity="1", price="100", leverage="10", instrument=PERPETUAL) -> Position:
    return apply_fill(FLAT, fill(side, quantity, price), instrument, leverage=D(leverage)).position


# --- the fold -----------------------------------------------------------------------------------------


def test_open_add_reduce_close_by_hand() -> None:
    one = opened()
    assert (one.quantity, one.entry_cost, one.margin, one.side) == (1, 100, 10, PositionSide.LONG)
    two = apply_fill(one, fill(BUY, "2", "130"), PERPETUAL).position
    assert (two.quantity, two.entry_cost, two.margin) == (3, 360, 36)
    assert two.entry_price(PERPETUAL) == 120
    less = apply_fill(two, fill(SELL, "1", "150"), PERPETUAL)
    assert (less.realized_pnl, less.closed_quantity) == (30, 1)
    assert (less.position.entry_cost, less.position.margin) == (240, 24)
    gone = apply_fill(less.position, fill(SELL, "2", "110"), PERPETUAL)
    assert (gone.realized_pnl, gone.position.is_flat, gone.position.margin) == (-20, True, 0)
    assert gone.position.side is PositionSide.FLAT
    assert gone.position.entry_price(PERPETUAL) is None
    assert gone.position.opened_at is None


def test_a_short_wins_when_the_price_falls() -> None:
    short = opened(SELL, "2")
    assert (short.quantity, short.side, short.unrealized_pnl(D(90), PERPETUAL)) == (
        -2,
        PositionSide.SHORT,
        20,
    )
    assert apply_fill(short, fill(BUY, "2", "90"), PERPETUAL).realized_pnl == 20


def test_an_open_position_keeps_its_leverage_and_a_new_one_takes_the_orders() -> None:
    more = apply_fill(opened(leverage="10"), fill(), PERPETUAL, leverage=D(2)).position
    assert (more.leverage, more.margin) == (10, 20)
    closed = apply_fill(more, fill(SELL, "2"), PERPETUAL).position
    assert apply_fill(closed, fill(), PERPETUAL, leverage=D(2)).position.margin == 50
    assert apply_fill(closed, fill(), PERPETUAL).position.margin == 10


@given(TRADES, st.integers(1, 50), st.sampled_from(["1", "0.01", "1000"]), PRICES)
def test_realized_and_unrealized_add_up_exactly(trades, leverage, contract_size, mark) -> None:
    """Σ money out − Σ money in + what is still held = realized + unrealized, to the last unit."""
    instrument = replace(PERPETUAL, contract_size=D(contract_size))
    position, realized, moved = FLAT, D(0), D(0)
    for number, (side, quantity, price) in enumerate(trades):
        for part in split_fill(position, fill(side, str(quantity), str(price), name=str(number))):
            change = apply_fill(position, part, instrument, leverage=D(leverage))
            position, realized = change.position, realized + change.realized_pnl
            assert position.margin >= 0
            assert position.entry_cost >= 0
            assert (position.quantity == 0) == (position.entry_cost == 0 or position.is_flat)
            moved -= side.sign * quantize_cash(
                part.quantity * instrument.contract_size * part.price
            )
    assert position.quantity == sum((side.sign * quantity for side, quantity, _ in trades), D(0))
    held = position.quantity * instrument.contract_size * mark
    assert realized + position.unrealized_pnl(mark, instrument) == quantize_cash(moved + held)
    if position.is_flat:
        assert (position.margin, position.entry_cost) == (0, 0)


@given(TRADES)
def test_the_fold_is_a_fold(trades) -> None:
    """Folded again, or in two pieces, it is the same to the bit."""

    def folded(position: Position, some) -> Position:
        for number, (side, quantity, price) in enumerate(some):
            for part in split_fill(
                position, fill(side, str(quantity), str(price), name=str(number))
            ):
                position = apply_fill(position, part, PERPETUAL, leverage=D(3)).position
        return position

    whole, half = folded(FLAT, trades), len(trades) // 2
    assert whole == folded(folded(FLAT, trades[:half]), trades[half:])
    assert repr(whole) == repr(folded(FLAT, trades))


@given(QUANTITIES, QUANTITIES, PRICES, st.integers(0, 10**9))
def test_a_flip_is_a_close_and_an_open_and_the_fee_is_shared_exactly(
    held, traded, price, fee_units
) -> None:
    assume(traded != held)
    position = opened(BUY, str(held))
    whole = fill(SELL, str(traded), str(price), fee=str(fee_units * CASH_QUANTUM))
    parts = split_fill(position, whole)
    assert sum(part.quantity for part in parts) == traded
    assert sum(part.fee for part in parts) == whole.fee
    assert len({part.venue_trade_id for part in parts}) == len(parts)
    if traded < held:
        assert parts == (whole,)
    else:
        assert [part.quantity for part in parts] == [held, traded - held]
        assert parts[0].fee == quantize_cash(whole.fee * held / traded)
        with pytest.raises(FlipInOneFill):
            apply_fill(position, whole, PERPETUAL)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"symbol": "X"}, "does not belong"),
        ({"quantity": "0"}, "above zero"),
        ({"quantity": "-1"}, "above zero"),
        ({"price": "0"}, "above zero"),
    ],
)
def test_fills_that_can_not_be(wrong, words) -> None:
    with pytest.raises(ValueError, match=words):
        apply_fill(FLAT, fill(**wrong), PERPETUAL)


def test_signed_quantity() -> None:
    assert (signed_quantity(fill(BUY, "2")), signed_quantity(fill(SELL, "2"))) == (2, -2)


# --- fees and spot ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fee", "currency", "instrument", "value"),
    [
        ("0.5", "USDT", PERPETUAL, "0.5"),
        ("0.002", "BTC", SPOT_COIN, "0.2"),
        ("0", "BNB", PERPETUAL, "0"),
        ("-0.1", "USDT", PERPETUAL, "-0.1"),
    ],
)
def test_a_fee_in_settlement_currency(fee, currency, instrument, value) -> None:
    assert fee_value(fill(fee=fee, currency=currency, symbol=instrument.symbol), instrument) == D(
        value
    )


@pytest.mark.parametrize(
    ("currency", "instrument"), [("BNB", PERPETUAL), ("BTC", PERPETUAL), ("BNB", SPOT_COIN)]
)
def test_a_fee_in_a_third_currency_needs_a_price(currency, instrument) -> None:
    with pytest.raises(ValueError, match="needs a price"):
        fee_value(fill(fee="1", currency=currency, symbol=instrument.symbol), instrument)


def test_a_base_fee_comes_out_of_what_was_bought() -> None:
    bought = apply_fill(
        Position(symbol=SPOT),
        fill(fee="0.001", currency="BTC", symbol=SPOT),
        SPOT_COIN,
        leverage=D(1),
    ).position
    assert (bought.quantity, bought.entry_cost, bought.margin) == (D("0.999"), D("99.9"), 0)
    assert bought.entry_price(SPOT_COIN) == 100
    sold = apply_fill(bought, fill(SELL, "0.999", "110", symbol=SPOT, fee="0.1"), SPOT_COIN)
    assert (sold.realized_pnl, sold.position.is_flat) == (D("9.99"), True)


def test_spot_has_no_margin_liquidation_or_funding() -> None:
    held = Position(symbol=SPOT, quantity=D(1), entry_cost=D(100))
    assert liquidation_price(held, SPOT_COIN) is None
    assert bankruptcy_price(held, SPOT_COIN) is None
    assert maintenance_margin(held, D(100), SPOT_COIN) == 0
    assert funding_amount(held, D(100), D("0.01"), SPOT_COIN) == 0
    assert not is_liquidated(held, D("0.1"), SPOT_COIN)


# --- liquidation --------------------------------------------------------------------------------------

TIERS = {
    "one": margin_tiers((None, "0.01")),
    "three": margin_tiers(("50000", "0.004"), ("250000", "0.005"), (None, "0.01")),
    "steep": margin_tiers(("100", "0.01"), ("1000", "0.1"), ("5000", "0.25"), (None, "0.5")),
    "capped": (MarginTier(notional_cap=D(1000), maintenance_rate=D("0.02")),),
    # a venue's own rounded deductions: the requirement jumps at each cap
    "jumps up": (
        MarginTier(notional_cap=D(1000), maintenance_rate=D("0.02")),
        MarginTier(notional_cap=D(5000), maintenance_rate=D("0.05"), deduction=D(25)),
        MarginTier(notional_cap=None, maintenance_rate=D("0.1"), deduction=D(260)),
    ),
    "jumps down": (
        MarginTier(notional_cap=D(1000), maintenance_rate=D("0.02")),
        MarginTier(notional_cap=D(5000), maintenance_rate=D("0.05"), deduction=D(35)),
        MarginTier(notional_cap=None, maintenance_rate=D("0.1"), deduction=D(310)),
    ),
}


def shortfall(position: Position, price: D, instrument) -> D:
    """Maintenance less equity at a price, from the definitions: at or above 0 is liquidation."""
    size = abs(position.quantity) * instrument.contract_size
    value = size * price
    equity = position.margin + (
        value - position.entry_cost if position.quantity > 0 else position.entry_cost - value
    )
    tier = instrument.tier(value)
    return value * tier.maintenance_rate - tier.deduction - equity


@pytest.mark.parametrize("tiers", TIERS)
@given(
    side=st.sampled_from([BUY, SELL]),
    quantity=st.integers(1, 3000),
    price=st.integers(10, 3000),
    leverage=st.integers(1, 40),
)
def test_the_liquidation_price_is_where_equity_meets_maintenance(
    tiers, side, quantity, price, leverage
) -> None:
    """Searched on the venue's own definition: a hair before the price all is well, at it and a hair past it
    it is not; for a long nothing above it is liquidated, for a short nothing below."""
    instrument = replace(PERPETUAL, margin_tiers=TIERS[tiers])
    position = opened(side, f"{quantity / 100:.2f}", str(price), str(leverage), instrument)
    found = liquidation_price(position, instrument)
    sign = 1 if side is BUY else -1
    if found is None:
        assert side is BUY
        assert all(shortfall(position, D(price) * n / 200, instrument) <= 0 for n in range(1, 400))
        return
    assert found > 0
    hair = found * D("1E-12")
    assert shortfall(position, found - sign * hair, instrument) >= 0
    assert shortfall(position, found + sign * hair, instrument) <= 0
    safe = [found * (1 + sign * D(n) / 500) for n in range(1, 400)]
    assert all(shortfall(position, one, instrument) <= 0 for one in safe if one > 0)
    assert is_liquidated(position, found, instrument)
    assert is_liquidated(position, found - sign * hair, instrument)
    assert not is_liquidated(position, found + sign * hair, instrument)


@pytest.mark.parametrize(
    ("side", "quantity", "price", "leverage", "found"),
    [
        # 1 at 100, 10×, one tier of 1%: (100 − 10) ÷ 0.99 and (100 + 10) ÷ 1.01
        (BUY, "1", "100", "10", D(90) / D("0.99")),
        (SELL, "1", "100", "10", D(110) / D("1.01")),
        (BUY, "1", "100", "1", None),
        (SELL, "1", "100", "1", D(200) / D("1.01")),
    ],
)
def test_liquidation_by_hand(side, quantity, price, leverage, found) -> None:
    instrument = replace(PERPETUAL, margin_tiers=TIERS["one"])
    assert (
        liquidation_price(opened(side, quantity, price, leverage, instrument), instrument) == found
    )


def test_the_tier_is_the_one_that_holds_at_the_liquidation_price() -> None:
    """A long of 1,100 falls out of the 10% tier into the 1% tier before it is liquidated… or not."""
    steep = replace(PERPETUAL, margin_tiers=TIERS["steep"])
    inside = opened(BUY, "11", "100", "5", steep)  # (880 − 9) ÷ 0.9 = 967.8: the second tier
    assert liquidation_price(inside, steep) == (D(880) - 9) / (11 * D("0.9"))
    across = opened(
        BUY, "1.1", "100", "5", steep
    )  # (88 − 9) ÷ 0.9 = 87.8 < 100: the first, 88 ÷ 0.99
    assert liquidation_price(across, steep) == D(88) / (D("1.1") * D("0.99"))


def test_where_the_requirement_jumps_the_cap_is_the_price() -> None:
    """Short of 930 at 10×: at a notional of 1,000 there is 23 left, above 20; past it 25 is asked.
    Long of 1,092 at 10×: above 1,000 there is 17.2 or more, past 15; at it 20 is asked."""
    up = replace(PERPETUAL, margin_tiers=TIERS["jumps up"])
    assert liquidation_price(opened(SELL, "9.3", "100", "10", up), up) == 1000 / D("9.3")
    down = replace(PERPETUAL, margin_tiers=TIERS["jumps down"])
    assert liquidation_price(opened(BUY, "10.92", "100", "10", down), down) == 1000 / D("10.92")


def test_nothing_held_nothing_liquidated() -> None:
    assert liquidation_price(FLAT, PERPETUAL) is None
    assert bankruptcy_price(FLAT, PERPETUAL) is None
    assert maintenance_margin(FLAT, D(1), PERPETUAL) == 0
    assert not is_liquidated(FLAT, D(1), PERPETUAL)
    assert funding_amount(FLAT, D(1), D(1), PERPETUAL) == 0
    assert FLAT.unrealized_pnl(D(1), PERPETUAL) == 0


@pytest.mark.parametrize(
    ("mark", "needed"), [(100, "0.4"), (50_000, "200"), (50_001, "200.005"), (260_000, "1300")]
)
def test_maintenance_by_tier(mark, needed) -> None:
    assert maintenance_margin(opened(), D(mark), PERPETUAL) == D(needed)


@given(st.sampled_from([BUY, SELL]), QUANTITIES, PRICES, st.integers(1, 50))
def test_a_close_at_the_bankruptcy_price_never_loses_more_than_the_margin(
    side, quantity, price, leverage
) -> None:
    assume(price > 1)
    position = opened(side, str(quantity), str(price), str(leverage))
    at = bankruptcy_price(position, PERPETUAL)
    assert at is not None
    assume(at > 0)
    closed = apply_fill(position, fill(side.opposite, str(quantity), str(at)), PERPETUAL)
    assert closed.realized_pnl >= -position.margin
    assert at % PERPETUAL.price_step == 0
    exact = (position.entry_cost - side.sign * position.margin) / quantity
    assert abs(at - exact) <= PERPETUAL.price_step


# --- funding ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "rate", "amount"),
    [
        (BUY, "0.0001", "-0.02"),
        (BUY, "-0.0001", "0.02"),
        (SELL, "0.0001", "0.02"),
        (SELL, "-0.0001", "-0.02"),
        (BUY, "0", "0"),
    ],
)
def test_the_side_that_is_crowded_pays(side, rate, amount) -> None:
    assert funding_amount(opened(side, "2"), D(100), D(rate), PERPETUAL) == D(amount)


def test_funding_counts_contracts_in_coins() -> None:
    small = replace(PERPETUAL, contract_size=D("0.01"))
    assert funding_amount(opened(BUY, "2"), D(100), D("0.01"), small) == D("-0.02")
