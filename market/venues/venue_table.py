"""The venues whose public data we read, and how each differs: one row per venue, no code.

A row states what ccxt does not: how much one answer holds, where the mark price is, in what unit the
volume comes. The trap avoided: a difference between venues that is an `if venue ==` in the middle of
a feed is found by the first user of the tenth venue.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from market.domain.enums import TriggerBasis

HOUR = timedelta(hours=1)


class MarkSource(StrEnum):
    """Where the mark price of a perpetual is told."""

    FUNDING = "FUNDING"  # with the current funding rate
    TICKER = "TICKER"  # with the last price
    OWN = "OWN"  # by a request of its own


class TierUnit(StrEnum):
    """In what the caps of margin tiers are told."""

    NOTIONAL = "NOTIONAL"
    CONTRACTS = "CONTRACTS"


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSpec:
    """How one venue is read.

    `market_types`: what to ask its list of markets for (None: it has one list). `candle_limit`: candles
    in one answer; `mark_limit` of the mark price, 0 where there are none. `mark`: where the mark price
    is told. `contexts_at_once`: one answer tells last, mark, funding and open interest of every
    perpetual. `volume_in_base`: volumes of candles are in base units, not in contracts. `tier_unit`:
    in what the margin tiers that can be read without a key are told; None: there are none.
    `trigger_bases` and `funding_interval` of its perpetuals, where a market does not tell its own.
    `proof`: how it was shown to work; empty: not at all.
    """

    name: str
    market_types: tuple[str, ...] | None
    candle_limit: int
    mark_limit: int = 0
    mark: MarkSource = MarkSource.TICKER
    contexts_at_once: bool = False
    has_open_interest: bool = True
    volume_in_base: bool = False
    tier_unit: TierUnit | None = None
    trigger_bases: frozenset[TriggerBasis] = frozenset(TriggerBasis)
    funding_interval: timedelta = timedelta(hours=8)
    proof: str = ""


_LOOPBACK = "the real client against a local server that speaks the venue's wire format"

VENUES = {
    spec.name: spec
    for spec in (
        VenueSpec(
            name="binance", market_types=("spot",), candle_limit=1000, has_open_interest=False
        ),
        VenueSpec(
            name="binanceusdm",
            market_types=("linear",),
            candle_limit=1000,
            mark_limit=1000,
            mark=MarkSource.FUNDING,
            proof=_LOOPBACK,
        ),
        VenueSpec(name="bitget", market_types=("spot", "swap"), candle_limit=200),
        VenueSpec(
            name="bybit",
            market_types=("spot", "linear"),
            candle_limit=1000,
            mark_limit=1000,
            tier_unit=TierUnit.NOTIONAL,
        ),
        VenueSpec(
            name="gate",
            market_types=("spot", "swap"),
            candle_limit=1000,
            has_open_interest=False,
        ),
        VenueSpec(
            name="hyperliquid",
            market_types=("spot", "swap"),
            candle_limit=5000,
            mark=MarkSource.FUNDING,
            contexts_at_once=True,
            trigger_bases=frozenset({TriggerBasis.MARK}),
            funding_interval=HOUR,
            proof=_LOOPBACK,
        ),
        VenueSpec(name="kraken", market_types=None, candle_limit=720, has_open_interest=False),
        VenueSpec(
            name="krakenfutures",
            market_types=None,
            candle_limit=2000,
            has_open_interest=False,
            funding_interval=HOUR,
        ),
        VenueSpec(
            name="okx",
            market_types=("spot", "swap"),
            candle_limit=300,
            mark_limit=100,
            mark=MarkSource.OWN,
            volume_in_base=True,
            tier_unit=TierUnit.CONTRACTS,
            proof=_LOOPBACK,
        ),
    )
}
"""Name (as in ccxt) → how it is read."""


def venue_spec(venue: str) -> VenueSpec:
    """Return the row of a venue. Raises ValueError that lists those there are."""
    spec = VENUES.get(venue)
    if spec is None:
        raise ValueError(f"{venue!r} is no venue we read: there are {', '.join(VENUES)}")
    return spec
