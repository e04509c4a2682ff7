"""How often a trader was right when it said how sure it was: stated confidence beside the share that won.

Pure. A bin with few trades says nothing yet, and says so: its interval is Wilson's for a share (E. B. Wilson, 1927,
95%), which also holds for few trades and for shares of 0 and 1.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from market.domain.numbers import ZERO

WIDTH: Final = Decimal("0.1")
ENOUGH: Final = 20
"""Trades of a bin below which nothing can be said of it."""
_Z: Final = Decimal("1.96")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Trades whose entries were stated with a confidence from `lower` on, below `upper` (1 included in the last).
    Shares are 0–1; `low` and `high` bound the share that won, with 95% confidence."""

    lower: Decimal
    upper: Decimal
    trades: int
    stated: Decimal
    won: Decimal
    low: Decimal
    high: Decimal

    @property
    def is_enough(self) -> bool:
        return self.trades >= ENOUGH

    @property
    def fits(self) -> bool:
        """True while what was stated lies within what the trades allow."""
        return self.low <= self.stated <= self.high


def calibration(outcomes: Iterable[tuple[Decimal, bool]]) -> tuple[Bin, ...]:
    """(confidence 0–1, won after costs) of closed trades as bins, the lowest first; empty ones left out."""
    bins: dict[int, list[tuple[Decimal, bool]]] = {}
    for confidence, won in outcomes:
        number = min(int(confidence / WIDTH), int(1 / WIDTH) - 1)
        bins.setdefault(number, []).append((confidence, won))
    return tuple(_bin(number, bins[number]) for number in sorted(bins))


def _bin(number: int, outcomes: list[tuple[Decimal, bool]]) -> Bin:
    count = len(outcomes)
    won = sum(1 for _, one in outcomes if one)
    low, high = wilson(won, count)
    return Bin(
        lower=number * WIDTH,
        upper=(number + 1) * WIDTH,
        trades=count,
        stated=sum((confidence for confidence, _ in outcomes), ZERO) / count,
        won=Decimal(won) / count,
        low=low,
        high=high,
    )


def wilson(won: int, count: int) -> tuple[Decimal, Decimal]:
    """The 95% interval of a share of which `won` of `count` were seen; 0 to 1 for none."""
    if not count:
        return ZERO, Decimal(1)
    share, square = Decimal(won) / count, _Z * _Z
    centre = share + square / (2 * count)
    reach = _Z * (share * (1 - share) / count + square / (4 * count * count)).sqrt()
    whole = 1 + square / count
    return max(ZERO, (centre - reach) / whole), min(Decimal(1), (centre + reach) / whole)
