"""Doubts about what a model said, from its own record: shown to people, never in the way of a decision. Pure.

What is checked: prices that it cites and was never shown, the risk it states against the one its numbers make, and
instructions of the prompt that it broke. Where a sentence can be read in several ways, nothing is said.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from llm.domain import Decision, DecisionAction, DecisionItem

NEAR: Final = Decimal(2)
"""A number in words counts as a price of an instrument within this factor of its mark."""
TOLERANCE: Final = Decimal("0.001")
"""Of the mark: a cited price this near to a shown one is that one."""
RISK_OFF: Final = Decimal("0.2")
"""Stated and computed risk may differ by this share."""
SCALE: Final = {"": 1, "k": 1_000, "m": 1_000_000}

_NUMBER = re.compile(
    r"(?<![\w.,:/-])(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)\s?([kKmM]?)(?![\w%:]|[.,]\d)"
)
_RISK = re.compile(r"\brisk(?:s|ed|ing)?\b[^.%\d\n]{0,30}?(\d+(?:\.\d+)?)\s?%", re.IGNORECASE)


class DoubtKind(StrEnum):
    """What is doubtful."""

    PRICE = "price"
    RISK = "risk"
    INSTRUCTION = "instruction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """One thing that does not fit, in a sentence. `symbol` empty: it is about the whole answer."""

    kind: DoubtKind
    symbol: str
    text: str


def doubts(decision: Decision) -> tuple[Doubt, ...]:
    """All that does not fit in a model's decision; nothing for a rule, or for a record without facts."""
    if not decision.completions or decision.facts is None:
        return ()
    shown = _Shown(decision.facts)
    found = [*_form(decision)]
    for item in decision.items:
        found += _prices(item.justification, shown, item)
        found += _risk(item, shown)
        found += _levels(item, shown)
    found += _prices(decision.summary, shown, None)
    return tuple(dict.fromkeys(found))


class _Shown:
    """The numbers of a prompt, read off its facts."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.marks: dict[str, Decimal] = {}
        self.prices: dict[str, set[Decimal]] = {}
        for one in facts.get("instruments") or []:
            mark = _decimal(one.get("mark"))
            if mark is not None and mark > 0:
                self.marks[one["symbol"]] = mark
                self.prices[one["symbol"]] = {*_numbers(one)}
        for name in ("positions", "closed_trades"):
            for one in facts.get(name) or []:
                self.prices.setdefault(one["symbol"], set()).update(_numbers(one))
        reading = facts.get("reading") or {}
        self.equity = _decimal(reading.get("equity"))
        self.held = {symbol for symbol, _ in reading.get("held") or []}


def _form(decision: Decision) -> Iterator[Doubt]:
    text = decision.completions[-1].text.strip()
    if text and not (text.startswith("{") and text.endswith("}")):
        yield _about("", "It wrote something around the JSON object.")
    for symbol in decision.void:
        yield _about(symbol, "It gave items that contradict each other.")
    for item in decision.items:
        if not item.action.is_entry:
            continue
        if item.confidence is None:
            yield _about(item.symbol, "An entry without the confidence that was asked for.")
        if item.stop_loss is None:
            yield _about(item.symbol, "An entry without the stop that was asked for.")
        if item.risk_fraction is None and item.notional is None:
            yield _about(item.symbol, "An entry without a size: neither a risk nor a notional.")


def _levels(item: DecisionItem, shown: _Shown) -> Iterator[Doubt]:
    mark = shown.marks.get(item.symbol)
    if mark is None or not item.action.is_entry:
        return
    is_long = item.action is DecisionAction.BUY_TO_ENTER
    if item.stop_loss is not None and (item.stop_loss >= mark) is is_long:
        yield _about(item.symbol, f"The stop {item.stop_loss} is on the winning side of {mark}.")
    if item.take_profit is not None and (item.take_profit <= mark) is is_long:
        yield _about(item.symbol, f"The target {item.take_profit} is on the losing side of {mark}.")


def _prices(text: str, shown: _Shown, item: DecisionItem | None) -> Iterator[Doubt]:
    """Numbers of a text that can only be a price, of one instrument, which nobody showed."""
    own = set() if item is None else {item.stop_loss, item.take_profit, item.notional}
    for match in _NUMBER.finditer(text):
        value, unit = _cited(match)
        symbols = [
            symbol
            for symbol, mark in shown.marks.items()
            if mark / NEAR <= value <= mark * NEAR and (item is None or symbol == item.symbol)
        ]
        if len(symbols) != 1:
            continue  # of no instrument, or of nobody knows which
        mark = shown.marks[symbols[0]]
        near = max(unit / 2, mark * TOLERANCE)
        known = shown.prices[symbols[0]] | {one for one in own if one is not None}
        if all(abs(value - one) > near for one in known):
            closest = min(known, key=lambda one: abs(value - one))
            yield Doubt(
                kind=DoubtKind.PRICE,
                symbol=symbols[0],
                text=f"Cites {match[0].strip()}, which stands nowhere in what it saw; the closest is {closest}.",
            )


def _risk(item: DecisionItem, shown: _Shown) -> Iterator[Doubt]:
    if not item.action.is_entry:
        return
    mark = shown.marks.get(item.symbol)
    computed = None
    if item.notional and item.stop_loss and mark and shown.equity and shown.equity > 0:
        computed = item.notional * abs(mark - item.stop_loss) / mark / shown.equity
    stated = item.risk_fraction
    if stated and computed is not None and computed > stated * (1 + RISK_OFF):
        yield Doubt(
            kind=DoubtKind.RISK,
            symbol=item.symbol,
            text=f"Its size and stop risk {_percent(computed)}, and it states {_percent(stated)}.",
        )
    fraction = stated if stated is not None else computed
    said = _RISK.search(item.justification)
    if said is None or not fraction:
        return
    in_words = Decimal(said[1]) / 100
    if abs(in_words - fraction) > fraction * RISK_OFF:
        yield Doubt(
            kind=DoubtKind.RISK,
            symbol=item.symbol,
            text=f"Speaks of {_percent(in_words)} at risk, and its numbers make {_percent(fraction)}.",
        )


def _about(symbol: str, text: str) -> Doubt:
    return Doubt(kind=DoubtKind.INSTRUCTION, symbol=symbol, text=text)


def _cited(match: re.Match[str]) -> tuple[Decimal, Decimal]:
    """(value, the unit of its last digit that says something): `95k` is 95,000 give or take 500."""
    digits = Decimal(match[1].replace(",", ""))
    scale = SCALE[match[2].lower()]
    exponent = int(digits.normalize().as_tuple().exponent)
    return digits * scale, Decimal(10) ** exponent * scale


def _numbers(value: object) -> Iterator[Decimal]:
    """Every number in facts, whatever they are nested in."""
    if isinstance(value, Mapping):
        for one in value.values():
            yield from _numbers(one)
    elif isinstance(value, list | tuple):
        yield from _of_list(value)
    else:
        number = _decimal(value)
        if number is not None:
            yield number


def _of_list(values: Iterable[object]) -> Iterator[Decimal]:
    for one in values:
        yield from _numbers(one)


def _decimal(value: object) -> Decimal | None:
    if not isinstance(value, str):
        return None
    try:
        found = Decimal(value.replace(",", ""))
    except ArithmeticError:
        return None
    return found if found.is_finite() else None


def _percent(fraction: Decimal) -> str:
    text = f"{fraction * 100:.2f}".rstrip("0").rstrip(".")
    return f"{text}%"
