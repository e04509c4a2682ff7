"""The pages of prompts: which there are, a version as it reads, two versions beside each other, a look at what a
model would be sent.

The trap avoided: a difference that only a colour tells. Each line of it has its sign and a word.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Final

from django.db.models import F
from django.urls import reverse

from bots import models
from bots.forms_prompts import SETTINGS, PromptForm, shown_settings
from bots.pages.questions import Button, Question
from llm.models import PromptTemplate
from llm.prompts import EMERGENCY, STANDARD
from tradingagent.accounts.access import visible
from tradingagent.accounts.models import User

CONTEXT: Final = 3
"""Equal lines that are shown on either side of a changed one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionLine:
    """A version in the list. `bots`: names of the user's bots that are sent it."""

    row: PromptTemplate
    is_mine: bool
    is_fixed: bool
    for_emergencies: bool
    bots: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NameGroup:
    """All versions of a name, the newest first."""

    name: str
    versions: tuple[VersionLine, ...]

    @property
    def newest(self) -> VersionLine:
        return self.versions[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffLine:
    """A line of a difference. `kind`: added, removed, same, or gap (equal lines left out, `text` says how many)."""

    kind: str
    text: str

    @property
    def sign(self) -> str:
        return {"added": "+", "removed": "−"}.get(self.kind, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffPart:
    """One of the texts of two versions. `lines` is empty where both say the same."""

    title: str
    lines: tuple[DiffLine, ...]

    @property
    def added(self) -> int:
        return sum(line.kind == "added" for line in self.lines)

    @property
    def removed(self) -> int:
        return sum(line.kind == "removed" for line in self.lines)


def versions_seen_by(user: User) -> list[PromptTemplate]:
    """The shared versions and the user's own, by name, the newest first; without their texts. One query."""
    rows = visible(PromptTemplate, user).defer("system", "user", "settings")
    return list(rows.order_by("name", "-version", F("owner").asc(nulls_last=True)))


def is_for_emergencies(row: PromptTemplate) -> bool:
    """The built-in prompt that every model is sent in an emergency; a bot can't be given another."""
    return row.name == EMERGENCY.name and row.owner_id is None


def prompts_context(user: User) -> dict[str, Any]:
    """Everything on the page of prompts. Two queries."""
    groups: dict[str, list[VersionLine]] = defaultdict(list)
    rows = versions_seen_by(user)
    using = _bots_by_template(user, rows)
    for row in rows:
        bots = tuple(using[row.pk])
        line = VersionLine(
            row=row,
            is_mine=row.owner_id is not None,
            is_fixed=row.used_at is not None or row.owner_id is None,
            for_emergencies=is_for_emergencies(row),
            bots=bots,
        )
        groups[row.name].append(line)
    named = [NameGroup(name=name, versions=tuple(lines)) for name, lines in groups.items()]
    return {"names": sorted(named, key=lambda one: (not one.newest.is_mine, one.name))}


def prompt_context(user: User, row: PromptTemplate) -> dict[str, Any]:
    """What a version says, who is sent it, and what it may be compared with. Two queries."""
    others = [one for one in versions_seen_by(user) if one.pk != row.pk]
    settings = shown_settings(row.to_domain().settings)
    return {
        "row": row,
        "is_mine": row.owner_id is not None,
        "settings": [(_label(name), settings[name]) for name in SETTINGS],
        "bots": _bots_by_template(user, [row])[row.pk],
        "others": sorted(others, key=lambda one: (one.name != row.name, one.name, -one.version)),
        "for_emergencies": is_for_emergencies(row),
    }


def differences(old: PromptTemplate, new: PromptTemplate) -> tuple[DiffPart, ...]:
    """What the newer of two versions says otherwise, part by part."""
    return (
        DiffPart(title="System text", lines=tuple(_lines(old.system, new.system))),
        DiffPart(title="User text", lines=tuple(_lines(old.user, new.user))),
        DiffPart(title="Settings", lines=tuple(_lines(_settings_text(old), _settings_text(new)))),
    )


def ask_delete_prompt(row: PromptTemplate) -> Question:
    """Delete this version?"""
    return Question(
        title=f"Delete {row}?",
        facts=("No decision was made with it.", "Its text is gone for good."),
        action=reverse("delete_prompt", args=[row.pk]),
        buttons=(Button(text="Delete it", kind="danger sure"),),
        stay="Keep it",
        stay_href=reverse("prompt", args=[row.pk]),
    )


def _lines(old: str, new: str) -> Iterator[DiffLine]:
    """A unified difference of two texts; nothing where they are the same."""
    if old == new:
        return
    before, after = old.splitlines(), new.splitlines()
    matcher = SequenceMatcher(a=before, b=after, autojunk=False)
    seen = 0
    for group in matcher.get_grouped_opcodes(CONTEXT):
        yield from _gap(group[0][1] - seen)
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                yield from (DiffLine(kind="same", text=line) for line in before[i1:i2])
                continue
            yield from (DiffLine(kind="removed", text=line) for line in before[i1:i2])
            yield from (DiffLine(kind="added", text=line) for line in after[j1:j2])
        seen = group[-1][2]
    yield from _gap(len(before) - seen)


def _gap(count: int) -> Iterator[DiffLine]:
    if count > 0:
        yield DiffLine(kind="gap", text=f"{count} line{'' if count == 1 else 's'} alike")


def _settings_text(row: PromptTemplate) -> str:
    settings = shown_settings(row.to_domain().settings)
    return "\n".join(f"{_label(name)}: {settings[name]}" for name in SETTINGS)


def _label(name: str) -> str:
    return str(PromptForm.base_fields[name].label)


def _bots_by_template(user: User, rows: Sequence[PromptTemplate]) -> dict[int, list[str]]:
    """Names of the user's bots by the version that they are sent. A model's bot that names none is sent the
    built-in one. One query."""
    usual = next(
        (
            row.pk
            for row in rows
            if row.owner_id is None and (row.name, row.version) == (STANDARD.name, STANDARD.version)
        ),
        None,
    )
    found: dict[int, list[str]] = defaultdict(list)
    bots = models.Bot.objects.filter(owner=user, model_profile__isnull=False).order_by("name")
    for bot in bots.only("name", "prompt_template"):
        sent = usual if bot.prompt_template_id is None else bot.prompt_template_id
        if sent is not None:
            found[sent].append(bot.name)
    return found
