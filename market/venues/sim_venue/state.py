"""What the simulated venue remembers between two commands. Frozen: a step makes a new one.

Instants are milliseconds since the epoch here; reports carry datetimes. Only open positions and live
orders are kept, and the last ENDED_KEPT orders that ended, so that their fate can be asked by client
id and an id can't be used twice.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from market.domain.enums import OrderStatus
from market.domain.numbers import ZERO
from market.domain.orders import Order
from market.domain.positions import Position

ENDED_KEPT = 1000
ENDED_PAGE = 50
CHANGES_KEPT = 64

Change = tuple[int, Decimal]
"""(when, signed quantity from then on)."""


class Stage(StrEnum):
    """Where a live order stands.

    SENT: under way, or waiting for the first bar with volume. INACTIVE: attached to an entry that has
    not filled. RESTING: at the matching engine. TRIGGERED: fired, waiting for something to trade with.
    """

    SENT = "SENT"
    INACTIVE = "INACTIVE"
    RESTING = "RESTING"
    TRIGGERED = "TRIGGERED"


AT_THE_ENGINE = frozenset({Stage.RESTING, Stage.TRIGGERED})
"""The stages in which prices can touch an order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimOrder:
    """A live order at the venue: the order as it was sent, and what became of it so far.

    `since` is the arrival time while SENT, else the instant from which prices can touch it.
    `quantity` is what is in force (protection grows with its entry; 0 until then, and for orders sized
    in money until they fill). `reserved` is the cash that this order keeps from other orders.
    `children` are the attached stop and target.
    """

    order: Order
    venue_order_id: str
    stage: Stage
    since: int
    quantity: Decimal
    filled_quantity: Decimal = ZERO
    reserved: Decimal = ZERO
    children: tuple[str, ...] = ()

    @property
    def status(self) -> OrderStatus:
        """What the venue answers when asked about this order."""
        if self.filled_quantity:
            return OrderStatus.PARTIALLY_FILLED
        if self.stage is Stage.TRIGGERED:
            return OrderStatus.TRIGGERED
        return OrderStatus.ACCEPTED


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedOrder:
    """How an order ended."""

    symbol: str
    status: OrderStatus
    quantity: Decimal
    filled_quantity: Decimal
    at: int
    venue_order_id: str | None
    reason: str = ""


Page = Mapping[str, EndedOrder]


@dataclass(frozen=True, slots=True)
class EndedOrders:
    """The last ENDED_KEPT orders that ended, by client id, oldest first; a page more at most.

    Kept in pages: a state is frozen, and copying a thousand entries for each one that is added would
    cost more than everything else that a step does.
    """

    pages: tuple[Page, ...] = ()

    def get(self, client_order_id: str) -> EndedOrder | None:
        for page in self.pages:
            found = page.get(client_order_id)
            if found is not None:
                return found
        return None

    def items(self) -> Iterator[tuple[str, EndedOrder]]:
        for page in self.pages:
            yield from page.items()

    def __len__(self) -> int:
        return sum(map(len, self.pages))

    def adding(self, client_order_id: str, ended: EndedOrder) -> "EndedOrders":
        """These, one more, and the oldest page gone when there are too many."""
        pages = self.pages
        if pages and len(pages[-1]) < ENDED_PAGE:
            return EndedOrders((*pages[:-1], {**pages[-1], client_order_id: ended}))
        kept = pages[1:] if len(pages) > ENDED_KEPT // ENDED_PAGE else pages
        return EndedOrders((*kept, {client_order_id: ended}))


@dataclass(frozen=True, slots=True, kw_only=True)
class SimState:
    """The whole venue account.

    `cash`: the wallet, isolated margin included. `orders`: live ones in order of submission.
    `liquidation_prices`: derived from `positions`, kept because every bar asks for them. `changes`: the
    last changes of each quantity, which tell what was held just before a funding time.
    `funding_until`: the last funding time booked per symbol. `processed_until`: the close of the last
    bar walked per symbol.
    """

    cash: Decimal
    positions: Mapping[str, Position] = field(default_factory=dict)
    orders: Mapping[str, SimOrder] = field(default_factory=dict)
    ended: EndedOrders = EndedOrders()
    liquidation_prices: Mapping[str, Decimal] = field(default_factory=dict)
    changes: Mapping[str, tuple[Change, ...]] = field(default_factory=dict)
    funding_until: Mapping[str, int] = field(default_factory=dict)
    processed_until: Mapping[str, int] = field(default_factory=dict)
    next_trade: int = 1
    next_order: int = 1
