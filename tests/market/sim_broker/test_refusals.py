"""Everything the venue refuses, one row each, and no code without a row."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D
from typing import Any, NamedTuple

import pytest

from market.domain.data import OrderBook
from market.domain.enums import (
    InstrumentStatus,
    OrderPurpose,
    OrderSide,
    OrderStatus,
    OrderType,
    RejectCode,
    TimeInForce,
    TriggerBasis,
)
from market.domain.instruments import Instrument
from market.domain.orders import Order, VenueReport
from market.errors import OrderRefused
from tests.market.sim_broker.venue import (
    BUY,
    PERPETUAL,
    SELL,
    SPOT_COIN,
    START,
    SYMBOL,
    Venue,
    flat_rows,
    quote,
    told,
)

CLOSE: dict[str, Any] = {"reduce_only": True, "purpose": OrderPurpose.CLOSE}


class Row(NamedTuple):
    """What is refused, with which code, by which instrument, with what held, and how it is sent."""

    what: str
    code: RejectCode
    send: Callable[[Venue], Order | tuple[Order, ...]]
    instrument: Instrument = PERPETUAL
    held: int = 0


def narrow(**fields: Any) -> Instrument:
    return replace(PERPETUAL, **fields)


C = RejectCode
ROWS = [
    Row("a symbol of nobody", C.UNKNOWN_SYMBOL, lambda v: v.buy(symbol="X/USDT:USDT")),
    Row("a suspended instrument", C.NOT_TRADING, lambda v: v.buy(), narrow(status=InstrumentStatus.SUSPENDED)),
    Row("a delisted one", C.NOT_TRADING, lambda v: v.buy(), narrow(delisting_at=START)),
    Row("opening in reduce-only mode", C.REDUCE_ONLY_MODE, lambda v: v.buy(),
        narrow(status=InstrumentStatus.REDUCE_ONLY)),
    Row("a limit without a price", C.PRICE_REQUIRED, lambda v: v.order(BUY, OrderType.LIMIT)),
    Row("a limit at 0", C.PRICE_REQUIRED, lambda v: v.limit(BUY, 0)),
    Row("a stop without a trigger", C.TRIGGER_REQUIRED,
        lambda v: v.order(SELL, OrderType.STOP_MARKET, **CLOSE), held=1),
    Row("a stop at 0", C.TRIGGER_REQUIRED, lambda v: v.stop(SELL, 0), held=1),
    Row("half a tick", C.PRICE_STEP, lambda v: v.limit(BUY, "99.95")),
    Row("half a tick of a trigger", C.PRICE_STEP, lambda v: v.stop(SELL, "99.95"), held=1),
    Row("a stop without a basis", C.TRIGGER_BASIS, lambda v: v.stop(SELL, 90, basis=None), held=1),
    Row("a basis not watched", C.TRIGGER_BASIS, lambda v: v.stop(SELL, 90, basis=TriggerBasis.MARK),
        narrow(trigger_bases=frozenset({TriggerBasis.LAST})), held=1),
    Row("nothing", C.MIN_QUANTITY, lambda v: v.buy(0)),
    Row("less than the minimum", C.MIN_QUANTITY, lambda v: v.buy(1), narrow(min_quantity=D(2))),
    Row("money below zero", C.MIN_QUANTITY, lambda v: v.buy(0, quote_quantity=D(-5))),
    Row("a limit sized in money", C.MIN_QUANTITY, lambda v: v.limit(BUY, 90, 0, quote_quantity=D(50))),
    Row("a close sized in money", C.MIN_QUANTITY, lambda v: v.sell(0, quote_quantity=D(50), **CLOSE), held=1),
    Row("half a step", C.QUANTITY_STEP, lambda v: v.buy("1.0005")),
    Row("an absurd quantity", C.QUANTITY_STEP, lambda v: v.buy("1E+40")),
    Row("too much", C.MAX_QUANTITY, lambda v: v.limit(BUY, 90, 6), narrow(max_quantity=D(5))),
    Row("too much at once", C.MAX_QUANTITY, lambda v: v.buy(4), narrow(max_quantity=D(5), max_market_quantity=D(3))),
    Row("no leverage at all", C.LEVERAGE, lambda v: v.buy(leverage=D("0.5"))),
    Row("too much leverage", C.LEVERAGE, lambda v: v.buy(leverage=D(51))),
    Row("leverage that this size may not have", C.LEVERAGE, lambda v: v.buy(leverage=D(11)),
        narrow(margin_tiers=(replace(PERPETUAL.margin_tiers[0], max_leverage=D(10)),))),
    Row("leverage on spot", C.LEVERAGE, lambda v: v.buy(leverage=D(2)), SPOT_COIN),
    Row("one order too many", C.MAX_OPEN_ORDERS, lambda v: (v.buy(), v.stop(SELL, 90)), narrow(max_open_orders=1)),
    Row("a limit far from mark", C.PRICE_BAND, lambda v: v.limit(BUY, "89.9"), narrow(price_band=D("0.1"))),
    Row("a sell stop at the price", C.TRIGGER_WOULD_FIRE, lambda v: v.stop(SELL, 100), held=1),
    Row("a sell stop above", C.TRIGGER_WOULD_FIRE, lambda v: v.stop(SELL, 101), held=1),
    Row("a sell target below", C.TRIGGER_WOULD_FIRE, lambda v: v.target(SELL, 99), held=1),
    Row("a buy stop below", C.TRIGGER_WOULD_FIRE, lambda v: v.stop(BUY, 99), held=-1),
    Row("a buy target above", C.TRIGGER_WOULD_FIRE, lambda v: v.target(BUY, 101), held=-1),
    Row("an attached stop on the wrong side", C.TRIGGER_WOULD_FIRE, lambda v: (v.buy(), v.stop(SELL, 101))),
    Row("a stop above its limit entry", C.TRIGGER_WOULD_FIRE, lambda v: (v.limit(BUY, 90), v.stop(SELL, 95))),
    Row("a close of nothing", C.REDUCE_ONLY_INCREASES, lambda v: v.sell(**CLOSE)),
    Row("a close that increases", C.REDUCE_ONLY_INCREASES, lambda v: v.buy(**CLOSE), held=1),
    Row("a stop of nothing", C.REDUCE_ONLY_INCREASES, lambda v: v.stop(SELL, 90)),
    Row("a stop attached to a close", C.REDUCE_ONLY_INCREASES, lambda v: (v.sell(**CLOSE), v.stop(SELL, 90)), held=1),
    Row("a stop attached to a plain close", C.REDUCE_ONLY_INCREASES, lambda v: (v.sell(), v.stop(BUY, 110)), held=1),
    Row("an attached entry", C.REDUCE_ONLY_INCREASES, lambda v: (v.buy(), v.stop(BUY, 110, reduce_only=False))),
    Row("an attached order that is no trigger", C.TRIGGER_REQUIRED,
        lambda v: (v.buy(), v.limit(SELL, 110, reduce_only=True))),
    Row("a flip", C.FLIP, lambda v: v.sell(2), held=1),
    Row("a flip of a short", C.FLIP, lambda v: v.buy("1.001"), held=-1),
    Row("a short on spot", C.SHORT_SPOT, lambda v: v.sell(), SPOT_COIN),
    Row("more than there is on spot", C.SHORT_SPOT, lambda v: v.sell("1.5"), SPOT_COIN, held=1),
    Row("a morsel", C.MIN_NOTIONAL, lambda v: v.buy("0.049")),
    Row("a morsel of money", C.MIN_NOTIONAL, lambda v: v.buy(0, quote_quantity=D(5))),
    Row("a morsel of a close", C.MIN_NOTIONAL, lambda v: v.sell("0.049", **CLOSE), held=1),
    Row("more than the cash", C.INSUFFICIENT_MARGIN, lambda v: v.buy(101)),
    Row("more than the cash, fee included", C.INSUFFICIENT_MARGIN, lambda v: v.buy(100)),
]  # fmt: skip


def venue_with(held: int, instrument: Instrument, **settings: Any) -> Venue:
    """A position of `held` coins at 100, then the instrument of the row."""
    free = replace(SPOT_COIN if instrument.is_spot else PERPETUAL)
    venue = Venue(flat_rows(100, 9), instrument=free, **settings)
    venue.walk()
    if held:
        venue.submit((venue.buy if held > 0 else venue.sell)(abs(held), name="held"))
        venue.walk()
    venue.broker._instruments[instrument.symbol] = instrument
    return venue


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.what)
def test_refused(row: Row) -> None:
    venue = venue_with(row.held, row.instrument)
    before, sent = venue.state, row.send(venue)
    orders = sent if isinstance(sent, tuple) else (sent,)
    reports = venue.submit(*orders)
    assert [(r.client_order_id, r.status, r.reason) for r in reports] == [
        (order.client_order_id, OrderStatus.REJECTED, row.code) for order in orders
    ]
    after = venue.state
    assert (after.orders, after.positions, after.cash) == (
        before.orders,
        before.positions,
        before.cash,
    )
    assert told([venue.broker.fate_of(orders[0].client_order_id)])[0].endswith(
        f"REJECTED {row.code}"
    )


def duplicate() -> list[VenueReport]:
    venue = venue_with(0, PERPETUAL)
    venue.submit(venue.limit(BUY, 90, name="one"))
    return venue.submit(venue.buy(name="one"))


def unknown() -> list[VenueReport]:
    return list(venue_with(0, PERPETUAL).broker.cancel("nobody"))


def no_price() -> list[VenueReport]:
    venue = Venue(flat_rows(100, 1))
    return venue.submit(venue.buy())


def no_liquidity() -> list[VenueReport]:
    venue = Venue(flat_rows(100, 9), execute_on_quotes=True)
    venue.meet(quote(100, minute=1), books={SYMBOL: OrderBook(bids=(), asks=())})
    return venue.submit(venue.buy())


OTHERS = {
    C.DUPLICATE_CLIENT_ID: duplicate,
    C.UNKNOWN_ORDER: unknown,
    C.NO_PRICE: no_price,
    C.NO_LIQUIDITY: no_liquidity,
}


@pytest.mark.parametrize("code", OTHERS)
def test_refused_otherwise(code: RejectCode) -> None:
    assert OTHERS[code]()[-1].reason == code


def test_every_code_has_a_row() -> None:
    assert {row.code for row in ROWS} | set(OTHERS) == set(RejectCode)


# --- what is not refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "send", "instrument", "held"),
    [
        (
            "a full close below the minimum notional",
            lambda v: v.sell("0.04", **CLOSE),
            PERPETUAL,
            "0.04",
        ),
        (
            "a close in reduce-only mode",
            lambda v: v.sell(1, **CLOSE),
            narrow(status=InstrumentStatus.REDUCE_ONLY),
            1,
        ),
        (
            "a stop in reduce-only mode",
            lambda v: v.stop(SELL, 90),
            narrow(status=InstrumentStatus.REDUCE_ONLY),
            1,
        ),
        ("the last cent of cash", lambda v: v.buy("99.9"), PERPETUAL, 0),
        ("a limit at the band", lambda v: v.limit(BUY, 90), narrow(price_band=D("0.1")), 0),
    ],
)
def test_accepted(what, send, instrument, held) -> None:
    venue = venue_with(0, PERPETUAL)
    if held:
        venue.submit(venue.buy(1, name="held"))
        venue.walk()
        if D(held) < 1:
            venue.submit(venue.sell(1 - D(held), name="part", **CLOSE))
            venue.walk()
    venue.broker._instruments[SYMBOL] = instrument
    assert venue.submit(send(venue))[0].status is OrderStatus.ACCEPTED, what


def test_the_rest_of_the_cash_is_what_live_entries_leave() -> None:
    venue = venue_with(0, PERPETUAL)
    assert venue.submit(venue.limit(BUY, 90, 60))[0].status is OrderStatus.ACCEPTED  # 5,405.40
    assert venue.submit(venue.limit(BUY, 90, 60, name="no"))[0].reason == C.INSUFFICIENT_MARGIN
    assert venue.submit(venue.limit(BUY, 90, 50, name="yes"))[0].status is OrderStatus.ACCEPTED
    venue.broker.cancel("yes")
    assert venue.submit(venue.limit(BUY, 90, 51, name="again"))[0].status is OrderStatus.ACCEPTED


@pytest.mark.parametrize("held", ["live", "filled", "cancelled", "refused", "attached"])
def test_an_id_is_used_once_and_a_duplicate_leaves_its_bearer_alone(held: str) -> None:
    venue = venue_with(0, PERPETUAL)
    if held == "live":
        venue.submit(venue.limit(BUY, 90, name="x"))
    elif held == "filled":
        venue.submit(venue.buy(name="x"))
        venue.walk()
    elif held == "cancelled":
        venue.submit(venue.buy(name="x"))
        venue.broker.cancel("x")
    elif held == "refused":
        venue.submit(venue.buy(0, name="x"))
    else:
        venue.submit(venue.buy(name="y"), venue.stop(SELL, 90, name="x"))
    before = venue.state
    (answer,) = venue.submit(venue.buy(name="x"))
    assert (answer.status, answer.reason) == (None, C.DUPLICATE_CLIENT_ID)
    (answer,) = venue.submit(venue.buy(name="z"), venue.stop(SELL, 90, name="x"))
    assert (answer.client_order_id, answer.reason) == ("z", C.DUPLICATE_CLIENT_ID)
    assert venue.state == before


def test_two_of_one_name_in_one_submission() -> None:
    venue = venue_with(0, PERPETUAL)
    (answer,) = venue.submit(venue.buy(name="x"), venue.stop(SELL, 90, name="x"))
    assert answer.reason == C.DUPLICATE_CLIENT_ID


@pytest.mark.parametrize("amount", [0, -1, 9_991])
def test_margin_that_is_not_there_can_not_be_added(amount: int) -> None:
    venue = venue_with(1, PERPETUAL)
    with pytest.raises(OrderRefused, match="not available"):
        venue.broker.add_margin(SYMBOL, D(amount))
    with pytest.raises(OrderRefused, match="no position"):
        venue_with(0, PERPETUAL).broker.add_margin(SYMBOL, D(1))


@pytest.mark.parametrize("side", list(OrderSide))
def test_a_bar_without_prices_is_no_bar(side: OrderSide) -> None:
    """A 0 in the data is a missing price: nothing fills at it, nothing fires on it."""
    hole = (0, 0, 0, 0)
    venue = Venue([*flat_rows(100, 2), hole, hole, (101, 101, 101, 101)])
    venue.walk()
    venue.submit(venue.order(side, OrderType.MARKET, 1, name="in", leverage=D(10)))
    venue.walk()
    away = 90 if side is BUY else 110
    venue.submit(venue.stop(side.opposite, away, name="stop"))
    assert venue.walk() == []
    assert venue.submit(venue.limit(side, 100, name="no"))[0].reason == C.NO_PRICE
    venue.submit(venue.order(side.opposite, OrderType.MARKET, 1, name="no2", **CLOSE))
    assert venue.walk(2) == []
    assert list(venue.state.orders) == ["stop"]


def test_an_ioc_limit_rounds_trips_latency() -> None:
    venue = Venue(flat_rows(100, 9), latency=timedelta(seconds=90))
    venue.walk()
    venue.submit(venue.limit(BUY, 100, name="i", time_in_force=TimeInForce.IOC))
    assert told(venue.walk(3)) == ["i FILLED BUY 1 @ 100 fee 0.1"]
