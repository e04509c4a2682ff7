"""The days of the simulated market: which regime rules, how wild it is, where each day closes.

All days from the origin to the horizon are made at once, from the seed alone, so the path of a day
never depends on which days were asked for. Floats: this is a simulation, not money.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from math import log, sqrt
from zlib import crc32

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ORIGIN = datetime(2020, 1, 1, tzinfo=UTC)
HORIZON = datetime(2060, 1, 1, tzinfo=UTC)
DAYS = (HORIZON - ORIGIN) // timedelta(days=1)
TAIL = 4.0  # degrees of freedom of Student's t: the fourth moment of a day's move does not exist
_PULL = 0.003  # a day's pull of the log price towards its anchor, so that no path runs away


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """How one base behaves: anchor price, share of the market's move, own volatility per day,
    money traded per minute on a normal day, and whole spread."""

    anchor: float
    beta: float
    own_sigma: float
    turnover: float
    spread_bps: float


ASSETS = {
    "BTC": Asset(anchor=60_000, beta=1.0, own_sigma=0.011, turnover=8e6, spread_bps=0.4),
    "ETH": Asset(anchor=3_000, beta=1.2, own_sigma=0.017, turnover=5e6, spread_bps=0.6),
    "SOL": Asset(anchor=150, beta=1.5, own_sigma=0.03, turnover=2e6, spread_bps=1.2),
    "BNB": Asset(anchor=600, beta=0.9, own_sigma=0.018, turnover=1e6, spread_bps=1.0),
    "XRP": Asset(anchor=0.6, beta=1.1, own_sigma=0.028, turnover=1e6, spread_bps=2.0),
    "DOGE": Asset(anchor=0.15, beta=1.4, own_sigma=0.034, turnover=8e5, spread_bps=2.5),
}


class Regime(StrEnum):
    """The mood of the whole market on a day."""

    UP = "UP"
    DOWN = "DOWN"
    CHOP = "CHOP"
    CRASH = "CRASH"
    REBOUND = "REBOUND"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mood:
    """A regime's drift a day, its factor on volatility, and the chances of tomorrow's regime."""

    drift: float
    roughness: float
    tomorrow: tuple[tuple[Regime, float], ...]


_MOODS = {
    Regime.UP: _Mood(
        drift=0.006,
        roughness=0.9,
        tomorrow=((Regime.UP, 0.94), (Regime.CHOP, 0.045), (Regime.CRASH, 0.015)),
    ),
    Regime.DOWN: _Mood(
        drift=-0.006,
        roughness=1.1,
        tomorrow=((Regime.DOWN, 0.92), (Regime.CHOP, 0.06), (Regime.CRASH, 0.02)),
    ),
    Regime.CHOP: _Mood(
        drift=0.0,
        roughness=0.7,
        tomorrow=(
            (Regime.CHOP, 0.93),
            (Regime.UP, 0.035),
            (Regime.DOWN, 0.03),
            (Regime.CRASH, 0.005),
        ),
    ),
    Regime.CRASH: _Mood(
        drift=-0.05,
        roughness=2.5,
        tomorrow=((Regime.CRASH, 0.4), (Regime.REBOUND, 0.4), (Regime.DOWN, 0.2)),
    ),
    Regime.REBOUND: _Mood(
        drift=0.025,
        roughness=1.8,
        tomorrow=((Regime.REBOUND, 0.7), (Regime.UP, 0.2), (Regime.CHOP, 0.1)),
    ),
}

# GARCH(1,1) of the market's own moves: the long-run volatility of a day, and how it clusters
# (Bollerslev 1986); a day's surprise is capped so that one of them can't rule the next month.
_SIGMA, _ALPHA, _BETA, _CAP = 0.024, 0.10, 0.86, 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketDays:
    """Each day's regime, move of the market (log) and volatility (of a day)."""

    regimes: tuple[Regime, ...]
    moves: Floats
    sigmas: Floats


def generator(seed: int, *stream: int) -> np.random.Generator:
    """Return the random numbers of one stream of a seed; equal arguments give equal numbers."""
    if seed < 0:
        raise ValueError(f"a seed is a whole number from 0, not {seed}")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *stream])))


def stream_of(base: str) -> int:
    """Return the number that stands for a base in the streams of a seed."""
    return crc32(base.encode())


def student(random: np.random.Generator, count: int) -> Floats:
    """Return fat-tailed numbers of mean 0 and variance 1."""
    return random.standard_t(TAIL, count) / sqrt(TAIL / (TAIL - 2))


@lru_cache(maxsize=8)
def market_days(seed: int) -> MarketDays:
    """Walk through all days of a seed: regime by a Markov chain, volatility by GARCH."""
    random = generator(seed, 0)
    chances = random.random(DAYS).tolist()
    surprises = np.clip(student(random, DAYS), -8, 8).tolist()
    regime, variance = Regime.CHOP, _SIGMA**2
    base = (1 - _ALPHA - _BETA) * _SIGMA**2
    regimes: list[Regime] = []
    moves, sigmas = np.empty(DAYS), np.empty(DAYS)
    for day in range(DAYS):
        mood = _MOODS[regime]
        sigma = sqrt(variance) * mood.roughness
        regimes.append(regime)
        sigmas[day] = sigma
        moves[day] = mood.drift + sigma * surprises[day]
        shock = max(-_CAP, min(_CAP, surprises[day]))
        variance = base + variance * (_ALPHA * shock * shock + _BETA)
        variance = min(variance, (3 * _SIGMA) ** 2)
        chance = chances[day]
        for candidate, weight in mood.tomorrow:
            regime = candidate
            chance -= weight
            if chance < 0:
                break
    return MarketDays(regimes=tuple(regimes), moves=moves, sigmas=sigmas)


@lru_cache(maxsize=64)
def log_closes(seed: int, base: str) -> Floats:
    """Return the log price of a base at every midnight, the origin's first: DAYS + 1 values."""
    asset, days = ASSETS[base], market_days(seed)
    roughness = days.sigmas / _SIGMA
    own = asset.own_sigma * roughness * student(generator(seed, 1, stream_of(base)), DAYS)
    moves = np.clip(asset.beta * days.moves + own, -0.5, 0.5)
    distance = 0.0
    path = np.empty(DAYS + 1)
    path[0] = distance
    for day, move in enumerate(moves.tolist()):
        distance = (1 - _PULL) * distance + move
        path[day + 1] = distance
    return path + log(asset.anchor)


def sigma_of(seed: int, base: str, day: int) -> float:
    """Return the volatility of a base on a day (of the log price, over the day)."""
    asset, sigma = ASSETS[base], float(market_days(seed).sigmas[day])
    return sqrt((asset.beta * sigma) ** 2 + (asset.own_sigma * sigma / _SIGMA) ** 2)
