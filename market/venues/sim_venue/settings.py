"""How the simulated venue fills: slippage, spread, latency, depth. Fees belong to the instrument."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cached_property

from market.domain.numbers import BASIS_POINT, ZERO

MILLISECOND = timedelta(milliseconds=1)


class VolumeUnit(StrEnum):
    """What the volume column of the bars counts."""

    BASE = "BASE"
    QUOTE = "QUOTE"


@dataclass(frozen=True, kw_only=True)
class SimSettings:
    """The venue's rules of execution.

    On bars a taker pays `slippage_bps` and half of `spread_bps`; on a quote the spread is the quote's,
    on a book slippage is its depth. `max_volume_fraction` of a bar's volume (unit declared) can be
    traded by us in that bar, None: any amount. `execute_on_quotes`: orders meet live quotes as well as
    bars (paper); without it they meet bars only (replay). `spot_fee_in_base`: a spot BUY pays its fee in
    the coin it bought. Raises ValueError for values below zero.
    """

    slippage_bps: Decimal = ZERO
    spread_bps: Decimal = ZERO
    latency: timedelta = timedelta(0)
    max_volume_fraction: Decimal | None = None
    volume_unit: VolumeUnit = VolumeUnit.BASE
    spot_fee_in_base: bool = True
    execute_on_quotes: bool = False

    def __post_init__(self) -> None:
        if self.slippage_bps < 0 or self.spread_bps < 0 or self.latency < timedelta(0):
            raise ValueError("slippage, spread and latency are never below zero")
        if self.max_volume_fraction is not None and self.max_volume_fraction <= 0:
            raise ValueError("max_volume_fraction is above zero, or None for any amount")

    @cached_property
    def quote_slip(self) -> Decimal:
        """The fraction that a taker pays on top of bid or ask."""
        return self.slippage_bps * BASIS_POINT

    @cached_property
    def bar_slip(self) -> Decimal:
        """The fraction that a taker pays on top of a bar's price: slippage and half the spread."""
        return (self.slippage_bps + self.spread_bps / 2) * BASIS_POINT

    @cached_property
    def latency_milliseconds(self) -> int:
        """Latency in whole milliseconds, rounded up: an order never arrives early."""
        return -(-self.latency // MILLISECOND)
