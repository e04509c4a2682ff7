"""What must be true of a bot whenever nobody holds its desk, and what a zombie must leave as it is.

Every check reads rows alone. `faults` is empty when all is well.
"""

import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from bots import models, runtime
from bots.books import differences
from bots.domain.book import Book
from bots.domain.stored_book import book_from
from bots.models import CycleStatus
from bots.protection import is_settled
from bots.rows import order_from
from market.domain.enums import OrderPurpose, OrderStatus
from market.domain.instruments import Instrument
from market.models import SimRecord, SimRecordKind
from market.venues.paper_records import report_of, state_of
from market.venues.sim_venue.state import SimState

UNRESOLVED = (OrderStatus.INITIALIZED, OrderStatus.SUBMITTED, OrderStatus.UNKNOWN)

Instruments = dict[str, Instrument]


def faults(bot_id: Any, instruments: Instruments) -> list[str]:
    """Everything that is wrong with a bot which has been healed."""
    bot = runtime.load_bot(bot_id)
    state = state_of(bot.sim_account.state, instruments)
    living = models.Order.objects.filter(bot=bot, status__in=models.LIVING_STATUSES)
    orders = {row.client_order_id: order_from(row) for row in living}
    book = book_from(bot.state.book, orders)
    return [
        *differences(runtime.config_of(bot), bot.state, instruments),
        *_identity(book),
        *_nobody_at_the_desk(bot),
        *_same_fills(bot),
        *_same_account(bot, book, state),
        *_protected(book, state, instruments),
        *_one_entry_a_cycle(bot),
        *_each_rung_once(bot),
        *_numbered(bot),
        *_paid(bot, book),
    ]


def _identity(book: Book) -> Iterator[str]:
    totals = book.totals
    made = (
        totals.deposits - totals.withdrawals + totals.realized_pnl - totals.fees
        + totals.funding + totals.adjustments - totals.llm_cost
    )  # fmt: skip
    if made != book.cash:
        yield f"cash {book.cash} is not the sum of its parts {made}"


def _nobody_at_the_desk(bot: models.Bot) -> Iterator[str]:
    if bot.desk_until is not None:
        yield f"the desk is still held by {bot.desk_owner}"
    running = bot.cycles.filter(status=CycleStatus.RUNNING)
    yield from (f"cycle {cycle.slot} still runs" for cycle in running)


def _same_fills(bot: models.Bot) -> Iterator[str]:
    """The venue's fills and the ledger's, one for one."""
    told = SimRecord.objects.filter(account=bot.sim_account, kind=SimRecordKind.FILL)
    fills = (report_of(one.kind, one.payload).fill for one in told)
    at_venue = Counter(
        (
            one.venue_trade_id,
            one.client_order_id,
            one.side,
            one.quantity,
            one.price,
            one.fee,
            one.at,
        )
        for one in fills
        if one is not None
    )
    booked = Counter(
        (one.venue_trade_id, one.order_id, one.side, one.quantity, one.price, one.fee, one.at)
        for one in bot.fills.all()
    )
    if at_venue != booked:
        yield f"fills differ: venue {at_venue - booked}, ledger {booked - at_venue}"


def _same_account(bot: models.Bot, book: Book, state: SimState) -> Iterator[str]:
    """Positions, living orders and cash; the venue does not know what models cost."""
    venue = {name: one.quantity for name, one in state.positions.items() if one.quantity}
    rows = {row.symbol: row.quantity for row in bot.positions.all()}
    if venue != rows:
        yield f"positions differ: venue {venue}, ledger {rows}"
    if state.cash != book.cash + book.totals.llm_cost:
        yield f"cash differs: venue {state.cash}, ledger {book.cash} + {book.totals.llm_cost}"
    living = {name for name, one in book.open_orders.items() if one.status not in UNRESOLVED}
    if living != set(state.orders):
        yield f"living orders differ: venue {set(state.orders)}, ledger {living}"
    for name, one in book.open_orders.items():
        if one.status in UNRESOLVED:
            yield f"{one.purpose} {name} is still {one.status}"


def _protected(book: Book, state: SimState, instruments: Instruments) -> Iterator[str]:
    """Every position has its stop resting at the venue, for all of it."""
    if not is_settled(book, instruments):
        yield "protection is not as it should be"
    for symbol, position in book.positions.items():
        plan = book.plans.get(symbol)
        if plan is None:
            yield f"{symbol} is held without a plan"
        elif not plan.is_closing and plan.stop_price is not None:
            stops = [
                held.quantity
                for held in state.orders.values()
                if held.order.symbol == symbol and held.order.purpose is OrderPurpose.STOP
            ]
            if stops != [abs(position.quantity)]:
                yield f"{symbol}: {position.quantity} held, stops for {stops}"


def _one_entry_a_cycle(bot: models.Bot) -> Iterator[str]:
    entries = bot.orders.filter(purpose=OrderPurpose.ENTRY).values_list("cycle_id", flat=True)
    for cycle, count in Counter(entries).items():
        if count > 1:
            yield f"{count} entries of cycle {cycle}"
    known = set(bot.orders.values_list("client_order_id", flat=True))
    records = SimRecord.objects.filter(account=bot.sim_account).exclude(client_order_id="")
    for name in set(records.values_list("client_order_id", flat=True)) - known:
        yield f"the venue knows an order that nobody wrote: {name}"


def _each_rung_once(bot: models.Bot) -> Iterator[str]:
    """Its ladder has one rung: no position is sold from twice."""
    taken = bot.orders.filter(purpose=OrderPurpose.LADDER, filled_quantity__gt=0).count()
    held = bot.closed_trades.count() + bot.positions.count()
    if taken > held:
        yield f"{taken} rungs of {held} positions"


def _numbered(bot: models.Bot) -> Iterator[str]:
    """Events and entries run from 1 without a hole or a double."""
    events = list(bot.events.order_by("sequence").values_list("sequence", flat=True))
    if events != list(range(1, bot.event_sequence + 1)):
        yield f"events are numbered {events} up to {bot.event_sequence}"
    entries = list(bot.entries.order_by("sequence").values_list("sequence", flat=True))
    if entries != list(range(1, len(entries) + 1)):
        yield f"entries are numbered {entries}"


def _paid(bot: models.Bot, book: Book) -> Iterator[str]:
    charges = list(bot.charges.all())
    if any(not charge.is_booked for charge in charges):
        yield "a model's bill is not booked"
    if sum((charge.cost or Decimal(0) for charge in charges), Decimal(0)) != book.totals.llm_cost:
        yield f"the bills do not add up to {book.totals.llm_cost}"


# --- what a zombie leaves as it is --------------------------------------------------------------------


def print_of(bot_id: Any) -> dict[str, Any]:
    """Everything that only the holder of a desk may change, to be compared before and after."""
    bot = models.Bot.objects.select_related("state", "sim_account").get(pk=bot_id)
    state = {field.attname: getattr(bot.state, field.attname) for field in bot.state._meta.fields}
    return {
        "state": state,
        "orders": list(bot.orders.order_by("pk").values_list("pk", "status", "filled_quantity", "reason", "lookups")),
        "fills": bot.fills.count(),
        "entries": bot.entries.count(),
        "positions": list(bot.positions.order_by("symbol").values_list("symbol", "quantity")),
        "trades": bot.closed_trades.count(),
        "points": list(bot.equity_points.order_by("at").values_list("at", "equity")),
        "told": [
            (one.kind, json.dumps(one.payload, sort_keys=True))
            for one in bot.events.exclude(kind__in=["CYCLE", "ACTION"]).order_by("sequence")
        ],
        "venue": (bot.sim_account.version, bot.sim_account.records.count()),
        "desk": (bot.desk_until, bot.desk_owner),
    }  # fmt: skip
