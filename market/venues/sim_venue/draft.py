"""The draft of the next state: what one step may change, in one place. Mutable, local to the step.

A step reads and writes the draft and freezes it at the end; the state it came from is never touched.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from market.domain.account import locked
from market.domain.data import to_milliseconds
from market.domain.enums import FillReason, Liquidity, OrderSide, OrderStatus
from market.domain.instruments import Instrument
from market.domain.numbers import ONE, ZERO, quantize_cash
from market.domain.orders import Fill, OrderReport, VenueReport
from market.domain.positions import Position, apply_fill, fee_value, liquidation_price
from market.venues.sim_venue.settings import SimSettings
from market.venues.sim_venue.state import (
    AT_THE_ENGINE,
    CHANGES_KEPT,
    EndedOrder,
    SimOrder,
    SimState,
    Stage,
)


class Draft:
    """A state in the making, and the reports made on the way."""

    __slots__ = (
        "cash", "changes", "ended", "funding_until", "instruments", "liquidation_prices", "next_order",
        "next_trade", "orders", "positions", "processed_until", "reports", "settings",
    )  # fmt: skip

    def __init__(
        self, state: SimState, settings: SimSettings, instruments: Mapping[str, Instrument]
    ) -> None:
        self.settings = settings
        self.instruments = instruments
        self.cash = state.cash
        self.ended = state.ended
        self.positions = dict(state.positions)
        self.orders = dict(state.orders)
        self.liquidation_prices = dict(state.liquidation_prices)
        self.changes = state.changes
        self.funding_until = state.funding_until
        self.processed_until = state.processed_until
        self.next_trade = state.next_trade
        self.next_order = state.next_order
        self.reports: list[VenueReport] = []

    def freeze(self) -> SimState:
        return SimState(
            cash=self.cash,
            positions=self.positions,
            orders=self.orders,
            ended=self.ended,
            liquidation_prices=self.liquidation_prices,
            changes=self.changes,
            funding_until=self.funding_until,
            processed_until=self.processed_until,
            next_trade=self.next_trade,
            next_order=self.next_order,
        )

    # --- what is there ----------------------------------------------------------------------------

    def quantity(self, symbol: str) -> Decimal:
        """The signed quantity held."""
        position = self.positions.get(symbol)
        return ZERO if position is None else position.quantity

    def changed_at(self, symbol: str) -> int:
        """When the quantity held changed last (ms), −1 for never."""
        changes = self.changes.get(symbol)
        return changes[-1][0] if changes else -1

    def available(self) -> Decimal:
        """Cash that no position holds."""
        free = self.cash
        for symbol, position in self.positions.items():
            free -= locked(position, self.instruments[symbol])
        return free

    def reserved(self) -> Decimal:
        """Cash that live orders keep for themselves."""
        return sum((held.reserved for held in self.orders.values() if held.reserved), ZERO)

    def has_met(self, client_order_id: str) -> bool:
        """True for an id that lives or is remembered."""
        return client_order_id in self.orders or self.ended.get(client_order_id) is not None

    def busy_symbols(self) -> set[str]:
        """Symbols to which a price can do anything."""
        busy = {held.order.symbol for held in self.orders.values()}
        busy.update(self.liquidation_prices)
        return busy

    def is_touchable(self, symbol: str) -> bool:
        """True when a path of prices can touch something of this symbol."""
        if symbol in self.liquidation_prices:
            return True
        for held in self.orders.values():  # noqa: SIM110 (any() on a generator costs twice as much)
            if held.stage in AT_THE_ENGINE and held.order.symbol == symbol:
                return True
        return False

    # --- what happens to orders -------------------------------------------------------------------

    def put(self, held: SimOrder) -> None:
        self.orders[held.order.client_order_id] = held

    def tell(
        self,
        held: SimOrder,
        at: datetime,
        status: OrderStatus,
        reason: str = "",
        *,
        quantity: Decimal | None = None,
    ) -> None:
        """Report a status of an order."""
        self.reports.append(
            OrderReport(
                at=at,
                symbol=held.order.symbol,
                client_order_id=held.order.client_order_id,
                status=status,
                quantity=quantity,
                venue_order_id=held.venue_order_id,
                reason=reason,
            )
        )

    def end(self, held: SimOrder, status: OrderStatus, at: datetime, reason: str = "") -> None:
        """End an order, say so, and cancel what was attached to it and never came alive."""
        self.tell(held, at, status, reason)
        self.retire(held, status, at, reason)

    def retire(self, held: SimOrder, status: OrderStatus, at: datetime, reason: str = "") -> None:
        """Move an order to the ended ones without a word about it."""
        client_order_id = held.order.client_order_id
        self.orders.pop(client_order_id, None)
        self.ended = self.ended.adding(
            client_order_id,
            EndedOrder(
                symbol=held.order.symbol,
                status=status,
                quantity=held.quantity,
                filled_quantity=held.filled_quantity,
                at=to_milliseconds(at),
                venue_order_id=held.venue_order_id,
                reason=reason,
            ),
        )
        for child_id in held.children:
            child = self.orders.get(child_id)
            if child is not None and child.stage is Stage.INACTIVE:
                self.end(child, OrderStatus.CANCELED, at, "ENTRY_ENDED")

    # --- what happens to money --------------------------------------------------------------------

    def trade(
        self,
        instrument: Instrument,
        *,
        client_order_id: str | None,
        side: OrderSide,
        quantity: Decimal,
        price: Decimal,
        rate: Decimal,
        liquidity: Liquidity,
        leverage: Decimal = ONE,
        at: datetime,
        since: int,
        reason: FillReason = FillReason.ORDER,
    ) -> Fill:
        """Book one fill: position, cash, liquidation price. The caller reports it."""
        symbol = instrument.symbol
        in_base = instrument.is_spot and side is OrderSide.BUY and self.settings.spot_fee_in_base
        charged = quantity if in_base else quantity * instrument.contract_size * price
        fill = Fill(
            venue_trade_id=f"t{self.next_trade}",
            client_order_id=client_order_id,
            symbol=symbol,
            side=side,
            quantity=quantity,
            price=price,
            fee=quantize_cash(charged * rate),
            fee_currency=instrument.base if in_base else instrument.settle,
            liquidity=liquidity,
            at=at,
            reason=reason,
        )
        self.next_trade += 1
        position = self.positions.get(symbol)
        if position is None:
            position = Position(symbol=symbol, leverage=leverage)
        change = apply_fill(position, fill, instrument, leverage=leverage)
        self.cash += change.realized_pnl - (
            fee_value(fill, instrument) if fill.fee_currency != instrument.settle else fill.fee
        )
        self.hold(change.position, instrument, since)
        return fill

    def hold(self, position: Position, instrument: Instrument, since: int) -> None:
        """Put a position in place of the one before it."""
        symbol = position.symbol
        self.liquidation_prices.pop(symbol, None)
        if position.quantity:
            self.positions[symbol] = position
            price = liquidation_price(position, instrument)
            if price is not None:
                self.liquidation_prices[symbol] = price
        else:
            self.positions.pop(symbol, None)
        if not instrument.is_spot:
            earlier = self.changes.get(symbol, ())[1 - CHANGES_KEPT :]
            since = max(since, earlier[-1][0]) if earlier else since
            self.changes = {**self.changes, symbol: (*earlier, (since, position.quantity))}
