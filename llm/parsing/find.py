"""Finding JSON in a model's text: whole, fenced, after reasoning, or among prose.

It does not know what a decision is. The trap avoided: the first complete `{…}` of a reply that is
broken further out would be a part of an answer taken for all of it. So a beginning that looks like
JSON must parse to its own end, or the whole text is unreadable. Work is linear in the length: what fails
to read once ends it, so hostile text can't make it start again at every bracket.
"""

import json
import re

from llm.errors import DecisionUnreadable
from llm.parsing import tolerant
from llm.parsing.tolerant import NotJson, NumberText

MAX_LENGTH = 100_000
MAX_VALUES = 50

_START = re.compile(r"""\{\s*(?:["'“”„‘«＂]|//|/\*|#\s)|(?:\[\s*+){1,4}\{""")
_FRAGMENT = re.compile(r"\s*(?:[\]}:：]|[,，](?!\s*\{))")
_THOUGHT = re.compile(
    r"<(/?)(?:think|thinking|thoughts?|reasoning|reflection|analysis|scratchpad)\b[^<>/]*>"
    r"|[\[◁](/?)think[\]▷]",
    re.IGNORECASE,
)


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
    for _ in range(2):  # an answer may be a JSON text that holds the JSON
        try:
            value = _DECODER.decode(text)
        except NotJson as error:
            raise DecisionUnreadable(str(error)) from None
        except (ValueError, RecursionError):
            break
        if type(value) is not str:
            return [value]
        text = value
    return _among_prose(_without_thoughts(text))


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
    """The text without its reasoning. A closing tag that nothing opened ends reasoning which began before
    the text did; a block that is never closed goes on to the end."""
    kept: list[str] = []
    at, inside = 0, False
    for tag in _THOUGHT.finditer(text):
        if tag.group(1) or tag.group(2):
            if not inside:
                kept.clear()
            at, inside = tag.end(), False
        elif not inside:
            kept.append(text[at : tag.start()])
            inside = True
    if not inside:
        kept.append(text[at:])
    return "\n".join(kept)  # no blank: that would join two halves of a number
