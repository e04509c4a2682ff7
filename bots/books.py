"""The books of a bot: opened once, and folded again from their rows to see that nothing differs.

What is compared is what reports make: cash, totals, positions, round trips, closed trades. Exit plans and
the breakers' memory are decisions of their own and have no rows to be made from.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import chain
from typing import Any

from bots import models, rows
from bots.domain.book import (
    Book,
    Folded,
    entry_counted,
    fold_adjustment,
    fold_fills,
    fold_funding,
    fold_money,
)
from bots.domain.bot import BotConfig
from bots.domain.entries import EntryKind
from bots.domain.stored_book import book_from, book_text
from bots.recent import Recent
from market.domain.enums import FillReason, Liquidity, OrderPurpose, OrderSide
from market.domain.evolve import evolve
from market.domain.instruments import Instrument
from market.domain.numbers import ZERO
from market.domain.orders import Adjustment, Fill, FundingPayment
from tradingagent.accounts.time_zones import zone_at

COMPARED = (
    "cash", "totals", "positions", "dust", "round_trips", "stopped_at", "last_trades", "day",
    "entries_today", "sequence",
)  # fmt: skip
"""The fields of a book that its rows alone make."""
_MONEY = (EntryKind.DEPOSIT, EntryKind.WITHDRAWAL, EntryKind.LLM_COST)


def open_books(config: BotConfig, at: datetime) -> models.BotState:
    """Deposit a new bot's capital: its first entry and its state. Inside the caller's transaction."""
    folded = fold_money(Book(), at=at, kind=EntryKind.DEPOSIT, amount=config.capital, key="opening")
    models.LedgerEntry.objects.bulk_create(
        rows.entry_row(entry, config.id) for entry in folded.entries
    )
    recent = Recent(equity=config.capital, day=config.local_day(at))
    return models.BotState.objects.create(
        bot_id=config.id,
        opened_at=at,
        book=book_text(folded.book),
        recent=recent.text(),
        day_navs=json.dumps([str(config.capital)]),
        equity=config.capital,
        equity_at=at,
        **rows.state_columns(folded.book),
    )


def refolded(config: BotConfig, instruments: Mapping[str, Instrument]) -> Book:
    """The book that the bot's fills and entries make, folded in the order in which they were booked."""
    book = Book()
    entered: set[str] = set()
    zone = zone_at(models.Bot.objects.select_related("owner").get(pk=config.id).owner)
    for row in _in_order(config):
        day = evolve(config, time_zone=zone(row.at)).local_day(row.at)
        if isinstance(row, models.Fill):
            book = _fold_fill_row(book, row, day, instruments[row.symbol], entered).book
        else:
            book = _fold_entry_row(book, row, day).book
    return book


def differences(
    config: BotConfig, state: models.BotState, instruments: Mapping[str, Instrument]
) -> list[str]:
    """What differs between a bot's stored state and its rows folded anew; empty when all is equal."""
    stored, made = book_from(state.book, {}), refolded(config, instruments)
    found = [
        f"{name}: stored {getattr(stored, name)!r}, refolded {getattr(made, name)!r}"
        for name in COMPARED
        if getattr(stored, name) != getattr(made, name)
    ]
    for name, value in rows.state_columns(stored).items():
        if getattr(state, name) != value:
            found.append(f"state column {name}: {getattr(state, name)!r}, the book says {value!r}")
    found += _position_differences(config, made, instruments)
    entries = models.LedgerEntry.objects.filter(bot_id=config.id).values_list("amount", flat=True)
    booked = sum(entries, ZERO)
    if booked != stored.cash:
        found.append(f"cash: stored {stored.cash}, the entries add up to {booked}")
    return found


def _in_order(config: BotConfig) -> Iterator[models.Fill | models.LedgerEntry]:
    """Fills, and the entries that no fill made, as they were booked."""
    fills = models.Fill.objects.filter(bot_id=config.id).select_related("order")
    kinds = (*_MONEY, EntryKind.FUNDING, EntryKind.ADJUSTMENT)
    entries = models.LedgerEntry.objects.filter(bot_id=config.id, kind__in=kinds)

    def place(row: Any) -> tuple[int, bool, int]:
        return row.sequence, isinstance(row, models.Fill), row.pk

    return iter(sorted(chain(fills, entries), key=place))


def _fold_fill_row(
    book: Book, row: models.Fill, day: str, instrument: Instrument, entered: set[str]
) -> Folded:
    fill = Fill(
        venue_trade_id=row.venue_trade_id,
        client_order_id=row.order_id,
        symbol=row.symbol,
        side=OrderSide(row.side),
        quantity=row.quantity,
        price=row.price,
        fee=row.fee,
        fee_currency=row.fee_currency,
        liquidity=Liquidity(row.liquidity),
        reason=FillReason(row.reason),
        at=row.at,
    )
    order = None if row.order is None else rows.order_from(row.order)
    changes: dict[str, object] = {}
    if order is not None and order.purpose is OrderPurpose.ENTRY:
        if order.client_order_id not in entered:
            entered.add(order.client_order_id)
            changes = entry_counted(book, day)
    return fold_fills(book, fill, order, instrument, (), changes)


def _fold_entry_row(book: Book, row: models.LedgerEntry, day: str) -> Folded:
    if row.kind in _MONEY:
        return fold_money(book, at=row.at, kind=EntryKind(row.kind), amount=row.amount, key=row.key)
    if row.kind == EntryKind.FUNDING:
        payment = FundingPayment(
            at=row.at, symbol=row.symbol, amount=row.amount, rate=ZERO, mark_price=ZERO
        )
        return fold_funding(book, payment, day)
    adjustment = Adjustment(at=row.at, symbol=row.symbol, amount=row.amount, kind="", key=row.key)
    return fold_adjustment(book, adjustment)


def _position_differences(
    config: BotConfig, book: Book, instruments: Mapping[str, Instrument]
) -> list[str]:
    symbols = sorted({*book.positions, *book.dust})
    wanted = {row.symbol: row for row in rows.position_rows(book, symbols, config.id, instruments)}
    stored = {row.symbol: row for row in models.Position.objects.filter(bot_id=config.id)}

    def values(row: models.Position | None) -> dict[str, Any] | None:
        return None if row is None else {name: getattr(row, name) for name in rows.POSITION_CHANGES}

    return [
        f"position {symbol}: the row says {values(stored.get(symbol))}, refolded"
        f" {values(wanted.get(symbol))}"
        for symbol in sorted({*wanted, *stored})
        if values(wanted.get(symbol)) != values(stored.get(symbol))
    ]
