"""What one bot holds, has ordered, has closed and has booked."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from bots import models, rows
from bots.domain.entries import ClosedTrade, EntryKind, ExitPlan, ExitReason, LedgerEntry
from bots.domain.stored_book import book_from
from bots.queries.paging import PAGE, Page, by_number, by_time
from bots.queries.worth import unrealized
from market.domain.enums import FillReason, Liquidity, OrderPurpose, OrderSide, PositionSide
from market.domain.instruments import Instrument
from market.domain.numbers import ZERO
from market.domain.orders import OPEN_STATUSES, Order
from market.domain.positions import Position, liquidation_price
from market.instrument_rows import instrument_of
from market.models import Instrument as InstrumentRow


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPosition:
    """What is held of an instrument. `quantity` in contracts, above zero; prices and amounts in the
    bot's currency. `liquidation_price` is None on spot and for an instrument that is not known, as is
    `price_step`; `mark_price` and `unrealized_pnl` where no mark was given. `notional` is what it is worth
    at the mark, else what was paid. Stop and target are those planned. `is_dust`: a spot rest too small to
    sell."""

    symbol: str
    side: PositionSide
    quantity: Decimal
    entry_price: Decimal
    entry_cost: Decimal
    leverage: Decimal
    margin: Decimal
    opened_at: datetime | None
    is_dust: bool
    liquidation_price: Decimal | None
    mark_price: Decimal | None
    unrealized_pnl: Decimal | None
    stop_price: Decimal | None
    target_price: Decimal | None
    invalidation_condition: str
    is_closing: bool
    base: str
    notional: Decimal
    price_step: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FillLine:
    """A trade at the venue. `purpose` and `cycle_id` are those of its order; None where none of ours made
    it, or a person or protection did."""

    id: int
    at: datetime
    symbol: str
    side: OrderSide
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: str
    liquidity: Liquidity
    reason: FillReason
    order_id: str | None
    purpose: OrderPurpose | None
    cycle_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """An order, the cycle that wanted it (None: a person, or protection), and when it left for the venue."""

    order: Order
    cycle_id: UUID | None
    submitted_at: datetime | None


def positions_of(
    bot: models.Bot, marks: Mapping[str, Decimal] | None = None
) -> tuple[HeldPosition, ...]:
    """What the bot holds, in name order; `marks`: the mark prices that the caller knows, by symbol.
    Three queries. Raises StoredBookError when the stored book can't be read."""
    held = list(models.Position.objects.filter(bot=bot).order_by("symbol"))
    if not held:
        return ()
    text = models.BotState.objects.values_list("book", flat=True).get(pk=bot.pk)
    return held_positions(held, book_from(text, {}).plans, instruments_in(bot, held), marks or {})


def instruments_in(bot: models.Bot, held: Iterable[models.Position]) -> dict[str, Instrument]:
    """What is known of the instruments the bot trades and holds, by symbol. One query."""
    symbols = {*bot.symbols, *(one.symbol for one in held)}
    listed = InstrumentRow.objects.filter(venue=bot.venue, symbol__in=symbols)
    return {row.symbol: instrument_of(row) for row in listed}


def held_positions(
    held: Sequence[models.Position],
    plans: Mapping[str, ExitPlan],
    instruments: Mapping[str, Instrument],
    marks: Mapping[str, Decimal],
) -> tuple[HeldPosition, ...]:
    """Rows of positions as pages show them. No query."""
    return tuple(
        _held(
            row,
            instruments.get(row.symbol),
            plans.get(row.symbol, ExitPlan()),
            marks.get(row.symbol),
        )
        for row in held
    )


def orders_of(
    bot: models.Bot, *, open_only: bool = False, after: str = "", limit: int = PAGE
) -> Page[OrderLine]:
    """The bot's orders, the latest first; `open_only`: those that rest, are under way or whose fate is
    unknown. One query. Raises ValueError for an `after` that no page gave."""
    found = models.Order.objects.filter(bot=bot)
    if open_only:
        found = found.filter(status__in=OPEN_STATUSES)
    return by_time(found, "created_at", after, limit, _order)


def fills_of(
    bot: models.Bot, *, symbol: str = "", after: str = "", limit: int = PAGE
) -> Page[FillLine]:
    """The bot's fills, the latest first; of one symbol, where one is given. One query. Raises ValueError as
    `orders_of`."""
    found = models.Fill.objects.filter(bot=bot).select_related("order")
    if symbol:
        found = found.filter(symbol=symbol)
    return by_time(found, "at", after, limit, fill_line)


def closed_trades_of(bot: models.Bot, *, after: str = "", limit: int = PAGE) -> Page[ClosedTrade]:
    """The bot's finished round trips, the last first. One query. Raises ValueError as `orders_of`."""
    return by_number(models.ClosedTrade.objects.filter(bot=bot), "id", after, limit, trade_line)


def ended_between(bot: models.Bot, start: datetime, end: datetime) -> tuple[ClosedTrade, ...]:
    """The round trips that ended from `start` up to `end`, both included, the first one first. One query."""
    found = models.ClosedTrade.objects.filter(bot=bot, closed_at__gte=start, closed_at__lte=end)
    return tuple(trade_line(row) for row in found.order_by("id"))


def ledger_of(bot: models.Bot, *, after: str = "", limit: int = PAGE) -> Page[LedgerEntry]:
    """Every movement of the bot's cash, the last first. One query. Raises ValueError as `orders_of`."""
    return by_number(models.LedgerEntry.objects.filter(bot=bot), "sequence", after, limit, _entry)


def _held(
    row: models.Position, instrument: Instrument | None, plan: ExitPlan, mark: Decimal | None
) -> HeldPosition:
    position = Position(
        symbol=row.symbol,
        quantity=row.quantity,
        entry_cost=row.entry_cost,
        margin=row.margin,
        leverage=row.leverage,
        opened_at=row.opened_at,
    )
    pnl = None if mark is None else unrealized(row, mark)
    gained = pnl or ZERO
    return HeldPosition(
        symbol=row.symbol,
        side=position.side,
        quantity=abs(row.quantity),
        entry_price=row.entry_cost / (abs(row.quantity) * row.contract_size),
        entry_cost=row.entry_cost,
        leverage=row.leverage,
        margin=row.margin,
        opened_at=row.opened_at,
        is_dust=row.is_dust,
        liquidation_price=None if instrument is None else liquidation_price(position, instrument),
        mark_price=mark,
        unrealized_pnl=pnl,
        stop_price=plan.stop_price,
        target_price=plan.target_price,
        invalidation_condition=plan.invalidation_condition,
        is_closing=plan.is_closing,
        base=row.base,
        notional=row.entry_cost + (gained if row.quantity > 0 else -gained),
        price_step=None if instrument is None else instrument.price_step,
    )


def _order(row: models.Order) -> OrderLine:
    return OrderLine(
        order=rows.order_from(row), cycle_id=row.cycle_id, submitted_at=row.submitted_at
    )


def fill_line(row: models.Fill) -> FillLine:
    """A fill's row, its order selected with it, as pages show it."""
    order = row.order
    return FillLine(
        id=row.pk,
        at=row.at,
        symbol=row.symbol,
        side=OrderSide(row.side),
        quantity=row.quantity,
        price=row.price,
        fee=row.fee,
        fee_currency=row.fee_currency,
        liquidity=Liquidity(row.liquidity),
        reason=FillReason(row.reason),
        order_id=row.order_id,
        purpose=None if order is None else OrderPurpose(order.purpose),
        cycle_id=None if order is None else order.cycle_id,
    )


def trade_line(row: models.ClosedTrade) -> ClosedTrade:
    """A finished round trip of its row."""
    return ClosedTrade(
        symbol=row.symbol,
        side=PositionSide(row.side),
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        quantity=row.quantity,
        entry_price=row.entry_price,
        exit_price=row.exit_price,
        realized_pnl=row.realized_pnl,
        fees=row.fees,
        funding=row.funding,
        adjustments=row.adjustments,
        net_pnl=row.net_pnl,
        exit_reason=ExitReason(row.exit_reason),
    )


def _entry(row: models.LedgerEntry) -> LedgerEntry:
    return LedgerEntry(
        sequence=row.sequence,
        at=row.at,
        kind=EntryKind(row.kind),
        amount=row.amount,
        symbol=row.symbol,
        key=row.key,
    )
