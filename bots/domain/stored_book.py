"""The book as canonical text and back: what one row keeps of a bot between two holders of its desk.

`book_from(book_text(book), orders) == book`. Open orders are rows of their own and come from there.
Decimals are text, so nothing is rounded by any database.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from bots.domain.book import Book
from bots.domain.entries import ClosedTrade, ExitPlan, ExitReason, RoundTrip, Totals
from market.domain.canonical import canonical_bytes
from market.domain.enums import OrderPurpose, PositionSide
from market.domain.orders import Order
from market.domain.stored import decimal_or_none, instant_or_none, position_from
from risk.domain import BreakerState, Code, TradingState

FORMAT = 1

Plain = Mapping[str, Any]


class StoredBookError(ValueError):
    """A stored book can't be read; the message says what is wrong with it."""


def book_text(book: Book) -> str:
    """Everything of a book but its open orders."""
    return canonical_bytes(
        {
            "format": FORMAT,
            "cash": book.cash,
            "totals": book.totals,
            "positions": book.positions,
            "dust": book.dust,
            "round_trips": book.round_trips,
            "plans": book.plans,
            "stopped_at": book.stopped_at,
            "last_trades": book.last_trades,
            "day": book.day,
            "entries_today": book.entries_today,
            "breakers": book.breakers,
            "sequence": book.sequence,
        }
    ).decode()


def book_from(text: str, open_orders: Mapping[str, Order]) -> Book:
    """The book that `book_text` wrote. Raises StoredBookError for another format or a malformed field."""
    try:
        raw = json.loads(text)
        if raw["format"] != FORMAT:
            raise StoredBookError(f"a stored book of format {raw['format']!r}, not {FORMAT}")
        return Book(
            cash=Decimal(raw["cash"]),
            totals=Totals(**{name: Decimal(value) for name, value in raw["totals"].items()}),
            positions=_each(raw["positions"], position_from),
            dust=_each(raw["dust"], position_from),
            round_trips=_each(raw["round_trips"], _trip),
            plans=_each(raw["plans"], _plan),
            open_orders=open_orders,
            stopped_at=_each(raw["stopped_at"], datetime.fromisoformat),
            last_trades=_each(raw["last_trades"], trade_from),
            day=raw["day"],
            entries_today=raw["entries_today"],
            breakers=_breakers(raw["breakers"]),
            sequence=raw["sequence"],
        )
    except (KeyError, ValueError, TypeError, ArithmeticError) as error:
        if isinstance(error, StoredBookError):
            raise
        raise StoredBookError(f"a stored book can't be read: {error!r}") from error


def _each(raw: Plain, read: Any) -> dict[str, Any]:
    return {symbol: read(value) for symbol, value in raw.items()}


def _trip(raw: Plain) -> RoundTrip:
    amounts = {
        name: Decimal(value)
        for name, value in raw.items()
        if name not in ("symbol", "side", "opened_at")
    }
    return RoundTrip(
        symbol=raw["symbol"],
        side=PositionSide(raw["side"]),
        opened_at=datetime.fromisoformat(raw["opened_at"]),
        **amounts,
    )


def _plan(raw: Plain) -> ExitPlan:
    return ExitPlan(
        stop_price=decimal_or_none(raw["stop_price"]),
        target_price=decimal_or_none(raw["target_price"]),
        invalidation_condition=raw["invalidation_condition"],
        is_closing=raw["is_closing"],
        # what follows is not in books that were written before there were managed exits
        closing_as=OrderPurpose(raw.get("closing_as", OrderPurpose.CLOSE)),
        first_stop_price=decimal_or_none(raw.get("first_stop_price")),
        managed_stop_price=decimal_or_none(raw.get("managed_stop_price")),
        rungs_taken=raw.get("rungs_taken", 0),
    )


def trade_from(raw: Plain) -> ClosedTrade:
    """A closed trade from its canonical mapping."""
    words = ("symbol", "side", "opened_at", "closed_at", "exit_reason")
    return ClosedTrade(
        symbol=raw["symbol"],
        side=PositionSide(raw["side"]),
        opened_at=datetime.fromisoformat(raw["opened_at"]),
        closed_at=datetime.fromisoformat(raw["closed_at"]),
        exit_reason=ExitReason(raw["exit_reason"]),
        **{name: Decimal(value) for name, value in raw.items() if name not in words},
    )


def _breakers(raw: Plain) -> BreakerState:
    return BreakerState(
        state=TradingState(raw["state"]),
        reasons=frozenset(Code(code) for code in raw["reasons"]),
        peak_nav=Decimal(raw["peak_nav"]),
        soft_peak_nav=Decimal(raw["soft_peak_nav"]),
        day=raw["day"],
        day_open_nav=Decimal(raw["day_open_nav"]),
        last_nav=Decimal(raw["last_nav"]),
        loss_streak=raw["loss_streak"],
        stale_beats=raw["stale_beats"],
        model_failures=raw["model_failures"],
        llm_cost_today=Decimal(raw["llm_cost_today"]),
        funding_today=Decimal(raw["funding_today"]),
        hard_breach_beats=raw["hard_breach_beats"],
        hard_breach_at=instant_or_none(raw.get("hard_breach_at")),  # not in older books
        reducing_since=instant_or_none(raw["reducing_since"]),
        flat_since=instant_or_none(raw["flat_since"]),
        emergency_asked_at=instant_or_none(raw["emergency_asked_at"]),
        cooling_since=instant_or_none(raw["cooling_since"]),
        counted_day=raw["counted_day"],
    )
