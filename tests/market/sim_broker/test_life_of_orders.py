"""Tables: orders sized in money, reduce-only orders, cancels, and what becomes of attached protection."""

# mypy: disable-error-code="comparison-overlap"

from decimal import Decimal as D
from typing import Any

from market.domain.enums import OrderPurpose
from tests.market.sim_broker.venue import BUY, SELL, Venue, flat_rows, told

CLOSE: dict[str, Any] = {"reduce_only": True, "purpose": OrderPurpose.CLOSE}


def test_an_order_sized_in_money_buys_what_the_open_allows_fee_included() -> None:
    venue = Venue([(100, 100, 100, 100), (97, 97, 97, 97)], cash=1000)
    venue.walk()
    venue.submit(venue.buy(0, name="all", quote_quantity=D(1000)))
    (fill,) = venue.walk()
    # 1000 ÷ (97 × 1.001) = 10.2989…
    assert told([fill]) == ["all FILLED BUY 10.298 @ 97 fee 0.998906"]
    assert fill.quantity == D("10.298")


def test_a_reduce_only_order_takes_at_most_the_position_and_restates_its_quantity() -> None:
    venue = Venue(flat_rows(100, 3))
    venue.walk()
    venue.submit(venue.buy(2, name="in"))
    venue.walk()
    venue.submit(venue.sell(5, name="out", **CLOSE))
    (out,) = venue.walk()
    assert told([out]) == ["out FILLED SELL 2 @ 100 fee 0.2"]
    assert out.quantity == 2


def test_a_close_that_finds_nothing_to_close_expires() -> None:
    venue = Venue([*flat_rows(100, 2), (90, 90, 90, 90)])
    venue.walk()
    venue.submit(venue.buy(name="in"), venue.stop(SELL, 95, name="stop"))
    venue.walk()
    venue.submit(venue.sell(name="out", **CLOSE))
    assert told(venue.walk()) == [
        "stop FILLED SELL 1 @ 90 fee 0.09",
        "out EXPIRED REDUCE_ONLY_INCREASES",
    ]


def test_a_partial_close_leaves_the_protection_and_a_full_one_takes_it_away() -> None:
    venue = Venue(flat_rows(100, 4))
    venue.walk()
    venue.submit(venue.buy(2, name="in"), venue.stop(SELL, 90, name="stop"))
    venue.walk()
    venue.submit(venue.sell(1, name="half", **CLOSE))
    assert told(venue.walk()) == ["half FILLED SELL 1 @ 100 fee 0.1"]
    assert list(venue.state.orders) == ["stop"]
    venue.submit(venue.sell(1, name="rest", **CLOSE))
    assert told(venue.walk())[1:] == ["stop CANCELED POSITION_CLOSED"]


def test_a_plain_order_against_the_position_reduces_it() -> None:
    venue = Venue(flat_rows(100, 3))
    venue.walk()
    venue.submit(venue.buy(2, name="in"))
    venue.walk()
    venue.submit(venue.sell("1.5", name="less"))
    venue.walk()
    assert venue.state.positions[venue.symbol].quantity == D("0.5")


def test_two_plain_orders_that_would_flip_together_do_not() -> None:
    venue = Venue(flat_rows(100, 3))
    venue.walk()
    venue.submit(venue.buy(2, name="in"))
    venue.walk()
    venue.submit(venue.sell("1.5", name="a"))
    venue.submit(venue.sell("1.5", name="b"))
    assert told(venue.walk())[1] == "b REJECTED FLIP"


def test_protection_of_an_entry_that_only_reduced_never_comes_alive() -> None:
    """Two entries sent while flat: the second finds a short and makes it smaller."""
    venue = Venue(flat_rows(100, 3))
    venue.walk()
    venue.submit(venue.sell(3, name="short"))
    venue.submit(venue.buy(1, name="long"), venue.stop(SELL, 90, name="s"))
    assert [line.partition(" fee")[0] for line in told(venue.walk())] == [
        "short FILLED SELL 3 @ 100",
        "long FILLED BUY 1 @ 100",
        "s CANCELED ENTRY_ENDED",
    ]


def test_margin_is_checked_again_when_the_order_executes() -> None:
    venue = Venue([(100, 100, 100, 100), (150, 150, 150, 150)], cash=1000)
    venue.walk()
    assert told(venue.submit(venue.buy(9, name="in"))) == ["in ACCEPTED"]
    assert told(venue.walk()) == ["in REJECTED INSUFFICIENT_MARGIN"]


def test_an_open_position_keeps_its_leverage() -> None:
    venue = Venue(flat_rows(100, 3))
    venue.walk()
    venue.submit(venue.buy(1, leverage=D(10)))
    venue.walk()
    venue.submit(venue.buy(1, leverage=D(2)))
    venue.walk()
    position = venue.state.positions[venue.symbol]
    assert (position.leverage, position.margin) == (10, 20)


def test_a_cancelled_entry_takes_its_waiting_protection_along() -> None:
    venue = Venue(flat_rows(100, 2))
    venue.walk()
    venue.submit(
        venue.limit(BUY, 90, name="l"),
        venue.stop(SELL, 80, name="s"),
        venue.target(SELL, 110, name="t"),
    )
    venue.walk()
    assert told(venue.broker.cancel("l")) == [
        "l CANCELED",
        "s CANCELED ENTRY_ENDED",
        "t CANCELED ENTRY_ENDED",
    ]
    assert told(venue.broker.cancel("l")) == ["l CANCELED"]  # gone is no error
    assert told(venue.broker.cancel("nobody")) == ["nobody - UNKNOWN_ORDER"]
    assert not venue.state.orders


def test_an_order_under_way_can_still_be_cancelled() -> None:
    venue = Venue(flat_rows(100, 2))
    venue.walk()
    venue.submit(venue.buy(name="in"))
    assert told(venue.broker.cancel("in")) == ["in CANCELED"]
    assert venue.walk() == []


def test_a_stop_that_closes_what_has_filled_ends_the_rest_of_the_entry() -> None:
    """Otherwise the rest would fill later, with no stop left to guard it."""
    thin = (100, 100, 100, 100, 20)
    venue = Venue([thin, thin, (94, 101, 90, 100, 90)], max_volume_fraction=D("0.1"))
    venue.walk()
    venue.submit(venue.limit(BUY, 100, 5, name="l"), venue.stop(SELL, 95, name="s"))
    venue.walk()
    assert told(venue.walk()) == [
        "s FILLED SELL 2 @ 94 fee 0.188",
        "l CANCELED POSITION_CLOSED",
    ]
