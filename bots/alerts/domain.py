"""What can be alerted of, and which of it an event or a measure is. Pure.

Events say what happened; measures say how things stand. A measure alerts when it passes its level, not for as
long as it stays beyond. The trap avoided: an event that matches no kind in silence, so every kind of notice of
the desk is named here, and a test looks for those that are not.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from bots.domain.entries import ExitReason, NoticeKind
from bots.domain.events import EventKind
from llm.domain import DecisionOutcome
from market.domain.enums import OrderStatus
from risk.domain import Code


class Severity(StrEnum):
    """How much it matters. CRITICAL is told in quiet hours too."""

    INFO = "INFO"
    WARNING = "WARNING"
    CRITICAL = "CRITICAL"


class AlertKind(StrEnum):
    """What an alert is about."""

    FILL = "FILL"
    STOP_HIT = "STOP_HIT"
    TARGET_HIT = "TARGET_HIT"
    MANAGED_EXIT = "MANAGED_EXIT"
    LIQUIDATION = "LIQUIDATION"
    DENIAL = "DENIAL"
    BREAKER = "BREAKER"
    NAKED_POSITION = "NAKED_POSITION"
    UNKNOWN_ORDER = "UNKNOWN_ORDER"
    FOREIGN_POSITION = "FOREIGN_POSITION"
    MODEL_FAILURE = "MODEL_FAILURE"
    BUDGET = "BUDGET"
    DRAWDOWN = "DRAWDOWN"
    PNL = "PNL"
    PRICE = "PRICE"
    FUNDING = "FUNDING"
    LIQUIDATION_DISTANCE = "LIQUIDATION_DISTANCE"
    BOT_SILENT = "BOT_SILENT"
    DAILY_SUMMARY = "DAILY_SUMMARY"


class Direction(StrEnum):
    """On which side of its threshold a measure alerts, the threshold itself included."""

    ABOVE = "ABOVE"
    BELOW = "BELOW"


@dataclass(frozen=True, slots=True, kw_only=True)
class KindRow:
    """One kind. `unit` of its threshold, empty where it has none; `direction` None: the rule says it.
    `usual`: the threshold of the default rule; None: there is no default rule. `most`: the largest threshold
    that makes sense; `may_be_negative`: whether one of zero or less does."""

    kind: AlertKind
    name: str
    severity: Severity
    unit: str = ""
    direction: Direction | None = Direction.ABOVE
    usual: Decimal | None = None
    most: Decimal | None = None
    may_be_negative: bool = False
    is_usual: bool = True
    feeds: tuple[EventKind, ...] = ()

    @property
    def is_measured(self) -> bool:
        """Fed by a measure, too or alone."""
        return bool(self.unit) or self.kind is AlertKind.NAKED_POSITION


def _row(kind: AlertKind, name: str, severity: Severity, **more: Any) -> KindRow:
    return KindRow(kind=kind, name=name, severity=severity, **more)


_E, _S = EventKind, Severity
_ROWS: Final = (
    _row(AlertKind.FILL, "an order was filled", _S.INFO, feeds=(_E.FILL,), is_usual=False),
    _row(AlertKind.STOP_HIT, "a stop was hit", _S.WARNING, feeds=(_E.TRADE,)),
    _row(AlertKind.TARGET_HIT, "a target was hit", _S.INFO, feeds=(_E.TRADE,)),
    _row(
        AlertKind.MANAGED_EXIT,
        "a managed exit was carried out",
        _S.INFO,
        feeds=(_E.NOTICE,),
        is_usual=False,
    ),
    _row(AlertKind.LIQUIDATION, "the venue liquidated", _S.CRITICAL, feeds=(_E.NOTICE,)),
    _row(
        AlertKind.DENIAL, "an order was denied", _S.INFO, feeds=(_E.CYCLE, _E.ORDER), is_usual=False
    ),
    _row(AlertKind.BREAKER, "a breaker tripped", _S.CRITICAL, feeds=(_E.NOTICE,)),
    _row(AlertKind.NAKED_POSITION, "a position has no stop", _S.CRITICAL, feeds=(_E.NOTICE,)),
    _row(
        AlertKind.UNKNOWN_ORDER, "the fate of an order is unknown", _S.WARNING, feeds=(_E.NOTICE,)
    ),
    _row(
        AlertKind.FOREIGN_POSITION,
        "something traded that was not the bot",
        _S.CRITICAL,
        feeds=(_E.NOTICE,),
    ),
    _row(AlertKind.MODEL_FAILURE, "the model gave no decision", _S.WARNING, feeds=(_E.CYCLE,)),
    _row(AlertKind.BUDGET, "a budget is used up", _S.WARNING, feeds=(_E.CYCLE, _E.NOTICE)),
    _row(
        AlertKind.DRAWDOWN,
        "the drawdown reached a level",
        _S.WARNING,
        unit="% below the peak",
        usual=Decimal(5),
        most=Decimal(100),
    ),
    _row(
        AlertKind.PNL,
        "profit or loss reached a level",
        _S.INFO,
        unit="in the bot's currency",
        direction=None,
        may_be_negative=True,
    ),
    _row(
        AlertKind.PRICE,
        "a price reached a level",
        _S.INFO,
        unit="price",
        direction=None,
    ),
    _row(
        AlertKind.FUNDING,
        "funding paid today reached a level",
        _S.WARNING,
        unit="in the bot's currency",
    ),
    _row(
        AlertKind.LIQUIDATION_DISTANCE,
        "a position is near its liquidation",
        _S.CRITICAL,
        unit="% from the mark price",
        direction=Direction.BELOW,
        usual=Decimal(10),
        most=Decimal(100),
    ),
    _row(
        AlertKind.BOT_SILENT,
        "a bot has been silent",
        _S.WARNING,
        unit="cycles without a decision",
        usual=Decimal(3),
    ),
    _row(AlertKind.DAILY_SUMMARY, "the day in short", _S.INFO),
)
KINDS: Final[Mapping[AlertKind, KindRow]] = {row.kind: row for row in _ROWS}
WITH_THRESHOLD: Final = tuple(row.kind for row in _ROWS if row.unit)
WITHOUT_THRESHOLD: Final = tuple(row.kind for row in _ROWS if not row.unit)
ALWAYS_ABOVE: Final = tuple(row.kind for row in _ROWS if row.direction is Direction.ABOVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleFacts:
    """What a cycle's row says beyond its event: how the decision came about, and what was denied."""

    decision: str = ""
    reason: str = ""
    denials: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One thing that happened, in a sentence. `cycle_id`: the decision it belongs to, where there is one."""

    kind: AlertKind
    at: datetime
    text: str
    cycle_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An event as it was stored."""

    at: datetime
    kind: EventKind
    payload: Mapping[str, Any] = field(default_factory=dict)


OF_NOTICE: Final[Mapping[NoticeKind, AlertKind | None]] = {
    NoticeKind.LATE_FILL: AlertKind.UNKNOWN_ORDER,
    NoticeKind.FOREIGN_FILL: AlertKind.FOREIGN_POSITION,
    NoticeKind.CONTRADICTION: AlertKind.FOREIGN_POSITION,
    NoticeKind.EXTERNAL_CLOSE: AlertKind.FOREIGN_POSITION,
    NoticeKind.LIQUIDATION: AlertKind.LIQUIDATION,
    NoticeKind.ORDER_REJECTED: AlertKind.DENIAL,
    NoticeKind.ORDER_UNKNOWN: AlertKind.UNKNOWN_ORDER,
    NoticeKind.ORDER_NEVER_ARRIVED: AlertKind.UNKNOWN_ORDER,
    NoticeKind.PROTECTION_FAILED: AlertKind.NAKED_POSITION,
    NoticeKind.PROTECTION_TIGHTENED: None,
    NoticeKind.BREAKER_TRIPPED: AlertKind.BREAKER,
    NoticeKind.BREAKER_CLEARED: None,
    NoticeKind.MODEL_COST_UNKNOWN: AlertKind.BUDGET,
    NoticeKind.MANAGED_EXIT: AlertKind.MANAGED_EXIT,
}
"""What a notice of the desk is an alert of; None: nobody need be told."""
OF_EXIT: Final = {
    ExitReason.STOP: (AlertKind.STOP_HIT, "The stop"),
    ExitReason.TARGET: (AlertKind.TARGET_HIT, "The target"),
}
OF_BREAKER: Final = {
    Code.LLM_BUDGET: AlertKind.BUDGET,
    Code.MODEL_FAILURES: AlertKind.MODEL_FAILURE,
}
"""Breakers that are also alerts of another kind."""
OF_DECISION: Final = {
    DecisionOutcome.UNREADABLE: (AlertKind.MODEL_FAILURE, "The model's answer could not be read"),
    DecisionOutcome.REFUSED: (AlertKind.MODEL_FAILURE, "The model refused to answer"),
    DecisionOutcome.TIMED_OUT: (AlertKind.MODEL_FAILURE, "The model did not answer in time"),
    DecisionOutcome.UNAVAILABLE: (AlertKind.MODEL_FAILURE, "The model could not be reached"),
    DecisionOutcome.OVER_BUDGET: (AlertKind.BUDGET, "The model was not asked: a budget is used up"),
}
START_ACT: Final = "start_bot"


def occurrences(told: Told, cycles: Mapping[str, CycleFacts]) -> Iterator[Occurrence]:
    """What an event is an alert of; `cycles`: what is known of ended cycles, by id. Never raises for a
    payload that lacks something."""
    said, at = told.payload, told.at
    match told.kind:
        case EventKind.FILL:
            text = f"{_word(said, 'side')} {_word(said, 'quantity')} {_word(said, 'symbol')}"
            yield Occurrence(
                kind=AlertKind.FILL, at=at, text=f"Filled: {text} at {_word(said, 'price')}."
            )
        case EventKind.TRADE:
            found = OF_EXIT.get(_word(said, "exit_reason"))  # type: ignore[call-overload]
            if found is not None:
                kind, what = found
                held = f"the {_word(said, 'side').lower()} of {_word(said, 'symbol')}"
                text = f"{what} closed {held}: net {_word(said, 'net_pnl')}."
                yield Occurrence(kind=kind, at=at, text=text)
        case EventKind.ORDER:
            if said.get("status") == OrderStatus.DENIED:
                text = f"Denied: {_word(said, 'side')} {_word(said, 'quantity')} {_word(said, 'symbol')}"
                yield Occurrence(
                    kind=AlertKind.DENIAL, at=at, text=_sentence(text, said.get("reason"))
                )
        case EventKind.NOTICE:
            yield from _of_notice(at, said)
        case EventKind.CYCLE:
            cycle_id = _word(said, "id")
            yield from _of_cycle(at, cycle_id, cycles.get(cycle_id, CycleFacts()))


def _of_notice(at: datetime, said: Mapping[str, Any]) -> Iterator[Occurrence]:
    try:
        notice = NoticeKind(said.get("kind", ""))
    except ValueError:
        return
    kind = OF_NOTICE[notice]
    if kind is None:
        return
    symbol, text = str(said.get("symbol") or ""), str(said.get("text") or "")
    if notice is NoticeKind.BREAKER_TRIPPED:
        sentence = f"The breaker {text.lower().replace('_', ' ')} tripped."
        also = OF_BREAKER.get(text)  # type: ignore[call-overload]
        if also is not None:
            yield Occurrence(kind=also, at=at, text=sentence)
    else:
        what = notice.lower().replace("_", " ").capitalize()
        sentence = _sentence(f"{what} on {symbol}" if symbol else what, text)
    yield Occurrence(kind=kind, at=at, text=sentence)


def _of_cycle(at: datetime, cycle_id: str, facts: CycleFacts) -> Iterator[Occurrence]:
    found = OF_DECISION.get(facts.decision)  # type: ignore[call-overload]
    if found is not None:
        kind, what = found
        yield Occurrence(kind=kind, at=at, text=_sentence(what, facts.reason), cycle_id=cycle_id)
    for symbol, code in facts.denials:
        text = f"Denied on {symbol}: {code.lower().replace('_', ' ')}."
        yield Occurrence(kind=AlertKind.DENIAL, at=at, text=text, cycle_id=cycle_id)


def is_beyond(value: Decimal, threshold: Decimal, direction: Direction) -> bool:
    """Whether a measure has reached its level."""
    return value >= threshold if direction is Direction.ABOVE else value <= threshold


def _word(said: Mapping[str, Any], name: str) -> str:
    return str(said.get(name) or "?")


def _sentence(what: str, why: Any) -> str:
    return f"{what}: {why}." if why else f"{what}."
