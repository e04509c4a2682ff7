"""What a person may do at a desk: close, flatten, order, resume. The same stages as a cycle, no model.

Through ports only. A close that the venue does not take at once stays wanted: every mark tries again until
the position is gone. The trap avoided: an order by hand that slips past the limits.
"""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from bots.cycle import record_equity
from bots.desk import Desk
from bots.execution import begin_closing, build_orders, write_and_send
from bots.observation import Observation, observe, revalued, risk_context
from bots.protection import cancel, protect
from market.domain.enums import OrderPurpose, PositionSide
from market.domain.numbers import ONE
from market.errors import VenueUnavailable
from risk import breakers
from risk.domain import OrderIntent, Requester, RiskContext, TradingState
from risk.engine import review
from risk.sizing import EntryWish, size_entry

CLOSE_TRIES = 3


class DeskBusy(Exception):
    """Somebody else holds the desk: try again in a moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """What became of a close: `left` holds what is still open, and its signed quantity in contracts."""

    left: dict[str, Decimal]
    entries_left: tuple[str, ...]
    reason: str = ""

    @property
    def is_flat(self) -> bool:
        return not self.left and not self.entries_left


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualOrder:
    """An entry as a person states it. Exactly one of `quantity` (contracts) and `notional`; prices as
    they should rest."""

    symbol: str
    side: PositionSide
    leverage: Decimal = ONE
    quantity: Decimal | None = None
    notional: Decimal | None = None
    stop_price: Decimal | None = None
    target_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """What became of an order by hand: the ids that left, what was clamped, why it was denied."""

    order_ids: tuple[str, ...] = ()
    clamps: tuple[str, ...] = ()
    denials: tuple[str, ...] = ()


def close_out(desk: Desk, symbols: Collection[str] | None = None) -> Closed:
    """Cancel entries and close positions: of some symbols, or (None) of all. Raises DeskBusy, LeaseLost."""
    if not desk.ledger.take_desk():
        raise DeskBusy("the bot is busy: try again in a moment")
    try:
        now = desk.clock.now()
        reason, seen = "", None
        try:
            seen = observe(desk, now, may_ask=False)
        except VenueUnavailable as silence:  # what is wanted is stored; marks go on
            reason = str(silence)
        _cancel_entries(desk, symbols)
        for symbol in tuple(desk.ledger.book.positions):
            if symbols is None or symbol in symbols:
                begin_closing(desk, symbol)
        for _ in range(CLOSE_TRIES):
            protect(desk, now)
            if not _positions(desk, symbols):
                break
        if seen is not None:
            record_equity(desk, seen)
        return Closed(
            left=_positions(desk, symbols),
            entries_left=_entries(desk, symbols),
            reason=reason,
        )
    finally:
        desk.ledger.release_desk()


def order_by_hand(desk: Desk, wish: ManualOrder, origin: str) -> Ordered:
    """Send an entry of a person through the same veto. Raises DeskBusy, LeaseLost, VenueUnavailable."""
    if not desk.ledger.take_desk():
        raise DeskBusy("the bot is busy: try again in a moment")
    try:
        now = desk.clock.now()
        seen = observe(desk, now, may_ask=False)
        context = risk_context(desk, seen, seen.snapshot)
        intent = _intent(desk, wish, seen, context)
        verdict = review((intent,), context, desk.limits)
        outgoing = build_orders(verdict, desk, origin, now, {})
        ids = write_and_send(desk, outgoing, now)
        protect(desk, now)
        record_equity(desk, revalued(desk, seen))
        return Ordered(
            order_ids=ids,
            clamps=tuple(str(clamp) for ruling in verdict.rulings for clamp in ruling.clamps),
            denials=tuple(str(denial) for denial in verdict.denials),
        )
    finally:
        desk.ledger.release_desk()


def resume_breakers(desk: Desk) -> bool:
    """Let a bot that its hard drawdown halted trade again, its peak at what it is worth now; False when it was
    not: what only reduces clears by itself, and keeps its peak. Raises DeskBusy, LeaseLost, VenueUnavailable."""
    if not desk.ledger.take_desk():
        raise DeskBusy("the bot is busy: try again in a moment")
    try:
        now = desk.clock.now()
        seen = observe(desk, now, may_ask=False)
        state = desk.ledger.book.breakers
        if state.state is not TradingState.HALTED:
            return False
        nav = state.last_nav if seen.equity is None else seen.equity
        desk.ledger.set_breakers(breakers.resume(state, nav, now))
        return True
    finally:
        desk.ledger.release_desk()


def _intent(desk: Desk, wish: ManualOrder, seen: Observation, context: RiskContext) -> OrderIntent:
    """The wish as an intent: a quantity is stated as its notional at the market price."""
    notional = wish.notional
    if notional is None and wish.quantity is not None:
        quote = seen.quotes.get(wish.symbol)
        instrument = desk.instruments.get(wish.symbol)
        if quote is not None and instrument is not None:
            price = quote.ask if wish.side is PositionSide.LONG else quote.bid
            notional = instrument.notional(wish.quantity, price)
    entry = EntryWish(
        symbol=wish.symbol,
        side=wish.side,
        notional=notional,
        leverage=wish.leverage,
        stop_price=wish.stop_price,
        target_price=wish.target_price,
        confidence=ONE,
        requester=Requester.PERSON,
    )
    return size_entry(entry, context, desk.limits)


def _cancel_entries(desk: Desk, symbols: Collection[str] | None) -> None:
    for order_id in _entries(desk, symbols):
        order = desk.ledger.find_order(order_id)
        if order is not None and order.is_open:
            cancel(desk, order)


def _entries(desk: Desk, symbols: Collection[str] | None) -> tuple[str, ...]:
    """Entries that may still fill."""
    return tuple(
        order.client_order_id
        for order in desk.ledger.book.open_orders.values()
        if order.purpose is OrderPurpose.ENTRY
        and order.is_open
        and (symbols is None or order.symbol in symbols)
    )


def _positions(desk: Desk, symbols: Collection[str] | None) -> dict[str, Decimal]:
    return {
        symbol: position.quantity
        for symbol, position in desk.ledger.book.positions.items()
        if symbols is None or symbol in symbols
    }
