"""The venue's state as plain JSON and back: what paper trading keeps in one row.

`from_mapping(to_mapping(state)) == state`, also through canonical bytes: lists keep the order of orders,
Decimals are text, instants of the venue milliseconds. Liquidation prices are computed anew.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from market.domain.canonical import canonical_value
from market.domain.enums import OrderStatus
from market.domain.instruments import Instrument
from market.domain.positions import liquidation_price
from market.domain.stored import order_from, position_from
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
    positions = {one["symbol"]: position_from(one) for one in raw["positions"]}
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
