"""The row of an instrument, and the instrument of a row. It asks no database.

The canonical form is kept whole: margin tiers with their deductions as the venue told them, not as they
would be computed anew. The trap avoided: a column added to the domain and forgotten in the row.
"""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from market.domain.canonical import canonical_bytes
from market.domain.enums import InstrumentKind, InstrumentStatus, TriggerBasis
from market.domain.instruments import Instrument as DomainInstrument
from market.domain.instruments import MarginTier
from market.models import Instrument

_EXACT = (
    "price_step", "quantity_step", "min_quantity", "min_notional", "contract_size", "max_leverage", "max_quantity",
    "max_market_quantity", "maker_fee", "taker_fee", "liquidation_fee", "price_band",
)  # fmt: skip
_TIER = ("notional_cap", "maintenance_rate", "deduction", "max_leverage")
_INSTANTS = ("delisting_at", "next_funding_at", "as_of")


def row_of(venue: str, instrument: DomainInstrument, as_of: datetime) -> Instrument:
    """An unsaved row of what a venue listed at an instant."""
    return Instrument(
        venue=venue,
        symbol=instrument.symbol,
        kind=instrument.kind,
        status=instrument.status,
        base=instrument.base,
        settle=instrument.settle,
        price_step=instrument.price_step,
        quantity_step=instrument.quantity_step,
        data=canonical_bytes(replace(instrument, as_of=as_of)).decode(),
        as_of=as_of,
    )


def instrument_of(row: Instrument) -> DomainInstrument:
    """The instrument that `row_of` wrote."""
    raw: dict[str, Any] = json.loads(row.data)
    seconds = raw["funding_interval"]
    return DomainInstrument(
        **raw
        | {name: _decimal(raw[name]) for name in _EXACT}
        | {name: _instant(raw[name]) for name in _INSTANTS}
        | {
            "kind": InstrumentKind(raw["kind"]),
            "status": InstrumentStatus(raw["status"]),
            "margin_tiers": tuple(
                MarginTier(**{name: _decimal(tier[name]) for name in _TIER})  # type: ignore[arg-type]
                for tier in raw["margin_tiers"]
            ),
            "trigger_bases": frozenset(TriggerBasis(basis) for basis in raw["trigger_bases"]),
            "funding_interval": None if seconds is None else _span(seconds),
        }
    )


def is_same_listing(row: Instrument, instrument: DomainInstrument) -> bool:
    """True when nothing changed but times that pass by themselves."""
    known = replace(instrument_of(row), as_of=None, next_funding_at=None)
    return known == replace(instrument, as_of=None, next_funding_at=None)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _span(text: str) -> timedelta:
    seconds = Decimal(text.removeprefix("PT").removesuffix("S"))
    return timedelta(microseconds=int(seconds * 1_000_000))
