"""Finding JSON in a model's text: whole, fenced, after reasoning, or among prose.

It does not know what a decision is. The trap avoided: the first complete `{…}` of a reply that is
broken further out would be a part of an answer taken for all of it. So a beginning that looks like
JSON must parse to its own end, or the whole text is unreadable.
"""

import json
import re

from llm.errors import DecisionUnreadable
from llm.parsing import tolerant
from llm.parsing.tolerant import NotJson, NumberText

MAX_LENGTH = 100_000
MAX_VALUES = 50

_START = re.compile(r"""\{\s*["'“”„‘«]|\[\s*\{""")
_FRAGMENT = re.compile(r"\s*(?:[\]}:]|,(?!\s*\{))")
_TAG = r"(?:think|thinking|thought|reasoning|reflection)>"
_THOUGHT_START = re.compile("<" + _TAG, re.IGNORECASE)
_THOUGHT_END = re.compile("</" + _TAG, re.IGNORECASE)


def _constant(name: str) -> NumberText | None:
    return None if name == "NaN" else NumberText(name)


_DECODER = json.JSONDecoder(
    object_pairs_hook=tolerant.unique_pairs,
    parse_float=NumberText,
    parse_int=NumberText,
    parse_constant=_constant,
    strict=False,
)


def find_values(text: str) -> list[object]:
    """Every JSON value in the text that may hold decisions, in order; numbers as `NumberText`.

    Raises DecisionUnreadable when there is none, when one is broken, or when the text is too long.
    """
    if len(text) > MAX_LENGTH:
        raise DecisionUnreadable(f"the answer is longer than {MAX_LENGTH} characters")
    text = text.replace("\x00", "").strip().lstrip("\ufeff")
    try:
        return [_whole(text)]
    except NotJson as error:
        raise DecisionUnreadable(str(error)) from None
    except (ValueError, RecursionError):
        pass
    return _among_prose(_without_thoughts(text))


def _whole(text: str) -> object:
    value: object = _DECODER.decode(text)
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):  # JSON in a JSON text
        value = _DECODER.decode(value)
    return value


def _among_prose(text: str) -> list[object]:
    values: list[object] = []
    at = 0
    while (start := _START.search(text, at)) is not None:
        if len(values) == MAX_VALUES:
            raise DecisionUnreadable("the answer holds too many JSON values")
        value, at = _read(text, start.start())
        values.append(value)
        if _FRAGMENT.match(text, at):
            raise DecisionUnreadable("the answer holds a fragment of a larger JSON value")
    if not values:
        raise DecisionUnreadable("the answer holds no JSON object")
    return values


def _read(text: str, start: int) -> tuple[object, int]:
    try:
        return _DECODER.raw_decode(text, start)
    except NotJson as error:
        raise DecisionUnreadable(str(error)) from None
    except (ValueError, RecursionError):
        pass
    try:
        return tolerant.read(text, start)
    except NotJson as error:
        raise DecisionUnreadable(f"the answer is not valid JSON: {error}") from None


def _without_thoughts(text: str) -> str:
    """The text without its reasoning blocks: closed, closed but never opened, or never closed."""
    start, end = _THOUGHT_START.search(text), _THOUGHT_END.search(text)
    at = end.end() if end and (start is None or end.start() < start.start()) else 0
    parts: list[str] = []
    while start := _THOUGHT_START.search(text, at):
        parts.append(text[at : start.start()])
        end = _THOUGHT_END.search(text, start.end())
        at = end.end() if end else len(text)
    return " ".join([*parts, text[at:]])
