"""Synthetic candles and views for the tests of the mind: deterministic, and as small as they can be."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np

from llm.domain import AccountView, DecisionView, PositionView
from market.domain.data import (
    Candle,
    CandleSeries,
    InstrumentSnapshot,
    MarketSnapshot,
    Quote,
    series_from_columns,
    to_milliseconds,
)
from market.domain.enums import InstrumentKind, PositionSide
from market.domain.instruments import Instrument, margin_tiers

START = datetime(2022, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FOUR_HOURS = timedelta(hours=4)
BTC = "BTC/USDT:USDT"
ETH = "ETH/USDT:USDT"


def instrument(symbol: str = BTC, *, tick: str = "0.1", **changes: object) -> Instrument:
    """A linear perpetual; `BASE/QUOTE` without a settlement currency makes a spot instrument."""
    pair, _, settle = symbol.partition(":")
    base, _, quote = pair.partition("/")
    kind = InstrumentKind.PERPETUAL if settle else InstrumentKind.SPOT
    values: dict[str, object] = {
        "symbol": symbol,
        "base": base,
        "quote": quote,
        "settle": settle or quote,
        "kind": kind,
        "price_step": Decimal(tick),
        "quantity_step": Decimal("0.001"),
        "min_quantity": Decimal("0.001"),
        "min_notional": Decimal(5),
        "max_leverage": Decimal(50) if settle else Decimal(1),
        "margin_tiers": margin_tiers((None, "0.01")) if settle else (),
        **changes,
    }
    return Instrument(**values)  # type: ignore[arg-type]


def walk(
    count: int, seed: int = 1, *, first: int = 463190, step: int = 300, floor: int = 1000
) -> list[int]:
    """`count` closes in ticks: a walk drawn from a hash, so it is the same on every machine."""
    closes = []
    price = first
    for index in range(count):
        digest = hashlib.sha256(f"{seed}|{index}".encode()).digest()
        price = max(floor, price + int.from_bytes(digest[:4], "big") % (2 * step + 1) - step)
        closes.append(price)
    return closes


def series(
    closes: Sequence[int],
    *,
    exponent: int = -1,
    timeframe: timedelta = MINUTE,
    start: datetime = START,
    wick: int = 50,
) -> CandleSeries:
    """Closed candles through these closes (in units of 10^exponent), each opening at the last close."""
    close = np.array(closes, dtype=np.int64)
    open_ = np.concatenate([close[:1], close[:-1]]) if len(close) else close.copy()
    first, step = to_milliseconds(start), timeframe // timedelta(milliseconds=1)
    low = np.maximum(1, np.minimum(open_, close) - wick) if len(close) else close.copy()
    return CandleSeries(
        timeframe=timeframe,
        opened_at=first + step * np.arange(len(close), dtype=np.int64),
        open=open_,
        high=np.maximum(open_, close) + wick,
        low=low,
        close=close,
        volume=1000 + 10 * (close % 7),
        price_exponent=exponent,
        volume_exponent=-2,
    )


def empty_series(timeframe: timedelta = MINUTE) -> CandleSeries:
    return series_from_columns(
        timeframe=timeframe,
        opened_at=[],
        prices={name: [] for name in ("open", "high", "low", "close")},
        volume=[],
    )


def snapshot(
    candles: CandleSeries,
    symbol: str = BTC,
    *,
    traded: Instrument | None = None,
    **changes: object,
) -> InstrumentSnapshot:
    """One instrument as of the close of its last candle, quoted at that close."""
    traded = traded or instrument(symbol)
    quote = None
    if len(candles):
        price = candles.price(candles.close[-1])
        quote = Quote(
            symbol=symbol,
            at=candles.closed(-1),
            bid=price,
            ask=price,
            last=price,
            mark=price,
        )
    values: dict[str, object] = {"instrument": traded, "quote": quote, "candles": candles}
    return InstrumentSnapshot(**{"bars": candles, **values, **changes})  # type: ignore[arg-type]


def account(equity: str = "10000", **changes: object) -> AccountView:
    money = Decimal(equity)
    values = {
        "currency": "USDT",
        "opening_equity": Decimal(10000),
        "cash": money,
        "available": money,
        "equity": money,
        "total_return_fraction": money / 10000 - 1,
        "fees_paid": Decimal(0),
        "funding": Decimal(0),
        "llm_cost": Decimal(0),
        **changes,
    }
    return AccountView(**values)  # type: ignore[arg-type]


def position(
    symbol: str = BTC, side: PositionSide = PositionSide.LONG, **changes: object
) -> PositionView:
    values: dict[str, object] = {
        "symbol": symbol,
        "side": side,
        "quantity": Decimal("0.1"),
        "entry_price": Decimal(46000),
        "mark_price": Decimal(46300),
        "liquidation_price": Decimal(41000),
        "unrealized_pnl": Decimal(30),
        "leverage": Decimal(10),
        "margin": Decimal(460),
        "stop_loss": Decimal(45000),
        "take_profit": Decimal(48000),
        "opened_at": START,
        **changes,
    }
    return PositionView(**values)  # type: ignore[arg-type]


def view(
    *instruments: InstrumentSnapshot, as_of: datetime | None = None, **changes: object
) -> DecisionView:
    """A view as of the last close in sight."""
    closes = [item.candles.closed(-1) for item in instruments if len(item.candles)]
    market = MarketSnapshot(
        as_of=as_of or max(closes, default=START), instruments=instruments, source="synthetic"
    )
    values: dict[str, object] = {"market": market, "account": account(), "started_at": START}
    return DecisionView(**{**values, **changes})  # type: ignore[arg-type]


def holding(base: DecisionView, side: PositionSide, symbol: str = BTC) -> DecisionView:
    """The same view, holding `side` of the symbol (FLAT: nothing)."""
    held = () if side is PositionSide.FLAT else (position(symbol, side),)
    return replace(base, positions=held)


def unfinished(price: str, at: datetime) -> Candle:
    value = Decimal(price)
    return Candle(
        opened_at=at,
        open=value,
        high=value,
        low=value,
        close=value,
        volume=Decimal(1),
        is_closed=False,
    )
