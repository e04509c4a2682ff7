"""A ChatModel that says what it was told to say, in order: for tests and for replays of a script.

It reads no clock and no prompt. It counts how far it is, so one object plays its script once.
"""

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Self

from llm.domain import Completion, Prompt
from llm.errors import ModelUnavailable

KEPT = 100
HOLD = '{"summary": "The script has ended.", "decisions": []}'

Line = str | Completion | Exception


class ScriptError(ValueError):
    """A script file that can't be read; one sentence says why and where."""


@dataclass(slots=True, kw_only=True)
class ScriptedChat:
    """Plays `lines` in order: a text, a whole Completion, or one of `llm.errors` to be raised.

    After the last one every call holds (`hold_at_end`) or raises ModelUnavailable. `asked` keeps what
    it was asked lately, newest last: the prompt, and the repair if there was one.
    """

    lines: Sequence[Line]
    name: str = "scripted"
    hold_at_end: bool = True
    position: int = 0
    asked: deque[tuple[Prompt, str | None]] = field(default_factory=lambda: deque(maxlen=KEPT))

    def complete(
        self, prompt: Prompt, *, deadline: timedelta, repair: str | None = None
    ) -> Completion:
        """The next line. Raises it where it is an error, ModelUnavailable after the end."""
        del deadline  # a script takes no time
        self.asked.append((prompt, repair))
        if self.position >= len(self.lines):
            if self.hold_at_end:
                return Completion(text=HOLD, model=self.name)
            raise ModelUnavailable(f"the script ended after {len(self.lines)} answers")
        line = self.lines[self.position]
        self.position += 1
        if isinstance(line, Exception):
            raise line
        return line if isinstance(line, Completion) else Completion(text=line, model=self.name)

    @classmethod
    def from_file(cls, path: Path, *, name: str = "scripted", hold_at_end: bool = True) -> Self:
        """A script from a JSON list, or from lines of JSON. An entry is a text (the completion itself)
        or an object: `{"text": …, "stop_reason": …}`, else the reply. Raises ScriptError."""
        return cls(lines=_read(path), name=name, hold_at_end=hold_at_end)


def _read(path: Path) -> list[Line]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ScriptError(f"there is no completions file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ScriptError(f"{path} can't be read: {error}") from None
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        return _read_lines(path, text)
    entries = whole if isinstance(whole, list) else [whole]
    return [_line(path, f"entry {n}", entry) for n, entry in enumerate(entries, start=1)]


def _read_lines(path: Path, text: str) -> list[Line]:
    lines: list[Line] = []
    for number, row in enumerate(text.splitlines(), start=1):
        if not row.strip():
            continue
        try:
            entry = json.loads(row)
        except (ValueError, RecursionError):
            raise ScriptError(
                f"{path} line {number} is no JSON, and the file is no JSON list"
            ) from None
        lines.append(_line(path, f"line {number}", entry))
    return lines


def _line(path: Path, where: str, entry: object) -> Line:
    if isinstance(entry, str):
        return entry
    if not isinstance(entry, Mapping):
        raise ScriptError(f"{path} {where} is neither a text nor an object")
    if not isinstance(entry.get("text"), str):
        return json.dumps(entry, ensure_ascii=False)
    stop_reason = entry.get("stop_reason", "stop")
    if not isinstance(stop_reason, str) or set(entry) - {"text", "stop_reason"}:
        raise ScriptError(f"{path} {where} may have a text and a stop_reason, nothing else")
    return Completion(text=entry["text"], model="scripted", stop_reason=stop_reason)
