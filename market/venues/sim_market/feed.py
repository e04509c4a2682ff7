"""The simulated market as histories for a replay, and as a live feed at any instant.

Closed bars come from `minutes` through the replay feed; the minute that is still open moves along a
path inside its final bar, with a book around it. The trap avoided: a feed that remembers what it
showed; this one can be asked for any instant in any order, by any process, with the same answer.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from math import exp
from random import Random

import numpy as np

from market.domain.data import (
    CandleSeries,
    FundingSeries,
    InstrumentSnapshot,
    IntColumn,
    MarketSnapshot,
    Quote,
    to_milliseconds,
)
from market.domain.instruments import Instrument, UnsupportedInstrument
from market.venues.default_instruments import default_instrument
from market.venues.replay_feed import InstrumentHistory, ReplayFeed
from market.venues.sim_market.days import ASSETS, HORIZON, ORIGIN, log_closes
from market.venues.sim_market.instant import InsideMinute, joined, order_book, scale
from market.venues.sim_market.minutes import FUNDING_MINUTES, MINUTES, DayMinutes, day_minutes

DEFAULT_SYMBOLS = tuple(f"{base}/USDT:USDT" for base in ASSETS)

_MINUTE = timedelta(minutes=1)
_MINUTE_MS = 60_000
_DAY = timedelta(days=1)
_ORIGIN_MS = to_milliseconds(ORIGIN)
_PRICES = ("open", "high", "low", "close")


def histories(
    seed: int, start: datetime, count: int, symbols: Sequence[str] | None = None
) -> tuple[InstrumentHistory, ...]:
    """Make `count` one-minute bars from `start` (a whole minute) for each symbol, with mark bars and
    the funding settled after `start` up to the last close.

    Volume is in contracts. Raises ValueError outside 2020 to 2059, UnsupportedInstrument for a base
    that is not simulated.
    """
    first = _minute_of(start)
    if count < 1:
        raise ValueError(f"a history has at least one bar, not {count}")
    if first < 0 or start + count * _MINUTE > HORIZON:
        raise ValueError(f"the simulated market runs from {ORIGIN:%Y-%m-%d} to {HORIZON:%Y-%m-%d}")
    instruments = [_instrument(symbol) for symbol in symbols or DEFAULT_SYMBOLS]
    made: list[list[DayMinutes]] = [[] for _ in instruments]
    first_day = first // MINUTES
    for day in range(first_day, (first + count - 1) // MINUTES + 1):
        for days, instrument in zip(made, instruments, strict=True):
            days.append(day_minutes(seed, instrument, day))
    skip = first - first_day * MINUTES
    return tuple(
        _history(instrument, days, first_day, slice(skip, skip + count))
        for instrument, days in zip(instruments, made, strict=True)
    )


def _minute_of(instant: datetime) -> int:
    milliseconds = to_milliseconds(instant) - _ORIGIN_MS
    if milliseconds % _MINUTE_MS or instant.microsecond:
        raise ValueError(f"simulated bars open at whole minutes, not at {instant}")
    return milliseconds // _MINUTE_MS


def _instrument(symbol: str) -> Instrument:
    instrument = default_instrument(symbol)
    if instrument.base not in ASSETS:
        raise UnsupportedInstrument(f"{instrument.base} is not simulated: only {', '.join(ASSETS)}")
    return instrument


def _history(
    instrument: Instrument, days: list[DayMinutes], first_day: int, part: slice
) -> InstrumentHistory:
    start = first_day * MINUTES + part.start
    opened_at = (
        _ORIGIN_MS + (start + np.arange(part.stop - part.start, dtype=np.int64)) * _MINUTE_MS
    )
    price, quantity = scale(instrument.price_step), scale(instrument.quantity_step)

    def column(name: str) -> IntColumn:
        return np.concatenate([getattr(day, name) for day in days])[part]

    volume = column("volume") * quantity[0]

    def series(prefix: str) -> CandleSeries:
        prices = {name: column(prefix + name) * price[0] for name in _PRICES}
        return CandleSeries(
            timeframe=_MINUTE,
            opened_at=opened_at,
            open=prices["open"],
            high=prices["high"],
            low=prices["low"],
            close=prices["close"],
            volume=volume,
            price_exponent=price[1],
            volume_exponent=quantity[1],
        )

    funding = None
    if instrument.funding_interval is not None:
        funding = _funding(days, first_day, start, start + part.stop - part.start)
    return InstrumentHistory(
        instrument=instrument, bars=series(""), mark_bars=series("mark_"), funding=funding
    )


def _funding(days: list[DayMinutes], first_day: int, after: int, until: int) -> FundingSeries:
    """Return the rates settled in (after, until], both in minutes since the origin."""
    settled = [
        ((first_day + index) * MINUTES + minute, rate)
        for index, day in enumerate(days)
        for minute, rate in zip(FUNDING_MINUTES, day.funding, strict=True)
    ]
    kept = [(minute, rate) for minute, rate in settled if after < minute <= until]
    return FundingSeries(
        at=np.array([_ORIGIN_MS + minute * _MINUTE_MS for minute, _ in kept], dtype=np.int64),
        rates=tuple(rate for _, rate in kept),
    )


class SimMarketFeed:
    """A MarketFeed over the simulated market: same seed, same market, at any instant.

    `history` is how much lies before the day of `now`: 50 days settle every standard indicator on
    4-hour candles. The first look at a day makes its bars (a fifth of a second for six instruments).
    """

    def __init__(
        self,
        seed: int,
        *,
        timeframe: timedelta,
        symbols: Sequence[str] | None = None,
        history: timedelta = 50 * _DAY,
    ) -> None:
        self._seed = seed
        self._timeframe = timeframe
        self._symbols = tuple(sorted(set(symbols or DEFAULT_SYMBOLS)))
        self._instruments = tuple(_instrument(symbol) for symbol in self._symbols)
        self._days_before = max(1, -(-history // _DAY))
        self._source = f"simulated market, seed {seed}"
        self._today: tuple[int, ReplayFeed] | None = None

    def instruments(self) -> Sequence[Instrument]:
        """Every simulated instrument, in name order."""
        return self._instruments

    def snapshot(self, symbols: Sequence[str], now: datetime) -> MarketSnapshot:
        """The simulated market at `now` (see `market.ports.MarketFeed`), down to the millisecond.

        The quote is that of the moving minute, with a book of ten levels a side. Raises ValueError
        for an instant it does not cover or a symbol it does not have.
        """
        closed = self._replay(now).snapshot(symbols, now)
        elapsed = (to_milliseconds(now) - _ORIGIN_MS) % _MINUTE_MS
        return MarketSnapshot(
            as_of=now,
            instruments=tuple(self._moving(item, now, elapsed) for item in closed.instruments),
            source=self._source,
        )

    def _replay(self, now: datetime) -> ReplayFeed:
        """Return the closed bars up to the end of today."""
        day = (now - ORIGIN) // _DAY
        today = self._today
        if today is None or today[0] != day:
            first = max(0, day - self._days_before)
            made = histories(
                self._seed, ORIGIN + first * _DAY, (day + 1 - first) * MINUTES, self._symbols
            )
            today = self._today = (day, ReplayFeed(made, timeframe=self._timeframe))
        return today[1]

    def _moving(self, item: InstrumentSnapshot, now: datetime, elapsed: int) -> InstrumentSnapshot:
        """Return the item with the quote, the book and the open candle of this very instant."""
        bars, closed = item.bars.base, item.bars.end  # `closed` is also the minute that is open now
        minute = (to_milliseconds(now) - _ORIGIN_MS) // _MINUTE_MS
        random = Random(f"{self._seed} {item.instrument.base} {minute}")
        inside = InsideMinute(random, bars, closed, elapsed / _MINUTE_MS)
        last = mark = inside.price
        if item.mark_bars is not None and closed:  # the mark keeps its distance of a minute ago
            distance = int(item.mark_bars.close[-1]) - int(bars.close[closed - 1])
            mark = max(1, last + distance)
        book = order_book(random, item.instrument, bars.price_exponent, last)
        return replace(
            item,
            quote=Quote(
                symbol=item.symbol,
                at=now,
                bid=book.bids[0].price,
                ask=book.asks[0].price,
                last=bars.price(last),
                mark=bars.price(mark),
            ),
            book=book,
            unfinished=joined(item.unfinished, inside.candle()) if elapsed else item.unfinished,
            open_interest=self._open_interest(item.instrument, (now - ORIGIN) // _DAY),
        )

    def _open_interest(self, instrument: Instrument, day: int) -> Decimal | None:
        """Return contracts held by everybody: six hours of normal turnover, more or less by the day."""
        if instrument.is_spot:
            return None
        price = exp(float(log_closes(self._seed, instrument.base)[day]))
        mood = Random(f"{self._seed} open interest {day}").uniform(0.8, 1.2)
        held = ASSETS[instrument.base].turnover * 360 * mood / price
        return instrument.round_quantity(Decimal(repr(held)))
