"""How an order meets offers and becomes fills: what it may take, what it costs, what is left of it.

Every order is checked again here: between submission and execution the price, the position and the
cash may have moved. Refused with nothing filled is REJECTED, refused or out of depth after a fill is
EXPIRED: what filled stays filled.
"""

from collections.abc import Sequence
from decimal import Decimal

from market.domain.enums import (
    Liquidity,
    OrderSide,
    OrderStatus,
    OrderType,
    RejectCode,
    TimeInForce,
)
from market.domain.instruments import Instrument
from market.domain.numbers import ONE, ZERO, floor_to_step, quantize_cash
from market.domain.orders import OrderReport
from market.venues.sim_venue.draft import Draft
from market.venues.sim_venue.state import AT_THE_ENGINE, SimOrder, Stage
from market.venues.sim_venue.tape import Offer, Tape

Taken = tuple[Decimal, Decimal]
"""(price, quantity)."""


def enter(draft: Draft, held: SimOrder, tape: Tape, price: Decimal) -> None:
    """An order arrives at the matching engine while trades happen at `price`."""
    order = held.order
    if order.reduce_only and not _closes(draft.quantity(order.symbol), order.side):
        draft.end(held, OrderStatus.EXPIRED, tape.at, RejectCode.REDUCE_ONLY_INCREASES)
    elif order.order_type is OrderType.MARKET:
        offers = tape.offers(order.side, price)
        if offers or not tape.is_silent:  # else it waits for a bar with volume
            execute(draft, held, tape, offers, Liquidity.TAKER)
    elif order.order_type is OrderType.LIMIT:
        offers = tape.offers(order.side, price, order.price)
        if offers or order.time_in_force is TimeInForce.IOC:
            execute(draft, held, tape, offers, Liquidity.TAKER)
        else:
            rest(draft, held, tape)
    else:
        rest(draft, held, tape)


def rest(draft: Draft, held: SimOrder, tape: Tape) -> None:
    """Leave an order at the matching engine."""
    draft.put(_after(held, stage=Stage.RESTING, since=tape.since))


def execute(
    draft: Draft, held: SimOrder, tape: Tape, offers: Sequence[Offer], liquidity: Liquidity
) -> None:
    """Fill an order from the offers as far as they, the position and the cash allow."""
    order, instrument = held.order, tape.instrument
    quantity = draft.quantity(order.symbol)
    closes = _closes(quantity, order.side)
    if order.reduce_only and not closes:
        draft.end(held, OrderStatus.EXPIRED, tape.at, RejectCode.REDUCE_ONLY_INCREASES)
        return
    rate = instrument.maker_fee if liquidity is Liquidity.MAKER else instrument.taker_fee
    if order.quote_quantity is not None:
        taken, wanted = _take_money(order.quote_quantity, offers, instrument, rate)
        refusal = _money_refusal(taken, wanted, instrument)
    else:
        wanted = held.quantity - held.filled_quantity
        if order.reduce_only:
            wanted = min(wanted, instrument.round_quantity(abs(quantity)))
        taken = _take(wanted, offers)
        refusal = None if wanted else RejectCode.MIN_QUANTITY  # all that is left is dust
    if taken and refusal is None and not order.reduce_only:
        refusal = _refusal(draft, held, taken, instrument, rate, closes=closes)
    if refusal is not None:
        _refuse(draft, held, tape, refusal)
    else:
        _book(draft, held, tape, taken, wanted, rate, liquidity)


def _closes(quantity: Decimal, side: OrderSide) -> bool:
    return quantity != 0 and (quantity > 0) != (side is OrderSide.BUY)


def _take(wanted: Decimal, offers: Sequence[Offer]) -> list[Taken]:
    taken: list[Taken] = []
    for price, depth in offers:
        if wanted <= 0:
            break
        quantity = wanted if depth is None or depth > wanted else depth
        taken.append((price, quantity))
        wanted -= quantity
    return taken


def _take_money(
    money: Decimal, offers: Sequence[Offer], instrument: Instrument, rate: Decimal
) -> tuple[list[Taken], Decimal]:
    """(what is taken, what the money would buy): floor(money ÷ (price × contract_size × (1 + fee))) to
    the step at each level. They differ where depth is short."""
    taken: list[Taken] = []
    bought = wanted = ZERO
    for price, depth in offers:
        unit = price * instrument.contract_size * (ONE + rate)
        affordable = floor_to_step(money / unit, instrument.quantity_step)
        wanted = bought + affordable
        quantity = affordable if depth is None or depth > affordable else depth
        if quantity <= 0:
            break
        taken.append((price, quantity))
        bought += quantity
        money -= quantity * unit
    return taken, wanted


def _money_refusal(
    taken: Sequence[Taken], wanted: Decimal, instrument: Instrument
) -> RejectCode | None:
    """The filters that an order sized in money meets only when its quantity is known."""
    if not taken:
        return RejectCode.MIN_QUANTITY if wanted == 0 else None
    bought = ZERO
    for price, quantity in taken:
        bought += price * quantity
    if bought * instrument.contract_size < instrument.min_notional:
        return RejectCode.MIN_NOTIONAL
    return instrument.quantity_refusal(wanted, is_market=True)


def _refusal(
    draft: Draft,
    held: SimOrder,
    taken: Sequence[Taken],
    instrument: Instrument,
    rate: Decimal,
    *,
    closes: bool,
) -> RejectCode | None:
    """Why an order that is not reduce-only can't have what it would take."""
    symbol, side = held.order.symbol, held.order.side
    if closes:
        if sum((quantity for _, quantity in taken), ZERO) <= abs(draft.quantity(symbol)):
            return None
        return RejectCode.SHORT_SPOT if instrument.is_spot else RejectCode.FLIP
    if instrument.is_spot and side is OrderSide.SELL:
        return RejectCode.SHORT_SPOT
    position = draft.positions.get(symbol)
    leverage = held.order.leverage if position is None else position.leverage
    needed = ZERO
    for price, quantity in taken:
        notional = quantity * instrument.contract_size * price
        needed += opening_cost(draft, notional, leverage, rate, instrument)
    return RejectCode.INSUFFICIENT_MARGIN if needed > draft.available() else None


def opening_cost(
    draft: Draft, notional: Decimal, leverage: Decimal, rate: Decimal, instrument: Instrument
) -> Decimal:
    """Cash that opening takes: initial margin and fee; on spot the price, with a base fee inside it."""
    if instrument.is_spot:
        return (
            notional
            if draft.settings.spot_fee_in_base
            else notional + quantize_cash(notional * rate)
        )
    return quantize_cash(notional / leverage) + quantize_cash(notional * rate)


def _refuse(draft: Draft, held: SimOrder, tape: Tape, code: RejectCode) -> None:
    status = OrderStatus.EXPIRED if held.filled_quantity else OrderStatus.REJECTED
    draft.end(held, status, tape.at, code)


def _book(
    draft: Draft,
    held: SimOrder,
    tape: Tape,
    taken: Sequence[Taken],
    wanted: Decimal,
    rate: Decimal,
    liquidity: Liquidity,
) -> None:
    """Book the fills, restate the quantity, and let the rest live or end."""
    order, instrument = held.order, tape.instrument
    filled = held.filled_quantity
    total = filled + wanted
    restated = None if total == order.quantity else total
    before = draft.quantity(order.symbol)
    for price, quantity in taken:
        fill = draft.trade(
            instrument,
            client_order_id=order.client_order_id,
            side=order.side,
            quantity=quantity,
            price=price,
            rate=rate,
            liquidity=liquidity,
            leverage=order.leverage,
            at=tape.at,
            since=tape.since,
        )
        tape.take(quantity)
        filled += quantity
        draft.reports.append(
            OrderReport(
                at=tape.at,
                symbol=order.symbol,
                client_order_id=order.client_order_id,
                status=OrderStatus.FILLED if filled == total else OrderStatus.PARTIALLY_FILLED,
                fill=fill,
                quantity=restated,
                venue_order_id=held.venue_order_id,
            )
        )
    held = _after(held, stage=held.stage, since=held.since, quantity=total, filled=filled)
    if held.children and taken:
        _grow_children(draft, held, tape)
    if filled == total:
        draft.retire(held, OrderStatus.FILLED, tape.at)
    else:
        _keep_or_expire(draft, held, tape)
    if before and taken:
        clear_if_flat(draft, tape, taken[-1][0])


def _keep_or_expire(draft: Draft, held: SimOrder, tape: Tape) -> None:
    """What becomes of an order that depth left unfilled: a fired trigger works on, a GTC limit rests,
    everything else ends here."""
    order = held.order
    if order.order_type.is_conditional:
        draft.put(_after(held, stage=Stage.TRIGGERED, since=held.since))
    elif order.order_type is OrderType.LIMIT and order.time_in_force is TimeInForce.GTC:
        since = held.since if held.stage is Stage.RESTING else tape.since
        draft.put(_after(held, stage=Stage.RESTING, since=since))
    elif order.order_type is OrderType.MARKET and not held.filled_quantity:
        draft.end(held, OrderStatus.REJECTED, tape.at, RejectCode.NO_LIQUIDITY)
    else:
        draft.end(held, OrderStatus.EXPIRED, tape.at, RejectCode.NO_LIQUIDITY)


def _grow_children(draft: Draft, parent: SimOrder, tape: Tape) -> None:
    """Attached protection covers what has filled so far: it comes alive, or grows."""
    quantity = draft.quantity(parent.order.symbol)
    held_now = abs(quantity)
    for child_id in parent.children:
        child = draft.orders.get(child_id)
        if child is None or not _closes(quantity, child.order.side):
            continue
        covered = tape.instrument.round_quantity(
            min(parent.filled_quantity, held_now + child.filled_quantity)
        )
        if (covered <= child.quantity and child.stage is not Stage.INACTIVE) or covered <= 0:
            continue
        is_new = child.stage is Stage.INACTIVE
        grown = _after(
            child,
            stage=Stage.RESTING if is_new else child.stage,
            since=tape.since if is_new else child.since,
            quantity=covered,
        )
        draft.put(grown)
        draft.tell(grown, tape.at, grown.status, quantity=covered)


def clear_if_flat(draft: Draft, tape: Tape, price: Decimal) -> None:
    """When nothing is held any more, nothing that could only reduce it rests: the venue cancels it, and
    the unfilled rest of an entry whose protection has gone. Unsellable dust on spot counts as nothing."""
    instrument = tape.instrument
    quantity = draft.quantity(instrument.symbol)
    if quantity and not (instrument.is_spot and instrument.is_dust(quantity, price)):
        return
    for held in tuple(draft.orders.values()):
        if held.order.symbol != instrument.symbol or held.stage not in AT_THE_ENGINE:
            continue
        if held.order.reduce_only or (held.children and held.filled_quantity):
            draft.end(held, OrderStatus.CANCELED, tape.at, "POSITION_CLOSED")


def _after(
    held: SimOrder,
    *,
    stage: Stage,
    since: int,
    quantity: Decimal | None = None,
    filled: Decimal | None = None,
) -> SimOrder:
    """The order a step later (`dataclasses.replace` costs several times as much)."""
    return SimOrder(
        order=held.order,
        venue_order_id=held.venue_order_id,
        stage=stage,
        since=since,
        quantity=held.quantity if quantity is None else quantity,
        filled_quantity=held.filled_quantity if filled is None else filled,
        reserved=held.reserved,
        children=held.children,
    )


def triggered(held: SimOrder) -> SimOrder:
    """The order once its trigger has fired and nothing could be traded."""
    return _after(held, stage=Stage.TRIGGERED, since=held.since)
