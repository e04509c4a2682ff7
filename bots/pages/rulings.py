"""What the limits did to the wishes of a decision, read off its record: pure.

Each wish stands with the code that spoke and its numbers, and with what they mean in words.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from bots.pages.codes import clamp_words, denial_words
from bots.pages.evidence import Record
from bots.pages.wishes import base_of
from bots.templatetags.figures import leverage, price, quantity
from market.domain.enums import OrderPurpose, PositionSide
from market.domain.numbers import plain
from risk.domain import Code, Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One thing that a limit did: its code with its numbers, words, and the change where there is one."""

    code: str
    numbers: str
    words: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RulingShown:
    """What became of one wish: approved, clamped or denied."""

    word: str
    title: str
    note: str
    cuts: tuple[Cut, ...]


def rulings_of(record: Record, steps: Mapping[str, Decimal]) -> tuple[RulingShown, ...]:
    """What the limits did, in the order in which it was to be sent."""
    limits = _limits(record)
    verdict = record.get("verdict") or {}
    return tuple(_ruling(one, limits, steps) for one in verdict.get("rulings") or [])


def _limits(record: Record) -> Limits | None:
    try:
        return TypeAdapter(Limits).validate_python(record.get("limits"))
    except ValidationError:
        return None


def _ruling(
    one: Mapping[str, Any], limits: Limits | None, steps: Mapping[str, Decimal]
) -> RulingShown:
    intent, approved = one["intent"], one["approved"]
    denials = [denial for denial in (one["denial"], *one["refused_parts"]) if denial is not None]
    clamps = (
        () if approved is None else tuple(_clamp(clamp, intent, limits) for clamp in one["clamps"])
    )
    word = "denied" if approved is None else "clamped" if clamps or denials else "approved"
    return RulingShown(
        word=word,
        title=_intent_title(intent, steps.get(intent["symbol"])),
        note=_NOTES[word],
        cuts=(*clamps, *(_denial(denial) for denial in denials)),
    )


_NOTES: Final = {
    "approved": "as it was asked for",
    "clamped": "allowed, but not all of it",
    "denied": "nothing was sent",
}


def _intent_title(intent: Mapping[str, Any], step: Decimal | None) -> str:
    base = base_of(intent["symbol"])
    if "purpose" not in intent:
        moved = [
            f"{name} to {price(Decimal(intent[key]), step)}"
            for name, key in (("stop", "stop_price"), ("target", "target_price"))
            if intent[key] is not None
        ]
        return f"Move the {' and the '.join(moved)} of {base}"
    size = intent["quote_quantity"] or intent["quantity"]
    is_short = PositionSide(intent["side"]) is PositionSide.SHORT
    match OrderPurpose(intent["purpose"]):
        case OrderPurpose.ENTRY:
            verb = "Sell" if is_short else "Buy"
            return f"{verb} {quantity(Decimal(size))} {base}{' short' if is_short else ''}"
        case OrderPurpose.CLOSE:
            return f"Close the {'short' if is_short else 'long'} of {base}"
        case _:
            return f"Close {quantity(Decimal(size))} of the {'short' if is_short else 'long'} of {base}"


def _clamp(clamp: Mapping[str, Any], intent: Mapping[str, Any], limits: Limits | None) -> Cut:
    code, before, after = clamp["code"], Decimal(clamp["before"]), Decimal(clamp["after"])
    if code == Code.MAX_LEVERAGE:
        shown = (leverage(before), leverage(after))
    else:
        shown = (quantity(before), f"{quantity(after)} {base_of(intent['symbol'])}")
    return Cut(
        code=code,
        numbers=f"wanted={plain(before)} allowed={plain(after)}",
        words=clamp_words(code, limits),
        before=shown[0],
        after=shown[1],
    )


def _denial(denial: Mapping[str, Any]) -> Cut:
    context = denial["context"]
    return Cut(
        code=denial["code"],
        numbers=" ".join(f"{name}={value}" for name, value in context.items()),
        words=denial_words(denial["code"], context),
    )
