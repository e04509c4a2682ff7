"""Completions kept by the prompt that they answered: the model of a replay that repeats to the byte.

A recording is a JSON-lines file, one answer a line, keyed by the SHA-256 of everything that was sent
(the repair included). The same prompt asked twice gets its answers in the order they came. Nothing is
looked up by similarity: a prompt that was never answered has no answer here.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from pydantic import TypeAdapter

from llm.domain import Completion, Prompt
from llm.errors import ModelUnavailable
from llm.ports import ChatModel
from llm.prompts import with_repair
from market.domain.canonical import canonical_bytes

_COMPLETION = TypeAdapter(Completion)


class RecordingError(ValueError):
    """A recording that can't be read; one sentence says why and where."""


def prompt_key(prompt: Prompt, repair: str | None = None) -> str:
    """What an answer is kept under: the content hash of what was sent."""
    return prompt.content_hash if repair is None else with_repair(prompt, repair).content_hash


@dataclass(slots=True, kw_only=True)
class RecordedChat:
    """Answers from a recording. The last answer to a prompt is repeated when it is asked more often."""

    answers: Mapping[str, list[Completion]]
    name: str = "recorded"
    _asked: dict[str, int] = field(default_factory=dict)

    def complete(
        self, prompt: Prompt, *, deadline: timedelta, repair: str | None = None
    ) -> Completion:
        """The recorded answer. Raises ModelUnavailable when this prompt was never answered."""
        del deadline  # a recording takes no time
        key = prompt_key(prompt, repair)
        found = self.answers.get(key)
        if not found:
            raise ModelUnavailable(f"the recording has no answer to prompt {key[:12]}")
        turn = self._asked.get(key, 0)
        self._asked[key] = turn + 1
        return found[min(turn, len(found) - 1)]

    @classmethod
    def from_file(cls, path: Path, *, name: str = "recorded") -> Self:
        """Read a recording. Raises RecordingError."""
        try:
            rows = path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            raise RecordingError(f"there is no recording {path}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise RecordingError(f"{path} can't be read: {error}") from None
        return cls(answers=_answers(path, rows), name=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingChat:
    """Any ChatModel, each of its answers added to a file before it is passed on. Failures are not kept:
    a replay of them finds no answer, which is a hold all the same."""

    chat: ChatModel
    path: Path

    @property
    def name(self) -> str:
        return self.chat.name

    def complete(
        self, prompt: Prompt, *, deadline: timedelta, repair: str | None = None
    ) -> Completion:
        """Ask the model behind, write down, pass on. Raises what it raises."""
        completion = self.chat.complete(prompt, deadline=deadline, repair=repair)
        row = {"prompt": prompt_key(prompt, repair), "completion": completion}
        with self.path.open("ab") as file:
            file.write(canonical_bytes(row) + b"\n")
        return completion


def _answers(path: Path, rows: Iterable[str]) -> dict[str, list[Completion]]:
    answers: dict[str, list[Completion]] = {}
    for number, row in enumerate(rows, start=1):
        if not row.strip():
            continue
        try:
            raw = json.loads(row)
            answers.setdefault(raw["prompt"], []).append(_completion(raw["completion"]))
        except (ValueError, ArithmeticError, KeyError, TypeError, RecursionError):
            raise RecordingError(f"{path} line {number} is no recorded answer") from None
    return answers


def _completion(raw: Mapping[str, Any]) -> Completion:
    return _COMPLETION.validate_python({"cost": None} | dict(raw))
