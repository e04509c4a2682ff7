"""The minutes of one simulated day: a bridge from its first midnight to its last.

The day's ends come from `days`, so a day is made without any other, and joins the next one without a
jump. Volatility clusters inside the day and has a daily shape; moves have fat tails and a part in
common with the other instruments. Everything that comes out is whole ticks and steps.
"""

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from math import sqrt

import numpy as np

from market.domain.data import IntColumn
from market.domain.instruments import Instrument
from market.venues.sim_market.days import (
    ASSETS,
    Floats,
    generator,
    log_closes,
    sigma_of,
    stream_of,
    student,
)

MINUTES = 1_440
FUNDING_MINUTES = (480, 960, 1_440)

_COMMON = 0.55  # share of the variance of a minute that all instruments have in common
_MEMORY = 0.985  # of the volatility from one minute to the next: half gone in 46 minutes
_RESTLESS = 0.55  # standard deviation of the log volatility
_WICK = 0.45  # mean wick, in standard deviations of the minute's move
_PREMIUM = 1e-4  # largest distance of mark from last, as a fraction
_FUNDING = 0.0001, 0.01, 0.0075  # of a calm market, by momentum, and the cap
_RATE_STEP = Decimal("1E-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class DayMinutes:
    """One day of one instrument: 1,440 values a column, prices in ticks, volume in steps.

    `funding` are the rates settled 8, 16 and 24 hours after its first midnight.
    """

    open: IntColumn
    high: IntColumn
    low: IntColumn
    close: IntColumn
    volume: IntColumn
    mark_open: IntColumn
    mark_high: IntColumn
    mark_low: IntColumn
    mark_close: IntColumn
    funding: tuple[Decimal, ...]


@lru_cache(maxsize=4)
def _market_minutes(seed: int, day: int) -> tuple[Floats, Floats]:
    """Return what all instruments share in a day: the shape of volatility, and the common moves.

    Squares of the shape add up to 1. The log volatility is an AR(1): x(t) = Σ memory^(t−s) e(s).
    """
    random = generator(seed, 2, day)
    noise = random.standard_normal(MINUTES) * (_RESTLESS * sqrt(1 - _MEMORY**2))
    noise[0] = random.standard_normal() * _RESTLESS
    weights = _MEMORY ** -np.arange(MINUTES)
    restless = np.cumsum(noise * weights) / weights
    hours = np.arange(MINUTES) / 60
    shape = np.exp(restless) * (1 + 0.35 * np.cos((hours - 14.5) * (2 * np.pi / 24)))
    return shape / sqrt(float(np.sum(shape * shape))), student(random, MINUTES)


def day_minutes(seed: int, instrument: Instrument, day: int) -> DayMinutes:
    """Make one day (counted from the origin) of one instrument."""
    base = instrument.base
    asset, ends = ASSETS[base], log_closes(seed, base)
    first, last = float(ends[day]), float(ends[day + 1])
    shape, common = _market_minutes(seed, day)
    random = generator(seed, 3, stream_of(base), day)
    sigma = sigma_of(seed, base, day)
    moves = (sqrt(_COMMON) * common + sqrt(1 - _COMMON) * student(random, MINUTES)) * shape * sigma
    path = np.cumsum(moves)
    path += first + np.cumsum(shape * shape) * (last - first - path[-1])
    scale = sigma * shape
    wicks = random.exponential(_WICK, (2, MINUTES)) * scale
    premium = random.uniform(-_PREMIUM, _PREMIUM, MINUTES)
    tick = float(instrument.price_step)
    # At midnight mark meets last, and both the end of the day, so that days join.
    before, after = _ticks(np.array([first]), tick), _ticks(np.array([last]), tick)
    close = np.concatenate([_ticks(path[:-1], tick), after])
    mark_close = np.concatenate([_ticks((path + premium)[:-1], tick), after])
    open_ = np.concatenate([before, close[:-1]])
    mark_open = np.concatenate([before, mark_close[:-1]])
    high, low = _wicked(open_, close, wicks)
    mark_high, mark_low = _wicked(mark_open, mark_close, wicks / 2)
    busy = shape * sqrt(MINUTES) * random.lognormal(0.0, 0.5, MINUTES)
    coins = asset.turnover / np.exp(path) * busy / float(instrument.quantity_step)
    return DayMinutes(
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=np.maximum(np.rint(coins), 1).astype(np.int64),
        mark_open=mark_open,
        mark_high=mark_high,
        mark_low=mark_low,
        mark_close=mark_close,
        funding=_funding(first, path),
    )


def _ticks(path: Floats, tick: float) -> IntColumn:
    return np.maximum(np.rint(np.exp(path) / tick), 1).astype(np.int64)


def _wicked(open_: IntColumn, close: IntColumn, wicks: Floats) -> tuple[IntColumn, IntColumn]:
    """Return high and low: the body and a wick on each side, never below one tick."""
    up = np.floor(close * wicks[0]).astype(np.int64)
    down = np.floor(close * wicks[1]).astype(np.int64)
    return np.maximum(open_, close) + up, np.maximum(np.minimum(open_, close) - down, 1)


def _funding(first: float, path: Floats) -> tuple[Decimal, ...]:
    """Return the rate of each 8 hours: a base, more when the price rose in them, capped."""
    calm, by_momentum, cap = _FUNDING
    before, rates = first, []
    for minute in FUNDING_MINUTES:
        now = float(path[minute - 1])
        rate = max(-cap, min(cap, calm + by_momentum * (now - before)))
        rates.append(Decimal(repr(rate)).quantize(_RATE_STEP))
        before = now
    return tuple(rates)
