"""Step 3's other half: orders whose answer was lost are asked about, until their fate is known.

Nothing is sent again. Not found proves nothing by itself: an order may still be on its way. Only after
the time in which it could have arrived, and a second look-up, is it NEVER_ARRIVED; then whoever needed
it tries again with a new id.
"""

from datetime import datetime, timedelta

from bots.desk import Desk
from bots.domain.entries import Notice, NoticeKind
from market.domain.enums import OrderStatus
from market.domain.orders import RECEIVE_WINDOW, Order

CLOCK_ERROR = timedelta(seconds=5)
ARRIVAL_GRACE = RECEIVE_WINDOW + CLOCK_ERROR + timedelta(seconds=10)
LOOKUPS = 2
UNRESOLVED = frozenset({OrderStatus.SUBMITTED, OrderStatus.UNKNOWN})


def resolve_orders(desk: Desk, now: datetime) -> None:
    """Ask the venue about every order without an answer and book what it says. Raises VenueUnavailable."""
    for order in tuple(desk.ledger.book.open_orders.values()):
        if order.status in UNRESOLVED:
            _resolve(desk, order, now)


def _resolve(desk: Desk, order: Order, now: datetime) -> None:
    reports = desk.broker.lookup(order)
    if reports:
        desk.ledger.apply(reports, desk.instruments)
        return
    lookups = desk.ledger.count_lookup(order.client_order_id)
    if lookups < LOOKUPS or now - order.created_at < ARRIVAL_GRACE:
        return
    reason = f"the venue knew no such order in {lookups} look-ups"
    if order.status is OrderStatus.SUBMITTED:
        desk.ledger.move_order(order.client_order_id, OrderStatus.UNKNOWN, reason)
    desk.ledger.move_order(order.client_order_id, OrderStatus.NEVER_ARRIVED, reason)
    text = f"{order.purpose} {order.side} never arrived: {reason}"
    desk.ledger.notify(
        Notice(at=now, kind=NoticeKind.ORDER_NEVER_ARRIVED, symbol=order.symbol, text=text)
    )
