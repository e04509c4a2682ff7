"""Orders, what a venue reports of them, and the only legal ways their status may move.

`filled_quantity` is the sum of fills, never read off a status: a CANCELED or EXPIRED order may still
be filled late (the venue wins), and one that expired half filled is a fill.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from market.domain.enums import (
    FillReason,
    Liquidity,
    OrderPurpose,
    OrderSide,
    OrderStatus,
    OrderType,
    TimeInForce,
    TriggerBasis,
)
from market.domain.evolve import evolve
from market.domain.numbers import ZERO

S = OrderStatus

TRANSITIONS: Final[dict[OrderStatus, frozenset[OrderStatus]]] = {
    S.INITIALIZED: frozenset({S.DENIED, S.SUBMITTED, S.CANCELED}),
    S.DENIED: frozenset(),
    S.SUBMITTED: frozenset(
        {S.UNKNOWN, S.ACCEPTED, S.TRIGGERED, S.PARTIALLY_FILLED, S.FILLED, S.CANCELED, S.REJECTED, S.EXPIRED,
         S.PENDING_CANCEL}
    ),
    S.UNKNOWN: frozenset(
        {S.ACCEPTED, S.TRIGGERED, S.PARTIALLY_FILLED, S.FILLED, S.CANCELED, S.REJECTED, S.EXPIRED, S.NEVER_ARRIVED}
    ),
    S.ACCEPTED: frozenset(
        {S.TRIGGERED, S.PENDING_CANCEL, S.PARTIALLY_FILLED, S.FILLED, S.CANCELED, S.EXPIRED, S.REJECTED}
    ),
    S.TRIGGERED: frozenset(
        {S.PENDING_CANCEL, S.PARTIALLY_FILLED, S.FILLED, S.CANCELED, S.EXPIRED, S.REJECTED}
    ),
    S.PENDING_CANCEL: frozenset(
        {S.ACCEPTED, S.TRIGGERED, S.PARTIALLY_FILLED, S.FILLED, S.CANCELED, S.EXPIRED, S.UNKNOWN}
    ),
    S.PARTIALLY_FILLED: frozenset({S.PARTIALLY_FILLED, S.PENDING_CANCEL, S.FILLED, S.CANCELED, S.EXPIRED}),
    S.FILLED: frozenset(),
    S.CANCELED: frozenset({S.PARTIALLY_FILLED, S.FILLED}),
    S.REJECTED: frozenset(),
    S.EXPIRED: frozenset({S.PARTIALLY_FILLED, S.FILLED}),
    S.NEVER_ARRIVED: frozenset(
        {S.ACCEPTED, S.TRIGGERED, S.PARTIALLY_FILLED, S.FILLED, S.CANCELED, S.REJECTED, S.EXPIRED}
    ),
}  # fmt: skip
"""From → to. CANCELED and EXPIRED may still fill, NEVER_ARRIVED is a judgement of ours: the venue wins, an
alert leaves, protection follows."""

OPEN_STATUSES: Final = frozenset(
    {S.SUBMITTED, S.UNKNOWN, S.ACCEPTED, S.TRIGGERED, S.PENDING_CANCEL, S.PARTIALLY_FILLED}
)
"""Statuses in which an order may still rest or arrive at the venue, so it counts as exposure."""


RECEIVE_WINDOW: Final = timedelta(seconds=5)
"""How long after it was made an order may reach its venue. What was not known there later than this, and
was looked up, can't come any more."""


class IllegalTransition(ValueError):
    """A status moved in a way the table does not allow."""


class OverFilled(ValueError):
    """More was filled than was ordered."""


def check_transition(before: OrderStatus, after: OrderStatus) -> None:
    """Raise IllegalTransition unless the table allows before → after."""
    if after not in TRANSITIONS[before]:
        raise IllegalTransition(f"an order can't go from {before} to {after}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order. `client_order_id` is ours and exists before anything is sent.

    `quantity` in contracts. A MARKET order may be sized in money instead: `quote_quantity` is what may
    be spent, fee included, and the venue states the quantity when it fills (as venues' quote-sized
    orders do). `trigger_price` and `trigger_basis` belong to conditional orders, `price` to limits.
    `parent_id` names the entry that a stop or target was attached to. An entry carries its own exit plan
    (`stop_price`, `target_price`, and in `note` what its sender said would prove it wrong), so that even
    a fill that comes late knows where to be protected.
    """

    client_order_id: str
    symbol: str
    side: OrderSide
    order_type: OrderType
    purpose: OrderPurpose
    quantity: Decimal
    quote_quantity: Decimal | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    trigger_basis: TriggerBasis | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    reduce_only: bool = False
    leverage: Decimal = Decimal(1)
    parent_id: str | None = None
    stop_price: Decimal | None = None
    target_price: Decimal | None = None
    note: str = ""
    created_at: datetime
    status: OrderStatus = OrderStatus.INITIALIZED
    filled_quantity: Decimal = ZERO
    filled_notional: Decimal = ZERO
    venue_order_id: str | None = None
    reason: str = ""

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_STATUSES

    @property
    def remaining_quantity(self) -> Decimal:
        return self.quantity - self.filled_quantity

    @property
    def average_price(self) -> Decimal | None:
        """Mean fill price, or None before the first fill. Derived: the fills are the truth."""
        return self.filled_notional / self.filled_quantity if self.filled_quantity else None

    def moved(self, status: OrderStatus, *, reason: str = "") -> "Order":
        """The order in a new status. Raises IllegalTransition. The same status again changes nothing."""
        if status is self.status and status is not OrderStatus.PARTIALLY_FILLED:
            return self
        check_transition(self.status, status)
        return evolve(self, status=status, reason=reason or self.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One trade of ours at the venue, unique on (account, symbol, venue_trade_id).

    `fee` > 0 is paid, < 0 a rebate, in `fee_currency`. `client_order_id` is None for exits that the
    venue made by itself (`reason` says which).
    """

    venue_trade_id: str
    client_order_id: str | None
    symbol: str
    side: OrderSide
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: str
    liquidity: Liquidity = Liquidity.TAKER
    at: datetime
    reason: FillReason = FillReason.ORDER


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """What the venue says happened to an order: a new status, a fill, or both.

    `quantity` restates the order's quantity where the venue determined it (quote-sized orders, grown
    protection). A fill that no order of ours made has `client_order_id` None.
    """

    at: datetime
    symbol: str
    client_order_id: str | None
    status: OrderStatus | None = None
    fill: Fill | None = None
    quantity: Decimal | None = None
    venue_order_id: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingPayment:
    """Funding booked on a position: amount > 0 received, < 0 paid. Unique on (account, symbol, at)."""

    at: datetime
    symbol: str
    amount: Decimal
    rate: Decimal
    mark_price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """Money moved by the venue for a reason that is no trade: liquidation fee, rebate, dust, insurance.
    Amount > 0 received. Unique on `key`."""

    at: datetime
    symbol: str
    amount: Decimal
    kind: str
    key: str


VenueReport = OrderReport | FundingPayment | Adjustment


def apply_order_report(order: Order, report: OrderReport) -> Order:
    """Fold one report into the order. Raises IllegalTransition when the status may not move that way,
    OverFilled
    when a fill exceeds what was ordered, ValueError when the report is of another order."""
    if report.client_order_id != order.client_order_id:
        raise ValueError(
            f"a report of {report.client_order_id} does not belong to {order.client_order_id}"
        )
    quantity = order.quantity if report.quantity is None else report.quantity
    filled, notional = order.filled_quantity, order.filled_notional
    if report.fill is not None:
        filled += report.fill.quantity
        notional += report.fill.quantity * report.fill.price
    status = order.status if report.status is None else report.status
    if report.status is None and report.fill is not None:
        status = OrderStatus.FILLED if filled >= quantity else OrderStatus.PARTIALLY_FILLED
    if filled > quantity:
        raise OverFilled(f"{order.client_order_id}: filled {filled} of {quantity}")
    if status is not order.status:
        check_transition(order.status, status)
    return evolve(
        order,
        status=status,
        quantity=quantity,
        filled_quantity=filled,
        filled_notional=notional,
        venue_order_id=report.venue_order_id or order.venue_order_id,
        reason=report.reason or order.reason,
    )
