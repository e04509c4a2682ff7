"""A reader of almost-JSON: the slips that models make and whose meaning is certain.

Takes single, typographic and full-width quotes, full-width commas and colons, trailing commas,
None/True/False/N/A, comments and raw newlines in text. It does not take unquoted keys, unquoted words,
numbers with separators, or anything cut off: those raise, because what they mean would be a guess. Depth
is bounded, so no text can exhaust the stack.
"""

import re
from typing import NoReturn

MAX_DEPTH = 32

_SPACE = re.compile(r"(?:\s|//[^\n]*|/\*.*?\*/|#[^\n]*)*", re.DOTALL)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.])")
_WORD = re.compile(r"[A-Za-z]+(?:/[A-Za-z]+)?\b")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ENDS_SINGLE = re.compile(r"\s*[,:，：}\]]")
_QUOTES = {'"': '"', "'": "'", "“": "”", "”": "”", "„": "“", "‘": "’", "«": "»", "＂": "＂"}
_WORDS = {
    "null": None, "None": None, "none": None, "undefined": None, "nan": None, "NaN": None,
    "N/A": None, "n/a": None,
    "true": True, "True": True, "false": False, "False": False,
}  # fmt: skip
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


class NumberText(str):
    """A bare number as it was written: it becomes a Decimal only when its meaning is known."""

    __slots__ = ()


class NotJson(ValueError):
    """The text is no JSON, and no near miss either; says what and where."""


def unique_pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A dict of pairs. Raises NotJson when a key comes twice with different values."""
    found = dict(pairs)
    if len(found) != len(pairs):
        for key, value in pairs:
            if found[key] != value:
                raise NotJson(f"{key[:60]!r} is stated twice with different values")
    return found


def read(text: str, start: int) -> tuple[object, int]:
    """The value that begins at `start`, and where it ends. Raises NotJson."""
    return _Reader(text).value(start, 0)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text

    def _skip(self, at: int) -> int:
        match = _SPACE.match(self._text, at)
        return match.end() if match else at

    def _fail(self, what: str, at: int) -> NoReturn:
        if at >= len(self._text):
            raise NotJson("the JSON is cut off")
        raise NotJson(f"{what} at {self._text[at : at + 30]!r}")

    def value(self, at: int, depth: int) -> tuple[object, int]:
        at = self._skip(at)
        if depth > MAX_DEPTH:
            raise NotJson("the JSON is nested too deeply")
        first = self._text[at : at + 1]
        if first == "{":
            return self._object(at + 1, depth)
        if first == "[":
            return self._array(at + 1, depth)
        if first in _QUOTES and first:
            return self._string(at)
        if number := _NUMBER.match(self._text, at):
            return NumberText(number.group()), number.end()
        word = _WORD.match(self._text, at)
        if word and word.group() in _WORDS:
            return _WORDS[word.group()], word.end()
        return self._fail("no JSON value", at)

    def _object(self, at: int, depth: int) -> tuple[dict[str, object], int]:
        pairs: list[tuple[str, object]] = []
        at = self._skip(at)
        while self._text[at : at + 1] != "}":
            if self._text[at : at + 1] not in _QUOTES or at >= len(self._text):
                self._fail("no quoted key", at)
            key, at = self._string(at)
            at = self._skip(at)
            if self._text[at : at + 1] not in (":", "："):
                self._fail("no colon after a key", at)
            value, at = self.value(at + 1, depth + 1)
            pairs.append((key, value))
            at = self._comma(at, "}")
        return unique_pairs(pairs), at + 1

    def _array(self, at: int, depth: int) -> tuple[list[object], int]:
        values: list[object] = []
        at = self._skip(at)
        while self._text[at : at + 1] != "]":
            value, at = self.value(at, depth + 1)
            values.append(value)
            at = self._comma(at, "]")
        return values, at + 1

    def _comma(self, at: int, end: str) -> int:
        """Past one comma, which may come before the end; else at the end."""
        at = self._skip(at)
        following = self._text[at : at + 1]
        if following in (",", "，"):
            return self._skip(at + 1)
        if following != end:
            self._fail(f"no comma or {end}", at)
        return at

    def _string(self, at: int) -> tuple[str, int]:
        opening = self._text[at]
        closing = _QUOTES[opening]
        end = at + 1
        while True:
            end = self._text.find(closing, end)
            if end < 0:
                raise NotJson("the JSON is cut off inside a text")
            if self._is_escaped(at, end) or (
                closing in "'’" and not _ENDS_SINGLE.match(self._text, end + 1)
            ):  # an apostrophe
                end += 1
                continue
            return _ESCAPE.sub(_unescape, self._text[at + 1 : end]), end + 1

    def _is_escaped(self, start: int, at: int) -> bool:
        slashes = at
        while slashes - 1 > start and self._text[slashes - 1] == "\\":
            slashes -= 1
        return (at - slashes) % 2 == 1


def _unescape(match: re.Match[str]) -> str:
    code, character = match.groups()
    if code:
        return chr(int(code, 16))
    if character.isalnum():  # an escape that JSON has not stays as it is: `4\\5` is no 45
        return _ESCAPED.get(character, match.group())
    return character
