"""Paper: orders meet live quotes and books at once; bars are walked after their time."""

from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from market.domain.data import BookLevel, OrderBook, to_milliseconds
from market.domain.enums import OrderPurpose, TimeInForce, TriggerBasis
from market.errors import VenueUnavailable
from market.venues.sim_venue.moments import Advance, Bar, BarMoment
from market.venues.sim_venue.settings import SimSettings
from market.venues.sim_venue.step import step
from tests.market.sim_broker.venue import (
    BUY,
    MINUTE,
    SELL,
    START,
    SYMBOL,
    Venue,
    flat_rows,
    quote,
    rates,
    series,
    told,
)

CLOSE: dict[str, Any] = {"reduce_only": True, "purpose": OrderPurpose.CLOSE}


def paper(rows=None, **settings) -> Venue:
    return Venue(rows or flat_rows(100, 10), execute_on_quotes=True, **settings)


def book(*levels: tuple[str, str]) -> OrderBook:
    """Asks at these (price, quantity), bids mirrored around 100."""
    return OrderBook(
        asks=tuple(BookLevel(price=D(price), quantity=D(quantity)) for price, quantity in levels),
        bids=tuple(
            BookLevel(price=200 - D(price), quantity=D(quantity)) for price, quantity in levels
        ),
    )


def test_a_market_order_takes_ask_and_bid_at_once() -> None:
    venue = paper()
    venue.meet(quote(100, minute=1.5, spread="0.4"))
    assert told(venue.submit(venue.buy(name="in"))) == [
        "in ACCEPTED",
        "in FILLED BUY 1 @ 100.2 fee 0.1002",
    ]
    assert (
        told(venue.submit(venue.sell(name="out", **CLOSE)))[1]
        == "out FILLED SELL 1 @ 99.8 fee 0.0998"
    )
    assert venue.reports[-1].at == START + timedelta(seconds=90)


def test_slippage_is_on_top_of_the_quote_and_the_spread_is_the_quotes_own() -> None:
    venue = paper(slippage_bps=D(10), spread_bps=D(500))
    venue.meet(quote(100, minute=1, spread="0.4"))
    assert venue.submit(venue.buy())[1].fill.price == D("100.4")  # 100.2 × 1.001 = 100.3002


def test_a_market_order_walks_the_book_one_fill_a_level() -> None:
    venue = paper()
    venue.meet(
        quote(100, minute=1), books={SYMBOL: book(("100.1", "1"), ("100.2", "2"), ("100.9", "5"))}
    )
    assert told(venue.submit(venue.buy(4, name="in"), venue.stop(SELL, 90, name="s"))) == [
        "in ACCEPTED",
        "s ACCEPTED",
        "in PARTIALLY_FILLED BUY 1 @ 100.1 fee 0.1001",
        "in PARTIALLY_FILLED BUY 2 @ 100.2 fee 0.2004",
        "in FILLED BUY 1 @ 100.9 fee 0.1009",
        "s ACCEPTED for 4",
    ]


def test_a_short_book_fills_in_part_and_an_empty_one_refuses() -> None:
    venue = paper()
    shallow = {SYMBOL: book(("100.1", "1"), ("100.2", "0.0004"))}
    venue.meet(quote(100, minute=1), books=shallow)
    assert told(venue.submit(venue.buy(4, name="in")))[1:] == [
        "in PARTIALLY_FILLED BUY 1 @ 100.1 fee 0.1001",
        "in EXPIRED NO_LIQUIDITY",
    ]
    venue.meet(quote(100, minute=2), books={SYMBOL: book()})
    assert told(venue.submit(venue.buy(4, name="no")))[1:] == ["no REJECTED NO_LIQUIDITY"]


def test_limits_take_the_levels_within_their_price_and_the_rest_rests_or_expires() -> None:
    venue = paper()
    venue.meet(
        quote(100, minute=1), books={SYMBOL: book(("100.1", "1"), ("100.2", "2"), ("100.9", "5"))}
    )
    assert told(
        venue.submit(venue.limit(BUY, "100.2", 4, name="i", time_in_force=TimeInForce.IOC))
    )[-1] == ("i EXPIRED NO_LIQUIDITY")
    venue.meet(quote(100, minute=2), books={SYMBOL: book(("100.1", "1"), ("100.9", "5"))})
    assert (
        told(venue.submit(venue.limit(BUY, "100.2", 4, name="l")))[-1]
        == "l PARTIALLY_FILLED BUY 1 @ 100.1 fee 0.1001"
    )
    assert venue.meet(quote("100.3", minute=2.5)) == []
    assert told(venue.meet(quote("100.1", minute=2.75))) == ["l FILLED BUY 3 @ 100.2 fee 0.1503"]


def test_money_buys_level_by_level() -> None:
    venue = paper()
    venue.meet(quote(100, minute=1), books={SYMBOL: book(("100", "1"), ("110", "9"))})
    reports = venue.submit(venue.buy(0, name="all", quote_quantity=D(500)))
    # 1 × 100 × 1.001 = 100.1; 399.9 ÷ 110.11 = 3.631…
    assert told(reports)[1:] == [
        "all PARTIALLY_FILLED BUY 1 @ 100 fee 0.1",
        "all FILLED BUY 3.631 @ 110 fee 0.39941",
    ]
    assert {report.quantity for report in reports[1:]} == {D("4.631")}


@pytest.mark.parametrize(
    ("basis", "last", "mark", "fires"),
    [
        (TriggerBasis.MARK, 100, 94, True),
        (TriggerBasis.MARK, 94, 100, False),
        (TriggerBasis.LAST, 94, 100, True),
        (TriggerBasis.LAST, 100, 94, False),
    ],
)
def test_a_quote_fires_triggers_on_their_basis(basis, last, mark, fires) -> None:
    venue = paper()
    venue.meet(quote(100, minute=1))
    venue.submit(venue.buy(name="in"), venue.stop(SELL, 95, name="stop", basis=basis))
    reports = venue.meet(quote(last, minute=1.25, mark=mark))
    assert bool(reports) == fires


def test_a_quote_past_liquidation_liquidates() -> None:
    venue = paper()
    venue.meet(quote(100, minute=1, spread="0"))
    venue.submit(venue.buy(name="in", leverage=D(10)), venue.stop(SELL, 89, name="stop"))
    assert told(venue.meet(quote(100, minute=1.25, mark=90))) == [
        "LIQUIDATION_FEE -0.18",
        "venue - SELL 1 @ 90 fee 0 LIQUIDATION",
        "stop CANCELED POSITION_CLOSED",
    ]


def test_latency_lets_the_next_quote_fill() -> None:
    venue = paper(latency=timedelta(seconds=2))
    venue.meet(quote(100, minute=1))
    assert told(venue.submit(venue.buy(name="in"))) == ["in ACCEPTED"]
    assert told(venue.meet(quote(102, minute=1.25, spread="0"))) == [
        "in FILLED BUY 1 @ 102 fee 0.102"
    ]


def test_on_paper_no_order_fills_at_an_open_before_it_arrived() -> None:
    rows = [*flat_rows(100), (90, 101, 90, 100), (95, 101, 95, 100), *flat_rows(100, 7)]
    venue = paper(rows, latency=timedelta(seconds=2))
    venue.meet(quote(100, minute=1.25))
    venue.submit(venue.buy(name="in"))
    assert told(venue.meet(quote(101, minute=2, spread="0"))) == ["in FILLED BUY 1 @ 101 fee 0.101"]
    one_bar = BarMoment(
        opened_at=to_milliseconds(START + MINUTE),
        timeframe=MINUTE,
        bars={SYMBOL: Bar(venue.bars[SYMBOL], 1)},
    )
    asleep = paper(rows, latency=timedelta(seconds=2))
    asleep.meet(quote(100, minute=1.25))
    asleep.submit(asleep.buy(name="in"))
    under_way = asleep.state
    assert (
        step(
            under_way, one_bar, Advance(), SimSettings(execute_on_quotes=True), asleep.instruments
        )[1]
        == ()
    )
    assert told(asleep.meet(quote(101, minute=9))) == ["in FILLED BUY 1 @ 95 fee 0.095"]


def test_what_one_stop_took_from_the_book_is_gone_for_the_next() -> None:
    venue = paper()
    venue.meet(quote(100, minute=1))
    venue.submit(venue.buy(4, name="in"))
    for name in ("a", "b"):
        venue.submit(venue.stop(SELL, 95, 2, name=name))
    levels = book(("106", "1.5"), ("107", "1"), ("108", "9"))
    said = told(venue.meet(quote(94, minute=1.25), books={SYMBOL: levels}))
    assert [line.partition(" fee")[0] for line in said] == [
        "a PARTIALLY_FILLED SELL 1.5 @ 94",
        "a FILLED SELL 0.5 @ 93",
        "b PARTIALLY_FILLED SELL 0.5 @ 93",
        "b FILLED SELL 1.5 @ 92",
    ]


def test_a_stop_older_than_the_bar_fires_on_its_path_and_changes_stay_in_order() -> None:
    venue = paper([*flat_rows(100), (100, 100, 90, 100), *flat_rows(100, 3)])
    venue.meet(quote(100, minute=0.5, spread="0"))
    venue.submit(venue.buy(name="in"), venue.stop(SELL, 95, name="stop"))
    venue.meet(quote(100, minute=1.25, spread="0"))
    venue.submit(venue.buy(name="more"))
    assert told(venue.meet(quote(100, minute=2))) == ["stop FILLED SELL 1 @ 95 fee 0.095"]
    times = [at for at, _ in venue.state.changes[SYMBOL]]
    assert times == sorted(times)


def test_a_bar_that_was_open_when_the_order_came_is_only_its_close() -> None:
    """The dip of minute 1 may have been before the entry at 1:15; its close was not."""
    rows = [*flat_rows(100), (100, 105, 90, 99), (99, 100, 94, 96)]
    venue = paper(rows)
    venue.meet(quote(100, minute=1.25))
    venue.submit(
        venue.buy(name="in"),
        venue.stop(SELL, 95, name="stop"),
        venue.target(SELL, 104, name="target"),
    )
    assert venue.meet(quote(99, minute=2)) == []
    assert told(venue.meet(quote(96, minute=3)))[0].startswith("stop FILLED SELL 1 @ 95")

    rows[1] = (100, 105, 90, 94)
    venue = paper(rows)
    venue.meet(quote(100, minute=1.25))
    venue.submit(venue.buy(name="in"), venue.stop(SELL, 95, name="stop"))
    assert told(venue.meet(quote(99, minute=2)))[0].startswith("stop FILLED SELL 1 @ 94")


def test_a_young_position_is_liquidated_on_the_close_of_its_bar_only() -> None:
    venue = paper([*flat_rows(100), (100, 105, 80, 99), (99, 100, 80, 96)])
    venue.meet(quote(100, minute=1.25, spread="0"))
    venue.submit(venue.buy(name="in", leverage=D(10)))
    assert venue.meet(quote(99, minute=2)) == []
    assert told(venue.meet(quote(96, minute=3)))[1] == "venue - SELL 1 @ 90 fee 0 LIQUIDATION"


def test_after_downtime_events_are_booked_at_the_minute_they_happened() -> None:
    rows = [*flat_rows(100, 3), *flat_rows(100, 120), (100, 100, 90, 100), *flat_rows(100, 60)]
    venue = paper(rows, funding=rates((60, "0.0001"), (180, "0.0001")))
    venue.meet(quote(100, minute=2, spread="0"))
    venue.submit(venue.buy(name="in"), venue.stop(SELL, 95, name="stop"))
    reports = venue.meet(quote(100, minute=184))
    assert told(reports) == [
        "funding -0.01 at 100 rate 0.0001",
        "stop FILLED SELL 1 @ 95 fee 0.095",
    ]
    assert reports[0].at == START + timedelta(minutes=60)
    assert reports[1].at == START + timedelta(minutes=124) - timedelta(milliseconds=1)


def test_funding_settled_before_a_close_is_booked_when_its_bar_comes() -> None:
    venue = paper(funding=rates((2, "0.0001")))
    venue.meet(quote(100, minute=1, spread="0"))
    venue.submit(venue.buy(name="in"))
    venue.meet(quote(100, minute=2.25, spread="0"))
    venue.submit(venue.sell(name="out", **CLOSE))
    assert told(venue.meet(quote(100, minute=3))) == ["funding -0.01 at 100 rate 0.0001"]
    assert venue.meet(quote(100, minute=4)) == []


def test_funding_settled_before_an_entry_is_not() -> None:
    venue = paper(funding=rates((2, "0.0001")))
    venue.meet(quote(100, minute=2.25, spread="0"))
    venue.submit(venue.buy(name="in"))
    assert venue.meet(quote(100, minute=3)) == []


def test_missing_minutes_under_a_position_are_not_guessed() -> None:
    venue = paper(flat_rows(100, 10))
    venue.meet(quote(100, minute=2))
    venue.submit(venue.buy(name="in"))
    venue.bars = {SYMBOL: series(flat_rows(100, 10), start=START + timedelta(minutes=3))}
    with pytest.raises(VenueUnavailable, match="unknown"):
        venue.meet(quote(100, minute=10))
    flat = paper(flat_rows(100, 10))
    flat.meet(quote(100, minute=2))
    flat.bars = venue.bars
    assert flat.meet(quote(100, minute=10)) == []


def test_a_symbol_without_a_quote_has_no_price() -> None:
    venue = paper()
    venue.walk()
    assert told(venue.submit(venue.buy(name="in"))) == ["in REJECTED NO_PRICE"]
    venue.meet(quote(0, minute=1, spread="0"))
    assert told(venue.submit(venue.buy(name="in2"))) == ["in2 REJECTED NO_PRICE"]
