"""Values of the venue read back from their canonical mappings: what stored states of brokers and books share.

It reads; writing is `canonical_value`. Raises KeyError, ValueError, TypeError or ArithmeticError for what is
no such mapping: whoever stores a state says so in a sentence.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from market.domain.enums import (
    OrderPurpose,
    OrderSide,
    OrderStatus,
    OrderType,
    TimeInForce,
    TriggerBasis,
)
from market.domain.orders import Order
from market.domain.positions import Position

Plain = Mapping[str, Any]


def decimal_or_none(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def instant_or_none(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


def position_from(raw: Plain) -> Position:
    """A position from its canonical mapping."""
    return Position(
        symbol=raw["symbol"],
        quantity=Decimal(raw["quantity"]),
        entry_cost=Decimal(raw["entry_cost"]),
        margin=Decimal(raw["margin"]),
        leverage=Decimal(raw["leverage"]),
        opened_at=instant_or_none(raw["opened_at"]),
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
        quote_quantity=decimal_or_none(raw["quote_quantity"]),
        price=decimal_or_none(raw["price"]),
        trigger_price=decimal_or_none(raw["trigger_price"]),
        trigger_basis=None if basis is None else TriggerBasis(basis),
        time_in_force=TimeInForce(raw["time_in_force"]),
        reduce_only=raw["reduce_only"],
        leverage=Decimal(raw["leverage"]),
        parent_id=raw["parent_id"],
        stop_price=decimal_or_none(raw["stop_price"]),
        target_price=decimal_or_none(raw["target_price"]),
        note=raw["note"],
        created_at=datetime.fromisoformat(raw["created_at"]),
        status=OrderStatus(raw["status"]),
        filled_quantity=Decimal(raw["filled_quantity"]),
        filled_notional=Decimal(raw["filled_notional"]),
        venue_order_id=raw["venue_order_id"],
        reason=raw["reason"],
    )
