"""Candles and funding rates from files, checked before anything runs on them.

Whatever is wrong with a file is said in one sentence that names the file, the row (from 1, the header
not counted) and the value; nothing is repaired in silence, sorted or filled. The trap avoided: a
duplicate, a gap or a wrong time zone in the data reads later as a surprising result of a strategy.
"""

import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from market.domain.canonical import utc_text
from market.domain.data import (
    INT64_LIMIT,
    PRICE_COLUMNS,
    CandleSeries,
    FundingSeries,
    IntColumn,
    from_milliseconds,
)
from market.domain.numbers import plain
from market.errors import CandleFileError
from market.venues.table_files import Table, read_table
from market.venues.timeframes import aggregate, divides, parse_timeframe, timeframe_text

__all__ = [
    "CandleFileError",
    "aggregate",
    "load_candles",
    "load_funding",
    "parse_timeframe",
    "parse_utc_offset",
    "timeframe_text",
]

_MILLISECOND = timedelta(milliseconds=1)
_MINUTE_MS = 60_000
_TIME_NAMES = ("timestamp", "time", "date", "datetime", "open_time", "opened_at")
_FUNDING_TIME_NAMES = (*_TIME_NAMES, "funding_time", "fundingtime", "calc_time")
_RATE_NAMES = ("funding rate", "funding_rate", "fundingrate", "last_funding_rate", "rate")
_SYMBOL_NAMES = ("symbol", "pair")
_OFFSET = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})")


def load_candles(
    path: Path | str,
    *,
    timeframe: timedelta | None = None,
    symbol: str | None = None,
    timestamp: Literal["open", "close"] = "open",
    allow_gaps: bool = False,
) -> CandleSeries:
    """Read closed candles, oldest first, in the file's own timeframe (its smallest step).

    CSV, Parquet or feather by suffix, with columns open, high, low, close, volume and a time
    (`timestamp`, `time`, `date`, `datetime`, `open_time` or `opened_at`; any case): ISO 8601 (UTC
    without a zone) or an epoch in s, ms, µs or ns. `timestamp` says whether it is a bar's open or
    its close. `timeframe` is the one that will be traded, which the file's must divide; `symbol`
    picks the rows of a file that has a column `symbol` or `pair`. The volume keeps the file's unit.

    Raises CandleFileError for a file that is missing, unreadable, empty, short of a column, not
    sorted, duplicate, gappy (unless `allow_gaps`), off the grid of its timeframe, or impossible.
    """
    table = _of_symbol(read_table(path), symbol)
    time_column = table.require(*_TIME_NAMES)
    columns = {name: table.require(name) for name in (*PRICE_COLUMNS, "volume")}
    times, _ = table.instants(time_column)
    _check_order(table, times)
    own = _own_timeframe(table, times, timeframe)
    opened_at = _opened_at(table, times, own, timestamp)
    if not allow_gaps:
        _check_gaps(table, opened_at, own)
    prices, price_exponent = _prices(table, columns)
    volume, volume_exponent = table.exact(columns["volume"], may_lose_digits=True)
    _check_prices(table, prices, price_exponent)
    index = _first(volume < 0)
    if index is not None:
        table.fail(f"volume {_text(volume[index], volume_exponent)} is below 0", index)
    return CandleSeries(
        timeframe=own,
        opened_at=opened_at,
        open=prices["open"],
        high=prices["high"],
        low=prices["low"],
        close=prices["close"],
        volume=volume,
        price_exponent=price_exponent,
        volume_exponent=volume_exponent,
    )


def load_funding(
    path: Path | str, *, utc_offset: timedelta = timedelta(), symbol: str | None = None
) -> FundingSeries:
    """Read settled funding rates (fractions of notional), oldest first, times rounded to the minute.

    The time column is as for candles, the rate `funding_rate` or `Funding Rate`. `utc_offset` is what
    the file's clock is ahead of UTC, and is subtracted; a file that states its zone, or has epochs,
    needs none. Raises CandleFileError for what is missing, unsorted, duplicate or no fraction.
    """
    table = _of_symbol(read_table(path), symbol)
    time_column = table.require(*_FUNDING_TIME_NAMES)
    rate_column = table.require(*_RATE_NAMES)
    times, states_utc = table.instants(time_column)
    if states_utc and utc_offset:
        table.fail(f"{time_column} says its time zone, so no other offset can apply")
    milliseconds = times // 1000 - utc_offset // _MILLISECOND
    at = (milliseconds + _MINUTE_MS // 2) // _MINUTE_MS * _MINUTE_MS
    _check_order(table, at * 1000)
    scaled, exponent = table.exact(rate_column)
    index = _first(np.abs(scaled) >= 10**-exponent) if exponent > -19 else None
    if index is not None:
        table.fail(
            f"{rate_column} {_text(scaled[index], exponent)} is not a fraction below 1", index
        )
    at.flags.writeable = False
    return FundingSeries(
        at=at, rates=tuple(Decimal(value).scaleb(exponent) for value in scaled.tolist())
    )


def parse_utc_offset(text: str) -> timedelta:
    """Read `+03:00`, `-05:30` or `UTC`: how far a clock is ahead of UTC. Raises ValueError."""
    if text.strip().upper() in ("UTC", "Z"):
        return timedelta()
    match = _OFFSET.fullmatch(text.strip())
    if match is None or int(match[2]) > 14 or int(match[3]) > 59:
        raise ValueError(f"{text!r} is no offset from UTC: it is written like +03:00")
    offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return -offset if match[1] == "-" else offset


def _of_symbol(table: Table, symbol: str | None) -> Table:
    """Return the rows of one symbol: the wanted one, or the only one."""
    column = table.find(*_SYMBOL_NAMES)
    if column is None:
        return table
    texts = np.array(table.texts(column).to_pylist(), dtype=object)
    known = sorted(set(texts.tolist()))
    shown = ", ".join(known[:5]) + (", …" if len(known) > 5 else "")
    if symbol is None:
        if len(known) > 1:
            table.fail(f"there are {len(known)} symbols and none was chosen: {shown}")
        return table
    same = [name for name in known if name == symbol] or [
        name for name in known if _compact(name) == _compact(symbol)
    ]
    if not same:
        table.fail(f"there is no symbol {symbol}; it has: {shown}")
    if len(same) > 1:
        table.fail(f"{symbol} may mean any of: {', '.join(same)}")
    return table if len(known) == 1 else table.where(texts == same[0])


def _compact(symbol: str) -> str:
    """Write `BTC/USDT:USDT`, `BTC-USDT` and `btcusdt` alike."""
    return re.sub(r"[/_\- ]", "", symbol.partition(":")[0]).upper()


def _check_order(table: Table, times: IntColumn) -> None:
    steps = np.diff(times)
    index = _first(steps <= 0)
    if index is None:
        return
    this = _instant(times[index + 1])
    if steps[index] == 0:
        table.fail(f"{this} is there twice, also in row {table.rows[index]}", index + 1)
    table.fail(
        f"{this} comes after {_instant(times[index])}; rows must be sorted, oldest first", index + 1
    )


def _own_timeframe(table: Table, times: IntColumn, wanted: timedelta | None) -> timedelta:
    if len(times) > 1:
        own = timedelta(microseconds=int(np.diff(times).min()))
    elif wanted is not None:
        own = wanted
    else:
        table.fail("one candle alone does not tell its timeframe")
    if wanted is not None and not divides(own, wanted):
        table.fail(f"its {timeframe_text(own)} candles can't make {timeframe_text(wanted)} ones")
    return own


def _opened_at(table: Table, times: IntColumn, own: timedelta, timestamp: str) -> IntColumn:
    """Return the opening times in ms, each a multiple of the timeframe since the epoch."""
    length = own // timedelta(microseconds=1)
    index = _first(times % length != 0)
    if index is not None:
        table.fail(f"{_instant(times[index])} is off the grid of {timeframe_text(own)}", index)
    opened_at = times // 1000
    if length % 1000:
        table.fail(f"candles of {length} microseconds are too short")
    return opened_at - length // 1000 if timestamp == "close" else opened_at


def _check_gaps(table: Table, opened_at: IntColumn, own: timedelta) -> None:
    length = own // _MILLISECOND
    steps = np.diff(opened_at)
    index = _first(steps != length)
    if index is not None:
        missing = int(steps[index]) // length - 1
        table.fail(
            f"{missing} candle{'s' * (missing > 1)} of {timeframe_text(own)} missing between "
            f"{_instant(opened_at[index] * 1000)} and {_instant(opened_at[index + 1] * 1000)}",
            index + 1,
        )


def _prices(table: Table, columns: dict[str, str]) -> tuple[dict[str, IntColumn], int]:
    """Return the four columns of prices, scaled by their common exponent."""
    exact = {name: table.exact(columns[name]) for name in PRICE_COLUMNS}
    exponent = min(own for _, own in exact.values())
    prices: dict[str, IntColumn] = {}
    for name, (column, own) in exact.items():
        factor = 10 ** (own - exponent)
        index = int(np.argmax(np.abs(column)))
        if abs(int(column[index])) * factor > INT64_LIMIT:
            table.fail(
                f"{name} {_text(column[index], own)} with {-exponent} decimals does not fit 63 bits",
                index,
            )
        prices[name] = column * factor
    return prices, exponent


def _check_prices(table: Table, prices: dict[str, IntColumn], exponent: int) -> None:
    for name in PRICE_COLUMNS:
        index = _first(prices[name] <= 0)
        if index is not None:
            table.fail(f"{name} {_text(prices[name][index], exponent)} is not above 0", index)
    high, low = prices["high"], prices["low"]

    def text(name: str, index: int) -> str:
        return f"{name} {_text(prices[name][index], exponent)}"

    index = _first(low > high)
    if index is not None:
        table.fail(f"{text('low', index)} is above {text('high', index)}", index)
    for name in ("open", "close"):
        index = _first((prices[name] > high) | (prices[name] < low))
        if index is not None:
            table.fail(
                f"{text(name, index)} is outside {text('low', index)} to {text('high', index)}",
                index,
            )


def _first(mask: npt.NDArray[np.bool_]) -> int | None:
    """Return the index of the first true value."""
    index = int(np.argmax(mask)) if len(mask) else 0
    return index if len(mask) and mask[index] else None


def _text(scaled: np.int64, exponent: int) -> str:
    return plain(Decimal(int(scaled)).scaleb(exponent))


def _instant(microseconds: np.int64) -> str:
    return utc_text(from_milliseconds(0) + timedelta(microseconds=int(microseconds)))
