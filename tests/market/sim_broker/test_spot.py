"""Spot: no leverage, no shorts, fees in the coin that is bought, dust."""

from decimal import Decimal as D

from market.domain.account import Account
from market.domain.enums import OrderPurpose
from tests.market.sim_broker.venue import SELL, SPOT, SPOT_COIN, Venue, flat_rows, rates, told


def spot(rows, **settings) -> Venue:
    venue = Venue(rows, instrument=SPOT_COIN, **settings)
    venue.walk()
    return venue


def test_a_purchase_pays_its_fee_in_the_coin() -> None:
    venue = spot(flat_rows(100, 2))
    venue.submit(venue.buy(2, name="in"))
    (fill,) = venue.walk()
    assert (fill.fill.fee, fill.fill.fee_currency) == (D("0.002"), "BTC")
    position = venue.state.positions[SPOT]
    assert position.quantity == D("1.998")
    assert position.entry_cost == D("199.8")
    assert position.margin == 0
    assert venue.state.cash == D("9999.8")
    account = Account(
        cash=venue.state.cash,
        positions=venue.state.positions,
        instruments=venue.instruments,
        marks={SPOT: D(100)},
    )
    assert account.available == D(9800)
    assert account.equity == D("9999.8")


def test_or_in_cash_where_the_venue_does() -> None:
    venue = spot(flat_rows(100, 2), spot_fee_in_base=False)
    venue.submit(venue.buy(2, name="in"))
    (fill,) = venue.walk()
    assert (fill.fill.fee, fill.fill.fee_currency) == (D("0.2"), "USDT")
    assert venue.state.positions[SPOT].quantity == 2


def test_a_stop_covers_what_can_be_sold_and_dust_counts_as_flat() -> None:
    venue = spot([*flat_rows(100, 2), (100, 100, 94, 95)])
    venue.submit(
        venue.buy("1.005", name="in"),
        venue.stop(SELL, 95, name="stop"),
        venue.target(SELL, 110, name="target"),
    )
    # 1.005 less the fee of 0.001005 is 1.003995: 1.003 can be sold
    assert told(venue.walk())[1:] == ["stop ACCEPTED for 1.003", "target ACCEPTED for 1.003"]
    assert told(venue.walk()) == [
        "stop FILLED SELL 1.003 @ 95 fee 0.095285",
        "target CANCELED POSITION_CLOSED",
    ]
    assert venue.state.positions[SPOT].quantity == D("0.000995")
    assert not venue.state.orders


def test_all_the_cash_can_be_spent() -> None:
    venue = spot(flat_rows(100, 2), cash=1000)
    venue.submit(venue.buy(10, name="in"))
    assert told(venue.walk()) == ["in FILLED BUY 10 @ 100 fee 0.01"]


def test_no_funding_no_liquidation() -> None:
    venue = spot([*flat_rows(100, 2), (10, 10, 1, 5)], funding=rates((2, "0.01")))
    venue.submit(venue.buy(2, name="in"))
    venue.walk()
    assert venue.walk() == []


def test_selling_more_than_is_held_is_refused_also_when_it_executes() -> None:
    venue = spot(flat_rows(100, 3))
    venue.submit(venue.buy(2, name="in"))
    venue.walk()
    for name in ("a", "b"):
        venue.submit(venue.sell(1, name=name, purpose=OrderPurpose.CLOSE))
    assert told(venue.walk())[1] == "b REJECTED SHORT_SPOT"
