"""What several bots did last: their latest cycles, the orders of these, and the trades that ended meanwhile.

As many rows are read whatever the past holds. The trap avoided: sorting every cycle of every bot to find the
newest; no row before the n-th newest of any one bot can be among the n newest of all, so that bounds it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from bots import models
from bots.domain.entries import ClosedTrade
from bots.queries.history import CycleLine, cycle_line
from bots.queries.holdings import trade_line
from market.domain.enums import OrderPurpose, OrderSide, OrderStatus

MOST_CYCLES = 200
MOST_TRADES = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class SentOrder:
    """An order as a sentence needs it. Quantities in units of `base`."""

    symbol: str
    base: str
    purpose: OrderPurpose
    side: OrderSide
    status: OrderStatus
    reason: str
    quantity: Decimal
    filled: Decimal
    leverage: Decimal
    stop: Decimal | None
    target: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Doings:
    """Of several bots: cycles that have ended, the latest first, with their bots; orders by cycle; trades
    that ended since the oldest of these cycles, the last first, with their bots."""

    cycles: tuple[tuple[UUID, CycleLine], ...]
    orders: Mapping[UUID, tuple[SentOrder, ...]]
    trades: tuple[tuple[UUID, ClosedTrade], ...]


def doings_of(bots: Sequence[UUID], cycles: int = MOST_CYCLES) -> Doings:
    """What these bots did last. Four queries."""
    count = max(1, min(cycles, MOST_CYCLES))
    found = _ended().filter(bot__in=bots).defer("record")
    since = nth_newest(bots, count)
    if since is not None:
        found = found.filter(started_at__gte=since)
    rows = list(found.order_by("-started_at", "-pk")[:count])
    traded = models.ClosedTrade.objects.filter(bot__in=bots)
    if len(rows) == count:
        traded = traded.filter(closed_at__gte=rows[-1].started_at)
    return Doings(
        cycles=tuple((row.bot_id, cycle_line(row)) for row in rows),
        orders=orders_in(row.pk for row in rows if row.order_ids),
        trades=tuple((row.bot_id, trade_line(row)) for row in traded.order_by("-id")[:MOST_TRADES]),
    )


def orders_in(cycles: Iterable[UUID]) -> Mapping[UUID, tuple[SentOrder, ...]]:
    """The orders that these cycles sent, in the order in which they were made. One query."""
    found = models.Order.objects.filter(cycle__in=list(cycles)).order_by("created_at", "pk")
    orders: dict[UUID, list[SentOrder]] = defaultdict(list)
    for row in found:
        if row.cycle_id is not None:
            orders[row.cycle_id].append(_sent(row))
    return {cycle_id: tuple(sent) for cycle_id, sent in orders.items()}


def nth_newest(bots: Sequence[UUID], count: int) -> datetime | None:
    """The latest instant since which some bot alone has that many cycles; None when none has so many."""
    latest = _ended().filter(bot=OuterRef("pk")).order_by("-started_at")
    nth = Subquery(latest.values("started_at")[count - 1 : count])
    begun = models.Bot.objects.filter(pk__in=bots).annotate(nth=nth).values_list("nth", flat=True)
    return max((instant for instant in begun if instant is not None), default=None)


def _ended() -> QuerySet[models.TradingCycle]:
    return models.TradingCycle.objects.exclude(status=models.CycleStatus.RUNNING)


def _sent(row: models.Order) -> SentOrder:
    return SentOrder(
        symbol=row.symbol,
        base=row.base,
        purpose=OrderPurpose(row.purpose),
        side=OrderSide(row.side),
        status=OrderStatus(row.status),
        reason=row.reason,
        quantity=row.quantity * row.contract_size,
        filled=row.filled_quantity * row.contract_size,
        leverage=row.leverage,
        stop=row.stop_price,
        target=row.target_price,
    )
