"""What can be seen of a market: candles as exact columns, quotes, books and the snapshot of an instant.

Candles are columns of scaled integers (`price = integer × 10^exponent`): exact like a Decimal, and
fast enough to look over months of minutes at once. Floats are made from them in `market.indicators`
only. A series holds closed candles; the unfinished one travels apart and says so.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from market.domain.canonical import content_hash
from market.domain.instruments import Instrument

IntColumn = npt.NDArray[np.int64]
INT64_LIMIT = 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
PRICE_COLUMNS = ("open", "high", "low", "close")


def from_milliseconds(milliseconds: int) -> datetime:
    return _EPOCH + milliseconds * _MILLISECOND


def to_milliseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // _MILLISECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Candle:
    """One bar. `opened_at` is the instant of its open; `is_closed` False while it still moves."""

    opened_at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    is_closed: bool = True


class CandleSeries:
    """Closed candles of one timeframe, oldest first, strictly increasing `opened_at` (ms since epoch).

    `first(n)` shares memory. Columns are read-only. `base` and `end` let a window be
    recognised as the first `end` candles of the longer series it was cut from, so that indicators
    are computed once per run and read causally.
    """

    __slots__ = (
        "__weakref__", "_running_hash", "base", "close", "end", "high", "low", "open", "opened_at", "price_exponent",
        "timeframe", "volume", "volume_exponent",
    )  # fmt: skip

    def __init__(
        self,
        *,
        timeframe: timedelta,
        opened_at: IntColumn,
        open: IntColumn,  # noqa: A002 (its name everywhere)
        high: IntColumn,
        low: IntColumn,
        close: IntColumn,
        volume: IntColumn,
        price_exponent: int,
        volume_exponent: int,
        base: "CandleSeries | None" = None,
    ) -> None:
        self.timeframe = timeframe
        self.opened_at = opened_at
        self.open = open
        self.high = high
        self.low = low
        self.close = close
        self.volume = volume
        self.price_exponent = price_exponent
        self.volume_exponent = volume_exponent
        self.base: CandleSeries = self if base is None else base
        self.end = len(opened_at)
        self._running_hash: tuple[int, Any] | None = None
        if base is None:
            for column in (opened_at, open, high, low, close, volume):
                column.flags.writeable = False

    def __len__(self) -> int:
        return self.end

    def first(self, count: int) -> "CandleSeries":
        """The first `count` candles as a window on the same memory."""
        if count == self.end:
            return self
        return CandleSeries(
            timeframe=self.timeframe,
            opened_at=self.opened_at[:count],
            open=self.open[:count],
            high=self.high[:count],
            low=self.low[:count],
            close=self.close[:count],
            volume=self.volume[:count],
            price_exponent=self.price_exponent,
            volume_exponent=self.volume_exponent,
            base=self.base,
        )

    def price(self, scaled: int) -> Decimal:
        return Decimal(int(scaled)).scaleb(self.price_exponent)

    def scaled_price(self, price: Decimal) -> Decimal:
        """A price in this series' integer units; not always whole (a trigger between ticks)."""
        return price.scaleb(-self.price_exponent)

    def candle(self, index: int) -> Candle:
        """The candle at an index (negative counts from the end). Raises IndexError."""
        return Candle(
            opened_at=from_milliseconds(int(self.opened_at[index])),
            open=self.price(self.open[index]),
            high=self.price(self.high[index]),
            low=self.price(self.low[index]),
            close=self.price(self.close[index]),
            volume=Decimal(int(self.volume[index])).scaleb(self.volume_exponent),
        )

    def __iter__(self) -> Iterator[Candle]:
        return (self.candle(index) for index in range(self.end))

    def opened(self, index: int) -> datetime:
        return from_milliseconds(int(self.opened_at[index]))

    def closed(self, index: int) -> datetime:
        """The instant at which candle `index` closes."""
        return self.opened(index) + self.timeframe

    def digest(self) -> str:
        """SHA-256 over every column, row by row: what a snapshot hashes of its history.

        The running hash is kept on the base series, so that growing windows cost only their new rows.
        """
        counted, sha = self.base._running_hash or (0, None)
        if sha is None or counted > self.end:
            units = (
                f"{self.timeframe // _MILLISECOND},{self.price_exponent},{self.volume_exponent};"
            )
            counted, sha = 0, hashlib.sha256(units.encode())
        if counted < self.end:
            columns = (self.opened_at, self.open, self.high, self.low, self.close, self.volume)
            rows = np.column_stack([column[counted:] for column in columns])
            sha = sha.copy()
            sha.update(rows.astype("<i8", copy=False).tobytes())
            self.base._running_hash = (self.end, sha)
        return sha.hexdigest()

    @classmethod
    def from_candles(cls, candles: Sequence[Candle], timeframe: timedelta) -> "CandleSeries":
        """Build a series from closed candles, oldest first. Raises ValueError out of order."""
        return series_from_columns(
            timeframe=timeframe,
            opened_at=[to_milliseconds(candle.opened_at) for candle in candles],
            prices={name: [getattr(candle, name) for candle in candles] for name in PRICE_COLUMNS},
            volume=[candle.volume for candle in candles],
        )


def series_from_columns(
    *,
    timeframe: timedelta,
    opened_at: Sequence[int] | IntColumn,
    prices: Mapping[str, Sequence[Decimal]],
    volume: Sequence[Decimal],
) -> CandleSeries:
    """Scale exact columns to integers. Raises ValueError when prices do not fit 63 bits exactly, the
    times are not strictly increasing or a column is shorter than another. Volume may lose digits past
    63 bits (towards zero)."""
    times = np.array(opened_at, dtype=np.int64)
    if {len(volume), *(len(prices[name]) for name in PRICE_COLUMNS)} != {len(times)}:
        raise ValueError("every column of a series has one value for each time")
    if len(times) > 1 and not bool(np.all(np.diff(times) > 0)):
        raise ValueError("candles must be in strictly increasing order of time")
    price_exponent = min(
        (_exponent(value) for column in prices.values() for value in column), default=0
    )
    largest = max(
        (abs(value) for column in prices.values() for value in column), default=Decimal(0)
    )
    if largest.scaleb(-price_exponent) > INT64_LIMIT:
        raise ValueError(
            f"prices up to {largest} with {-price_exponent} decimals do not fit 63 bits"
        )
    volume_exponent = min((_exponent(value) for value in volume), default=0)
    most = max(volume, default=Decimal(0))
    while most.scaleb(-volume_exponent) > INT64_LIMIT:
        volume_exponent += 1
    return CandleSeries(
        timeframe=timeframe,
        opened_at=times,
        open=_scaled(prices["open"], price_exponent),
        high=_scaled(prices["high"], price_exponent),
        low=_scaled(prices["low"], price_exponent),
        close=_scaled(prices["close"], price_exponent),
        volume=_scaled(volume, volume_exponent),
        price_exponent=price_exponent,
        volume_exponent=volume_exponent,
    )


def _exponent(value: Decimal) -> int:
    if not value.is_finite():
        raise ValueError(f"{value} is no price and no volume")
    return min(0, int(value.normalize().as_tuple().exponent))


def _scaled(values: Sequence[Decimal], exponent: int) -> IntColumn:
    return np.array(
        [int(value.scaleb(-exponent).to_integral_value(ROUND_DOWN)) for value in values],
        dtype=np.int64,
    )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FundingSeries:
    """Settled funding: `at` in ms since the epoch, rounded to the minute, strictly increasing; one rate each."""

    at: IntColumn
    rates: tuple[Decimal, ...]

    def __post_init__(self) -> None:
        if len(self.at) != len(self.rates):
            raise ValueError("one funding rate for each time")
        if len(self.at) > 1 and not bool(np.all(np.diff(self.at) > 0)):
            raise ValueError("funding times must be strictly increasing")

    def between(self, after: int, until: int) -> Iterator[tuple[int, Decimal]]:
        """(time, rate) with after < time ≤ until, both in ms."""
        first = int(np.searchsorted(self.at, after, side="right"))
        last = int(np.searchsorted(self.at, until, side="right"))
        return ((int(self.at[index]), self.rates[index]) for index in range(first, last))


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The prices of one instant. `bid` and `ask` are the best on the book; `mark` is the venue's fair price."""

    symbol: str
    at: datetime
    bid: Decimal
    ask: Decimal
    last: Decimal
    mark: Decimal
    index: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BookLevel:
    """A price and the contracts offered at it."""

    price: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderBook:
    """Depth of one instant, best level first on both sides."""

    bids: tuple[BookLevel, ...]
    asks: tuple[BookLevel, ...]


@dataclass(frozen=True, kw_only=True)
class InstrumentSnapshot:
    """All that is known of one instrument at an instant.

    `candles`: closed bars of the cycle's timeframe; `context`: closed 4-hour bars, where there are any;
    `bars`: the finest closed bars held, which the simulated broker walks; `mark_bars`: the same bars of
    the mark price, where recorded; `funding` the rates settled so far, None where none are known.
    `unusable` is the reason why this instrument must not be opened now.
    """

    instrument: Instrument
    quote: Quote | None
    candles: CandleSeries
    bars: CandleSeries
    context: CandleSeries | None = None
    mark_bars: CandleSeries | None = None
    funding: FundingSeries | None = None
    unfinished: Candle | None = None
    book: OrderBook | None = None
    funding_rate: Decimal | None = None
    next_funding_at: datetime | None = None
    open_interest: Decimal | None = None
    unusable: str | None = None

    @property
    def symbol(self) -> str:
        return self.instrument.symbol


@dataclass(frozen=True, kw_only=True)
class MarketSnapshot:
    """The market of one instant, instruments in name order. Frozen: whoever holds it sees the same prices."""

    as_of: datetime
    instruments: tuple[InstrumentSnapshot, ...]
    source: str = field(default="")

    @cached_property
    def by_symbol(self) -> Mapping[str, InstrumentSnapshot]:
        return {item.symbol: item for item in self.instruments}

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over every price, rate and candle in sight."""
        return content_hash(
            {
                "as_of": self.as_of,
                "instruments": [
                    {
                        "symbol": item.symbol,
                        "quote": item.quote,
                        "book": item.book,
                        "candles": item.candles.digest(),
                        "context": item.context.digest() if item.context is not None else None,
                        "unfinished": item.unfinished,
                        "funding_rate": item.funding_rate,
                        "next_funding_at": item.next_funding_at,
                        "open_interest": item.open_interest,
                        "unusable": item.unusable,
                    }
                    for item in self.instruments
                ],
            }
        )

    def mark(self, symbol: str) -> Decimal | None:
        """The mark price of a symbol, or None when nothing is known of it now."""
        item = self.by_symbol.get(symbol)
        return item.quote.mark if item is not None and item.quote is not None else None
