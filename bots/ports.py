"""What the cycle asks of the desk's own side: its ledger, which memory and database implement and which pass
one suite, and the window through which its trader sees the market."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from bots.domain.book import Book
from bots.domain.entries import ClosedTrade, ExitPlan, Notice
from bots.domain.records import CycleRecord
from market.domain.data import MarketSnapshot
from market.domain.enums import OrderStatus
from market.domain.instruments import Instrument
from market.domain.orders import Order, VenueReport
from risk.domain import BreakerState, Denial


class LeaseLost(Exception):
    """Another process holds the desk now: stop at once, write and send nothing more."""


class Window(Protocol):
    """What a trader is shown of the market: the desk's own look, or one that several bots share."""

    def show(self, slot: str, own: MarketSnapshot) -> tuple[MarketSnapshot, str]:
        """The snapshot for the prompt of a slot, given what the desk has just seen itself, and what there is
        to note of it (empty: nothing). Raises nothing. Only shown, never reconciled on or sent upon: it may
        be a little older than what the account has met."""
        ...


class Ledger(Protocol):
    """The memory of one bot. Every write is whole or absent, and fails with LeaseLost without the desk."""

    @property
    def book(self) -> Book:
        """The folded state as of the last write."""
        ...

    def open_cycle(self, slot: str, now: datetime) -> bool:
        """Claim the one decision of a slot. False: taken before, or another cycle is running (skip)."""
        ...

    def take_desk(self) -> bool:
        """Become the only writer of this bot. False: somebody else is, try later."""
        ...

    def release_desk(self) -> None:
        """Let others write while a model thinks."""
        ...

    def may_open(self) -> bool:
        """False when the bot is paused, stopped, archived or halted: nothing may increase a position."""
        ...

    def apply(self, reports: Sequence[VenueReport], instruments: Mapping[str, Instrument]) -> int:
        """Fold what the venue reported; how many reports were new. Known ones are ignored."""
        ...

    def write_orders(self, orders: Sequence[Order]) -> Sequence[Order]:
        """Store orders as INITIALIZED, committed before anything is sent. Those whose id is known were
        written by an earlier run and are left out; the answer is what was written now."""
        ...

    def claim(self, orders: Sequence[Order]) -> tuple[Order, ...]:
        """INITIALIZED → SUBMITTED, once ever; empty when the claim is refused (paused, halted, lease lost)."""
        ...

    def count_lookup(self, client_order_id: str) -> int:
        """Note that the venue knew no such order; how often that was so far."""
        ...

    def move_order(self, client_order_id: str, status: OrderStatus, reason: str) -> None:
        """Move an order by our own judgement (UNKNOWN, NEVER_ARRIVED, CANCELED before it was sent)."""
        ...

    def find_order(self, client_order_id: str) -> Order | None:
        """Our order of that id, whatever became of it."""
        ...

    def set_plan(self, symbol: str, plan: ExitPlan) -> None:
        """Store where a position's stop and target must rest."""
        ...

    def set_breakers(self, state: BreakerState) -> None:
        """Store the breakers' state after a beat."""
        ...

    def charge_llm(self, at: datetime, cost: Decimal | None, *, ok: bool, key: str) -> None:
        """Book a model's cost (None: unknown, books nothing and notifies) and whether it answered. The money
        has left whoever holds the desk now, so this needs no lease; booked once per `key`."""
        ...

    def record_equity(self, at: datetime, equity: Decimal) -> None:
        """Store an equity point; a second one of the same instant replaces the first."""
        ...

    def notify(self, notice: Notice) -> None:
        """Store something a person should hear of."""
        ...

    def close_cycle(self, record: CycleRecord) -> None:
        """Store the audit record and end the cycle."""
        ...

    def recent_trades(self, count: int) -> Sequence[ClosedTrade]:
        """The last finished round trips, oldest first."""
        ...

    def recent_denials(self, count: int) -> Sequence[tuple[datetime, Denial]]:
        """The last refusals, oldest first."""
        ...

    def cycles_run(self) -> int:
        """How many cycles were opened since the start."""
        ...

    def started_at(self) -> datetime:
        """When the bot's money was deposited."""
        ...

    def sharpe_ratio(self) -> Decimal | None:
        """Annualised Sharpe of daily returns so far, None below ten days."""
        ...
