"""The venue's state as plain JSON and back: what paper trading keeps in one row.

`from_mapping(to_mapping(state)) == state`, also through canonical bytes: lists keep the order of orders,
Decimals are text, instants of the venue milliseconds. Liquidation prices are computed anew.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from market.domain.canonical import canonical_value
from market.domain.enums import (
    OrderPurpose,
    OrderSide,
    OrderStatus,
    OrderType,
    TimeInForce,
    TriggerBasis,
)
from market.domain.instruments import Instrument
from market.domain.orders import Order
from market.domain.positions import Position, liquidation_price
from market.venues.sim_venue.state import EndedOrder, EndedOrders, SimOrder, SimState, Stage

FORMAT = 1

Plain = Mapping[str, Any]


class StoredStateError(ValueError):
    """A stored state can't be read; the message says what is wrong with it."""


def to_mapping(state: SimState) -> dict[str, object]:
    """The state in JSON's own types."""
    return {
        "format": FORMAT,
        "cash": canonical_value(state.cash),
        "positions": [canonical_value(position) for position in state.positions.values()],
        "orders": [canonical_value(held) for held in state.orders.values()],
        "ended": [[one, canonical_value(ended)] for one, ended in state.ended.items()],
        "changes": canonical_value(state.changes),
        "funding_until": dict(state.funding_until),
        "processed_until": dict(state.processed_until),
        "next_trade": state.next_trade,
        "next_order": state.next_order,
    }


def from_mapping(raw: Plain, instruments: Mapping[str, Instrument]) -> SimState:
    """The state that `to_mapping` wrote. Raises StoredStateError for another format, a missing or
    malformed field, or a position in an instrument that is not there."""
    if raw.get("format") != FORMAT:
        raise StoredStateError(f"a stored venue of format {raw.get('format')!r}, not {FORMAT}")
    try:
        return _state(raw, instruments)
    except (KeyError, ValueError, TypeError, ArithmeticError) as error:
        raise StoredStateError(f"a stored venue can't be read: {error!r}") from error


def _state(raw: Plain, instruments: Mapping[str, Instrument]) -> SimState:
    positions = {one["symbol"]: _position(one) for one in raw["positions"]}
    prices = {
        symbol: liquidation_price(position, instruments[symbol])
        for symbol, position in positions.items()
    }
    ended = EndedOrders()
    for client_order_id, one in raw["ended"]:
        ended = ended.adding(client_order_id, _ended(one))
    return SimState(
        cash=Decimal(raw["cash"]),
        positions=positions,
        orders={one["order"]["client_order_id"]: _held(one) for one in raw["orders"]},
        ended=ended,
        liquidation_prices={symbol: price for symbol, price in prices.items() if price is not None},
        changes={
            symbol: tuple((int(at), Decimal(quantity)) for at, quantity in changes)
            for symbol, changes in raw["changes"].items()
        },
        funding_until={symbol: int(at) for symbol, at in raw["funding_until"].items()},
        processed_until={symbol: int(at) for symbol, at in raw["processed_until"].items()},
        next_trade=int(raw["next_trade"]),
        next_order=int(raw["next_order"]),
    )


def _decimal(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def _position(raw: Plain) -> Position:
    return Position(
        symbol=raw["symbol"],
        quantity=Decimal(raw["quantity"]),
        entry_cost=Decimal(raw["entry_cost"]),
        margin=Decimal(raw["margin"]),
        leverage=Decimal(raw["leverage"]),
        opened_at=None if raw["opened_at"] is None else datetime.fromisoformat(raw["opened_at"]),
    )


def _held(raw: Plain) -> SimOrder:
    return SimOrder(
        order=order_from(raw["order"]),
        venue_order_id=raw["venue_order_id"],
        stage=Stage(raw["stage"]),
        since=int(raw["since"]),
        quantity=Decimal(raw["quantity"]),
        filled_quantity=Decimal(raw["filled_quantity"]),
        reserved=Decimal(raw["reserved"]),
        children=tuple(raw["children"]),
    )


def _ended(raw: Plain) -> EndedOrder:
    return EndedOrder(
        symbol=raw["symbol"],
        status=OrderStatus(raw["status"]),
        quantity=Decimal(raw["quantity"]),
        filled_quantity=Decimal(raw["filled_quantity"]),
        at=int(raw["at"]),
        venue_order_id=raw["venue_order_id"],
        reason=raw["reason"],
    )


def order_from(raw: Plain) -> Order:
    """An order from its canonical mapping."""
    basis = raw["trigger_basis"]
    return Order(
        client_order_id=raw["client_order_id"],
        symbol=raw["symbol"],
        side=OrderSide(raw["side"]),
        order_type=OrderType(raw["order_type"]),
        purpose=OrderPurpose(raw["purpose"]),
        quantity=Decimal(raw["quantity"]),
        quote_quantity=_decimal(raw["quote_quantity"]),
        price=_decimal(raw["price"]),
        trigger_price=_decimal(raw["trigger_price"]),
        trigger_basis=None if basis is None else TriggerBasis(basis),
        time_in_force=TimeInForce(raw["time_in_force"]),
        reduce_only=raw["reduce_only"],
        leverage=Decimal(raw["leverage"]),
        parent_id=raw["parent_id"],
        stop_price=_decimal(raw["stop_price"]),
        target_price=_decimal(raw["target_price"]),
        note=raw["note"],
        created_at=datetime.fromisoformat(raw["created_at"]),
        status=OrderStatus(raw["status"]),
        filled_quantity=Decimal(raw["filled_quantity"]),
        filled_notional=Decimal(raw["filled_notional"]),
        venue_order_id=raw["venue_order_id"],
        reason=raw["reason"],
    )
