"""What was executed of a decision: its orders and fills against the prices that they were judged at. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from bots.pages.evidence import Record
from bots.pages.wishes import base_of
from bots.queries.decision import DecisionDetail, Executed
from market.domain.enums import OrderPurpose, OrderStatus
from market.domain.numbers import ZERO

BPS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """An order and what came of it. `fee` in the currency of its fills; `slippage_bps` above zero: worse than
    the price that was judged."""

    executed: Executed
    name: str
    base: str
    price: Decimal | None
    fee: Decimal | None
    fee_currency: str
    slippage_bps: Decimal | None
    state: str
    kind: str
    drawn: str
    step: Decimal | None


def done(detail: DecisionDetail) -> tuple[Done, ...]:
    """The orders of the decision against the prices that they were judged at, each with its protection."""
    judged = _references(detail.record or {})
    symbols = list(dict.fromkeys(one.order.symbol for one in detail.orders))
    in_order = sorted(
        detail.orders,
        key=lambda one: (symbols.index(one.order.symbol), one.order.purpose.is_protection),
    )
    return tuple(_done(one, judged, detail.steps) for one in in_order)


def _references(record: Record) -> Mapping[tuple[str, str], Decimal]:
    """The price that each approved order was judged at, by symbol and purpose."""
    found = {}
    for one in (record.get("verdict") or {}).get("rulings") or []:
        intent = one["approved"]
        if intent is not None and "purpose" in intent:
            found[intent["symbol"], intent["purpose"]] = Decimal(intent["reference_price"])
    return found


_NAMES: Final[Mapping[OrderPurpose, str]] = {
    OrderPurpose.ENTRY: "to open",
    OrderPurpose.REDUCE: "to reduce",
    OrderPurpose.CLOSE: "to close",
    OrderPurpose.STOP: "stop",
    OrderPurpose.TARGET: "target",
    OrderPurpose.LADDER: "to take profit",
    OrderPurpose.TIME_STOP: "to end its time",
}
_STATES: Final[Mapping[OrderStatus, tuple[str, str, str]]] = {
    OrderStatus.FILLED: ("Filled", "ok", "check"),
    OrderStatus.PARTIALLY_FILLED: ("Filled in part", "ok", "check"),
    OrderStatus.ACCEPTED: ("Resting", "ok", "check"),
    OrderStatus.TRIGGERED: ("Triggered", "ok", "check"),
    OrderStatus.UNKNOWN: ("Not answered yet", "warn", "warn"),
    OrderStatus.REJECTED: ("Refused by the venue", "bad", "ban"),
    OrderStatus.DENIED: ("Denied before it left", "bad", "ban"),
    OrderStatus.NEVER_ARRIVED: ("Never arrived", "warn", "warn"),
    OrderStatus.CANCELED: ("Cancelled", "", "x"),
    OrderStatus.EXPIRED: ("Ended unfilled", "", "x"),
}


def _done(
    one: Executed, judged: Mapping[tuple[str, str], Decimal], steps: Mapping[str, Decimal]
) -> Done:
    order = one.order
    filled = order.average_price
    reference = judged.get((order.symbol, order.purpose))
    slippage = None
    if filled is not None and reference:
        slippage = (filled / reference - 1) * order.side.sign * BPS
    state, kind, drawn = _STATES.get(order.status, ("On its way", "", "send"))
    if order.status in (OrderStatus.CANCELED, OrderStatus.EXPIRED) and order.filled_quantity:
        state, kind, drawn = "Filled in part", "ok", "check"
    currencies = {fill.fee_currency for fill in one.fills}
    return Done(
        executed=one,
        name=f"{order.side.capitalize()} {_NAMES[order.purpose]}",
        base=base_of(order.symbol),
        price=filled or order.trigger_price or order.price,
        fee=sum((fill.fee for fill in one.fills), ZERO) if len(currencies) == 1 else None,
        fee_currency=next(iter(currencies), ""),
        slippage_bps=slippage,
        state=state,
        kind=kind,
        drawn=drawn,
        step=steps.get(order.symbol),
    )


def fees_of(shown: Sequence[Done]) -> dict[str, Decimal]:
    """What all fills took, by currency."""
    total: dict[str, Decimal] = {}
    for one in shown:
        if one.fee is not None:
            total[one.fee_currency] = total.get(one.fee_currency, ZERO) + one.fee
    return total
