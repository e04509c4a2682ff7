"""The one door of the simulated venue: `step(state, moment, command) → (state, reports)`. Pure.

Nothing is raised for what a venue would refuse: the answer is a report. REJECTED with a RejectCode as
`reason` for a new order (and for all that was attached to it). A duplicate id, and a cancel of an id
nobody knows, are answered without a status: the first because the order that bears the id may well live
(look it up, never send again), the second because there is no order to speak of.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from market.domain.data import from_milliseconds
from market.domain.enums import Liquidity, OrderSide, OrderStatus, RejectCode
from market.domain.instruments import Instrument
from market.domain.numbers import ZERO
from market.domain.orders import Order, OrderReport, VenueReport
from market.domain.positions import Position
from market.errors import OrderRefused
from market.venues.sim_venue.admission import admit, is_duplicate
from market.venues.sim_venue.bars import meet_quote, run_bar, run_quotes
from market.venues.sim_venue.draft import Draft
from market.venues.sim_venue.matching import enter
from market.venues.sim_venue.moments import (
    AddMargin,
    Advance,
    CancelOrder,
    CloseAll,
    Command,
    Moment,
    QuoteMoment,
    SubmitOrder,
)
from market.venues.sim_venue.settings import SimSettings
from market.venues.sim_venue.state import EndedOrder, SimOrder, SimState, Stage
from market.venues.sim_venue.tape import QuoteTape


def step(
    state: SimState,
    moment: Moment,
    command: Command,
    settings: SimSettings,
    instruments: Mapping[str, Instrument],
) -> tuple[SimState, tuple[VenueReport, ...]]:
    """The venue after a command at a moment, and what it says about it. Raises OrderRefused for AddMargin
    without a position or the cash."""
    draft = Draft(state, settings, instruments)
    if isinstance(command, Advance):
        if isinstance(moment, QuoteMoment):
            run_quotes(draft, moment)
        else:
            run_bar(draft, moment)
    elif isinstance(command, SubmitOrder):
        _submit(draft, moment, command.order, command.attached)
    elif isinstance(command, CancelOrder):
        _cancel(draft, moment, command.client_order_id)
    elif isinstance(command, AddMargin):
        _add_margin(draft, command)
    else:
        _close_all(draft, moment, command)
    return draft.freeze(), tuple(draft.reports)


def _submit(draft: Draft, moment: Moment, order: Order, attached: Sequence[Order]) -> None:
    at = from_milliseconds(moment.at)
    if is_duplicate(draft, order, attached):
        draft.reports.append(
            OrderReport(
                at=at,
                symbol=order.symbol,
                client_order_id=order.client_order_id,
                reason=RejectCode.DUPLICATE_CLIENT_ID,
            )
        )
        return
    code, reserved = admit(draft, moment, order, attached)
    if code is not None:
        for one in (order, *attached):
            _reject(draft, moment, one, code)
        return
    arrives_at = moment.at + draft.settings.latency_milliseconds
    held = _accept(draft, order, Stage.SENT, arrives_at, attached, reserved)
    draft.tell(held, at, OrderStatus.ACCEPTED)
    for child in attached:
        waiting = _accept(draft, child, Stage.INACTIVE, arrives_at, (), ZERO)
        draft.tell(waiting, at, OrderStatus.ACCEPTED)
    if isinstance(moment, QuoteMoment) and arrives_at <= moment.at:
        quote = moment.quotes[order.symbol]
        book = moment.books.get(order.symbol)
        tape = QuoteTape(draft.instruments[order.symbol], moment.at, quote, book, draft.settings)
        enter(draft, held, tape, quote.last)
        meet_quote(draft, tape)


def _accept(
    draft: Draft,
    order: Order,
    stage: Stage,
    since: int,
    attached: Sequence[Order],
    reserved: Decimal,
) -> SimOrder:
    held = SimOrder(
        order=order,
        venue_order_id=f"o{draft.next_order}",
        stage=stage,
        since=since,
        quantity=ZERO if stage is Stage.INACTIVE else order.quantity,
        reserved=reserved,
        children=tuple(child.client_order_id for child in attached),
    )
    draft.next_order += 1
    draft.put(held)
    return held


def _reject(draft: Draft, moment: Moment, order: Order, code: RejectCode) -> None:
    draft.reports.append(
        OrderReport(
            at=from_milliseconds(moment.at),
            symbol=order.symbol,
            client_order_id=order.client_order_id,
            status=OrderStatus.REJECTED,
            reason=code,
        )
    )
    draft.ended = draft.ended.adding(
        order.client_order_id,
        EndedOrder(
            symbol=order.symbol,
            status=OrderStatus.REJECTED,
            quantity=order.quantity,
            filled_quantity=ZERO,
            at=moment.at,
            venue_order_id=None,
            reason=code,
        ),
    )


def _cancel(draft: Draft, moment: Moment, client_order_id: str) -> None:
    """Cancels take effect at once: an order still under way is stopped before it arrives."""
    held = draft.orders.get(client_order_id)
    if held is not None:
        draft.end(held, OrderStatus.CANCELED, from_milliseconds(moment.at))
    else:
        draft.reports.append(fate(client_order_id, draft.ended.get(client_order_id), moment.at))


def fate(client_order_id: str, ended: EndedOrder | None, now: int) -> OrderReport:
    """What became of an order that does not live: its last status, or none and UNKNOWN_ORDER."""
    if ended is None:
        return OrderReport(
            at=from_milliseconds(now),
            symbol="",
            client_order_id=client_order_id,
            reason=RejectCode.UNKNOWN_ORDER,
        )
    return OrderReport(
        at=from_milliseconds(ended.at),
        symbol=ended.symbol,
        client_order_id=client_order_id,
        status=ended.status,
        venue_order_id=ended.venue_order_id,
        reason=ended.reason,
    )


def _add_margin(draft: Draft, command: AddMargin) -> None:
    position = draft.positions.get(command.symbol)
    if position is None or draft.instruments[command.symbol].is_spot:
        raise OrderRefused(f"{command.symbol}: no position to add margin to")
    if not ZERO < command.amount <= draft.available():
        raise OrderRefused(f"{command.symbol}: {command.amount} is not available as margin")
    draft.hold(
        Position(
            symbol=position.symbol,
            quantity=position.quantity,
            entry_cost=position.entry_cost,
            margin=position.margin + command.amount,
            leverage=position.leverage,
            opened_at=position.opened_at,
        ),
        draft.instruments[command.symbol],
        draft.changed_at(command.symbol),
    )


def _close_all(draft: Draft, moment: Moment, command: CloseAll) -> None:
    """Close every position at its price, taker fee, no slippage, in name order; cancel what lives."""
    at = from_milliseconds(moment.at)
    for symbol in sorted(draft.positions):
        instrument, quantity = draft.instruments[symbol], draft.positions[symbol].quantity
        fill = draft.trade(
            instrument,
            client_order_id=None,
            side=OrderSide.SELL if quantity > 0 else OrderSide.BUY,
            quantity=abs(quantity),
            price=command.prices[symbol],
            rate=instrument.taker_fee,
            liquidity=Liquidity.TAKER,
            at=at,
            since=moment.at,
            reason=command.reason,
        )
        draft.reports.append(OrderReport(at=at, symbol=symbol, client_order_id=None, fill=fill))
    for held in tuple(draft.orders.values()):
        if held.order.client_order_id in draft.orders:
            draft.end(held, OrderStatus.CANCELED, at, command.reason)
