"""What the simulated venue writes down, as canonical text, and how it is read back. It asks no database.

Every fill, funding payment and adjustment becomes a record, and so does the end of every order. Live
orders are in the state, which for that reason keeps no ended ones: it stays small for ever. The trap
avoided: an answer rebuilt from memory; what is told again is read from the very bytes first written.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from market.domain.canonical import canonical_bytes
from market.domain.data import from_milliseconds, to_milliseconds
from market.domain.enums import FillReason, Liquidity, OrderSide, OrderStatus
from market.domain.instruments import Instrument
from market.domain.numbers import ZERO
from market.domain.orders import Adjustment, Fill, FundingPayment, OrderReport, VenueReport
from market.models import SimRecordKind
from market.venues.sim_venue.settings import SimSettings, VolumeUnit
from market.venues.sim_venue.state import EndedOrder, EndedOrders, SimState
from market.venues.sim_venue.step import fate
from market.venues.sim_venue.stored import from_mapping, to_mapping

Ended = Iterable[tuple[str, str]]
"""(client order id, payload of its ENDED record)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One thing that happened, ready to be written. `client_order_id` is empty where no order of ours
    made it happen."""

    kind: SimRecordKind
    client_order_id: str
    payload: str
    at: datetime


def new_records(
    before: SimState, after: SimState, reports: Iterable[VenueReport]
) -> Iterator[Record]:
    """What of a step is remembered: its fills and payments in the venue's order, then the orders it ended."""
    for report in reports:
        if isinstance(report, FundingPayment):
            yield _record(SimRecordKind.FUNDING, "", report, report.at)
        elif isinstance(report, Adjustment):
            yield _record(SimRecordKind.ADJUSTMENT, "", report, report.at)
        elif report.fill is not None:
            yield _record(SimRecordKind.FILL, report.client_order_id or "", report, report.at)
    if after.ended is not before.ended:
        for client_order_id, ended in after.ended.items():
            if before.ended.get(client_order_id) is None:
                at = from_milliseconds(ended.at)
                yield _record(SimRecordKind.ENDED, client_order_id, ended, at)


def _record(kind: SimRecordKind, client_order_id: str, value: object, at: datetime) -> Record:
    payload = canonical_bytes(value).decode()
    return Record(kind=kind, client_order_id=client_order_id, payload=payload, at=at)


def report_of(kind: str, payload: str) -> VenueReport:
    """The report that a FILL, FUNDING or ADJUSTMENT record was made from."""
    raw = json.loads(payload)
    raw["at"] = datetime.fromisoformat(raw["at"])
    if kind == SimRecordKind.FUNDING:
        return FundingPayment(**_exact(raw, "amount", "rate", "mark_price"))
    if kind == SimRecordKind.ADJUSTMENT:
        return Adjustment(**_exact(raw, "amount"))
    raw["status"] = None if raw["status"] is None else OrderStatus(raw["status"])
    raw["fill"] = _fill(raw["fill"])
    return OrderReport(**_exact(raw, "quantity"))


def _fill(raw: dict[str, Any]) -> Fill:
    return Fill(
        **_exact(raw, "quantity", "price", "fee")
        | {
            "side": OrderSide(raw["side"]),
            "liquidity": Liquidity(raw["liquidity"]),
            "reason": FillReason(raw["reason"]),
            "at": datetime.fromisoformat(raw["at"]),
        }
    )


def _exact(raw: dict[str, Any], *names: str) -> dict[str, Any]:
    """The mapping with these fields as Decimals again."""
    return raw | {name: None if raw[name] is None else Decimal(raw[name]) for name in names}


# --- the state ----------------------------------------------------------------------------------------


def state_text(state: SimState) -> str:
    """A state as its row keeps it: without the ended orders, which are records."""
    return canonical_bytes(to_mapping(replace(state, ended=EndedOrders()))).decode()


def state_of(text: str, instruments: Mapping[str, Instrument], ended: Ended = ()) -> SimState:
    """The state of a row, reminded of some orders that ended. Raises StoredStateError."""
    pairs = [[one, json.loads(payload)] for one, payload in ended]
    return from_mapping({**json.loads(text), "ended": pairs}, instruments)


def ended_of(records: Ended) -> Mapping[str, EndedOrder]:
    """How orders ended, by client id."""
    empty = state_text(SimState(cash=ZERO))
    return dict(state_of(empty, {}, records).ended.items())


def status_now(
    state: SimState, ended: Mapping[str, EndedOrder], client_order_id: str, now: datetime
) -> OrderReport:
    """Where an order stands, or how it ended; status None and UNKNOWN_ORDER when nobody knows it.

    A live order's quantity is stated once it is determined: protection that still waits for its entry
    has none, and zero would be read as an order for nothing.
    """
    held = state.orders.get(client_order_id)
    if held is None:
        known = ended.get(client_order_id) or state.ended.get(client_order_id)
        return fate(client_order_id, known, to_milliseconds(now))
    return OrderReport(
        at=now,
        symbol=held.order.symbol,
        client_order_id=client_order_id,
        status=held.status,
        quantity=held.quantity or None,
        venue_order_id=held.venue_order_id,
    )


def exposed_symbols(state: SimState) -> set[str]:
    """Symbols in which something is held or rests."""
    return {*state.positions, *(held.order.symbol for held in state.orders.values())}


# --- the settings -------------------------------------------------------------------------------------


def settings_text(settings: SimSettings) -> str:
    """How an account fills, as its row keeps it."""
    return canonical_bytes(settings).decode()


def settings_of(text: str) -> SimSettings:
    """The settings that `settings_text` wrote."""
    raw = json.loads(text)
    seconds = Decimal(raw["latency"].removeprefix("PT").removesuffix("S"))
    return SimSettings(
        **_exact(raw, "slippage_bps", "spread_bps", "max_volume_fraction")
        | {
            "latency": timedelta(microseconds=int(seconds * 1_000_000)),
            "volume_unit": VolumeUnit(raw["volume_unit"]),
        }
    )
