"""The venue as the desk sees it. The docstrings are the contract; every implementation passes one suite."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from market.domain.data import MarketSnapshot
from market.domain.instruments import Instrument
from market.domain.orders import Order, VenueReport


class Clock(Protocol):
    """The only source of time. Aware, UTC, never going back."""

    def now(self) -> datetime: ...


class MarketFeed(Protocol):
    """What can be seen of the market."""

    def instruments(self) -> Sequence[Instrument]:
        """Every instrument this feed serves, in name order."""
        ...

    def snapshot(self, symbols: Sequence[str], now: datetime) -> MarketSnapshot:
        """The market at `now`: closed candles only (the unfinished one apart), nothing later than `now`.

        An instrument whose data is missing, stale or implausible is returned with `unusable` set, never
        left out and never with an invented price. Raises VenueUnavailable when nothing can be read.
        """
        ...


class Broker(Protocol):
    """What can be done at the venue, and what the venue says was done."""

    def sync(self, snapshot: MarketSnapshot) -> Sequence[VenueReport]:
        """Everything that happened at the venue since the last call, in the venue's order.

        Asking again returns nothing already returned by this object; a new object over the same venue may
        repeat reports, and the ledger ignores what it knows. Raises VenueUnavailable when the state can't
        be read: then nothing may be opened.
        """
        ...

    def submit(self, order: Order, attached: Sequence[Order] = ()) -> Sequence[VenueReport]:
        """Send one order, once, with the stop and target that must live from its first fill.

        Returns what the venue answered, refusals included (REJECTED with a reason). Raises VenueUnavailable
        when the outcome is unknown: the caller marks the order UNKNOWN and learns its fate by `lookup`.

        An order that was looked up in vain more than RECEIVE_WINDOW after its `created_at` is never taken
        afterwards, however late its sender wakes: OrderRefused. So *not found* is a proof from then on.
        """
        ...

    def lookup(self, order: Order) -> Sequence[VenueReport]:
        """All that the venue knows of one order of ours: its fills, then its status. They may repeat what
        was reported before. Empty: the venue knows no such order, which alone proves nothing. Raises
        VenueUnavailable.
        """
        ...

    def cancel(self, client_order_id: str) -> Sequence[VenueReport]:
        """Cancel one resting order. Already gone is no error: the answer says what became of it."""
        ...
