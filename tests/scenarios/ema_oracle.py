"""The EMA cross rule computed another way: pandas' recursive EMA, one pass, no cycle, no broker.

Used against the replay. It shares no code with the product but Decimal: the file is read by pandas,
money is folded trade by trade.
"""

from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from pathlib import Path

import numpy as np
import pandas as pd

CENT_OF_CENT = Decimal("1E-8")


@dataclass(frozen=True)
class OracleTrade:
    """One round trip: times in ms since the epoch, prices as the file has them, both fees."""

    opened_at: int
    closed_at: int
    entry_price: Decimal
    exit_price: Decimal
    quantity: Decimal
    fees: Decimal
    at_end: bool


@dataclass(frozen=True)
class OracleRun:
    trades: list[OracleTrade]
    crosses_up: int
    final_cash: Decimal


def ema(closes: pd.Series, period: int) -> pd.Series:
    """EMA seeded by the SMA of the first `period` closes."""
    seeded = closes.astype(float).copy()
    seeded.iloc[: period - 1] = np.nan
    seeded.iloc[period - 1] = closes.iloc[:period].astype(float).mean()
    tail = seeded.iloc[period - 1 :].ewm(alpha=2 / (period + 1), adjust=False).mean()
    return tail.reindex(closes.index)


def run(
    path: Path,
    *,
    fast: int,
    slow: int,
    cash: Decimal,
    fee: Decimal,
    step: Decimal,
    funding: dict[int, Decimal] | None = None,
) -> OracleRun:
    """Long only, all equity at 1×: enter at the open after a cross up, leave at the open after a cross
    down, close what is open at the last close. `funding` maps ms → rate, paid on open(T) when held
    before T."""
    frame = pd.read_csv(path, dtype=str)
    frame = frame.rename(columns=str.lower)
    times = (
        pd.to_datetime(frame["timestamp"], utc=True).astype("datetime64[ms, UTC]").astype("int64")
    )
    closes = frame["close"].astype(float)
    above = (ema(closes, fast) > ema(closes, slow)).to_numpy()
    known = ema(closes, slow).notna().to_numpy()
    both = known[1:] & known[:-1]
    up = np.flatnonzero(both & above[1:] & ~above[:-1]) + 1
    down = np.flatnonzero(both & ~above[1:] & above[:-1]) + 1
    opens = [Decimal(text) for text in frame["open"]]
    last_close, last = Decimal(frame["close"].iloc[-1]), len(frame) - 1
    step_ms = int(times.iloc[1] - times.iloc[0])
    rates = sorted((funding or {}).items())
    trades: list[OracleTrade] = []
    wallet, free_from = cash, 0
    for signal in up:
        if signal < free_from or signal == last:
            continue
        entry_bar = signal + 1
        later = down[down >= entry_bar]
        leaves = int(later[0]) if len(later) else last
        at_end = leaves == last
        price = opens[entry_bar]
        quantity = (wallet / (price * (1 + fee)) / step).to_integral_value(ROUND_DOWN) * step
        exit_price = last_close if at_end else opens[leaves + 1]
        closed_at = int(times.iloc[last]) + step_ms if at_end else int(times.iloc[leaves + 1])
        opened_at = int(times.iloc[entry_bar])
        fees = cents(quantity * price * fee) + cents(quantity * exit_price * fee)
        wallet += cents(quantity * exit_price) - cents(quantity * price) - fees
        for at, rate in rates:
            if opened_at < at <= closed_at:
                bar = int(np.searchsorted(times.to_numpy(), at))
                wallet -= cents(quantity * opens[bar] * rate)
        trades.append(OracleTrade(opened_at, closed_at, price, exit_price, quantity, fees, at_end))
        free_from = leaves
    return OracleRun(trades=trades, crosses_up=len(up), final_cash=wallet)


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT_OF_CENT, ROUND_HALF_EVEN)
