"""Values of the desk as rows, and rows as values. It reads no book and writes nothing itself."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from bots import models
from bots.domain import entries as values
from bots.domain.book import Book
from bots.domain.bot import BotConfig
from bots.domain.exits import ExitRules, Rung
from market.domain.enums import (
    OrderPurpose,
    OrderSide,
    OrderStatus,
    OrderType,
    TimeInForce,
    TriggerBasis,
)
from market.domain.instruments import Instrument
from market.domain.numbers import plain
from market.domain.orders import Fill, Order
from market.domain.positions import Position

ORDER_CHANGES = (
    "quantity", "status", "filled_quantity", "filled_notional", "venue_order_id", "reason",
)  # fmt: skip
POSITION_CHANGES = ("quantity", "entry_cost", "margin", "leverage", "opened_at", "is_dust")


def config_of(bot: models.Bot, time_zone: str) -> BotConfig:
    """What the cycle needs to know of a bot. `time_zone` is its owner's."""
    return BotConfig(
        id=bot.id,
        symbols=tuple(bot.symbols),
        interval=timedelta(seconds=bot.interval_seconds),
        timeframe=timedelta(seconds=bot.timeframe_seconds),
        capital=bot.capital,
        currency=bot.currency,
        time_zone=str(ZoneInfo(time_zone)),
        owner_words=bot.owner_words,
        charge_llm_cost=bot.charge_llm_cost,
        exits=exits_of(bot),
    )


def exits_of(bot: models.Bot) -> ExitRules:
    """The exits that a bot manages by itself. Raises InvalidExits for columns that make no sense."""
    return ExitRules(
        trailing_fraction=bot.trailing_fraction,
        trailing_from_r=bot.trailing_from_r,
        break_even_at_r=bot.break_even_at_r,
        ladder=tuple(
            Rung(at_r=Decimal(at_r), fraction=Decimal(fraction)) for at_r, fraction in bot.ladder
        ),
        time_stop=bot.time_stop,
    )


def exit_columns(rules: ExitRules) -> dict[str, Any]:
    """The same as the columns of a bot."""
    return {
        "trailing_fraction": rules.trailing_fraction,
        "trailing_from_r": rules.trailing_from_r,
        "break_even_at_r": rules.break_even_at_r,
        "ladder": [[plain(rung.at_r), plain(rung.fraction)] for rung in rules.ladder],
        "time_stop": rules.time_stop,
    }


def order_row(
    order: Order,
    bot_id: UUID,
    instrument: Instrument,
    cycle_id: UUID | None,
    submitted_at: datetime | None,
) -> models.Order:
    return models.Order(
        client_order_id=order.client_order_id,
        bot_id=bot_id,
        cycle_id=cycle_id,
        symbol=order.symbol,
        base=instrument.base,
        contract_size=instrument.contract_size,
        side=order.side,
        order_type=order.order_type,
        purpose=order.purpose,
        quantity=order.quantity,
        quote_quantity=order.quote_quantity,
        price=order.price,
        trigger_price=order.trigger_price,
        trigger_basis=order.trigger_basis,
        time_in_force=order.time_in_force,
        reduce_only=order.reduce_only,
        leverage=order.leverage,
        parent_id=order.parent_id or "",
        stop_price=order.stop_price,
        target_price=order.target_price,
        note=order.note,
        created_at=order.created_at,
        submitted_at=submitted_at,
        status=order.status,
        filled_quantity=order.filled_quantity,
        filled_notional=order.filled_notional,
        venue_order_id=order.venue_order_id or "",
        reason=order.reason,
    )


def order_from(row: models.Order) -> Order:
    basis = row.trigger_basis
    return Order(
        client_order_id=row.client_order_id,
        symbol=row.symbol,
        side=OrderSide(row.side),
        order_type=OrderType(row.order_type),
        purpose=OrderPurpose(row.purpose),
        quantity=row.quantity,
        quote_quantity=row.quote_quantity,
        price=row.price,
        trigger_price=row.trigger_price,
        trigger_basis=None if basis is None else TriggerBasis(basis),
        time_in_force=TimeInForce(row.time_in_force),
        reduce_only=row.reduce_only,
        leverage=row.leverage,
        parent_id=row.parent_id or None,
        stop_price=row.stop_price,
        target_price=row.target_price,
        note=row.note,
        created_at=row.created_at,
        status=OrderStatus(row.status),
        filled_quantity=row.filled_quantity,
        filled_notional=row.filled_notional,
        venue_order_id=row.venue_order_id or None,
        reason=row.reason,
    )


def fill_row(fill: Fill, bot_id: UUID, *, is_ours: bool, sequence: int) -> models.Fill:
    """`is_ours`: its order is a row of ours. `sequence`: the ledger's after it."""
    return models.Fill(
        bot_id=bot_id,
        sequence=sequence,
        order_id=fill.client_order_id if is_ours else None,
        symbol=fill.symbol,
        venue_trade_id=fill.venue_trade_id,
        side=fill.side,
        quantity=fill.quantity,
        price=fill.price,
        fee=fill.fee,
        fee_currency=fill.fee_currency,
        liquidity=fill.liquidity,
        reason=fill.reason,
        at=fill.at,
    )


def entry_row(entry: values.LedgerEntry, bot_id: UUID) -> models.LedgerEntry:
    return models.LedgerEntry(
        bot_id=bot_id,
        sequence=entry.sequence,
        at=entry.at,
        kind=entry.kind,
        amount=entry.amount,
        symbol=entry.symbol,
        key=entry.key,
    )


def trade_row(trade: values.ClosedTrade, bot_id: UUID) -> models.ClosedTrade:
    return models.ClosedTrade(
        bot_id=bot_id,
        symbol=trade.symbol,
        side=trade.side,
        opened_at=trade.opened_at,
        closed_at=trade.closed_at,
        quantity=trade.quantity,
        entry_price=trade.entry_price,
        exit_price=trade.exit_price,
        realized_pnl=trade.realized_pnl,
        fees=trade.fees,
        funding=trade.funding,
        adjustments=trade.adjustments,
        net_pnl=trade.net_pnl,
        exit_reason=trade.exit_reason,
    )


def position_rows(
    book: Book, symbols: Iterable[str], bot_id: UUID, instruments: Mapping[str, Instrument]
) -> list[models.Position]:
    """Rows of what is held of some symbols; one that is neither held nor dust has none."""
    rows = []
    for symbol in symbols:
        held = book.positions.get(symbol) or book.dust.get(symbol)
        if held is not None and held.quantity:
            rows.append(_position_row(held, bot_id, instruments[symbol], symbol in book.dust))
    return rows


def _position_row(
    held: Position, bot_id: UUID, instrument: Instrument, is_dust: bool
) -> models.Position:
    return models.Position(
        bot_id=bot_id,
        symbol=held.symbol,
        base=instrument.base,
        contract_size=instrument.contract_size,
        quantity=held.quantity,
        entry_cost=held.entry_cost,
        margin=held.margin,
        leverage=held.leverage,
        opened_at=held.opened_at,
        is_dust=is_dust,
    )


def changed_positions(before: Book, after: Book) -> list[str]:
    """Symbols whose holding differs between two books."""
    if before.positions is after.positions and before.dust is after.dust:
        return []
    symbols = {*before.positions, *before.dust, *after.positions, *after.dust}
    return sorted(
        symbol
        for symbol in symbols
        if before.positions.get(symbol) != after.positions.get(symbol)
        or before.dust.get(symbol) != after.dust.get(symbol)
    )


def state_columns(book: Book) -> dict[str, Any]:
    """The columns of BotState that are read off the book."""
    totals, breakers = book.totals, book.breakers
    return {
        "cash": book.cash,
        "peak_nav": breakers.peak_nav,
        "day_open_nav": breakers.day_open_nav,
        "trading_state": breakers.state,
        "loss_streak": breakers.loss_streak,
        "deposits": totals.deposits,
        "withdrawals": totals.withdrawals,
        "realized_pnl": totals.realized_pnl,
        "fees": totals.fees,
        "funding": totals.funding,
        "adjustments": totals.adjustments,
        "llm_cost": totals.llm_cost,
        "sequence": book.sequence,
    }


def fill_payload(fill: Fill) -> dict[str, str]:
    return {
        "symbol": fill.symbol,
        "side": str(fill.side),
        "quantity": plain(fill.quantity),
        "price": plain(fill.price),
        "reason": str(fill.reason),
    }


def order_payload(order: Order) -> dict[str, str]:
    return {
        "id": order.client_order_id,
        "symbol": order.symbol,
        "purpose": str(order.purpose),
        "side": str(order.side),
        "status": str(order.status),
        "quantity": plain(order.quantity),
        "filled": plain(order.filled_quantity),
        "reason": order.reason,
    }


def trade_payload(trade: values.ClosedTrade) -> dict[str, str]:
    return {
        "symbol": trade.symbol,
        "side": str(trade.side),
        "net_pnl": plain(trade.net_pnl),
        "exit_reason": str(trade.exit_reason),
    }
