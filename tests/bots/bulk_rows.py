"""Many rows of a bot at once, as a year of trading would leave them: for counts of queries."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from uuid import UUID, uuid4

from bots import models, stored_record
from bots.domain.book import Book
from bots.domain.entries import ExitPlan
from bots.domain.records import CycleOutcome, CycleRecord
from bots.domain.stored_book import book_text
from market.domain.enums import OrderStatus
from market.domain.positions import Position as Held
from tests.scenarios.tables import SYMBOL

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def order_row(bot: models.Bot, number: int, status: str = OrderStatus.FILLED) -> models.Order:
    return models.Order(
        client_order_id=uuid4().hex, bot=bot, symbol=SYMBOL, base="TEST", contract_size=D(1),
        side="BUY", order_type="MARKET", purpose="ENTRY", quantity=D(1), time_in_force="IOC",
        reduce_only=False, leverage=D(2), created_at=BEGAN + (number // 2) * MINUTE,
        submitted_at=BEGAN, status=status, filled_quantity=D(0), filled_notional=D(0),
    )  # fmt: skip


def cycle_row(bot: models.Bot, number: int, decision: str = "") -> models.TradingCycle:
    at = BEGAN + (number // 2) * MINUTE
    return models.TradingCycle(
        id=uuid4(), bot=bot, slot=str(number), status="DONE", owner="o", lease_until=at,
        started_at=at, ended_at=at, outcome=CycleOutcome.DECIDED, trading_state="ACTIVE",
        decision=decision, summary=f"number {number}", equity=D(10_000), llm_cost=D("0.01"),
        record=packed(str(number), at),
    )  # fmt: skip


def packed(slot: str, at: datetime) -> bytes:
    record = CycleRecord(slot=slot, started_at=at, ended_at=at, outcome=CycleOutcome.DECIDED)
    return stored_record.pack(record)[0]


def trade_row(bot: models.Bot, number: int) -> models.ClosedTrade:
    at = BEGAN + number * MINUTE
    return models.ClosedTrade(
        bot=bot, symbol=SYMBOL, side="LONG", opened_at=at, closed_at=at, quantity=D(1),
        entry_price=D(100), exit_price=D(101), realized_pnl=D(1), fees=D("0.2"), funding=D(0),
        adjustments=D(0), net_pnl=D("0.8"), exit_reason="TARGET",
    )  # fmt: skip


def entry_row(bot: models.Bot, number: int) -> models.LedgerEntry:
    return models.LedgerEntry(
        bot=bot, sequence=number + 2, at=BEGAN, kind="FEE", amount=D("-0.1"), key=str(number)
    )


def event_row(bot: models.Bot, number: int) -> models.Event:
    return models.Event(
        bot=bot, sequence=number + 1, at=BEGAN, kind="NOTICE", payload={"n": number}
    )


def point_row(bot: models.Bot, number: int, equity: D | None = None) -> models.EquityPoint:
    value = D(10_000) + number % 7 if equity is None else equity
    return models.EquityPoint(bot=bot, at=BEGAN + number * MINUTE, equity=value)


def fill(bot: models.Bot, count: int, first: int = 0) -> None:
    """So many more rows of every kind that grows."""
    numbers = range(first, first + count)
    models.Order.objects.bulk_create(order_row(bot, number) for number in numbers)
    models.TradingCycle.objects.bulk_create(
        cycle_row(bot, number, "DECIDED" if number % 2 else "") for number in numbers
    )
    models.ClosedTrade.objects.bulk_create(trade_row(bot, number) for number in numbers)
    models.LedgerEntry.objects.bulk_create(entry_row(bot, number) for number in numbers)
    models.Event.objects.bulk_create(event_row(bot, number) for number in numbers)
    models.Bot.objects.filter(pk=bot.pk).update(event_sequence=first + count)
    models.EquityPoint.objects.bulk_create(point_row(bot, number) for number in numbers)


def hold(bot: models.Bot, positions: Sequence[tuple[str, str, str]], unrealized: str = "0") -> None:
    """Give a bot positions (symbol, signed quantity, entry cost) which have gained so much in all; each
    has a stop at 1 and a target at 999 in its stored book."""
    held = {}
    for symbol, quantity, cost in positions:
        models.Position.objects.create(
            bot=bot, symbol=symbol, base=symbol.split("/")[0], contract_size=D(1),
            quantity=D(quantity), entry_cost=D(cost), margin=D(cost) / 5, leverage=D(5),
            opened_at=BEGAN,
        )  # fmt: skip
        held[symbol] = Held(symbol=symbol, quantity=D(quantity), entry_cost=D(cost))
    plan = ExitPlan(stop_price=D(1), target_price=D(999), invalidation_condition="below 1")
    book = Book(cash=bot.capital, positions=held, plans=dict.fromkeys(held, plan))
    models.BotState.objects.filter(bot=bot).update(
        book=book_text(book), equity=bot.capital + D(unrealized)
    )


def a_row_of_each(bot: models.Bot) -> None:
    """One row of every model that hangs on a bot, and those it needs."""
    fill(bot, 1)
    hold(bot, [(SYMBOL, "1", "100")])
    models.Fill.objects.create(
        bot=bot, order=models.Order.objects.filter(bot=bot).first(), sequence=3, symbol=SYMBOL,
        venue_trade_id=uuid4().hex, side="BUY", quantity=D(1), price=D(100), fee=D("0.1"),
        fee_currency="USDT", liquidity="TAKER", reason="ORDER", at=BEGAN,
    )  # fmt: skip
    models.ModelCharge.objects.create(bot=bot, key="k", at=BEGAN, cost=D("0.01"), ok=True)
    models.ManualAction.objects.create(
        bot=bot, kind="FLATTEN", request_id="r", requested_by="me", requested_at=BEGAN
    )
    models.Blob.objects.get_or_create(hash=bot.pk.hex, defaults={"data": b"x"})
    models.CohortLook.objects.get_or_create(cohort=bot.pk, slot="x", at=BEGAN, data=b"x")
    models.TradingHalt.objects.create(scope="BOT", bot=bot, halted_by="me", halted_at=BEGAN)


def ids(rows) -> list[UUID]:
    return [row.id for row in rows]
