"""What is written about limits: profiles and their versions, and what binds all bots of a user.

Permissions are asked by the doors. The trap: limits that change under a running bot without a trace; so
each change is a new version with its own row, and a preset changes with the program only.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.deletion import ProtectedError

from risk.domain import InvalidLimits, Limits
from risk.models import (
    LIMIT_NAMES,
    AccountLimits,
    RiskProfile,
    RiskProfileVersion,
    limits_text,
    row_values,
)
from risk.profiles import PROFILES
from tradingagent.accounts.models import User
from tradingagent.accounts.services import SYSTEM, audit

CHANGEABLE: Final = tuple(name for name in LIMIT_NAMES if name not in ("name", "version"))
ACCOUNT_LIMITS: Final = (
    "max_exposure_per_asset",
    "max_gross_exposure",
    "max_margin_used",
    "max_daily_loss",
)


NAMED: Final = 3
"""Of what follows a profile so many are named."""


class PresetIsFixed(Exception):
    """A preset can't be changed by anybody: copy it first."""


class StillUsed(ValueError):
    """The profile can't be deleted while a bot or an arena follows it; one sentence says which."""


def change_profile(profile: RiskProfile, changes: Mapping[str, object], by: User) -> RiskProfile:
    """Change some limits; returns the new version, or the profile as it is when nothing differs.

    Decimals may be text or ints, never floats; durations timedelta, or seconds as text. Raises
    PresetIsFixed, InvalidLimits for a name there is not, ValidationError for values that don't fit.
    """
    _refuse_unknown(changes, CHANGEABLE)
    with transaction.atomic():
        row = _locked(profile)
        before = row.limits()
        for name, value in changes.items():
            setattr(row, name, _typed(name, value))
        row.full_clean(validate_constraints=False)  # Limits says it all, in better words
        if row.limits() == before:
            return row
        row.version += 1
        row.save()
        _keep_version(row, by)
        _audit_change(by, "change_profile", row, before)
    return row


def copy_profile(source: RiskProfile, owner: User, name: str) -> RiskProfile:
    """A profile of `owner` with the limits of `source`, as version 1. Raises ValidationError for a name
    that is empty or used already."""
    values = {**row_values(source.limits()), "name": name, "version": 1}
    row = RiskProfile(owner=owner, **values)
    row.full_clean()
    with transaction.atomic():
        row.save()
        _keep_version(row, owner)
        audit(owner, "copy_profile", row, after={"source": source.pk, **row_values(row.limits())})
    return row


def rename_profile(profile: RiskProfile, name: str, by: User) -> RiskProfile:
    """Call a profile otherwise. No limit differs, so it is no new version; records keep the name of their time.

    Raises PresetIsFixed, ValidationError for a name that is empty or used already.
    """
    with transaction.atomic():
        row = _locked(profile)
        before, row.name = row.name, name
        row.full_clean()
        if row.name != before:
            row.save()
            audit(by, "rename_profile", row, {"name": before}, {"name": row.name})
    return row


def delete_profile(profile: RiskProfile, by: User) -> None:
    """Delete a profile that nothing follows, and its versions; what they said stays in the audit log. Cycles have
    the limits that they were judged by in their own records.

    Raises PresetIsFixed, StillUsed for one that a bot (archived ones too: their records name it) or an arena has.
    """
    with transaction.atomic():
        row = _locked(profile)
        versions = RiskProfileVersion._base_manager.filter(profile=row)
        said = {str(one.version): one.limits for one in versions.order_by("version")}
        audit(by, "delete_profile", row, before={"name": row.name, "versions": said})
        versions.delete()  # past their own manager, which never lets go of a version whose profile stays
        try:
            row.delete()
        except ProtectedError as error:
            using = _named(str(one) for one in error.protected_objects)
            raise StillUsed(f"{profile.name} is still followed by {using}") from None


def _locked(profile: RiskProfile) -> RiskProfile:
    """The row as it stands, until the transaction ends. Raises PresetIsFixed."""
    row: RiskProfile = RiskProfile.objects.select_for_update().get(pk=profile.pk)
    if row.is_preset:
        raise PresetIsFixed(f"{row.name} is a preset: copy it and change the copy")
    return row


def _named(names: Iterable[str]) -> str:
    found = sorted(names)
    rest = len(found) - NAMED
    return ", ".join(found[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


def sync_presets() -> None:
    """Make the preset rows say what `risk.profiles` says: new ones added, changed ones a version on."""
    for limits in PROFILES.values():
        with transaction.atomic():
            _sync_preset(limits)


def set_account_limits(user: User | None, changes: Mapping[str, object], by: User) -> AccountLimits:
    """Change what binds all bots of `user` (None: of all users together); None switches a limit off. Amounts in
    settlement currency.

    Raises InvalidLimits for a name there is not, ValidationError for values that don't fit.
    """
    _refuse_unknown(changes, ACCOUNT_LIMITS)
    with transaction.atomic():
        AccountLimits.objects.get_or_create(user=user)
        row = AccountLimits.objects.select_for_update().get(user=user)
        before = {name: getattr(row, name) for name in changes}
        for name, value in changes.items():
            setattr(row, name, _typed(name, value))
        row.full_clean()
        row.save()
        after = {name: getattr(row, name) for name in changes}
        audit(by, "set_account_limits", row, before, after)
    return row


def _sync_preset(limits: Limits) -> None:
    row = RiskProfile.objects.select_for_update().filter(owner=None, name=limits.name).first()
    values = row_values(limits)
    if row is None:
        row = RiskProfile.objects.create(owner=None, **values)
        _keep_version(row, None)
        return
    before = row.limits()
    values["version"] = row.version
    for name, value in values.items():
        setattr(row, name, value)
    if row.limits() == before:
        return
    row.version += 1
    row.save()
    _keep_version(row, None)
    _audit_change(SYSTEM, "sync_presets", row, before)


def _refuse_unknown(changes: Mapping[str, object], known: tuple[str, ...]) -> None:
    for name in changes:
        if name not in known:
            raise InvalidLimits(f"no limit is called {name!r}; there are {', '.join(known)}")


def _typed(name: str, value: object) -> Any:
    """A value as a column takes it. Floats are no limits: 0.1 is not a tenth."""
    if isinstance(value, float):
        raise ValidationError({name: "Give a number as text, or as a Decimal."})
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return value


def _keep_version(row: RiskProfile, by: User | None) -> None:
    RiskProfileVersion.objects.create(
        profile=row, version=row.version, limits=limits_text(row.limits()), changed_by=by
    )


def _audit_change(by: User | str, action: str, row: RiskProfile, before: Limits) -> None:
    was, now = row_values(before), row_values(row.limits())
    changed = [name for name in was if was[name] != now[name]]
    audit(by, action, row, {name: was[name] for name in changed}, {n: now[n] for n in changed})
