"""ccxt's tickers, funding rates, books and open interest as exact values, checked.

Pure: no request is made here. A number that is missing or makes no sense is None, never a guess. The
trap avoided: a venue in trouble tells a price of 0, an empty side of the book or a bid above the ask;
taken for a price, each of them fills a stop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from market.domain.data import BookLevel, FundingSeries, OrderBook, Quote, from_milliseconds
from market.domain.numbers import to_decimal

LEVELS = 10
_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a venue tells of a symbol beside candles and book. `at` in ms since the epoch."""

    last: Decimal | None = None
    mark: Decimal | None = None
    index: Decimal | None = None
    at: int | None = None
    funding_rate: Decimal | None = None
    next_funding_at: datetime | None = None
    open_interest: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedBook:
    """A book and when the venue says it was so (ms), where it says."""

    book: OrderBook
    at: int | None


def number(value: object) -> Decimal | None:
    """Return a finite number, or None for whatever is none."""
    try:
        return to_decimal(value)
    except ValueError:
        return None


def price(value: object) -> Decimal | None:
    """Return a price above zero, or None."""
    found = number(value)
    return found if found is not None and found > 0 else None


def instant(value: object) -> int | None:
    """Return whole milliseconds since the epoch, or None."""
    found = number(value)
    return None if found is None or found <= 0 else int(found)


def ticker_context(ticker: Mapping[str, Any]) -> Context:
    """Read ccxt's ticker; a venue that tells no last trade is taken at its `close`."""
    return Context(
        last=price(ticker.get("last")) or price(ticker.get("close")),
        mark=price(ticker.get("markPrice")),
        index=price(ticker.get("indexPrice")),
        at=instant(ticker.get("timestamp")),
    )


def funding_context(funding: Mapping[str, Any]) -> Context:
    """Read ccxt's current funding rate and the prices told with it."""
    due = instant(funding.get("fundingTimestamp")) or instant(funding.get("nextFundingTimestamp"))
    return Context(
        mark=price(funding.get("markPrice")),
        index=price(funding.get("indexPrice")),
        at=instant(funding.get("timestamp")),
        funding_rate=number(funding.get("fundingRate")),
        next_funding_at=None if due is None else from_milliseconds(due),
    )


def whole_context(funding: Mapping[str, Any]) -> Context:
    """Read a funding rate that carries everything in its raw answer (Hyperliquid).

    The venue tells no last trade there: the middle of the book stands for it.
    """
    info = funding.get("info") or {}
    return Context(
        last=price(info.get("midPx")),
        mark=price(funding.get("markPrice")),
        index=price(funding.get("indexPrice")),
        funding_rate=number(funding.get("fundingRate")),
        open_interest=number(info.get("openInterest")),
    )


def book_of(raw: Mapping[str, Any], levels: int = LEVELS) -> TimedBook | None:
    """Read a book; None when a side is empty, a level makes no sense, or the sides cross."""
    bids, asks = (_levels(raw.get(side), levels) for side in ("bids", "asks"))
    if not bids or not asks or bids[0].price >= asks[0].price:
        return None
    return TimedBook(book=OrderBook(bids=bids, asks=asks), at=instant(raw.get("timestamp")))


def _levels(raw: object, levels: int) -> tuple[BookLevel, ...]:
    if not isinstance(raw, Sequence):
        return ()
    read = [(price(level[0]), number(level[1])) for level in raw[:levels]]
    return tuple(
        BookLevel(price=at, quantity=quantity)
        for at, quantity in read
        if at is not None and quantity is not None and quantity > 0
    )


def quote_of(
    symbol: str, context: Context, book: TimedBook, mark: Decimal | None, at: datetime
) -> Quote | None:
    """Return the quote, or None without a last price. Spot has no mark but its last price."""
    if context.last is None:
        return None
    return Quote(
        symbol=symbol,
        at=at,
        bid=book.book.bids[0].price,
        ask=book.book.asks[0].price,
        last=context.last,
        mark=mark or context.last,
        index=context.index,
    )


def funding_series(
    rows: Sequence[Mapping[str, Any]], known: FundingSeries | None, most: int
) -> FundingSeries | None:
    """Return settled rates, known ones included, the last `most`; times rounded to the minute.

    None while nothing is known. Rows without a rate or a time are left out.
    """
    rates = {} if known is None else dict(zip(known.at.tolist(), known.rates, strict=True))
    for row in rows:
        at, rate = instant(row.get("timestamp")), number(row.get("fundingRate"))
        if at is not None and rate is not None:
            rates[(at + _MINUTE_MS // 2) // _MINUTE_MS * _MINUTE_MS] = rate
    if not rates:
        return None
    times = sorted(rates)[-most:]
    return FundingSeries(at=np.array(times, dtype=np.int64), rates=tuple(rates[at] for at in times))


def next_multiple(now: datetime, interval: timedelta) -> datetime:
    """Return the first multiple of an interval since the epoch after an instant."""
    epoch = from_milliseconds(0)
    return now + interval - (now - epoch) % interval
