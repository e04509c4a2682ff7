"""Hostile texts cost no more than their length: counted work and capped sizes, no clock.

Python's own calls are counted, and what is handed to each pattern and decoder is measured, since a pattern that
goes back and forth is not seen from outside. Longer texts than the cap are refused unread.
"""

import json
import re
import sys

import pytest

from llm.errors import DecisionUnreadable
from llm.parsing import find, parse_decision, scalars, tolerant
from llm.parsing.find import MAX_LENGTH, MAX_VALUES
from tests.llm.replies import BUY, OURS, reply

ITEM = json.dumps({**BUY, "justification": ""})
HOSTILE = {
    "braces": lambda size: "{" * size,
    "brackets": lambda size: "[" * size,
    "brackets and blanks": lambda size: "[ " * (size // 2),
    "brackets and a brace": lambda size: "[[[[{" * (size // 5),
    "quotes": lambda size: '"' * size,
    "single quotes": lambda size: "{'" + "'" * size,
    "apostrophes and blanks": lambda size: "{'" + "' " * (size // 2),
    "digits": lambda size: "9" * size,
    "a value of digits": lambda size: ITEM.replace("45000.5", "9" * size),
    "a text of digits": lambda size: ITEM.replace("45000.5", '"' + "9" * size + '"'),
    "a text of thousands": lambda size: ITEM.replace("45000.5", '"1' + ",000" * (size // 4) + 'x"'),
    "a text of blanks": lambda size: ITEM.replace("45000.5", '"1' + " " * size + '1"'),
    "a text of currencies": lambda size: ITEM.replace("45000.5", '"1' + " usd" * (size // 4) + '!"'),
    "a long action": lambda size: ITEM.replace("buy_to_enter", "buy " * (size // 4)),
    "a long key": lambda size: ITEM.replace("stop_loss", "aB" * (size // 2)),
    "deep objects": lambda size: '{"a":' * (size // 5),
    "deep objects, closed": lambda size: '{"a":' * (size // 6) + "1" + "}" * (size // 6),
    "deep lists": lambda size: "[" * (size // 2) + ITEM + "]" * (size // 2),
    "deep thoughts": lambda size: "<think>" * (size // 7),
    "thoughts ended": lambda size: "</think>" * (size // 8),
    "half a tag": lambda size: "<think " * (size // 7),
    "small objects": lambda size: '{"a":1}\n' * (size // 8),
    "a list of small objects": lambda size: "[" + '{"a":1},' * (size // 8) + "{}]",
    "a list of items": lambda size: "[" + '{"action":"hold"},' * (size // 18) + "{}]",
    "an object of keys": lambda size: json.dumps({f"k{n}": {"a": n} for n in range(size // 16)}),
    "one key for ever": lambda size: "{" + '"a":{"b":1},' * (size // 12) + '"a":1}',
    "commas": lambda size: '{"a":1' + "," * size,
    "backslashes": lambda size: '{"' + "\\" * size,
    "escaped quotes": lambda size: "{'" + "\\'" * (size // 2) + "'",
    "comments": lambda size: "{" + "/*" * (size // 2),
    "comments in lines": lambda size: "{" + "//\n" * (size // 3),
    "hashes": lambda size: "{ # " + "# " * (size // 2),
    "blanks": lambda size: "{" + " " * size + '"a"',
    "braces and blanks": lambda size: "{ \n" * (size // 3),
    "a long symbol": lambda size: reply({**BUY, "symbol": "BTC/" * (size // 4)}),
}  # fmt: skip


def calls(text):
    """How many functions the reading of a text calls, Python's and C's, and whatever it comes to."""
    count = 0

    def counter(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counter)
    try:
        parse_decision(text, OURS)
    except DecisionUnreadable:
        pass
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("what", HOSTILE)
def test_the_work_is_in_proportion_to_the_length(what):
    for size in (2_000, 16_000):
        text = HOSTILE[what](size)
        assert calls(text) < 3_000 + 12 * len(text)


@pytest.mark.parametrize("what", HOSTILE)
def test_a_text_beyond_the_cap_is_refused_unread(what, monkeypatch):
    for reader in ("_DECODER", "_START", "_THOUGHT", "tolerant"):
        monkeypatch.setattr(find, reader, None)
    with pytest.raises(DecisionUnreadable, match=f"longer than {MAX_LENGTH} characters"):
        parse_decision(HOSTILE[what](200_000).ljust(MAX_LENGTH + 1), OURS)


@pytest.mark.parametrize("what", HOSTILE)
def test_no_place_is_read_twice(what, monkeypatch):
    """A value that can't be read ends it: of two starts the second lies behind the first one's end."""
    starts: list[int] = []
    ends = [0]
    read, loosely = find._read, tolerant.read
    loose: list[int] = []

    def watched(text, start):
        assert start >= ends[-1]
        starts.append(start)
        value, end = read(text, start)
        ends.append(end)
        return value, end

    def watched_loosely(text, start):
        loose.append(start)
        return loosely(text, start)

    monkeypatch.setattr(find, "_read", watched)
    monkeypatch.setattr(tolerant, "read", watched_loosely)
    calls(HOSTILE[what](90_000))
    assert len(starts) <= MAX_VALUES
    assert len(loose) == len(set(loose))


@pytest.mark.parametrize("what", HOSTILE)
def test_patterns_that_look_for_an_end_see_short_texts_only(what, monkeypatch):
    """`\\s*[x×]$` on 90,000 blanks would try each of them to the end."""

    class Watched:
        def __init__(self, pattern: re.Pattern[str]) -> None:
            self._pattern = pattern

        def sub(self, by, text):
            assert len(text) < 100
            return self._pattern.sub(by, text)

        def fullmatch(self, text):
            assert len(text) < 100
            return self._pattern.fullmatch(text)

    for name in ("_CURRENCY", "_TIMES", "_GROUPED", "_THOUSANDS"):
        monkeypatch.setattr(scalars, name, Watched(getattr(scalars, name)))
    calls(HOSTILE[what](90_000))
