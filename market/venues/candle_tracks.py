"""Closed candles of one series kept up to date: loaded once, then only what is missing is fetched.

It decides which candles are closed and sound, and joins them; a function given to it fetches. The
traps avoided: a venue tells the candle that still moves as its last row, and with our clock ahead of
the venue's that row looks closed; and a bad row that is kept spoils every indicator until restart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from threading import Lock

import numpy as np

from market.domain.data import (
    INT64_LIMIT,
    PRICE_COLUMNS,
    Candle,
    CandleSeries,
    IntColumn,
    from_milliseconds,
    series_from_columns,
)
from market.domain.numbers import ZERO, to_decimal
from market.errors import VenueUnavailable
from market.venues.timeframes import timeframe_text

Row = tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]
"""Opened (ms), open, high, low, close, volume."""
FetchRows = Callable[[int, int], Sequence[Sequence[object]]]
"""Rows of candles opened from the first instant up to the second (ms), unfinished one included."""

_MILLISECOND = timedelta(milliseconds=1)
_REVISED = 1  # candles fetched again: a venue may still correct the one it closed last


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackView:
    """The closed candles and the one that still moved when they were fetched, at `fetched_at` (ms)."""

    series: CandleSeries
    moving: Candle | None
    fetched_at: int


class CandleTrack:
    """One symbol's candles of one timeframe, at most `capacity`, bounded and safe to use from threads."""

    def __init__(self, timeframe: timedelta, capacity: int, fetch_rows: FetchRows) -> None:
        self._length = timeframe // _MILLISECOND
        self._timeframe = timeframe
        self._capacity = capacity
        self._fetch_rows = fetch_rows
        self._lock = Lock()
        self._view = TrackView(series=empty_series(timeframe), moving=None, fetched_at=0)

    @property
    def view(self) -> TrackView:
        """What is held now, without asking anybody."""
        return self._view

    def newest_due(self, at: int) -> int:
        """Return when the newest candle that is closed at an instant opened (both in ms)."""
        return at - at % self._length - self._length

    def has(self, opened_at: int) -> bool:
        """Tell whether the candle that opened then, or a later one, is held as closed."""
        series = self._view.series
        return len(series) > 0 and int(series.opened_at[-1]) >= opened_at

    def refreshed(self, at: int, closed_by: int) -> TrackView:
        """Fetch what is missing up to `at`; candles are closed that ended by `closed_by` (at the latest
        the present, earlier where the venue's clock is behind), or that a later one follows.

        Raises VenueUnavailable when the venue does not answer, or answers nonsense: then nothing
        changes.
        """
        with self._lock:
            due = self.newest_due(at)
            if not self.has(due):
                held = self._view.series
                first = due - (self._capacity - 1) * self._length
                if len(held):
                    first = max(first, int(held.opened_at[-1]) - _REVISED * self._length)
                rows = sound_rows(self._fetch_rows(first, at), self._length, at)
                self._take([row for row in rows if row[0] >= first], at, closed_by)
            return self._view

    def _take(self, rows: list[Row], at: int, closed_by: int) -> None:
        moving = None
        if rows and rows[-1][0] + self._length > min(at, closed_by):
            moving = rows.pop()
        series = joined(self._view.series, series_of(rows, self._timeframe), self._capacity)
        self._view = TrackView(
            series=series, moving=_candle(moving) if moving else None, fetched_at=at
        )


def empty_series(timeframe: timedelta) -> CandleSeries:
    """Return a series without candles."""
    return series_of([], timeframe)


def series_of(rows: Sequence[Row], timeframe: timedelta) -> CandleSeries:
    """Return closed candles as a series. Raises VenueUnavailable when prices don't fit 63 bits."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * 6
    try:
        return series_from_columns(
            timeframe=timeframe,
            opened_at=[row[0] for row in rows],
            prices=dict(zip(PRICE_COLUMNS, columns[1:5], strict=True)),
            volume=columns[5],
        )
    except ValueError as error:
        raise VenueUnavailable(f"the venue tells candles that can't be used: {error}") from None


def sound_rows(rows: Sequence[Sequence[object]], length: int, at: int) -> list[Row]:
    """Check a venue's rows and return those opened by `at`, oldest first.

    A price is above zero, high and low hold open and close, times are whole candles apart. Raises
    VenueUnavailable with the first thing wrong.
    """
    read = [_row(row) for row in rows]
    read.sort(key=lambda row: row[0])
    for row in read:
        _check(row, length)
    for before, after in pairwise(read):
        if before[0] == after[0]:
            raise VenueUnavailable(
                f"the venue tells the candle of {from_milliseconds(after[0])} twice"
            )
    return [row for row in read if row[0] <= at]


def _row(raw: Sequence[object]) -> Row:
    try:
        opened_at, *prices, volume = raw[:6]
        open_, high, low, close = (to_decimal(price) for price in prices)
        # a candle of the mark price has no volume
        amount = ZERO if volume is None else to_decimal(volume)
        return int(str(opened_at)), open_, high, low, close, amount
    except (ValueError, TypeError) as error:
        raise VenueUnavailable(f"the venue tells a candle that can't be read: {error}") from None


def _check(row: Row, length: int) -> None:
    opened_at, open_, high, low, close, volume = row
    if low <= 0 or high < max(open_, close) or low > min(open_, close) or volume < 0:
        raise VenueUnavailable(
            f"the venue tells an impossible candle: open {open_}, high {high}, low {low}, close {close}, "
            f"volume {volume}"
        )
    if opened_at % length:
        raise VenueUnavailable(
            f"the venue tells a candle that opens at {from_milliseconds(opened_at)}, which is not "
            f"a multiple of {timeframe_text(length * _MILLISECOND)}"
        )


def _candle(row: Row) -> Candle:
    opened_at, open_, high, low, close, volume = row
    return Candle(
        opened_at=from_milliseconds(opened_at),
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=volume,
        is_closed=False,
    )


def joined(held: CandleSeries, new: CandleSeries, capacity: int) -> CandleSeries:
    """Return the candles held and the new ones, of which the new ones count where both have one; the last
    `capacity` of them. Raises VenueUnavailable when prices of both don't fit 63 bits."""
    if not len(new):
        return held
    kept = int(np.searchsorted(held.opened_at, new.opened_at[0], side="left"))
    price_exponent = min(held.price_exponent, new.price_exponent)
    volume_exponent = min(held.volume_exponent, new.volume_exponent)
    while volume_exponent < 0 and not _fits((held, new), ("volume",), volume_exponent):
        volume_exponent += 1
    if not _fits((held, new), PRICE_COLUMNS, price_exponent):
        raise VenueUnavailable("the venue tells prices whose digits do not fit 63 bits")

    def column(name: str) -> IntColumn:
        exponent = volume_exponent if name == "volume" else price_exponent
        parts = _scaled(held, name, exponent)[:kept], _scaled(new, name, exponent)
        return np.concatenate(parts)[-capacity:].copy()

    return CandleSeries(
        timeframe=new.timeframe,
        opened_at=np.concatenate([held.opened_at[:kept], new.opened_at])[-capacity:].copy(),
        open=column("open"),
        high=column("high"),
        low=column("low"),
        close=column("close"),
        volume=column("volume"),
        price_exponent=price_exponent,
        volume_exponent=volume_exponent,
    )


def _exponent_of(series: CandleSeries, name: str) -> int:
    return series.volume_exponent if name == "volume" else series.price_exponent


def _fits(parts: Sequence[CandleSeries], names: Sequence[str], exponent: int) -> bool:
    return all(
        int(getattr(part, name).max()) * 10 ** max(0, _exponent_of(part, name) - exponent)
        <= INT64_LIMIT
        for part in parts
        for name in names
        if len(part)
    )


def _scaled(series: CandleSeries, name: str, exponent: int) -> IntColumn:
    column: IntColumn = getattr(series, name)
    shift = _exponent_of(series, name) - exponent
    scaled: IntColumn = column * 10**shift if shift >= 0 else column // 10**-shift
    return scaled
