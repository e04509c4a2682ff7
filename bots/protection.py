"""Step 9: make protection true. Every open position has its stop and target resting, and nothing else.

A new stop is placed before the old one is cancelled, so there is no naked moment. One that can't be
placed is tried again at once; then the position is flattened: a position without a live stop is an
emergency. A position that is being closed is closed again until it is flat.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from bots.desk import Desk
from bots.domain.book import Book
from bots.domain.bot import client_order_id
from bots.domain.entries import ExitPlan, Notice, NoticeKind
from bots.execution import (
    Outgoing,
    begin_closing,
    exit_orders,
    protection_order,
    write_and_send,
)
from bots.reconciliation import UNRESOLVED
from market.domain.enums import OrderPurpose, OrderSide, OrderStatus, RejectCode
from market.domain.evolve import evolve
from market.domain.instruments import Instrument
from market.domain.numbers import ceil_to_tick, floor_to_tick, plain
from market.domain.orders import Order
from market.domain.positions import Position, liquidation_price
from market.errors import VenueUnavailable
from risk.domain import OrderIntent, Requester

STOP_ATTEMPTS = 3
LONGEST_NAKED = timedelta(seconds=10)
DEFAULT_STOP_TO_LIQUIDATION = Decimal("0.9")


def protect(desk: Desk, now: datetime) -> None:
    """Bring the resting orders in line with the positions and their exit plans. Idempotent."""
    book = desk.ledger.book
    if not book.positions and not book.open_orders:
        return
    _cancel_leftovers(desk)
    for symbol in sorted(book.positions):
        _protect_position(desk, symbol, now)


def is_settled(book: Book, instruments: Mapping[str, Instrument]) -> bool:
    """True when `protect` would do nothing: a replay may jump, a mark only value, only then."""
    for symbol, position in book.positions.items():
        plan = book.plans.get(symbol)
        if plan is None:
            continue
        if plan.is_closing:
            if not _is_being_closed(book, symbol):
                return False
            continue
        for purpose, price in _wanted(plan):
            resting = _resting(book, symbol, purpose)
            if len(resting) != 1:
                return False
            if not _is_right(resting[0], position, price, instruments[symbol]):
                return False
    return not any(_is_leftover(order, book) for order in book.open_orders.values())


def _wanted(plan: ExitPlan) -> list[tuple[OrderPurpose, Decimal]]:
    pairs = ((OrderPurpose.STOP, plan.stop_price), (OrderPurpose.TARGET, plan.target_price))
    return [(purpose, price) for purpose, price in pairs if price is not None]


def _is_right(order: Order, position: Position, price: Decimal, instrument: Instrument) -> bool:
    if order.status in UNRESOLVED:
        return False
    wanted = instrument.round_price(price)
    return order.trigger_price == wanted and order.quantity == _sellable(position, instrument)


def _sellable(position: Position, instrument: Instrument) -> Decimal:
    """What an order can be made of: fees taken in coins leave quantities between two steps."""
    return instrument.round_quantity(abs(position.quantity))


def _is_being_closed(book: Book, symbol: str) -> bool:
    purposes = (OrderPurpose.CLOSE, book.plans[symbol].closing_as)
    return any(
        order.symbol == symbol and order.purpose in purposes for order in book.open_orders.values()
    )


def _protect_position(desk: Desk, symbol: str, now: datetime) -> None:
    book = desk.ledger.book
    position, plan = book.positions[symbol], book.plans.get(symbol)
    if plan is None:
        return
    if plan.is_closing:  # what rests goes on resting, and nothing new is placed
        _keep_closing(desk, symbol, now)
        return
    if plan.stop_price is not None:
        plan = _inside_liquidation(desk, position, plan, now)
    for purpose, price in _wanted(plan):
        book = desk.ledger.book
        if symbol in book.positions and not book.plans[symbol].is_closing:
            _ensure(desk, position, purpose, price, now)
    if symbol in desk.ledger.book.positions and desk.ledger.book.plans[symbol].is_closing:
        _keep_closing(desk, symbol, now)


def _inside_liquidation(desk: Desk, position: Position, plan: ExitPlan, now: datetime) -> ExitPlan:
    """After the fill the margin is known: a stop past liquidation is tightened, and said so."""
    instrument = desk.instruments[position.symbol]
    edge, entry = liquidation_price(position, instrument), position.entry_price(instrument)
    stop = plan.stop_price
    if edge is None or entry is None or stop is None:
        return plan
    is_long = position.quantity > 0
    if stop > edge if is_long else stop < edge:
        return plan
    fraction = desk.limits.stop_to_liquidation_fraction or DEFAULT_STOP_TO_LIQUIDATION
    inside = entry + (edge - entry) * fraction
    rounded = ceil_to_tick if is_long else floor_to_tick
    tightened = evolve(plan, stop_price=rounded(inside, instrument.price_step))
    desk.ledger.set_plan(position.symbol, tightened)
    text = (
        f"stop {plain(stop)} was past liquidation at {plain(instrument.round_price(edge))}: "
        f"moved to {tightened.stop_price}"
    )
    desk.ledger.notify(
        Notice(at=now, kind=NoticeKind.PROTECTION_TIGHTENED, symbol=position.symbol, text=text)
    )
    return tightened


def _ensure(
    desk: Desk, position: Position, purpose: OrderPurpose, price: Decimal, now: datetime
) -> None:
    instrument = desk.instruments[position.symbol]
    resting = _resting(desk.ledger.book, position.symbol, purpose)
    right = [order for order in resting if _is_right(order, position, price, instrument)]
    if not right:
        lost = [order for order in resting if order.status in UNRESOLVED]
        if lost:  # its fate is being asked for; a second one might double it
            if purpose is OrderPurpose.STOP and now - lost[0].created_at >= LONGEST_NAKED:
                _give_up(desk, position.symbol, purpose, price, "no answer", now)
            return
        placed = _place(desk, position, purpose, instrument.round_price(price), now)
        if not placed:
            return
        right = [placed]
    for order in resting:
        if order.client_order_id != right[0].client_order_id:
            cancel(desk, order)


def _place(
    desk: Desk, position: Position, purpose: OrderPurpose, price: Decimal, now: datetime
) -> Order | None:
    """Place a stop or target; a refused stop is tried again, then the position is flattened."""
    instrument = desk.instruments[position.symbol]
    side = OrderSide.SELL if position.quantity > 0 else OrderSide.BUY
    reason = ""
    for _ in range(STOP_ATTEMPTS if purpose is OrderPurpose.STOP else 1):
        order = protection_order(
            purpose,
            _next_id(desk, position, purpose),
            instrument,
            side,
            _sellable(position, instrument),
            price,
            position.leverage,
            now,
        )
        write_and_send(desk, (Outgoing(order=order),), now)
        sent = desk.ledger.find_order(order.client_order_id)
        if sent is None or sent.is_open or sent.status is OrderStatus.FILLED:
            return sent
        reason = sent.reason
        if reason == RejectCode.TRIGGER_WOULD_FIRE:
            break
    if purpose is OrderPurpose.STOP or reason == RejectCode.TRIGGER_WOULD_FIRE:
        _give_up(desk, position.symbol, purpose, price, reason, now)
    return None


def _give_up(
    desk: Desk, symbol: str, purpose: OrderPurpose, price: Decimal, reason: str, now: datetime
) -> None:
    """A position that can't be protected is closed."""
    text = f"the {purpose} at {plain(price)} can't rest ({reason}): the position is being closed"
    desk.ledger.notify(Notice(at=now, kind=NoticeKind.PROTECTION_FAILED, symbol=symbol, text=text))
    begin_closing(desk, symbol)


def _keep_closing(desk: Desk, symbol: str, now: datetime) -> None:
    """Send the next close of a position, unless one is still on its way."""
    book = desk.ledger.book
    position = book.positions.get(symbol)
    instrument = desk.instruments[symbol]
    if position is None or _is_being_closed(book, symbol):
        return
    if not _sellable(position, instrument):
        return
    intent = OrderIntent(
        symbol=symbol,
        purpose=book.plans[symbol].closing_as,
        side=position.side,
        quantity=_sellable(position, instrument),
        leverage=position.leverage,
        reference_price=position.entry_cost / abs(position.quantity),
        requester=Requester.PROTECTION,
    )
    origin, attempt = f"position:{symbol}:{position.opened_at}", 1
    while True:
        outgoing = tuple(exit_orders(intent, instrument, desk, f"{origin}:{attempt}", now))
        if desk.ledger.find_order(outgoing[0].order.client_order_id) is None:
            break
        attempt += 1
    write_and_send(desk, outgoing, now)


def _cancel_leftovers(desk: Desk) -> None:
    """Nothing of an earlier position may rest on a symbol."""
    book = desk.ledger.book
    for order in tuple(book.open_orders.values()):
        if _is_leftover(order, book):
            cancel(desk, order)


def _is_leftover(order: Order, book: Book) -> bool:
    """True for a stop or target of a position that is gone."""
    if not (order.reduce_only and order.is_open and order.purpose.is_protection):
        return False
    return order.symbol not in book.positions and order.parent_id not in book.open_orders


def cancel(desk: Desk, order: Order) -> None:
    """Cancel a resting order and book the answer; without one it rests still, and the next beat asks again."""
    try:
        reports = desk.broker.cancel(order.client_order_id)
    except VenueUnavailable:
        return
    desk.ledger.apply(reports, desk.instruments)


def _resting(book: Book, symbol: str, purpose: OrderPurpose) -> list[Order]:
    return [
        order
        for order in book.open_orders.values()
        if order.symbol == symbol and order.purpose is purpose and order.is_open
    ]


def _next_id(desk: Desk, position: Position, purpose: OrderPurpose) -> str:
    """The first id of this position's stop or target that was never written."""
    origin, attempt = f"position:{position.symbol}:{position.opened_at}", 1
    while True:
        order_id = client_order_id(desk.bot.id, origin, str(purpose), attempt)
        if desk.ledger.find_order(order_id) is None:
            return order_id
        attempt += 1
