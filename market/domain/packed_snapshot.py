"""A snapshot as bytes: what a trader is shown of a market, small enough to be handed to other processes.

Kept is what a trader may look at: prices, book, the open candle, and closed candles as far back as a real
venue's feed shows them. The bars that a broker walks are not kept, nor the settled funding: nobody may
reconcile on a snapshot that was read back. The trap avoided: two who see "the same" through different
roundings; whoever packed one looks at the unpacked one as well, and its content hash is the same for all.
"""

import json
import zlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import numpy as np

from market.domain.canonical import canonical_bytes
from market.domain.data import (
    BookLevel,
    Candle,
    CandleSeries,
    InstrumentSnapshot,
    IntColumn,
    MarketSnapshot,
    OrderBook,
    Quote,
)
from market.domain.instruments import Instrument
from market.domain.stored import decimal_or_none, instant_or_none

CANDLES_KEPT: Final = 1500
"""Of each series the last ones: more than any standard indicator needs to settle."""
_FIRST_BYTE: Final = b"1"
_LENGTH: Final = 4
_COLUMNS: Final = ("opened_at", "open", "high", "low", "close", "volume")
_MILLISECOND: Final = timedelta(milliseconds=1)


def pack_snapshot(snapshot: MarketSnapshot) -> bytes:
    """What a trader may look at, as compressed bytes. The same snapshot gives the same bytes."""
    columns: list[bytes] = []
    head = canonical_bytes(
        {
            "as_of": snapshot.as_of,
            "source": snapshot.source,
            "instruments": [_told(item, columns) for item in snapshot.instruments],
        }
    )
    body = b"".join((len(head).to_bytes(_LENGTH, "big"), head, *columns))
    return _FIRST_BYTE + zlib.compress(body, 6)


def unpack_snapshot(data: bytes, instruments: Mapping[str, Instrument]) -> MarketSnapshot:
    """The snapshot of packed bytes, its instruments as the reader knows them. `bars` are the candles.
    Raises ValueError for bytes that are none, KeyError for a symbol the reader does not know."""
    if data[:1] != _FIRST_BYTE:
        raise ValueError(f"a snapshot that was packed in a way {data[:1]!r} which nobody knows")
    try:
        body = zlib.decompress(data[1:])
    except zlib.error as error:
        raise ValueError(f"these bytes are no snapshot: {error}") from None
    start = _LENGTH + int.from_bytes(body[:_LENGTH], "big")
    told = json.loads(body[_LENGTH:start])
    columns = _Columns(body[start:])
    return MarketSnapshot(
        as_of=datetime.fromisoformat(told["as_of"]),
        instruments=tuple(
            _item(one, instruments[one["symbol"]], columns) for one in told["instruments"]
        ),
        source=told["source"],
    )


# --- writing ---------------------------------------------------------------------------------------


def _told(item: InstrumentSnapshot, columns: list[bytes]) -> dict[str, Any]:
    return {
        "symbol": item.symbol,
        "quote": item.quote,
        "book": item.book,
        "unfinished": item.unfinished,
        "funding_rate": item.funding_rate,
        "next_funding_at": item.next_funding_at,
        "open_interest": item.open_interest,
        "unusable": item.unusable,
        "candles": _series(item.candles, columns),
        "context": None if item.context is None else _series(item.context, columns),
    }


def _series(series: CandleSeries, columns: list[bytes]) -> dict[str, int]:
    """The units of a series; its columns are put with the others, each value as its step from the last."""
    for name in _COLUMNS:
        column = getattr(series, name)[-CANDLES_KEPT:]
        columns.append(np.diff(column, prepend=np.int64(0)).astype("<i8").tobytes())
    return {
        "count": min(len(series), CANDLES_KEPT),
        "timeframe_ms": series.timeframe // _MILLISECOND,
        "price_exponent": series.price_exponent,
        "volume_exponent": series.volume_exponent,
    }


# --- reading ---------------------------------------------------------------------------------------


class _Columns:
    """Columns read one after the other."""

    def __init__(self, body: bytes) -> None:
        self._steps = np.frombuffer(body, dtype="<i8")
        self._place = 0

    def next(self, count: int) -> IntColumn:
        steps = self._steps[self._place : self._place + count]
        if len(steps) < count:
            raise ValueError("these bytes are no snapshot: candles are missing")
        self._place += count
        return np.cumsum(steps, dtype=np.int64)


def _item(told: Mapping[str, Any], instrument: Instrument, columns: _Columns) -> InstrumentSnapshot:
    candles = _candles(told["candles"], columns)
    return InstrumentSnapshot(
        instrument=instrument,
        quote=_quote(told["quote"]),
        book=_book(told["book"]),
        candles=candles,
        bars=candles,
        context=None if told["context"] is None else _candles(told["context"], columns),
        unfinished=_unfinished(told["unfinished"]),
        funding_rate=decimal_or_none(told["funding_rate"]),
        next_funding_at=instant_or_none(told["next_funding_at"]),
        open_interest=decimal_or_none(told["open_interest"]),
        unusable=told["unusable"],
    )


def _candles(told: Mapping[str, int], columns: _Columns) -> CandleSeries:
    opened_at, opens, high, low, close, volume = (columns.next(told["count"]) for _ in _COLUMNS)
    return CandleSeries(
        timeframe=told["timeframe_ms"] * _MILLISECOND,
        opened_at=opened_at,
        open=opens,
        high=high,
        low=low,
        close=close,
        volume=volume,
        price_exponent=told["price_exponent"],
        volume_exponent=told["volume_exponent"],
    )


def _quote(told: Mapping[str, Any] | None) -> Quote | None:
    if told is None:
        return None
    return Quote(
        symbol=told["symbol"],
        at=datetime.fromisoformat(told["at"]),
        bid=Decimal(told["bid"]),
        ask=Decimal(told["ask"]),
        last=Decimal(told["last"]),
        mark=Decimal(told["mark"]),
        index=decimal_or_none(told["index"]),
    )


def _book(told: Mapping[str, Any] | None) -> OrderBook | None:
    if told is None:
        return None
    return OrderBook(
        **{
            side: tuple(
                BookLevel(price=Decimal(level["price"]), quantity=Decimal(level["quantity"]))
                for level in told[side]
            )
            for side in ("bids", "asks")
        }
    )


def _unfinished(told: Mapping[str, Any] | None) -> Candle | None:
    if told is None:
        return None
    return Candle(
        opened_at=datetime.fromisoformat(told["opened_at"]),
        is_closed=told["is_closed"],
        **{name: Decimal(told[name]) for name in _COLUMNS[1:]},
    )
