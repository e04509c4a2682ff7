"""The ledger in the database: the same folds as in memory, written in short transactions under a fence.

The holder of the desk works on the book in memory. What a call changed is gathered in a `Draft` and
written whole, at every answer of the venue, before every order that leaves, and on letting go. Each
write begins by renewing the lease by its fence (`bots.leases`); without it nothing of the write
happens. The traps avoided: a book read before somebody else wrote, and a fill booked twice (the
database refuses its second row, and the fold is made again without it).
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef
from django.utils import timezone

from bots import events, leases, models, rows, stored_record
from bots.booked import booked
from bots.domain.book import Book, Folded, fold_new_orders, fold_status
from bots.domain.bot import BotConfig, BotStatus
from bots.domain.entries import ClosedTrade, ExitPlan, Notice
from bots.domain.records import CycleRecord
from bots.domain.reports import (
    ReportKey,
    fold_model_result,
    fold_report,
    is_news,
    report_key,
)
from bots.domain.stored_book import book_from, book_text
from bots.draft import Draft
from bots.ports import LeaseLost
from bots.recent import Recent, day_navs_after
from market.domain.enums import OrderStatus
from market.domain.evolve import evolve
from market.domain.instruments import Instrument
from market.domain.orders import Order, OrderReport, VenueReport
from risk.domain import BreakerState, Denial

ORDER_RECHECK = Callable[[Sequence[Order]], str | None]


def _always() -> bool:
    return True


def no_objection(_: Sequence[Order]) -> None:
    """A recheck that lets everything pass."""


class DjangoLedger:
    """Implements `bots.ports.Ledger` for one holder: a cycle, a mark or a person's act. Not for use by two
    threads.

    `patience`: how long to wait for a desk that is taken. `model_seconds`: how long a model may think.
    `equity_every`: the least time between equity points that no fill asks for. `may_trade`: read again
    at every claim that opens. `recheck`: the owner's limits over all bots, asked under their lock at
    the claim; a sentence denies. `told_version`: how often the bot had been told otherwise when it was read; an order
    that opens does not leave after the next time. `as_read`: the desk is taken only while the bot is as it was
    read then.
    """

    def __init__(
        self,
        bot: BotConfig,
        instruments: Mapping[str, Instrument],
        *,
        patience: timedelta = timedelta(0),
        model_seconds: float = 60,
        equity_every: timedelta = timedelta(0),
        may_trade: Callable[[], bool] = _always,
        recheck: ORDER_RECHECK = no_objection,
        told_version: int | None = None,
        as_read: leases.AsRead | None = None,
    ) -> None:
        self.bot = bot
        self.cycle_id: UUID | None = None
        self._instruments = instruments
        self._patience = patience
        self._model_seconds = model_seconds
        self._equity_every = equity_every
        self._may_trade = may_trade
        self._recheck = recheck
        self._as_read = as_read
        self._lease = leases.DeskLease(bot_id=bot.id, owner=uuid4().hex, told_version=told_version)
        self._book = Book()
        self._saved = self._book
        self._recent = Recent()
        self._saved_recent = self._recent
        self._opened_at: datetime | None = None
        self._cycles = 0
        self._cycle_is_new = False
        self._alive_until = 0.0
        self._is_ending = False
        self._known: set[ReportKey] = set()
        self._seen: dict[str, Order | None] = {}
        self._has_new_fills = False
        self._owed: list[models.ModelCharge] = []
        self._draft = Draft()

    # -- the desk ---------------------------------------------------------------------------------

    @property
    def book(self) -> Book:
        return self._book

    @property
    def owner(self) -> str:
        """The name of this holder, on the desk and on its cycle."""
        return self._lease.owner

    def open_cycle(self, slot: str, now: datetime) -> bool:
        self.cycle_id = leases.open_cycle(self.bot.id, slot, self.owner, now)
        self._cycle_is_new = self.cycle_id is not None
        self._alive_until = time.monotonic() + settings.CYCLE_LEASE_SECONDS
        return self._cycle_is_new

    def take_desk(self) -> bool:
        if self._lease.fence and leases.take_back(self._lease, self.cycle_id):
            self._fold_charges(self._owed)
            return True
        if not leases.take(self._lease, self._patience, self._as_read):
            return False
        loaded = False
        try:
            loaded = self._load()
        finally:
            if not loaded:
                leases.let_go(self._lease)
        return loaded

    def release_desk(self) -> None:
        if not self._lease.held:
            return
        try:
            self._stay_alive(self._model_seconds + settings.CYCLE_LEASE_SECONDS, at_least=0.9)
            self._write(release=True)
        except LeaseLost:
            self._lease.held = False  # whoever has it now reads everything anew
            raise
        except Exception:
            leases.let_go(self._lease)
            raise

    def _stay_alive(self, lasting: float, *, at_least: float) -> None:
        """Extend the cycle's lease, unless this part of what is asked is left of it. Raises LeaseLost when
        the cycle was given up: then no model is asked for it."""
        now = time.monotonic()
        if self.cycle_id is None or self._alive_until - now >= lasting * at_least:
            return
        if not leases.extend_cycle(self.cycle_id, self.owner, lasting):
            raise LeaseLost(f"the cycle of {self.bot.id} was given up")
        self._alive_until = now + lasting

    def stay(self) -> None:
        """Asked before anything is said to the venue: who slept finds out. Raises LeaseLost."""
        if not self._lease.held:
            raise LeaseLost(f"the desk of {self.bot.id} is not held")
        if self._lease.is_old():
            with transaction.atomic():
                leases.renew(self._lease, 0)

    def may_open(self) -> bool:
        active = self._lease.status == BotStatus.ACTIVE and not self._lease.is_halted
        return active and self._may_trade()

    # -- the port: bookings -----------------------------------------------------------------------

    def apply(self, reports: Sequence[VenueReport], instruments: Mapping[str, Instrument]) -> int:
        if not reports:
            return 0
        before = (self._book, self._draft.copy(), set(self._known), dict(self._seen))
        recent, has_new_fills = self._recent, self._has_new_fills
        try:
            return self._apply(reports, instruments)
        except IntegrityError:  # some of it is booked: find out what, and fold the rest
            self._book, self._draft, self._known, self._seen = before
            self._recent, self._has_new_fills = recent, has_new_fills
            self._known |= booked(self.bot.id, reports)
            return self._apply(reports, instruments)

    def write_orders(self, orders: Sequence[Order]) -> Sequence[Order]:
        before = self._book
        fresh = [order for order in orders if self._seen.get(order.client_order_id) is None]
        try:
            self._write_new(fresh)
        except IntegrityError:
            self._book, self._draft.new_orders = before, []
            ids = [order.client_order_id for order in fresh]
            known = set(
                models.Order.objects.filter(pk__in=ids).values_list("client_order_id", flat=True)
            )
            fresh = [order for order in fresh if order.client_order_id not in known]
            self._write_new(fresh)
        return fresh

    def claim(self, orders: Sequence[Order]) -> tuple[Order, ...]:
        opens = any(not order.reduce_only for order in orders)
        refusal = self._try_claim(orders, opens=opens)
        if refusal is None:
            return tuple(self._living(order.client_order_id) for order in orders)
        status, reason = refusal
        for order in orders:
            self._keep(fold_status(self._book, self._living(order.client_order_id), status, reason))
        self._write()
        return ()

    def count_lookup(self, client_order_id: str) -> int:
        row = models.Order.objects.filter(pk=client_order_id)
        self._write(inside=lambda: row.update(lookups=F("lookups") + 1))
        return row.values_list("lookups", flat=True).get()

    def move_order(self, client_order_id: str, status: OrderStatus, reason: str) -> None:
        order = self.find_order(client_order_id)
        if order is None:
            raise LookupError(f"no order {client_order_id} of {self.bot.id}")
        self._keep(fold_status(self._book, order, status, reason))
        self._write()

    def find_order(self, client_order_id: str) -> Order | None:
        living = self._book.open_orders.get(client_order_id)
        if living is not None:
            return living
        if client_order_id not in self._seen:
            row = models.Order.objects.filter(pk=client_order_id, bot_id=self.bot.id).first()
            self._seen[client_order_id] = None if row is None else rows.order_from(row)
        return self._seen[client_order_id]

    def set_plan(self, symbol: str, plan: ExitPlan) -> None:
        if self._book.plans.get(symbol) != plan:
            self._book = evolve(self._book, plans={**self._book.plans, symbol: plan})
            self._draft.plan(symbol, plan)

    def set_breakers(self, state: BreakerState) -> None:
        if state is not self._book.breakers:
            self._book = evolve(self._book, breakers=state)

    def charge_llm(self, at: datetime, cost: Decimal | None, *, ok: bool, key: str) -> None:
        charge = models.ModelCharge(bot_id=self.bot.id, key=key, at=at, cost=cost, ok=ok)
        try:
            with transaction.atomic():
                charge.save(force_insert=True)
        except IntegrityError:
            return  # put down before
        self._owed.append(charge)
        if self._lease.held:
            self._fold_charges(self._owed)

    def record_equity(self, at: datetime, equity: Decimal) -> None:
        day = self.bot.local_day(at)
        if day > self._recent.day:  # never back, whatever the clocks of two machines say
            navs = day_navs_after(self.bot.id, self._recent)
            self._recent = self._recent.on_day(day, navs)
            self._draft.day_navs = navs
        last = self._recent.point_at
        is_due = last is None or at - last >= self._equity_every or self._has_new_fills
        self._recent = self._recent.with_equity(at, equity, is_point=is_due)
        if is_due:
            self._draft.equity[at] = equity
            self._has_new_fills = False

    def notify(self, notice: Notice) -> None:
        self._draft.notices.append(notice)

    def close_cycle(self, record: CycleRecord) -> None:
        if record.verdict is not None:
            self._recent = self._recent.with_denials(record.ended_at, record.verdict.denials)
        if self.cycle_id is None:
            return
        data, blobs = stored_record.pack(record)
        row = models.TradingCycle.objects.filter(pk=self.cycle_id, owner=self.owner)
        changes = events.cycle_columns(record, data)

        def store() -> None:
            stored_record.store_blobs(blobs)
            row.exclude(status=models.CycleStatus.DONE).update(**changes)

        told = (record.ended_at, *events.cycle_event(self.cycle_id, record))
        self._is_ending = True
        if self._lease.held:
            self._draft.events.append(told)
            self._write(release=True, inside=store)
        else:
            with transaction.atomic():
                events.emit(self.bot.id, [told])
                store()
        stored_record.remember(blobs)
        self.cycle_id = None
        self._cycles, self._cycle_is_new = self.cycles_run(), False
        self._is_ending = False

    # -- the port: reading ------------------------------------------------------------------------

    def recent_trades(self, count: int) -> Sequence[ClosedTrade]:
        return self._recent.trades[-count:]

    def recent_denials(self, count: int) -> Sequence[tuple[datetime, Denial]]:
        return self._recent.denials[-count:]

    def cycles_run(self) -> int:
        return self._cycles + self._cycle_is_new

    def started_at(self) -> datetime:
        if self._opened_at is None:
            raise RuntimeError("the ledger was not read: take the desk first")
        return self._opened_at

    def sharpe_ratio(self) -> Decimal | None:
        return self._recent.sharpe

    # -- inside: reading --------------------------------------------------------------------------

    def _load(self) -> bool:
        """Read the book as the last holder left it; False when our cycle was given up meanwhile."""
        unbooked = models.ModelCharge.objects.filter(bot=OuterRef("pk"), is_booked=False)
        running = models.TradingCycle.objects.filter(
            owner=self.owner, status=models.CycleStatus.RUNNING, bot=OuterRef("pk")
        )
        query = models.Bot.objects.select_related("state").defer("state__day_navs")
        row = query.annotate(owes=Exists(unbooked), runs=Exists(running)).get(pk=self.bot.id)
        if row.desk_owner != self.owner or (self.cycle_id is not None and not row.runs):
            return False
        state = row.state
        orders = models.Order.objects.filter(bot_id=self.bot.id, status__in=models.LIVING_STATUSES)
        living = [rows.order_from(order) for order in orders.order_by("created_at", "pk")]
        self._book = book_from(state.book, {order.client_order_id: order for order in living})
        self._saved, self._draft = self._book, Draft()
        self._recent = self._saved_recent = Recent.from_text(state.recent)
        self._opened_at = state.opened_at
        self._cycles = state.cycles
        self._known, self._seen = set(), {}
        self._lease.fence, self._lease.sequence = row.fence, row.event_sequence
        self._lease.status, self._lease.is_halted = row.status, row.is_halted
        self._owed = []
        self._cancel_unsent()
        if row.owes:
            self._fold_charges(
                list(models.ModelCharge.objects.filter(bot_id=self.bot.id, is_booked=False))
            )
        return True

    def _cancel_unsent(self) -> None:
        """Orders that were written and never claimed belong to a holder that is gone: never sent."""
        for order in tuple(self._book.open_orders.values()):
            if order.status is OrderStatus.INITIALIZED:
                reason = "never sent: whoever wrote it is gone"
                self._keep(fold_status(self._book, order, OrderStatus.CANCELED, reason))

    def _fold_charges(self, charges: list[models.ModelCharge]) -> None:
        for charge in sorted(charges, key=lambda one: (one.at, one.key)):
            folded = fold_model_result(
                self._book, self.bot, at=charge.at, cost=charge.cost, ok=charge.ok, key=charge.key
            )
            self._keep(folded)
            self._draft.charges.append(charge.key)
        self._owed = []

    def _living(self, client_order_id: str) -> Order:
        order = self.find_order(client_order_id)
        if order is None:
            raise LookupError(f"no order {client_order_id} of {self.bot.id}")
        return order

    # -- inside: writing --------------------------------------------------------------------------

    def _apply(self, reports: Sequence[VenueReport], instruments: Mapping[str, Instrument]) -> int:
        new = 0
        for report in reports:
            key = report_key(report)
            if key is not None and key in self._known:
                continue
            order = None
            if isinstance(report, OrderReport) and report.client_order_id is not None:
                order = self.find_order(report.client_order_id)
            if key is not None:
                self._known.add(key)
            if not is_news(report, order):
                continue
            self._keep(fold_report(self._book, report, order, instruments, self.bot))
            new += 1
        self._write()
        return new

    def _write_new(self, orders: Sequence[Order]) -> None:
        if orders:
            self._book = fold_new_orders(self._book, tuple(orders))
            self._draft.new_orders = list(orders)
            self._write()

    def _try_claim(self, orders: Sequence[Order], *, opens: bool) -> tuple[OrderStatus, str] | None:
        """Claim in one transaction; the status and reason of a refusal, None when all are ours to send."""
        if opens and not self._may_trade():
            return OrderStatus.CANCELED, "LIVE_TRADING_NOT_ALLOWED"
        ids = [order.client_order_id for order in orders]
        before = (self._book, self._lease.sequence)
        for order_id in ids:
            moved = fold_status(self._book, self._living(order_id), OrderStatus.SUBMITTED)
            self._book = moved.book
        refused: tuple[OrderStatus, str] | None = None
        waiting = models.Order.objects.filter(pk__in=ids, status=OrderStatus.INITIALIZED)
        try:
            with transaction.atomic():
                self._begin(to_open=opens)
                denial = self._recheck(orders) if opens else None
                if denial is not None:
                    refused = OrderStatus.DENIED, denial
                    raise leases.NotAllowed
                claimed = waiting.update(status=OrderStatus.SUBMITTED, submitted_at=timezone.now())
                if claimed < len(ids):  # sent already: its fate is to be asked, by who reads anew
                    raise LeaseLost(f"an order of {self.bot.id} was claimed before")
                self._store()
        except BaseException as error:
            self._book, self._lease.sequence = before
            if not isinstance(error, leases.NotAllowed):
                raise
            return refused or (OrderStatus.CANCELED, "BOT_NOT_ACTIVE")
        self._written()
        return None

    def _write(self, *, release: bool = False, inside: Callable[[], object] | None = None) -> None:
        """Write everything gathered, whole. Raises LeaseLost when the desk is somebody else's."""
        if not self._lease.held:
            raise LeaseLost(f"the desk of {self.bot.id} is not held")
        sequence = self._lease.sequence
        if not (release or inside or self._is_changed):
            return
        if not release:
            self._stay_alive(settings.CYCLE_LEASE_SECONDS, at_least=0.5)
        try:
            with transaction.atomic():
                self._begin(release=release)
                self._store()
                if inside is not None:
                    inside()
        except BaseException as error:
            self._lease.sequence = sequence
            self._lease.held = not isinstance(error, LeaseLost)
            raise
        self._written()

    def _begin(self, *, release: bool = False, to_open: bool = False) -> None:
        told = self._draft.told()
        last = leases.renew(self._lease, len(told), release=release, to_open=to_open)
        events.insert(self.bot.id, last, told)

    @property
    def _is_changed(self) -> bool:
        return (
            self._book is not self._saved
            or self._recent is not self._saved_recent
            or not self._draft.is_empty
        )

    def _store(self) -> None:
        """Insert and update the rows of the draft, and the state if its text changed."""
        draft, book = self._draft, self._book
        draft.store_orders(self.bot.id, self.cycle_id, self._instruments)
        draft.store_rows(self.bot.id)
        changed = rows.changed_positions(self._saved, book)
        if changed:
            draft.store_positions(self.bot.id, book, changed, self._instruments)
        columns: dict[str, object] = {}
        if evolve(book, open_orders=self._saved.open_orders) != self._saved:
            columns |= {"book": book_text(book), **rows.state_columns(book)}
        if self._recent is not self._saved_recent:
            columns |= {
                "recent": self._recent.text(),
                "equity": self._recent.equity,
                "equity_at": self._recent.equity_at or self._opened_at,
            }
        if draft.day_navs is not None:
            columns["day_navs"] = json.dumps([str(nav) for nav in draft.day_navs])
        if columns or (self._cycle_is_new and self._is_ending):
            columns["cycles"] = self.cycles_run()
            models.BotState.objects.filter(pk=self.bot.id).update(**columns)

    def _written(self) -> None:
        self._saved, self._saved_recent = self._book, self._recent
        self._draft = Draft()

    def _keep(self, folded: Folded) -> None:
        self._book = folded.book
        if folded.order is not None:
            self._seen[folded.order.client_order_id] = folded.order
        self._draft.keep(folded)
        self._has_new_fills = self._has_new_fills or bool(folded.fills)
        if folded.closed_trades:
            self._recent = self._recent.with_trades(folded.closed_trades)
