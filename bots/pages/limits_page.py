"""The pages of limits: which profiles there are and who follows them, one profile in words, what its versions changed.

The trap avoided: a query for each profile or version. Each page takes the same few, however long it is.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Final
from uuid import UUID

from django.urls import reverse

from bots import models
from bots.domain.bot import BotStatus
from bots.forms_limits import GROUPS, AccountLimitsForm, GiveForm, NameForm, limit_names
from bots.pages.questions import Button, Question
from risk.catalogue import RULES
from risk.domain import Limits
from risk.models import AccountLimits, RiskProfile
from risk.profiles import PROFILES, SENTENCES, in_words
from risk.versions import Change, changes_between, limits_of
from tradingagent.accounts.access import visible
from tradingagent.accounts.models import User

SHOWN: Final = 20
"""Earlier versions on a profile's page."""
KEY: Final = (
    ("max_leverage", "Leverage"), ("risk_per_trade_fraction", "Risk a trade"),
    ("max_daily_loss_fraction", "Loss of a day"), ("hard_drawdown_fraction", "Drawdown that halts"),
)  # fmt: skip
"""The limits that the list shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BotLink:
    """A bot of the user that follows a profile."""

    pk: UUID
    name: str
    is_beside_others: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A limit in words. `is_off`: it limits nothing. `does` and `code`: what becomes of a wish, and how it is said."""

    name: str
    value: str
    is_off: bool
    does: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileLine:
    """A profile in the list."""

    row: RiskProfile
    name: str
    figures: tuple[Figure, ...]
    bots: tuple[BotLink, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureGroup:
    """Limits of a profile that are about the same."""

    title: str
    note: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionLine:
    """A version: what it changed (of the first one nothing is known), by whom, and when."""

    version: int
    changes: tuple[Change, ...]
    is_first: bool
    by: str
    at: datetime


def profile_name(row: RiskProfile) -> str:
    """A preset begins with a capital, as everywhere on the pages; one's own is as it was typed."""
    return row.name.capitalize() if row.is_preset else row.name


def limits_context(user: User, account_form: AccountLimitsForm | None = None) -> dict[str, Any]:
    """Everything on the page of limits. Three queries."""
    rows = visible(RiskProfile, user).order_by("name", "pk")
    bots = _bots_by_profile(user)
    lines = [
        ProfileLine(
            row=row,
            name=profile_name(row),
            figures=tuple(_key_figures(row.limits())),
            bots=tuple(bots[row.pk]),
        )
        for row in rows
    ]
    order = list(PROFILES)
    presets = [line for line in lines if line.row.is_preset]
    if account_form is None:
        account_form = AccountLimitsForm(AccountLimits.objects.filter(user=user).first())
    return {
        "own": [line for line in lines if not line.row.is_preset],
        "presets": sorted(
            presets,
            key=lambda one: order.index(one.row.name) if one.row.name in order else len(order),
        ),
        "heads": [title for _, title in KEY],
        "account_form": account_form,
    }


def profile_context(
    user: User,
    row: RiskProfile,
    give_form: GiveForm | None = None,
    name_form: NameForm | None = None,
) -> dict[str, Any]:
    """One profile: all its limits in words, who follows it, and its versions. Four queries."""
    return {
        "row": row,
        "name": profile_name(row),
        "limit_groups": tuple(_groups(row.limits())),
        "bots": _bots_by_profile(user, row)[row.pk],
        "give_form": give_form or GiveForm(user, row),
        "name_form": name_form or NameForm(user, row=row),
        "versions": tuple(_versions(user, row)),
    }


def ask_delete_limits(row: RiskProfile) -> Question:
    """Delete this profile?"""
    versions = row.versions.count()
    return Question(
        title=f"Delete {row.name}?",
        facts=(
            "No bot can be given it any more.",
            f"Its {versions} versions go with it."
            if versions > 1
            else "Its one version goes with it.",
            "What it said stays in the audit log, and in the records of decisions.",
        ),
        action=reverse("delete_limits", args=[row.pk]),
        buttons=(Button(text="Delete it", kind="danger sure"),),
        stay="Keep it",
        stay_href=reverse("risk_profile", args=[row.pk]),
    )


def _key_figures(limits: Limits) -> Iterator[Figure]:
    for name, title in KEY:
        value = getattr(limits, name)
        yield Figure(name=title, value=in_words(name, value), is_off=value is None)


def _groups(limits: Limits) -> Iterator[FigureGroup]:
    known = limit_names(raw=limits.raw)
    for title, (note, names) in GROUPS.items():
        figures = tuple(_figure(limits, name) for name in names if name in known)
        if figures:
            yield FigureGroup(title=title, note=note, figures=figures)


def _figure(limits: Limits, name: str) -> Figure:
    value, rule = in_words(name, getattr(limits, name)), RULES.get(name)
    is_off = value in ("no limit", "none", "all")
    does = "" if rule is None else f"{rule.effect[0].upper()}{rule.effect[1:]}"
    return Figure(
        name=SENTENCES[name][0],
        value=f"{value} USD" if name == "max_llm_cost_per_day" and not is_off else value,
        is_off=is_off,
        does=does,
        code="" if rule is None else rule.code,
    )


def _versions(user: User, row: RiskProfile) -> Iterator[VersionLine]:
    """The latest versions, the newest first, each with what it changed. One query."""
    kept = list(row.versions.select_related("changed_by").order_by("-version")[: SHOWN + 1])
    read = [(one, limits_of(one.limits)) for one in kept]
    for (one, now), (_, before) in pairwise(read):
        yield VersionLine(
            version=one.version,
            changes=changes_between(before, now),
            is_first=False,
            by=_who(one.changed_by, user),
            at=one.at,
        )
    if kept and len(kept) <= SHOWN:
        first = kept[-1]
        yield VersionLine(
            version=first.version,
            changes=(),
            is_first=True,
            by=_who(first.changed_by, user),
            at=first.at,
        )


def _who(by: User | None, user: User) -> str:
    if by is None:
        return "the program"
    return "you" if by.pk == user.pk else "the operator"


def _bots_by_profile(user: User, row: RiskProfile | None = None) -> dict[int, list[BotLink]]:
    """The user's bots that are not archived, by the profile that they follow. One query."""
    bots = models.Bot.objects.filter(owner=user).exclude(status=BotStatus.ARCHIVED)
    if row is not None:
        bots = bots.filter(risk_profile=row)
    found: dict[int, list[BotLink]] = defaultdict(list)
    for pk, name, profile, cohort in bots.order_by("name").values_list(
        "pk", "name", "risk_profile_id", "cohort"
    ):
        found[profile].append(BotLink(pk=pk, name=name, is_beside_others=cohort is not None))
    return found
