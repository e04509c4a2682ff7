"""What the venue refuses at the door, in the order in which it looks. The first thing wrong is the answer.

An order and what is attached to it come in together or not at all: no entry without the stop that was
sent with it. Prices are those of the moment; margin, position and price are checked again when the
order executes.
"""

from collections.abc import Sequence
from decimal import Decimal

from market.domain.data import from_milliseconds
from market.domain.enums import InstrumentStatus, OrderSide, OrderType, RejectCode, TriggerBasis
from market.domain.instruments import Instrument
from market.domain.numbers import ONE, ZERO, is_multiple
from market.domain.orders import Order
from market.venues.sim_venue.draft import Draft
from market.venues.sim_venue.matching import opening_cost
from market.venues.sim_venue.moments import Moment, Prices, QuoteMoment
from market.venues.sim_venue.path import would_fire
from market.venues.sim_venue.tape import slipped


def is_duplicate(draft: Draft, order: Order, attached: Sequence[Order]) -> bool:
    """True when an id of the submission is already known, or used twice in it."""
    ids = [order.client_order_id, *(child.client_order_id for child in attached)]
    return len(set(ids)) < len(ids) or any(draft.has_met(one) for one in ids)


def admit(
    draft: Draft, moment: Moment, order: Order, attached: Sequence[Order]
) -> tuple[RejectCode | None, Decimal]:
    """(why a submission is refused or None, the cash that the order keeps from others until it ends).
    Duplicate ids are looked for before."""
    instrument = draft.instruments.get(order.symbol)
    if instrument is None:
        return RejectCode.UNKNOWN_SYMBOL, ZERO
    code = (
        _status_refusal(instrument, order, moment)
        or _form_refusal(instrument, order)
        or _size_refusal(instrument, order)
        or _count_refusal(draft, instrument, 1 + len(attached))
    )
    if code is not None:
        return code, ZERO
    prices = moment.prices(order.symbol)
    if prices is None:
        return RejectCode.NO_PRICE, ZERO
    held = draft.quantity(order.symbol)
    closes = held != 0 and (held > 0) != (order.side is OrderSide.BUY)
    code = (
        _price_refusal(instrument, order, prices, prices)
        or _side_refusal(instrument, order, held, closes=closes)
        or (_attached_refusal(instrument, order, attached, prices, closes) if attached else None)
    )
    if code is not None:
        return code, ZERO
    notional = _expected_notional(draft, instrument, order, moment, prices)
    if notional < instrument.min_notional and not _closes_all(instrument, order, held, closes):
        return RejectCode.MIN_NOTIONAL, ZERO
    if closes:
        return None, ZERO
    if _is_too_large_for_leverage(instrument, order, notional):
        return RejectCode.LEVERAGE, ZERO
    needed = _cash_needed(draft, instrument, order, notional)
    if needed > draft.available() - draft.reserved():
        return RejectCode.INSUFFICIENT_MARGIN, ZERO
    return None, needed


def _status_refusal(instrument: Instrument, order: Order, moment: Moment) -> RejectCode | None:
    if instrument.status is InstrumentStatus.SUSPENDED:
        return RejectCode.NOT_TRADING
    if instrument.delisting_at is not None and instrument.delisting_at <= from_milliseconds(
        moment.at
    ):
        return RejectCode.NOT_TRADING
    if instrument.status is InstrumentStatus.REDUCE_ONLY and not order.reduce_only:
        return RejectCode.REDUCE_ONLY_MODE
    return None


def _form_refusal(instrument: Instrument, order: Order) -> RejectCode | None:
    """The prices that this type of order needs, on their steps; a basis the venue can watch."""
    if order.order_type is OrderType.LIMIT:
        if order.price is None or order.price <= 0:
            return RejectCode.PRICE_REQUIRED
        if not is_multiple(order.price, instrument.price_step):
            return RejectCode.PRICE_STEP
    elif order.order_type.is_conditional:
        if order.trigger_price is None or order.trigger_price <= 0:
            return RejectCode.TRIGGER_REQUIRED
        if not is_multiple(order.trigger_price, instrument.price_step):
            return RejectCode.PRICE_STEP
        if order.trigger_basis is None or order.trigger_basis not in instrument.trigger_bases:
            return RejectCode.TRIGGER_BASIS
    return None


def _size_refusal(instrument: Instrument, order: Order) -> RejectCode | None:
    """Quantity filters (orders sized in money meet theirs when they fill) and leverage."""
    is_market = order.order_type is not OrderType.LIMIT
    if order.quote_quantity is None:
        code = instrument.quantity_refusal(order.quantity, is_market=is_market)
        if code is not None:
            return code
    elif order.quote_quantity <= 0 or order.order_type is not OrderType.MARKET or order.reduce_only:
        return RejectCode.MIN_QUANTITY
    if not order.reduce_only and not ONE <= order.leverage <= instrument.max_leverage:
        return RejectCode.LEVERAGE
    return None


def _count_refusal(draft: Draft, instrument: Instrument, more: int) -> RejectCode | None:
    if instrument.max_open_orders is None:
        return None
    count = sum(held.order.symbol == instrument.symbol for held in draft.orders.values())
    return RejectCode.MAX_OPEN_ORDERS if count + more > instrument.max_open_orders else None


def _price_refusal(
    instrument: Instrument, order: Order, prices: Prices, market: Prices
) -> RejectCode | None:
    """A limit too far from mark, a trigger that its basis has already passed."""
    last, mark = prices
    if order.price is not None and instrument.price_band is not None:
        if abs(order.price - market[1]) > instrument.price_band * market[1]:
            return RejectCode.PRICE_BAND
    if order.order_type.is_conditional:
        price = mark if order.trigger_basis is TriggerBasis.MARK else last
        if would_fire(order, price):
            return RejectCode.TRIGGER_WOULD_FIRE
    return None


def _side_refusal(
    instrument: Instrument, order: Order, held: Decimal, *, closes: bool
) -> RejectCode | None:
    """What the position held forbids."""
    if order.reduce_only:
        return None if closes else RejectCode.REDUCE_ONLY_INCREASES
    if instrument.is_spot:
        is_short = order.side is OrderSide.SELL and order.quantity > max(held, ZERO)
        return RejectCode.SHORT_SPOT if is_short else None
    return RejectCode.FLIP if closes and order.quantity > abs(held) else None


def _attached_refusal(
    instrument: Instrument, order: Order, attached: Sequence[Order], prices: Prices, closes: bool
) -> RejectCode | None:
    """Attached orders protect what this order opens: other side, conditional, on the right side of where
    the entry would fill."""
    entry = order.price if order.price is not None else order.trigger_price
    for child in attached:
        if (
            closes
            or not child.reduce_only
            or child.symbol != order.symbol
            or child.side is order.side
        ):
            return RejectCode.REDUCE_ONLY_INCREASES
        if not child.order_type.is_conditional:
            return RejectCode.TRIGGER_REQUIRED
        code = _form_refusal(instrument, child) or _price_refusal(
            instrument, child, prices if entry is None else (entry, entry), prices
        )
        if code is not None:
            return code
    return None


def _is_too_large_for_leverage(instrument: Instrument, order: Order, notional: Decimal) -> bool:
    """True when the tier that this notional falls into allows less leverage."""
    if instrument.is_spot:
        return False
    allowed = instrument.tier(notional).max_leverage
    return allowed is not None and order.leverage > allowed


def _closes_all(instrument: Instrument, order: Order, held: Decimal, closes: bool) -> bool:
    """A perpetual may always be closed whole, however little is left of it."""
    return closes and not instrument.is_spot and order.quantity >= abs(held)


def _expected_notional(
    draft: Draft, instrument: Instrument, order: Order, moment: Moment, prices: Prices
) -> Decimal:
    """What an order would trade, fee not included."""
    if order.quote_quantity is not None:
        return order.quote_quantity / (ONE + instrument.taker_fee)
    price = _expected_price(draft, instrument, order, moment, prices)
    return order.quantity * instrument.contract_size * price


def _cash_needed(draft: Draft, instrument: Instrument, order: Order, notional: Decimal) -> Decimal:
    """Initial margin and taker fee; an open position's leverage does not change."""
    position = draft.positions.get(order.symbol)
    leverage = order.leverage if position is None else position.leverage
    return opening_cost(draft, notional, leverage, instrument.taker_fee, instrument)


def _expected_price(
    draft: Draft, instrument: Instrument, order: Order, moment: Moment, prices: Prices
) -> Decimal:
    """Where an order would fill: its limit, its trigger, else what a taker pays now."""
    if order.price is not None:
        return order.price
    if order.trigger_price is not None:
        return order.trigger_price
    if isinstance(moment, QuoteMoment):
        quote = moment.quotes[order.symbol]
        best = quote.ask if order.side is OrderSide.BUY else quote.bid
        return slipped(best, order.side, draft.settings.quote_slip, instrument.price_step)
    return slipped(prices[0], order.side, draft.settings.bar_slip, instrument.price_step)
