"""Step 8: from rulings to orders, and each order sent once. Written, claimed, then spoken, closes first.

An answer that does not come makes the order UNKNOWN; it is never sent again, only asked about.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from bots.desk import Desk
from bots.domain.bot import client_order_id
from bots.domain.entries import ExitPlan, Notice, NoticeKind
from market.domain.enums import (
    OrderPurpose,
    OrderSide,
    OrderStatus,
    OrderType,
    PositionSide,
    TimeInForce,
    TriggerBasis,
)
from market.domain.evolve import evolve
from market.domain.instruments import Instrument
from market.domain.numbers import BASIS_POINT, ONE, ceil_to_tick, floor_to_tick
from market.domain.orders import Order, OrderReport
from market.errors import OrderRefused, VenueUnavailable
from risk.domain import OrderIntent, ProtectionIntent, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One order to send, with the stop and target that must live from its first fill."""

    order: Order
    attached: tuple[Order, ...] = ()

    @property
    def all(self) -> tuple[Order, ...]:
        return (self.order, *self.attached)


def build_orders(
    verdict: Verdict, desk: Desk, origin: str, now: datetime, notes: Mapping[str, str]
) -> tuple[Outgoing, ...]:
    """Orders for every approved intent, in the verdict's order (closes first). `notes`: what was said per
    symbol, kept with its entry."""
    outgoing: list[Outgoing] = []
    for ruling in verdict.rulings:
        intent = ruling.approved
        if not isinstance(intent, OrderIntent):
            continue
        instrument = desk.instruments[intent.symbol]
        if intent.purpose is OrderPurpose.ENTRY:
            note = notes.get(intent.symbol, "")
            outgoing.append(_entry(intent, instrument, desk, origin, now, note))
        else:
            outgoing.extend(exit_orders(intent, instrument, desk, origin, now))
    return tuple(outgoing)


def exit_orders(
    intent: OrderIntent, instrument: Instrument, desk: Desk, origin: str, now: datetime
) -> Iterator[Outgoing]:
    """MARKET reduce-only, split at the venue's market-order maximum."""
    left, part = intent.quantity, 0
    largest = instrument.max_market_quantity or instrument.max_quantity or intent.quantity
    while left > 0:
        part += 1
        quantity = min(left, largest)
        left -= quantity
        yield Outgoing(
            order=Order(
                client_order_id=client_order_id(
                    desk.bot.id, origin, f"{intent.symbol}:{intent.purpose}:{part}"
                ),
                symbol=intent.symbol,
                side=OrderSide.SELL if intent.side is PositionSide.LONG else OrderSide.BUY,
                order_type=OrderType.MARKET,
                purpose=intent.purpose,
                quantity=quantity,
                reduce_only=True,
                leverage=intent.leverage,
                created_at=now,
            )
        )


def _entry(
    intent: OrderIntent, instrument: Instrument, desk: Desk, origin: str, now: datetime, note: str
) -> Outgoing:
    """LIMIT IOC at reference × (1 ± slippage cap); at market where no cap is set (profile raw)."""
    side = OrderSide.BUY if intent.side is PositionSide.LONG else OrderSide.SELL
    cap = desk.limits.max_slippage_bps
    entry_id = client_order_id(desk.bot.id, origin, f"{intent.symbol}:ENTRY:1")
    entry = Order(
        client_order_id=entry_id,
        symbol=intent.symbol,
        side=side,
        order_type=OrderType.MARKET if cap is None else OrderType.LIMIT,
        purpose=OrderPurpose.ENTRY,
        quantity=intent.quantity,
        quote_quantity=intent.quote_quantity,
        price=None if cap is None else _limit_price(intent.reference_price, side, cap, instrument),
        time_in_force=TimeInForce.GTC if cap is None else TimeInForce.IOC,
        leverage=intent.leverage,
        stop_price=intent.stop_price,
        target_price=intent.target_price,
        note=note,
        created_at=now,
    )
    position = desk.ledger.book.positions.get(intent.symbol)
    if position is not None:  # adding: the stop that rests is resized after the fill, not doubled
        return Outgoing(order=entry)
    attached = tuple(
        protection_order(
            purpose,
            client_order_id(desk.bot.id, origin, f"{intent.symbol}:{purpose}:1"),
            instrument,
            side.opposite,
            intent.quantity,
            price,
            intent.leverage,
            now,
            parent_id=entry_id,
        )
        for purpose, price in (
            (OrderPurpose.STOP, intent.stop_price),
            (OrderPurpose.TARGET, intent.target_price),
        )
        if price is not None
    )
    return Outgoing(order=entry, attached=attached)


def _limit_price(
    reference: Decimal, side: OrderSide, cap_bps: Decimal, instrument: Instrument
) -> Decimal:
    worst = reference * (ONE + side.sign * cap_bps * BASIS_POINT)
    rounded = floor_to_tick if side is OrderSide.BUY else ceil_to_tick
    return rounded(worst, instrument.price_step)


def protection_order(
    purpose: OrderPurpose,
    order_id: str,
    instrument: Instrument,
    side: OrderSide,
    quantity: Decimal,
    trigger: Decimal,
    leverage: Decimal,
    now: datetime,
    *,
    parent_id: str | None = None,
) -> Order:
    """A reduce-only stop (on MARK wherever the venue can) or target (on LAST)."""
    wanted = TriggerBasis.MARK if purpose is OrderPurpose.STOP else TriggerBasis.LAST
    basis = wanted if wanted in instrument.trigger_bases else min(instrument.trigger_bases)
    return Order(
        client_order_id=order_id,
        symbol=instrument.symbol,
        side=side,
        order_type=OrderType.STOP_MARKET
        if purpose is OrderPurpose.STOP
        else OrderType.TAKE_PROFIT_MARKET,
        purpose=purpose,
        quantity=quantity,
        trigger_price=instrument.round_price(trigger),
        trigger_basis=basis,
        reduce_only=True,
        leverage=leverage,
        parent_id=parent_id,
        created_at=now,
    )


def store_plans(verdict: Verdict, desk: Desk, invalidations: Mapping[str, str]) -> None:
    """Store where approved adjustments move a plan, and which positions are being closed, before any
    order leaves. The plan of an entry travels with its order."""
    for ruling in verdict.rulings:
        intent = ruling.approved
        if isinstance(intent, ProtectionIntent):
            old = desk.ledger.book.plans.get(intent.symbol, ExitPlan())
            stop, target = intent.stop_price, intent.target_price
            plan = evolve(
                old,
                stop_price=old.stop_price if stop is None else stop,
                target_price=old.target_price if target is None else target,
                invalidation_condition=invalidations.get(intent.symbol)
                or old.invalidation_condition,
            )
            desk.ledger.set_plan(intent.symbol, plan)
        elif isinstance(intent, OrderIntent) and intent.purpose is OrderPurpose.CLOSE:
            begin_closing(desk, intent.symbol)


def begin_closing(desk: Desk, symbol: str, closing_as: OrderPurpose = OrderPurpose.CLOSE) -> None:
    """Remember that a position is being closed, and why: it is tried again each beat until it is flat."""
    plan = desk.ledger.book.plans.get(symbol, ExitPlan())
    if not plan.is_closing:
        plan = evolve(plan, is_closing=True, closing_as=closing_as)
    desk.ledger.set_plan(symbol, plan)


def write_and_send(desk: Desk, outgoing: Sequence[Outgoing], now: datetime) -> tuple[str, ...]:
    """Store all orders, then claim and submit them one by one, applying each answer at once.

    Orders whose id is already known are left out: they were written by an earlier run of the same cycle.
    Returns the ids that were written now.
    """
    if not outgoing:
        return ()
    orders = desk.ledger.write_orders([order for item in outgoing for order in item.all])
    written = {order.client_order_id for order in orders}
    fresh = [item for item in outgoing if item.order.client_order_id in written]
    for item in fresh:
        _send(desk, item, now)
    return tuple(order.client_order_id for item in fresh for order in item.all)


def _send(desk: Desk, item: Outgoing, now: datetime) -> None:
    claimed = desk.ledger.claim(item.all)
    if not claimed:
        return
    try:
        reports = desk.broker.submit(claimed[0], claimed[1:])
    except OrderRefused as refusal:
        reports = [_answer(order, OrderStatus.REJECTED, now, str(refusal)) for order in claimed]
    except VenueUnavailable as silence:
        reports = [_answer(order, OrderStatus.UNKNOWN, now, str(silence)) for order in claimed]
        text = f"no answer to {item.order.purpose} {item.order.side}: its fate is being asked for"
        desk.ledger.notify(
            Notice(at=now, kind=NoticeKind.ORDER_UNKNOWN, symbol=item.order.symbol, text=text)
        )
    desk.ledger.apply(reports, desk.instruments)


def _answer(order: Order, status: OrderStatus, now: datetime, reason: str) -> OrderReport:
    return OrderReport(
        at=now,
        symbol=order.symbol,
        client_order_id=order.client_order_id,
        status=status,
        reason=reason,
    )
