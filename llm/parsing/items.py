"""What one item says, field by field, made strict by the wire schema.

A bad value of a field that the action uses makes the reply unreadable; of a field that it does not
use, it is left out and noted (models fill in zeros). Size in coins or in money at risk is noted and
never trusted; only risk in money over known equity is an exact `risk_fraction`, rounded down.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal

from pydantic import ValidationError

from llm.domain import DecisionAction, DecisionItem
from llm.errors import DecisionUnreadable
from llm.parsing import scalars
from llm.parsing.scalars import BadValue
from llm.parsing.schema import WireItem
from llm.parsing.shapes import ACTION_KEYS, RawItem
from llm.parsing.symbols import find_symbol, fits_several
from market.domain.enums import PositionSide

TEXT_CAP = 2000
MOST_NOTES = 50
_QUANTUM = Decimal("1E-8")
_HUNDRED = Decimal(100)

_SPELLINGS = {
    "symbol": "symbol coin ticker pair asset instrument market",
    "side": "side direction position_side",
    "confidence": "confidence confidence_score confidence_level conviction",
    "confidence_pct": "confidence_pct confidence_percent confidence_percentage",
    "risk_fraction": "risk_fraction",
    "risk_pct": "risk_pct risk_percent risk_percentage",
    "notional": "notional notional_usd notional_usdt notional_value position_size_usd",
    "leverage": "leverage",
    "stop_loss": "stop_loss stop sl stop_price stop_loss_price",
    "take_profit": "take_profit profit_target tp target target_price take_profit_price",
    "reduce_fraction": "reduce_fraction",
    "reduce_pct": "reduce_pct reduce_percent reduce_percentage",
    "invalidation_condition": "invalidation_condition invalidation exit_condition",
    "justification": "justification reasoning reason rationale explanation",
    "risk_usd": "risk_usd risk_amount risk_usdt",
    "quantity": "quantity qty size amount",
    "action": " ".join(ACTION_KEYS),
}
FIELD_OF = {word: name for name, words in _SPELLINGS.items() for word in words.split()}
_TEXTS = frozenset({"justification", "invalidation_condition"})

_ENTRY_FIELDS = frozenset(
    {"confidence", "risk_fraction", "notional", "leverage", "stop_loss", "take_profit"}
)
_USED: Mapping[DecisionAction, frozenset[str]] = {
    DecisionAction.BUY_TO_ENTER: _ENTRY_FIELDS,
    DecisionAction.SELL_TO_ENTER: _ENTRY_FIELDS,
    DecisionAction.HOLD: frozenset(),
    DecisionAction.CLOSE: frozenset(),
    DecisionAction.REDUCE: frozenset({"reduce_fraction"}),
    DecisionAction.ADJUST: frozenset({"stop_loss", "take_profit"}),
}
_ZERO_IS_UNSAID = frozenset({"leverage", "stop_loss", "take_profit"})
_NUMBERS = ("notional", "leverage", "stop_loss", "take_profit")
_FRACTIONS = ("confidence", "risk_fraction", "reduce_fraction")
_PERCENT_KEY = {
    "confidence": "confidence_pct",
    "risk_fraction": "risk_pct",
    "reduce_fraction": "reduce_pct",
}


@dataclass(slots=True)
class Context:
    """What the reader knows besides the text, and the notes it takes."""

    symbols: tuple[str, ...]
    held: Mapping[str, PositionSide] | None
    equity: Decimal | None
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        if len(self.notes) < MOST_NOTES:
            self.notes.append(text)


@dataclass(slots=True)
class _Said:
    """An item whose symbol and action are read and whose values still stand as said."""

    symbol: str
    action: DecisionAction
    values: dict[str, object]


def read_items(raw_items: Sequence[RawItem], context: Context) -> list[DecisionItem]:
    """Strict items, in order. Items for instruments that are not ours are left out and noted.

    Raises DecisionUnreadable naming the instrument, the field and what was expected.
    """
    said = [item for raw in raw_items if (item := _identify(raw, context)) is not None]
    in_percent = {name for name in _FRACTIONS if _speaks_percent(name, said)}
    return [_strict(item, in_percent, context) for item in said]


def _identify(raw: RawItem, context: Context) -> _Said | None:
    values: dict[str, object] = {}
    for key, value in raw.fields.items():
        name = FIELD_OF.get(key)
        if name is None or not (scalars.is_said(value) or name == "action"):
            continue
        if name not in values:
            values[name] = value
        elif name not in _TEXTS and name != "action" and values[name] != value:
            raise DecisionUnreadable(f"{name} is stated twice with different values")
    symbol = _symbol(raw.key, values.pop("symbol", None), context)
    if symbol is None:
        return None
    held = None if context.held is None else context.held.get(symbol, PositionSide.FLAT)
    action = _action(symbol, raw.fields, values.pop("side", None), held, context)
    values.pop("action", None)
    return _Said(symbol, action, values)


def _symbol(key: str | None, said: object, context: Context) -> str | None:
    named = [name for name in (key, said) if name is not None]
    if not named:
        if len(context.symbols) == 1:
            return context.symbols[0]
        raise DecisionUnreadable("a decision names no symbol")
    found = {find_symbol(name, context.symbols) for name in named}
    if len(found) > 1:
        raise DecisionUnreadable(
            f"the decision under {scalars.shown(key)} is for {scalars.shown(said)}"
        )
    symbol = found.pop()
    if symbol is None:
        what = "is none"
        if any(fits_several(name, context.symbols) for name in named):
            what = "could be several"
        context.note(f"{scalars.shown(named[-1])} {what} of our instruments: left out")
    return symbol


def _action(
    symbol: str,
    fields: Mapping[str, object],
    side: object,
    held: PositionSide | None,
    context: Context,
) -> DecisionAction:
    actions: set[DecisionAction | None] = set()
    notes: set[str] = set()
    try:
        for key in sorted(ACTION_KEYS & fields.keys()):
            if isinstance(fields[key], str):
                action, note = scalars.action_of(fields[key], held)
                actions.add(action)
                notes.add(note)
    except BadValue as error:
        raise DecisionUnreadable(f"{symbol}: action {error}") from None
    for note in sorted(notes - {""}):
        context.note(f"{symbol}: {note}")
    if len(actions) != 1:
        raise DecisionUnreadable(f"{symbol}: two different actions are stated")
    return _with_side(symbol, actions.pop(), side)


def _with_side(symbol: str, action: DecisionAction | None, side: object) -> DecisionAction:
    """An entry agrees with the side stated beside it; a bare *open* gets its direction from it."""
    stated = scalars.SIDE_OF.get(scalars.snake(side)) if isinstance(side, str) else None
    entry = {
        PositionSide.LONG: DecisionAction.BUY_TO_ENTER,
        PositionSide.SHORT: DecisionAction.SELL_TO_ENTER,
    }
    if action is None:
        if stated is None:
            raise DecisionUnreadable(f"{symbol}: it is not stated which side to open")
        return entry[stated]
    if action.is_entry and stated is not None and entry[stated] is not action:
        raise DecisionUnreadable(f"{symbol}: action and side contradict each other")
    return action


def _speaks_percent(name: str, said: Sequence[_Said]) -> bool:
    """True when a bare number of this field shows that the reply counts in percent.

    Above 1 always does. A `risk_fraction` of 1 does too: all equity at one stop is no plan.
    Percent is the smaller reading, so a wrong guess makes trades smaller, never larger.
    """
    for item in said:
        try:
            found = scalars.number(item.values.get(name))
        except BadValue:
            continue
        if found is None or found[1]:
            continue
        if found[0] > 1 or (found[0] == 1 and name == "risk_fraction"):
            return True
    return False


def _strict(said: _Said, in_percent: set[str], context: Context) -> DecisionItem:
    used = _USED[said.action]
    wire: dict[str, object] = {"symbol": said.symbol, "action": said.action}
    for name in (*_FRACTIONS, *_NUMBERS):
        try:
            wire[name] = _number(name, said.values, in_percent)
        except BadValue as error:
            _refuse(said.symbol, name, str(error), used, context)
    for name in _TEXTS:
        wire[name] = scalars.clean_text(said.values.get(name, ""), TEXT_CAP)
    item = _validated(wire, said.symbol, used, context)
    if item.action is DecisionAction.REDUCE and item.reduce_fraction is None:
        raise DecisionUnreadable(
            f"{said.symbol}: reduce needs a reduce_fraction above 0 and at most 1"
        )
    return _decision_item(item, _risk_fraction(item, said.values, context))


def _number(name: str, values: Mapping[str, object], in_percent: set[str]) -> Decimal | None:
    """The value of a numeric field, None when not said. Raises BadValue."""
    if name not in _PERCENT_KEY:
        value = scalars.plain_number(values.get(name))
        return None if value == 0 and name in _ZERO_IS_UNSAID else value
    readings: list[Decimal] = []
    for key, percent_key in ((name, False), (_PERCENT_KEY[name], True)):
        if key not in values:
            continue
        found = scalars.number(values[key])
        if found is not None:
            value, has_sign = found
            percent = percent_key or has_sign or name in in_percent
            readings.append(value / _HUNDRED if percent else value)
    if len(set(readings)) > 1:
        raise BadValue("is stated twice with different values")
    return readings[0] if readings else None


def _refuse(symbol: str, name: str, what: str, used: frozenset[str], context: Context) -> None:
    """A bad value: unreadable where the action uses the field, else left out and noted."""
    if name in used:
        raise DecisionUnreadable(f"{symbol}: {name} {what}")
    context.note(f"{symbol}: {name} {what}; not used by this action, left out")


def _validated(
    wire: dict[str, object], symbol: str, used: frozenset[str], context: Context
) -> WireItem:
    try:
        return WireItem.model_validate(wire)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False)
    for problem in problems:
        name = str(problem["loc"][0])
        said = scalars.shown(str(problem["input"]))
        _refuse(symbol, name, f"{_ranged(problem['msg'])}, not {said}", used, context)
        wire[name] = None
    return WireItem.model_validate(wire)


def _ranged(message: str) -> str:
    return message.replace("Input should be", "must be")


def _risk_fraction(
    item: WireItem, values: Mapping[str, object], context: Context
) -> Decimal | None:
    """The stated one; else risk in money over equity, where an entry states nothing better."""
    stated = {name: values[name] for name in ("risk_usd", "quantity") if name in values}
    if not stated or not item.action.is_entry:
        return item.risk_fraction
    words = " and ".join(f"{name} {scalars.shown(value)}" for name, value in stated.items())
    context.note(f"{item.symbol}: {words} stated; the quantity is computed here")
    if item.risk_fraction is not None or item.notional is not None:
        return item.risk_fraction
    try:
        risk = scalars.plain_number(stated.get("risk_usd"))
    except BadValue:
        return None
    if risk is None or context.equity is None or not 0 < risk <= context.equity:
        return None
    return (risk / context.equity).quantize(_QUANTUM, ROUND_DOWN)


def _decision_item(item: WireItem, risk_fraction: Decimal | None) -> DecisionItem:
    return DecisionItem(
        symbol=item.symbol,
        action=item.action,
        confidence=item.confidence,
        risk_fraction=risk_fraction,
        notional=item.notional,
        leverage=item.leverage,
        stop_loss=item.stop_loss,
        take_profit=item.take_profit,
        reduce_fraction=item.reduce_fraction,
        invalidation_condition=item.invalidation_condition,
        justification=item.justification,
    )
