"""Small worlds for the tests of the veto: 10,000 in cash, flat, quotes without a spread.

The defaults pass every rule of `open_limits()`, so a test says only what it is about.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from market.domain.account import Account
from market.domain.data import Quote
from market.domain.enums import InstrumentKind, OrderPurpose, PositionSide
from market.domain.instruments import Instrument, margin_tiers
from market.domain.positions import Position
from risk.domain import (
    Limits,
    OrderIntent,
    ProtectionIntent,
    RestingEntry,
    RiskContext,
    Ruling,
    TradingState,
)
from risk.engine import review

D = Decimal
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BTC, ETH, SOL, PEPE, SPOT = (
    "BTC/USDT:USDT",
    "ETH/USDT:USDT",
    "SOL/USDT:USDT",
    "PEPE/USDT:USDT",
    "BTC/USDT",
)
MARKS = {BTC: D(100), ETH: D(50), SOL: D(20), PEPE: D(10), SPOT: D(100)}
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
TIERS = margin_tiers(("50000", "0.004"), ("250000", "0.01"), (None, "0.025"))


def instrument(symbol: str = BTC, **changes: Any) -> Instrument:
    """A perpetual (spot for SPOT) with step 0.01, tick 0.01, minimum 5, no fee, leverage to 50."""
    is_spot = ":" not in symbol
    values: dict[str, Any] = {
        "symbol": symbol,
        "base": symbol.split("/")[0],
        "quote": "USDT",
        "settle": "USDT",
        "kind": InstrumentKind.SPOT if is_spot else InstrumentKind.PERPETUAL,
        "price_step": D("0.01"),
        "quantity_step": D("0.01"),
        "min_quantity": D("0.01"),
        "min_notional": D(5),
        "max_leverage": D(1) if is_spot else D(50),
        "taker_fee": D(0),
        "margin_tiers": () if is_spot else TIERS,
        **changes,
    }
    return Instrument(**values)


INSTRUMENTS = {symbol: instrument(symbol) for symbol in MARKS}


def quote(symbol: str = BTC, mark: Decimal | None = None, **changes: Any) -> Quote:
    price = MARKS[symbol] if mark is None else mark
    values: dict[str, Any] = {
        "symbol": symbol, "at": NOW, "bid": price, "ask": price, "last": price, "mark": price, **changes,
    }  # fmt: skip
    return Quote(**values)


def position(
    quantity: Any, symbol: str = BTC, *, price: Decimal | None = None, leverage: int = 10,
    opened_at: datetime = NOW - timedelta(hours=5),
) -> Position:  # fmt: skip
    """Signed quantity entered at `price` (default: the mark)."""
    entered = MARKS[symbol] if price is None else price
    cost = abs(D(quantity)) * entered
    return Position(
        symbol=symbol,
        quantity=D(quantity),
        entry_cost=cost,
        margin=D(0) if ":" not in symbol else cost / leverage,
        leverage=D(leverage),
        opened_at=opened_at,
    )


def context(
    positions: Sequence[Position] = (),
    *,
    cash: Decimal | int = 10_000,
    equity: Decimal | int | None = None,
    quotes: Mapping[str, Quote] | None = None,
    instruments: Mapping[str, Instrument] = INSTRUMENTS,
    **changes: Any,
) -> RiskContext:
    prices = {symbol: quote(symbol) for symbol in MARKS} if quotes is None else quotes
    account = Account(
        cash=D(cash),
        positions={held.symbol: held for held in positions},
        instruments=instruments,
        marks={symbol: price.mark for symbol, price in prices.items()},
    )
    values: dict[str, Any] = {
        "now": NOW,
        "state": TradingState.ACTIVE,
        "account": account,
        "equity": D(cash if equity is None else equity),
        "quotes": prices,
        "prompt_marks": account.marks,
        "instruments": instruments,
        **changes,
    }
    return RiskContext(**values)


def open_limits(**changes: Any) -> Limits:
    """No limit is on but those given."""
    return Limits(name="test", **{"stop_required": False, **changes})


def entry(
    side: PositionSide = LONG, quantity: Any = "1", symbol: str = BTC, **changes: Any
) -> OrderIntent:
    values: dict[str, Any] = {
        "symbol": symbol,
        "purpose": OrderPurpose.ENTRY,
        "side": side,
        "quantity": D(quantity),
        "leverage": D(10) if ":" in symbol else D(1),
        "reference_price": MARKS[symbol],
        **changes,
    }
    return OrderIntent(**values)


def leave(
    quantity: Any = "1", side: PositionSide = LONG, symbol: str = BTC, **changes: Any
) -> OrderIntent:
    """A close or reduce of a position on `side`."""
    return replace(entry(side, quantity, symbol, purpose=OrderPurpose.CLOSE), **changes)


def move(symbol: str = BTC, **changes: Any) -> ProtectionIntent:
    return ProtectionIntent(symbol=symbol, **changes)


def resting(side: PositionSide, quantity: str, symbol: str = BTC, **changes: Any) -> RestingEntry:
    values: dict[str, Any] = {
        "symbol": symbol,
        "side": side,
        "quantity": D(quantity),
        "price": MARKS[symbol],
        "leverage": D(10),
        **changes,
    }
    return RestingEntry(**values)


def rule_on(intent: Any, where: RiskContext, limits: Limits) -> Ruling:
    """The ruling on one intent."""
    (ruling,) = review([intent], where, limits).rulings
    return ruling


def mirrored(price: Any, side: PositionSide, around: Decimal = MARKS[BTC]) -> Decimal:
    """A price as a long would say it, mirrored around the mark for a short."""
    return D(price) if side is LONG else 2 * around - D(price)
