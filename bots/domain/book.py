"""The book: everything the desk knows of its money, folded from what the venue reported.

One pure function per kind of report. Cash is the running sum of ledger entries, positions are a fold
of fills, and both ledgers (memory and database) call these same functions, so they agree bit for bit
and can be refolded from the log at any time. Ignoring a report already known is the ledger's task.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from bots.domain.entries import (
    ClosedTrade,
    EntryKind,
    ExitPlan,
    ExitReason,
    LedgerEntry,
    Notice,
    NoticeKind,
    RoundTrip,
    Totals,
)
from market.domain.enums import FillReason, OrderPurpose, OrderStatus, PositionSide
from market.domain.evolve import evolve
from market.domain.instruments import Instrument
from market.domain.numbers import ZERO, plain, quantize_cash
from market.domain.orders import (
    Adjustment,
    Fill,
    FundingPayment,
    Order,
    OrderReport,
    apply_order_report,
)
from market.domain.positions import Position, apply_fill, fee_value, split_fill
from risk import breakers
from risk.domain import BreakerState

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """The folded state of one bot. `positions`, `round_trips` and `plans` hold open ones only, and
    `dust` the unsellable rests of spot positions (their next buy picks them up), `open_orders` the orders
    that may still rest or arrive; `last_trades` has the last round trip of each
    symbol. Never changed in place."""

    cash: Decimal = ZERO
    totals: Totals = field(default_factory=Totals)
    positions: Mapping[str, Position] = field(default_factory=dict)
    dust: Mapping[str, Position] = field(default_factory=dict)
    round_trips: Mapping[str, RoundTrip] = field(default_factory=dict)
    plans: Mapping[str, ExitPlan] = field(default_factory=dict)
    open_orders: Mapping[str, Order] = field(default_factory=dict)
    stopped_at: Mapping[str, datetime] = field(default_factory=dict)
    last_trades: Mapping[str, ClosedTrade] = field(default_factory=dict)
    day: str = ""
    entries_today: int = 0
    breakers: BreakerState = field(default_factory=BreakerState)
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Folded:
    """The book after one report, and the rows that it made."""

    book: Book
    entries: tuple[LedgerEntry, ...] = ()
    order: Order | None = None
    fills: tuple[Fill, ...] = ()
    closed_trades: tuple[ClosedTrade, ...] = ()
    notices: tuple[Notice, ...] = ()


_TOTAL_OF = {
    EntryKind.DEPOSIT: ("deposits", 1),
    EntryKind.WITHDRAWAL: ("withdrawals", -1),
    EntryKind.REALIZED_PNL: ("realized_pnl", 1),
    EntryKind.FEE: ("fees", -1),
    EntryKind.FUNDING: ("funding", 1),
    EntryKind.ADJUSTMENT: ("adjustments", 1),
    EntryKind.LLM_COST: ("llm_cost", -1),
}


def fold_money(
    book: Book, *, at: datetime, kind: EntryKind, amount: Decimal, key: str, symbol: str = ""
) -> Folded:
    """Book one movement of cash. `amount` > 0 in, < 0 out; 0 writes nothing."""
    if amount == 0:
        return Folded(book)
    entry = LedgerEntry(
        sequence=book.sequence + 1, at=at, kind=kind, amount=amount, symbol=symbol, key=key
    )
    name, sign = _TOTAL_OF[kind]
    totals = evolve(book.totals, **{name: getattr(book.totals, name) + sign * amount})
    after = evolve(book, cash=book.cash + amount, totals=totals, sequence=entry.sequence)
    return Folded(after, entries=(entry,))


def fold_llm_cost(book: Book, *, at: datetime, cost: Decimal, key: str, day: str) -> Folded:
    """Charge a model's cost to equity and to the budget of the owner's `day`."""
    folded = fold_money(book, at=at, kind=EntryKind.LLM_COST, amount=-quantize_cash(cost), key=key)
    return Folded(
        evolve(folded.book, breakers=breakers.on_llm_cost(folded.book.breakers, cost, day)),
        entries=folded.entries,
    )


def fold_funding(book: Book, payment: FundingPayment, day: str) -> Folded:
    """Book funding; it belongs to the round trip that paid or received it, and to the owner's `day`."""
    folded = fold_money(
        book,
        at=payment.at,
        kind=EntryKind.FUNDING,
        amount=payment.amount,
        key=f"{payment.symbol}@{payment.at.isoformat()}",
        symbol=payment.symbol,
    )
    after = _on_trip(folded.book, payment.symbol, funding=payment.amount)
    return Folded(
        evolve(after, breakers=breakers.on_funding(after.breakers, payment.amount, day)),
        entries=folded.entries,
    )


def fold_adjustment(book: Book, adjustment: Adjustment) -> Folded:
    """Book a liquidation fee, rebate or the like. After the trip has ended it stands in the ledger alone."""
    folded = fold_money(
        book,
        at=adjustment.at,
        kind=EntryKind.ADJUSTMENT,
        amount=adjustment.amount,
        key=adjustment.key,
        symbol=adjustment.symbol,
    )
    after = _on_trip(folded.book, adjustment.symbol, adjustments=adjustment.amount)
    return Folded(after, entries=folded.entries)


def _on_trip(book: Book, symbol: str, **amounts: Decimal) -> Book:
    trip = book.round_trips.get(symbol)
    if trip is None:
        return book
    changes = {name: getattr(trip, name) + amount for name, amount in amounts.items()}
    return evolve(book, round_trips={**book.round_trips, symbol: evolve(trip, **changes)})


def fold_new_orders(book: Book, orders: tuple[Order, ...]) -> Book:
    """Orders written but not yet sent: they exist, and nothing else."""
    return evolve(
        book, open_orders={**book.open_orders, **{order.client_order_id: order for order in orders}}
    )


def fold_status(book: Book, order: Order, status: OrderStatus, reason: str = "") -> Folded:
    """Move an order by our own doing: claimed, denied, unknown, or cancelled before it was sent."""
    moved = order.moved(status, reason=reason)
    return Folded(evolve(book, open_orders=_orders_with(book, moved)), order=moved)


def fold_order_report(
    book: Book, report: OrderReport, order: Order | None, instrument: Instrument, day: str
) -> Folded:
    """Fold one report of an order, its fill included. `order` is our row, None when it is not ours.

    Raises IllegalTransition or ValueError when the report contradicts the order (nothing is folded).
    """
    if order is None:
        return _fold_foreign(book, report, instrument)
    moved = apply_order_report(order, report)
    notices = _order_notices(order, moved, report)
    orders = _orders_with(book, moved)
    if report.fill is None:
        return Folded(evolve(book, open_orders=orders), order=moved, notices=notices)
    changes: dict[str, object] = {"open_orders": orders}
    if moved.purpose is OrderPurpose.ENTRY and not order.filled_quantity:
        changes |= entry_counted(book, day)
    return fold_fills(book, report.fill, moved, instrument, notices, changes)


def entry_counted(book: Book, day: str) -> dict[str, object]:
    """What changes in the book when an entry fills on the owner's `day`. One told late, of a day that is over,
    counts to the day under way: the entries of a day are never forgotten."""
    if day > book.day:
        return {"day": day, "entries_today": 1}
    return {"entries_today": book.entries_today + 1}


def fold_contradiction(
    book: Book, report: OrderReport, instrument: Instrument, reason: str
) -> Folded:
    """Fold a report that contradicts our order: the venue wins, so its fill is booked and a person is
    told; the order's own row stays as it was."""
    text = f"the venue's report does not fit our order {report.client_order_id}: {reason}"
    notice = Notice(at=report.at, kind=NoticeKind.CONTRADICTION, symbol=report.symbol, text=text)
    folded = _fold_foreign(book, report, instrument)
    return Folded(
        folded.book,
        entries=folded.entries,
        fills=folded.fills,
        closed_trades=folded.closed_trades,
        notices=(notice, *folded.notices),
    )


def _fold_foreign(book: Book, report: OrderReport, instrument: Instrument) -> Folded:
    """A report that no order of ours made: the venue's own exits, or somebody else's trades."""
    if report.fill is None:
        return Folded(book)
    notices = _venue_exit_notices(report.fill)
    return fold_fills(book, report.fill, None, instrument, notices, {})


def fold_fills(
    book: Book,
    fill: Fill,
    order: Order | None,
    instrument: Instrument,
    notices: tuple[Notice, ...],
    changes: dict[str, object],
) -> Folded:
    """Fold a fill in its parts, by `order` (None: no order of ours); `changes` go into the book with the
    first of them."""
    entries: list[LedgerEntry] = []
    trades: list[ClosedTrade] = []
    held = book.positions.get(fill.symbol)
    parts = (fill,) if held is None else split_fill(held, fill)
    for part in parts:
        book, trade = _fold_fill(book, part, order, instrument, entries, changes)
        changes = {}
        if trade is not None:
            trades.append(trade)
    return Folded(
        book,
        entries=tuple(entries),
        order=order,
        fills=parts,
        closed_trades=tuple(trades),
        notices=notices,
    )


def _orders_with(book: Book, order: Order) -> Mapping[str, Order]:
    orders = dict(book.open_orders)
    if order.is_open or order.status is OrderStatus.INITIALIZED:
        orders[order.client_order_id] = order
    else:
        orders.pop(order.client_order_id, None)
    return orders


def _plan_of(order: Order | None) -> ExitPlan | None:
    """The exit plan that an entry of ours carries; what somebody else opened has none."""
    if order is None or order.purpose is not OrderPurpose.ENTRY:
        return None
    return ExitPlan(
        stop_price=order.stop_price,
        target_price=order.target_price,
        invalidation_condition=order.note,
        first_stop_price=order.stop_price,
    )


def _fold_fill(
    book: Book,
    fill: Fill,
    order: Order | None,
    instrument: Instrument,
    entries: list[LedgerEntry],
    changes: dict[str, object],
) -> tuple[Book, ClosedTrade | None]:
    """Fold one fill that does not flip; its ledger entries are added to `entries`."""
    symbol = fill.symbol
    before = book.positions.get(symbol) or book.dust.get(symbol) or Position(symbol=symbol)
    leverage = order.leverage if order is not None else None
    change = apply_fill(before, fill, instrument, leverage=leverage)
    realized, fee = change.realized_pnl, fee_value(fill, instrument)
    changes |= _money_changes(book, fill, realized, fee, entries)
    position, trip = change.position, book.round_trips.get(symbol)
    if symbol in book.dust:
        changes["dust"] = _without(book.dust, symbol)
        if change.closed_quantity and trip is None:  # dust was sold after all, or some of it
            if position.quantity:
                changes["dust"] = {**book.dust, symbol: position}
            return evolve(book, **changes), None  # it belongs to no trade
        position = evolve(position, opened_at=fill.at)
    is_dust = _is_dust(position, fill, instrument)
    if is_dust and trip is None:  # too little was bought to be sold again
        changes["dust"] = {**book.dust, symbol: position}
        return evolve(book, **changes), None
    is_dust = is_dust and bool(change.closed_quantity)
    trip = _trip_after(trip, fill, change.closed_quantity, realized, fee, instrument)
    if position.quantity and not is_dust:
        if symbol not in book.positions and (plan := _plan_of(order)) is not None:
            changes["plans"] = {**book.plans, symbol: plan}
        return evolve(
            book,
            positions={**book.positions, symbol: position},
            round_trips={**book.round_trips, symbol: trip},
            **changes,
        ), None
    if is_dust:
        changes["dust"] = {**book.dust, symbol: position}
    return _ended(book, trip, fill, order, instrument, changes)


def _is_dust(position: Position, fill: Fill, instrument: Instrument) -> bool:
    """What the venue would not sell at this fill's price: less than its minimum, on spot."""
    return (
        instrument.is_spot
        and position.quantity != 0
        and instrument.is_dust(position.quantity, fill.price)
    )


def _ended(
    book: Book,
    trip: RoundTrip,
    fill: Fill,
    order: Order | None,
    instrument: Instrument,
    changes: dict[str, object],
) -> tuple[Book, ClosedTrade]:
    """The book after a position has gone, and the trade that it was."""
    symbol = fill.symbol
    trade = _closed_trade(trip, fill, order, instrument)
    if symbol in book.plans:
        changes["plans"] = _without(book.plans, symbol)
    if trade.exit_reason in (ExitReason.STOP, ExitReason.LIQUIDATION):
        changes["stopped_at"] = {**book.stopped_at, symbol: fill.at}
    after = evolve(
        book,
        positions=_without(book.positions, symbol),
        round_trips=_without(book.round_trips, symbol),
        last_trades={**book.last_trades, symbol: trade},
        breakers=breakers.on_closed_trade(book.breakers, trade.net_pnl, trade.fees),
        **changes,
    )
    return after, trade


def _without(rows: Mapping[str, Row], symbol: str) -> Mapping[str, Row]:
    return {name: row for name, row in rows.items() if name != symbol}


def _money_changes(
    book: Book, fill: Fill, realized: Decimal, fee: Decimal, entries: list[LedgerEntry]
) -> dict[str, object]:
    """Cash, totals and sequence after a fill; nothing when it moved no money."""
    sequence = book.sequence
    for kind, amount in ((EntryKind.REALIZED_PNL, realized), (EntryKind.FEE, -fee)):
        if amount:
            sequence += 1
            entries.append(
                LedgerEntry(
                    sequence=sequence,
                    at=fill.at,
                    kind=kind,
                    amount=amount,
                    symbol=fill.symbol,
                    key=f"{fill.symbol}#{fill.venue_trade_id}",
                )
            )
    if sequence == book.sequence:
        return {}
    totals = book.totals
    return {
        "cash": book.cash + realized - fee,
        "totals": evolve(
            totals, realized_pnl=totals.realized_pnl + realized, fees=totals.fees + fee
        ),
        "sequence": sequence,
    }


def _trip_after(
    trip: RoundTrip | None,
    fill: Fill,
    closed: Decimal,
    realized: Decimal,
    fee: Decimal,
    instrument: Instrument,
) -> RoundTrip:
    if trip is None:
        side = PositionSide.LONG if fill.side.sign > 0 else PositionSide.SHORT
        trip = RoundTrip(symbol=fill.symbol, side=side, opened_at=fill.at)
    notional = quantize_cash(fill.quantity * instrument.contract_size * fill.price)
    entered, left = (ZERO, fill.quantity) if closed else (fill.quantity, ZERO)
    return RoundTrip(
        symbol=trip.symbol,
        side=trip.side,
        opened_at=trip.opened_at,
        entry_quantity=trip.entry_quantity + entered,
        entry_notional=trip.entry_notional + (notional if entered else ZERO),
        exit_quantity=trip.exit_quantity + left,
        exit_notional=trip.exit_notional + (notional if left else ZERO),
        realized_pnl=trip.realized_pnl + realized,
        fees=trip.fees + fee,
        funding=trip.funding,
        adjustments=trip.adjustments,
    )


def _closed_trade(
    trip: RoundTrip,
    fill: Fill,
    order: Order | None,
    instrument: Instrument,
) -> ClosedTrade:
    size = instrument.contract_size
    return ClosedTrade(
        symbol=trip.symbol,
        side=trip.side,
        opened_at=trip.opened_at,
        closed_at=fill.at,
        quantity=trip.entry_quantity,
        entry_price=trip.entry_notional / (trip.entry_quantity * size),
        exit_price=trip.exit_notional / (trip.exit_quantity * size),
        realized_pnl=trip.realized_pnl,
        fees=trip.fees,
        funding=trip.funding,
        adjustments=trip.adjustments,
        net_pnl=trip.realized_pnl - trip.fees + trip.funding + trip.adjustments,
        exit_reason=_exit_reason(fill, order),
    )


_EXIT_OF_PURPOSE = {
    OrderPurpose.STOP: ExitReason.STOP,
    OrderPurpose.TARGET: ExitReason.TARGET,
    OrderPurpose.CLOSE: ExitReason.CLOSE,
    OrderPurpose.REDUCE: ExitReason.REDUCE,
    OrderPurpose.ENTRY: ExitReason.FLIP,
    OrderPurpose.LADDER: ExitReason.LADDER,
    OrderPurpose.TIME_STOP: ExitReason.TIME_STOP,
}
_EXIT_OF_FILL = {
    FillReason.LIQUIDATION: ExitReason.LIQUIDATION,
    FillReason.ADL: ExitReason.ADL,
    FillReason.SETTLEMENT: ExitReason.SETTLEMENT,
    FillReason.END_OF_DATA: ExitReason.END_OF_DATA,
}


def _exit_reason(fill: Fill, order: Order | None) -> ExitReason:
    if fill.reason in _EXIT_OF_FILL:
        return _EXIT_OF_FILL[fill.reason]
    if order is None:
        return ExitReason.EXTERNAL_CLOSE
    return _EXIT_OF_PURPOSE[order.purpose]


def _order_notices(before: Order, after: Order, report: OrderReport) -> tuple[Notice, ...]:
    notices: list[Notice] = []
    if report.fill is not None and before.status in (OrderStatus.CANCELED, OrderStatus.EXPIRED):
        text = f"{before.purpose} {before.side} filled {plain(report.fill.quantity)} after it was {before.status}"
        notices.append(
            Notice(at=report.at, kind=NoticeKind.LATE_FILL, symbol=before.symbol, text=text)
        )
    if after.status is OrderStatus.REJECTED and before.status is not OrderStatus.REJECTED:
        text = f"the venue refused {before.purpose} {before.side} {plain(before.quantity)}: {after.reason}"
        notices.append(
            Notice(at=report.at, kind=NoticeKind.ORDER_REJECTED, symbol=before.symbol, text=text)
        )
    return tuple(notices)


_NOTICE_OF_FILL = {
    FillReason.LIQUIDATION: (NoticeKind.LIQUIDATION, "the venue liquidated the position"),
    FillReason.ADL: (NoticeKind.LIQUIDATION, "the venue deleveraged the position (ADL)"),
    FillReason.EXTERNAL_CLOSE: (
        NoticeKind.EXTERNAL_CLOSE,
        "somebody closed the position at the venue",
    ),
    FillReason.FOREIGN: (NoticeKind.FOREIGN_FILL, "a fill that no order of ours made"),
}


def _venue_exit_notices(fill: Fill) -> tuple[Notice, ...]:
    if fill.reason not in _NOTICE_OF_FILL:
        return ()
    kind, words = _NOTICE_OF_FILL[fill.reason]
    text = f"{words}: {fill.side} {plain(fill.quantity)} at {plain(fill.price)}"
    return (Notice(at=fill.at, kind=kind, symbol=fill.symbol, text=text),)
