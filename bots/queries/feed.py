"""What several bots did last: their latest cycles, the orders of these, and the trades that ended meanwhile.

Where the latest cycles are many that only held, the last ones that sent an order stand behind them. As many rows
are read whatever the past holds. The trap avoided: sorting every cycle of every bot to find the newest; no row
before the n-th newest of any one bot can be among the n newest of all, so that bounds it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from bots import models
from bots.domain.entries import ClosedTrade
from bots.queries.history import CycleLine, cycle_line
from bots.queries.holdings import trade_line
from market.domain.enums import OrderPurpose, OrderSide, OrderStatus

MOST_CYCLES = 200
MOST_TRADES = 60
MOST_ORDERS = 48
"""Whose cycles are told, however many that only held came after them: a dozen entries with their exits."""


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
    that ended since the oldest of these cycles, the last first, with their bots. `complete_since`: of the time
    before, only cycles that sent an order are there; None: they are all there."""

    cycles: tuple[tuple[UUID, CycleLine], ...]
    orders: Mapping[UUID, tuple[SentOrder, ...]]
    trades: tuple[tuple[UUID, ClosedTrade], ...]
    complete_since: datetime | None = None


def doings_of(bots: Sequence[UUID], cycles: int = MOST_CYCLES) -> Doings:
    """What these bots did last. Six queries."""
    count = max(1, min(cycles, MOST_CYCLES))
    found = _ended().filter(bot__in=bots).defer("record")
    since = nth_newest(bots, count)
    if since is not None:
        found = found.filter(started_at__gte=since)
    rows = list(found.order_by("-started_at", "-pk")[:count])
    acts = _last_acts(bots)
    traded = models.ClosedTrade.objects.filter(bot__in=bots)
    complete_since = rows[-1].started_at if len(rows) == count else None
    if complete_since is not None:
        rows += [row for row in acts if row.started_at < complete_since]
        traded = traded.filter(closed_at__gte=rows[-1].started_at)
    return Doings(
        complete_since=complete_since,
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
    return _nth_newest(_ended(), "started_at", bots, count)


def _nth_newest(
    rows: QuerySet[Any], instant: str, bots: Sequence[UUID], count: int
) -> datetime | None:
    latest = rows.filter(bot=OuterRef("pk")).order_by(f"-{instant}")
    nth = Subquery(latest.values(instant)[count - 1 : count])
    found = models.Bot.objects.filter(pk__in=bots).annotate(nth=nth).values_list("nth", flat=True)
    return max((at for at in found if at is not None), default=None)


def _last_acts(bots: Sequence[UUID]) -> list[models.TradingCycle]:
    """The cycles that sent the last orders, the latest first. Two queries."""
    sent = models.Order.objects.filter(bot__in=bots, cycle__isnull=False)
    since = _nth_newest(sent, "created_at", bots, MOST_ORDERS)
    if since is not None:
        sent = sent.filter(created_at__gte=since)
    last = sent.order_by("-created_at").values("cycle")[:MOST_ORDERS]
    found = _ended().filter(pk__in=Subquery(last)).defer("record")
    return list(found.order_by("-started_at", "-pk"))


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
