"""What one holder of a desk has changed and not yet written: rows to insert, rows to change, things to tell.

It decides nothing and opens no transaction: the ledger does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.utils import timezone

from bots import models, rows
from bots.domain.book import Book, Folded
from bots.domain.entries import ClosedTrade, ExitPlan, LedgerEntry, Notice
from bots.domain.events import EventKind
from bots.events import Told
from market.domain.instruments import Instrument
from market.domain.numbers import plain
from market.domain.orders import Fill, Order


@dataclass(slots=True)
class Draft:
    """Everything gathered since the last write. `day_navs` None: no day has ended."""

    new_orders: list[Order] = field(default_factory=list)
    orders: dict[str, Order] = field(default_factory=dict)
    fills: list[tuple[Fill, bool, int]] = field(default_factory=list)
    entries: list[LedgerEntry] = field(default_factory=list)
    trades: list[ClosedTrade] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    plans: dict[str, ExitPlan] = field(default_factory=dict)
    events: list[Told] = field(default_factory=list)
    equity: dict[datetime, Decimal] = field(default_factory=dict)
    charges: list[str] = field(default_factory=list)
    day_navs: list[Decimal] | None = None

    @property
    def is_empty(self) -> bool:
        return not (
            self.new_orders or self.orders or self.fills or self.entries or self.notices
            or self.plans or self.events or self.equity or self.charges
        )  # fmt: skip

    def copy(self) -> "Draft":
        """The same, safe from what is gathered later."""
        copied = replace(self)
        for name in self.__slots__:
            value = getattr(self, name)
            setattr(copied, name, value if value is None else type(value)(value))
        return copied

    def keep(self, folded: Folded) -> None:
        """Gather the rows that a fold made."""
        if folded.order is not None:
            self.orders[folded.order.client_order_id] = folded.order
        is_ours, sequence = folded.order is not None, folded.book.sequence
        self.fills.extend((fill, is_ours, sequence) for fill in folded.fills)
        self.entries.extend(folded.entries)
        self.trades.extend(folded.closed_trades)
        self.notices.extend(folded.notices)

    def plan(self, symbol: str, plan: ExitPlan) -> None:
        self.plans[symbol] = plan

    def told(self) -> list[Told]:
        """The events of what was gathered, in the order in which things happened."""
        told: list[Told] = []
        for fill, _, _ in self.fills:
            told.append((fill.at, EventKind.FILL, rows.fill_payload(fill)))
        now = timezone.now()
        told += [
            (now, EventKind.ORDER, rows.order_payload(order)) for order in self.orders.values()
        ]
        told += [
            (trade.closed_at, EventKind.TRADE, rows.trade_payload(trade)) for trade in self.trades
        ]
        told += [
            (now, EventKind.PLAN, _plan_payload(symbol, plan))
            for symbol, plan in self.plans.items()
            if not plan.is_closing  # its orders tell
        ]
        for notice in self.notices:
            payload = {"kind": str(notice.kind), "symbol": notice.symbol, "text": notice.text}
            told.append((notice.at, EventKind.NOTICE, payload))
        return told + self.events

    def store_orders(
        self,
        bot_id: UUID,
        cycle_id: UUID | None,
        instruments: Mapping[str, Instrument],
    ) -> None:
        """Insert new orders, change known ones. Raises IntegrityError for a new one that is known."""

        def row(order: Order, submitted_at: datetime | None) -> models.Order:
            return rows.order_row(order, bot_id, instruments[order.symbol], cycle_id, submitted_at)

        if self.new_orders:
            models.Order.objects.bulk_create(row(order, None) for order in self.new_orders)
        if self.orders:
            # The time stands in the row that is offered, for its constraint; it is never changed.
            now = timezone.now()
            models.Order.objects.bulk_create(
                (row(order, now) for order in self.orders.values()),
                update_conflicts=True,
                unique_fields=["client_order_id"],
                update_fields=rows.ORDER_CHANGES,
            )

    def store_rows(self, bot_id: UUID) -> None:
        """Insert fills, entries, trades and equity points; note booked charges. Raises IntegrityError for
        a fill or an entry that is booked."""
        if self.fills:
            models.Fill.objects.bulk_create(
                rows.fill_row(fill, bot_id, is_ours=is_ours, sequence=sequence)
                for fill, is_ours, sequence in self.fills
            )
        if self.entries:
            models.LedgerEntry.objects.bulk_create(
                rows.entry_row(entry, bot_id) for entry in self.entries
            )
        if self.trades:
            models.ClosedTrade.objects.bulk_create(
                rows.trade_row(trade, bot_id) for trade in self.trades
            )
        if self.equity:
            models.EquityPoint.objects.bulk_create(
                (
                    models.EquityPoint(bot_id=bot_id, at=at, equity=equity)
                    for at, equity in self.equity.items()
                ),
                update_conflicts=True,
                unique_fields=["bot", "at"],
                update_fields=["equity"],
            )
        if self.charges:
            models.ModelCharge.objects.filter(bot_id=bot_id, key__in=self.charges).update(
                is_booked=True
            )

    def store_positions(
        self,
        bot_id: UUID,
        book: Book,
        changed: Sequence[str],
        instruments: Mapping[str, Instrument],
    ) -> None:
        """Bring the position rows of the changed symbols in line with the book."""
        held = rows.position_rows(book, changed, bot_id, instruments)
        gone = set(changed) - {row.symbol for row in held}
        if gone:
            models.Position.objects.filter(bot_id=bot_id, symbol__in=gone).delete()
        if held:
            models.Position.objects.bulk_create(
                held,
                update_conflicts=True,
                unique_fields=["bot", "symbol"],
                update_fields=rows.POSITION_CHANGES,
            )


def _plan_payload(symbol: str, plan: ExitPlan) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "stop": None if plan.stop_price is None else plain(plan.stop_price),
        "target": None if plan.target_price is None else plain(plan.target_price),
        "closing": plan.is_closing,
    }
