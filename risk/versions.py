"""What a profile said at each of its versions, and what one changed, in words. Pure.

The trap avoided: a version that can't be read any more because a limit came or went since. What it does not name
had its default then; what there is no more is left out.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from types import NoneType, UnionType
from typing import Any, Final, get_args, get_origin, get_type_hints

from risk.domain import Limits
from risk.profiles import SENTENCES, in_words


def _kind(declared: Any) -> type:
    """What an annotation is made of, the None that switches a limit off left out."""
    if isinstance(declared, UnionType):
        declared = next(one for one in get_args(declared) if one is not NoneType)
    found: type = get_origin(declared) or declared
    return found


KINDS: Final[Mapping[str, type]] = {
    name: _kind(declared) for name, declared in get_type_hints(Limits).items()
}
"""What each limit is made of, as `Limits` declares it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One limit that a version changed: what it says, and its values in words."""

    sentence: str
    before: str
    after: str


def limits_of(text: str) -> Limits:
    """The limits of a version from their canonical JSON. Raises InvalidLimits, ValueError."""
    said: Mapping[str, Any] = json.loads(text)
    return Limits(**{name: _value(KINDS[name], said[name]) for name in KINDS if name in said})


def changes_between(before: Limits, after: Limits) -> tuple[Change, ...]:
    """What the later limits say otherwise, in the order of the fields."""
    return tuple(
        Change(sentence=sentence, before=in_words(name, was), after=in_words(name, now))
        for name, (sentence, _) in SENTENCES.items()
        if (was := getattr(before, name)) != (now := getattr(after, name))
    )


def _value(kind: type, said: Any) -> Any:
    if said is None:
        return None
    if kind is timedelta:
        seconds = Decimal(said.removeprefix("PT").removesuffix("S"))
        return timedelta(microseconds=int(seconds * 1_000_000))
    return kind(said) if kind in (Decimal, frozenset, tuple) else said
