"""Tables: bars without volume, bars with too little of it."""

from decimal import Decimal as D
from typing import Any

import pytest

from market.domain.enums import OrderPurpose, TimeInForce
from market.venues.sim_venue.settings import VolumeUnit
from tests.market.sim_broker.venue import BUY, SELL, Venue, flat_rows, told

CLOSE: dict[str, Any] = {"reduce_only": True, "purpose": OrderPurpose.CLOSE}


def test_a_bar_without_volume_fills_nothing_but_triggers() -> None:
    venue = Venue([*flat_rows(100, 2), (94, 96, 93, 95, 0), (94, 96, 92, 95, 0), (91, 93, 90, 92)])
    venue.walk()
    venue.submit(
        venue.buy(name="in"),
        venue.stop(SELL, 95, name="stop"),
        venue.target(SELL, 110, name="target"),
    )
    venue.walk()
    assert told(venue.walk()) == ["stop TRIGGERED"]
    assert venue.walk() == []
    assert told(venue.walk()) == [
        "stop FILLED SELL 1 @ 91 fee 0.091",
        "target CANCELED POSITION_CLOSED",
    ]


def test_market_orders_wait_for_volume_limits_do_not_fill_and_ioc_expires() -> None:
    silent = (100, 110, 90, 100, 0)
    venue = Venue([(100, 100, 100, 100), silent, silent, (103, 103, 103, 103)])
    venue.walk()
    venue.submit(venue.buy(name="m"))
    venue.submit(venue.limit(BUY, 95, name="l"))
    venue.submit(venue.limit(BUY, 105, name="i", time_in_force=TimeInForce.IOC))
    assert told(venue.walk()) == ["i EXPIRED NO_LIQUIDITY"]
    assert venue.walk() == []
    assert told(venue.walk()) == ["m FILLED BUY 1 @ 103 fee 0.103"]
    assert list(venue.state.orders) == ["l"]


@pytest.mark.parametrize(("unit", "volume"), [(VolumeUnit.BASE, 20), (VolumeUnit.QUOTE, 2000)])
def test_short_depth_fills_in_part(unit, volume) -> None:
    """A tenth of 20 coins is 2: market rests expire, limits rest on, triggers work on."""
    bar = (100, 100, 100, 100, volume)
    deep = (100, 100, 100, 100, volume * 100)
    venue = Venue(
        [bar, bar, bar, bar, deep], max_volume_fraction=D("0.1"), volume_unit=unit, cash=100_000
    )
    venue.walk()
    venue.submit(venue.buy(5, name="m"), venue.stop(SELL, 90, name="s"))
    assert told(venue.walk()) == [
        "m PARTIALLY_FILLED BUY 2 @ 100 fee 0.2",
        "s ACCEPTED for 2",
        "m EXPIRED NO_LIQUIDITY",
    ]
    venue.submit(venue.limit(BUY, 100, 3, name="l"), venue.target(SELL, 120, name="t"))
    assert told(venue.walk()) == [
        "l PARTIALLY_FILLED BUY 2 @ 100 fee 0.2",
        "t ACCEPTED for 2",
    ]
    assert told(venue.walk()) == [
        "l FILLED BUY 1 @ 100 fee 0.05",
        "t ACCEPTED for 3",
    ]
    assert venue.state.positions[venue.symbol].quantity == 5


def test_a_fired_stop_works_on_until_it_is_filled() -> None:
    venue = Venue(
        [
            (100, 100, 100, 100, 90),
            (100, 100, 100, 100, 90),
            (90, 90, 90, 90, 20),
            (80, 80, 80, 80, 20),
            (70, 70, 70, 70, 90),
        ],
        max_volume_fraction=D("0.1"),
    )
    venue.walk()
    venue.submit(venue.buy(5, name="in"), venue.stop(SELL, 95, name="stop"))
    venue.walk()
    said = [line.partition(" fee")[0] for line in told(venue.walk(3))]
    assert said == [
        "stop PARTIALLY_FILLED SELL 2 @ 90",
        "stop PARTIALLY_FILLED SELL 2 @ 80",
        "stop FILLED SELL 1 @ 70",
    ]


def test_what_one_order_took_is_gone_for_the_next() -> None:
    bar = (100, 100, 100, 100, 30)
    venue = Venue([bar, bar], max_volume_fraction=D("0.1"))
    venue.walk()
    venue.submit(venue.buy(2, name="a"))
    venue.submit(venue.buy(2, name="b"))
    venue.submit(venue.buy(2, name="c"))
    assert [line.partition(" fee")[0] for line in told(venue.walk())] == [
        "a FILLED BUY 2 @ 100",
        "b PARTIALLY_FILLED BUY 1 @ 100",
        "b EXPIRED NO_LIQUIDITY",
        "c REJECTED NO_LIQUIDITY",
    ]
