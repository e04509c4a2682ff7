"""The ledger of replays and tests: the same folds as the database's, kept in memory.

It has no leases to lose and no status to read, so it always grants the desk; `may_open` can be
switched off to play a pause. It keeps every row, and can refold itself from its own log.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from bots.domain.book import (
    Book,
    Folded,
    fold_money,
    fold_new_orders,
    fold_status,
)
from bots.domain.bot import BotConfig
from bots.domain.entries import ClosedTrade, EntryKind, ExitPlan, LedgerEntry, Notice
from bots.domain.records import CycleOutcome, CycleRecord
from bots.domain.reports import fold_model_result, fold_report, is_news, report_key
from bots.metrics import sharpe_of_days
from market.domain.data import to_milliseconds
from market.domain.enums import OrderStatus
from market.domain.evolve import evolve
from market.domain.instruments import Instrument
from market.domain.orders import Fill, Order, OrderReport, VenueReport
from risk.domain import BreakerState, Denial

EQUITY_EXPONENT = 8
EQUITY_LIMIT = Decimal(2**63 - 1).scaleb(-EQUITY_EXPONENT)


class MemoryLedger:
    """Implements `bots.ports.Ledger`. `cycles` keeps the records that tell anything: a rule that just
    holds, minute after minute, leaves none."""

    def __init__(self, bot: BotConfig, opened_at: datetime) -> None:
        self.bot = bot
        self.opened_at = opened_at
        self.opening_allowed = True
        self.orders: dict[str, Order] = {}
        self.entries: list[LedgerEntry] = []
        self.fills: list[Fill] = []
        self.closed_trades: list[ClosedTrade] = []
        self.notices: list[Notice] = []
        self.denials: list[tuple[datetime, Denial]] = []
        self.cycles: list[CycleRecord] = []
        self.log: list[tuple[VenueReport, Order | None]] = []
        self._slots: set[str] = set()
        self._charged: set[str] = set()
        self._lookups: Counter[str] = Counter()
        self._known: set[tuple[object, ...]] = set()
        self._equity_at: list[npt.NDArray[np.int64]] = []
        self._equity: list[npt.NDArray[np.int64]] = []
        self._points_at: list[int] = []
        self._points: list[int] = []
        self._day = bot.local_day(opened_at)
        self._day_navs: list[Decimal] = [bot.capital]
        self._last_equity = bot.capital
        self._sharpe: Decimal | None = None
        folded = fold_money(
            Book(), at=opened_at, kind=EntryKind.DEPOSIT, amount=bot.capital, key="opening"
        )
        self._book = folded.book
        self.entries.extend(folded.entries)

    # -- the port ---------------------------------------------------------------------------------

    @property
    def book(self) -> Book:
        return self._book

    def open_cycle(self, slot: str, now: datetime) -> bool:
        if now < self.opened_at:
            raise ValueError(f"cycle {slot} at {now} is before the ledger was opened")
        if slot in self._slots:
            return False
        self._slots.add(slot)
        return True

    def take_desk(self) -> bool:
        return True

    def release_desk(self) -> None:
        return None

    def may_open(self) -> bool:
        return self.opening_allowed

    def apply(self, reports: Sequence[VenueReport], instruments: Mapping[str, Instrument]) -> int:
        new = 0
        for report in reports:
            key = report_key(report)
            if key is not None:
                if key in self._known:
                    continue
                self._known.add(key)
            new += self._apply_one(report, instruments)
        return new

    def write_orders(self, orders: Sequence[Order]) -> Sequence[Order]:
        fresh = [order for order in orders if order.client_order_id not in self.orders]
        for order in fresh:
            self.orders[order.client_order_id] = order
        self._book = fold_new_orders(self._book, tuple(fresh))
        return fresh

    def claim(self, orders: Sequence[Order]) -> tuple[Order, ...]:
        if not self.opening_allowed and any(not order.reduce_only for order in orders):
            for order in orders:
                self._keep(fold_status(self._book, order, OrderStatus.CANCELED, "BOT_NOT_ACTIVE"))
            return ()
        claimed = []
        for order in orders:
            folded = fold_status(
                self._book, self.orders[order.client_order_id], OrderStatus.SUBMITTED
            )
            self._keep(folded)
            claimed.append(self.orders[order.client_order_id])
        return tuple(claimed)

    def count_lookup(self, client_order_id: str) -> int:
        self._lookups[client_order_id] += 1
        return self._lookups[client_order_id]

    def move_order(self, client_order_id: str, status: OrderStatus, reason: str) -> None:
        self._keep(fold_status(self._book, self.orders[client_order_id], status, reason))

    def find_order(self, client_order_id: str) -> Order | None:
        return self.orders.get(client_order_id)

    def set_plan(self, symbol: str, plan: ExitPlan) -> None:
        self._book = evolve(self._book, plans={**self._book.plans, symbol: plan})

    def set_breakers(self, state: BreakerState) -> None:
        if state is not self._book.breakers:
            self._book = evolve(self._book, breakers=state)

    def charge_llm(self, at: datetime, cost: Decimal | None, *, ok: bool, key: str) -> None:
        if key not in self._charged:
            self._charged.add(key)
            self._keep(fold_model_result(self._book, self.bot, at=at, cost=cost, ok=ok, key=key))

    def record_equity(self, at: datetime, equity: Decimal) -> None:
        milliseconds = to_milliseconds(at)
        if self._points_at and self._points_at[-1] == milliseconds:
            self._points[-1] = scaled_equity(equity)  # one point an instant: the last word counts
        else:
            self._points_at.append(milliseconds)
            self._points.append(scaled_equity(equity))
        self._turn_day(self.bot.local_day(at))
        self._last_equity = equity

    def notify(self, notice: Notice) -> None:
        self.notices.append(notice)

    def close_cycle(self, record: CycleRecord) -> None:
        if record.verdict is not None:
            self.denials.extend((record.ended_at, denial) for denial in record.verdict.denials)
        if _tells_anything(record):
            self.cycles.append(record)

    def recent_trades(self, count: int) -> Sequence[ClosedTrade]:
        return self.closed_trades[-count:]

    def recent_denials(self, count: int) -> Sequence[tuple[datetime, Denial]]:
        return self.denials[-count:]

    def cycles_run(self) -> int:
        return len(self._slots)

    def started_at(self) -> datetime:
        return self.opened_at

    def sharpe_ratio(self) -> Decimal | None:
        return self._sharpe

    # -- what a replay adds -----------------------------------------------------------------------

    def extend_equity(
        self, at: npt.NDArray[np.int64], equity: npt.NDArray[np.int64], day: str
    ) -> None:
        """Append many points at once: milliseconds, and equity in units of 1e-8, all within one local `day`."""
        self._flush_points()
        self._equity_at.append(at)
        self._equity.append(equity)
        self._turn_day(day)
        self._last_equity = Decimal(int(equity[-1])).scaleb(-EQUITY_EXPONENT)

    def equity_curve(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """All points: (milliseconds, equity in units of 1e-8), oldest first."""
        self._flush_points()
        if not self._equity:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        return np.concatenate(self._equity_at), np.concatenate(self._equity)

    def refolded(self, instruments: Mapping[str, Instrument]) -> Book:
        """The book rebuilt from the rows alone: what `rebuild_positions --check` compares for equality.

        Every fill, funding payment and adjustment of the log is folded anew; other money is re-entered.
        """
        book = Book()
        for entry in self.entries:
            if entry.kind in (EntryKind.DEPOSIT, EntryKind.WITHDRAWAL, EntryKind.LLM_COST):
                book = fold_money(
                    book, at=entry.at, kind=entry.kind, amount=entry.amount, key=entry.key
                ).book
        for report, order in self.log:
            book = fold_report(book, report, order, instruments, self.bot).book
        return book

    # -- inside -----------------------------------------------------------------------------------

    def _apply_one(self, report: VenueReport, instruments: Mapping[str, Instrument]) -> int:
        order = None
        if isinstance(report, OrderReport):
            order = self.orders.get(report.client_order_id or "")
        if not is_news(report, order):
            return 0
        folded = fold_report(self._book, report, order, instruments, self.bot)
        self.log.append((report, order))
        self._keep(folded)
        return 1

    def _keep(self, folded: Folded) -> None:
        self._book = folded.book
        if folded.order is not None:
            self.orders[folded.order.client_order_id] = folded.order
        if folded.entries:
            self.entries.extend(folded.entries)
        if folded.fills:
            self.fills.extend(folded.fills)
        if folded.closed_trades:
            self.closed_trades.extend(folded.closed_trades)
        if folded.notices:
            self.notices.extend(folded.notices)

    def _flush_points(self) -> None:
        if self._points:
            self._equity_at.append(np.array(self._points_at, np.int64))
            self._equity.append(np.array(self._points, np.int64))
            self._points_at, self._points = [], []

    def _turn_day(self, day: str) -> None:
        if day > self._day:
            self._day = day
            self._day_navs.append(self._last_equity)
            self._sharpe = sharpe_of_days(self._day_navs)


def _tells_anything(record: CycleRecord) -> bool:
    """False for a rule's plain hold."""
    decision = record.decision
    if record.outcome is not CycleOutcome.DECIDED or decision is None:
        return True
    return bool(
        decision.items or decision.void or decision.notes or decision.prompts or decision.reason
    )


def scaled_equity(equity: Decimal) -> int:
    """Equity in units of 1e-8. Raises OverflowError past 63 bits (92 billion)."""
    if abs(equity) > EQUITY_LIMIT:
        raise OverflowError(f"an equity of {equity} does not fit the curve's 63 bits")
    return int(equity.scaleb(EQUITY_EXPONENT))
