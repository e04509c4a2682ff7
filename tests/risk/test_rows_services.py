"""Each change of limits is a new version with its row and its audit entry; presets stay fixed."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection

from risk import services
from risk.domain import InvalidLimits
from risk.models import AccountLimits, RiskProfile, RiskProfileVersion, limits_text
from risk.profiles import BALANCED, PROFILES
from risk.services import (
    PresetIsFixed,
    StillUsed,
    change_profile,
    copy_profile,
    delete_profile,
    rename_profile,
    set_account_limits,
    sync_presets,
)
from tests.bots.paper_desks import paper_bot
from tests.risk.build import BTC, ETH, D
from tradingagent.accounts.append_only import AppendOnly
from tradingagent.accounts.models import AuditEntry, User


@pytest.fixture
def ann(db) -> User:
    return User.objects.create_user("ann@example.org")


@pytest.fixture
def mine(ann) -> RiskProfile:
    return copy_profile(RiskProfile.objects.get(owner=None, name="balanced"), ann, "mine")


def test_a_copy_is_version_one_with_the_same_limits(ann, mine):
    assert mine.limits() == replace(BALANCED, name="mine", version=1)
    assert mine.versions.get().changed_by == ann
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.after["max_leverage"]) == (
        "copy_profile",
        ann,
        "10",
    )


@pytest.mark.parametrize("name", ["", "mine", "x" * 81])
def test_a_copy_needs_a_new_name(ann, mine, name):
    with pytest.raises(ValidationError):
        copy_profile(mine, ann, name)
    assert RiskProfile.objects.filter(owner=ann).count() == 1


def test_a_copy_may_have_the_name_of_a_preset_or_of_another_s(ann, mine):
    bob = User.objects.create_user("bob@example.org")

    assert copy_profile(mine, bob, "mine").owner == bob
    assert copy_profile(mine, ann, "balanced").owner == ann


def test_a_change_is_a_new_version(ann, mine):
    changed = change_profile(
        mine, {"max_leverage": "5", "cooldown_after_stop": "90", "allowed_symbols": {ETH, BTC}}, ann
    )

    limits = changed.limits()
    assert (limits.version, limits.max_leverage) == (2, D(5))
    assert limits.cooldown_after_stop == timedelta(seconds=90)
    assert limits.allowed_symbols == frozenset([BTC, ETH])
    assert RiskProfile.objects.get(pk=mine.pk).limits() == limits
    versions = dict(mine.versions.values_list("version", "limits"))
    assert versions == {1: limits_text(mine.limits()), 2: limits_text(limits)}
    assert json.loads(versions[2])["max_leverage"] == "5"
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.after["max_leverage"]) == ("change_profile", "5")
    assert entry.before.keys() == {
        "version",
        "max_leverage",
        "cooldown_after_stop",
        "allowed_symbols",
    }


def test_a_limit_can_be_switched_off(ann, mine):
    assert change_profile(mine, {"max_leverage": None}, ann).limits().max_leverage is None


def test_nothing_changed_is_no_version(ann, mine):
    same = change_profile(mine, {"max_leverage": "10.0"}, ann)

    assert (same.version, mine.versions.count(), AuditEntry.objects.count()) == (1, 1, 1)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"max_leverage": "0"}, ValidationError, "max_leverage is 0"),
        ({"max_leverage": 5.5}, ValidationError, "as text, or as a Decimal"),
        ({"max_leverage": "much"}, ValidationError, "max_leverage"),
        ({"max_leverage": D("NaN")}, ValidationError, "max_leverage"),
        ({"soft_drawdown_fraction": "0.9"}, ValidationError, "is above"),
        ({"size": "2"}, ValidationError, "size belongs to profile raw"),
        ({"max_levrage": "5"}, InvalidLimits, "no limit is called 'max_levrage'"),
        ({"name": "other"}, InvalidLimits, "no limit is called 'name'"),
        ({"version": 7}, InvalidLimits, "no limit is called 'version'"),
        ({"owner": None}, InvalidLimits, "no limit is called 'owner'"),
        ({"allow_shorts": None}, ValidationError, "allow_shorts"),
        ({"min_hold": None}, ValidationError, "min_hold"),
    ],
)
def test_a_change_that_makes_no_sense_changes_nothing(ann, mine, changes, error, words):
    with pytest.raises(error, match=words):
        change_profile(mine, {"max_open_positions": 9, **changes}, ann)

    mine.refresh_from_db()
    assert mine.limits() == replace(BALANCED, name="mine")
    assert mine.versions.count() == 1


@pytest.mark.parametrize("name", PROFILES)
def test_presets_are_nobody_s_to_change(ann, name):
    preset = RiskProfile.objects.get(owner=None, name=name)
    root = User.objects.create_superuser("root@example.org")

    for by in (ann, root):
        for act in (
            lambda by=by: change_profile(preset, {"allow_shorts": False}, by),
            lambda by=by: rename_profile(preset, "mine", by),
            lambda by=by: delete_profile(preset, by),
        ):
            with pytest.raises(PresetIsFixed, match="copy it"):
                act()
    assert RiskProfile.objects.get(owner=None, name=name).limits() == PROFILES[name]
    assert not AuditEntry.objects.exists()


# --- a name, and an end ----------------------------------------------------------------------------


def test_another_name_is_no_version_and_is_audited(ann, mine):
    change_profile(mine, {"max_leverage": "5"}, ann)

    renamed = rename_profile(mine, "calm", ann)

    mine.refresh_from_db()
    assert (mine.name, mine.version, renamed.limits().name) == ("calm", 2, "calm")
    assert mine.limits().max_leverage == 5 and mine.versions.count() == 2
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.actor) == ("rename_profile", ann)
    assert (entry.before, entry.after) == ({"name": "mine"}, {"name": "calm"})


@pytest.mark.parametrize("name", ["", "taken", "x" * 81])
def test_a_name_that_can_not_be_is_refused(ann, mine, name):
    copy_profile(mine, ann, "taken")

    with pytest.raises(ValidationError):
        rename_profile(mine, name, ann)

    mine.refresh_from_db()
    assert mine.name == "mine"
    assert not AuditEntry.objects.filter(action="rename_profile").exists()


def test_the_same_name_again_is_nothing(ann, mine):
    rename_profile(mine, "mine", ann)

    assert not AuditEntry.objects.filter(action="rename_profile").exists()


def test_what_nothing_follows_is_deleted_and_what_it_said_stays_in_the_log(ann, mine):
    changed = change_profile(mine, {"max_leverage": "5"}, ann)
    said = {one.version: one.limits for one in mine.versions.all()}

    delete_profile(changed, ann)

    assert not RiskProfile.objects.filter(owner=ann).exists()
    assert not RiskProfileVersion.objects.filter(profile=mine.pk).exists()
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.actor) == ("delete_profile", ann)
    assert entry.before == {"name": "mine", "versions": {"1": said[1], "2": said[2]}}
    assert json.loads(entry.before["versions"]["2"])["max_leverage"] == "5"
    assert copy_profile(RiskProfile.objects.get(owner=None, name="raw"), ann, "mine").version == 1


def test_what_is_followed_stays_whole(ann, mine):
    for name in ("d", "c", "b", "a"):
        paper_bot(ann, name=name, risk_profile=mine, status="ARCHIVED" if name == "a" else "ACTIVE")

    with pytest.raises(StillUsed, match=r"^mine is still followed by a, b, c and 1 more$"):
        delete_profile(mine, ann)

    mine.refresh_from_db()
    assert mine.versions.count() == 1
    assert not AuditEntry.objects.filter(action="delete_profile").exists()


def test_versions_are_never_changed(ann, mine):
    version = mine.versions.get()

    with pytest.raises(AppendOnly):
        version.save()
    with pytest.raises(AppendOnly):
        mine.versions.update(limits="{}")
    with pytest.raises(AppendOnly):
        mine.versions.all().delete()


def test_presets_are_put_in_place_once(db):
    sync_presets()
    call_command("migrate", verbosity=0)

    assert list(
        RiskProfile.objects.filter(owner=None).order_by("pk").values_list("name", "version")
    ) == [(name, 1) for name in PROFILES]


def test_a_preset_that_the_program_changed_goes_a_version_on(db, monkeypatch):
    stricter = replace(BALANCED, max_leverage=D(7))
    monkeypatch.setattr(services, "PROFILES", {**PROFILES, "balanced": stricter})

    sync_presets()
    sync_presets()

    row = RiskProfile.objects.get(owner=None, name="balanced")
    assert row.limits() == replace(stricter, version=2)
    assert [one.version for one in row.versions.order_by("version")] == [1, 2]
    assert AuditEntry.objects.get().actor_label == "system"


# --- Limits over all bots --------------------------------------------------------------------------


def test_account_limits_are_one_row_per_user(ann):
    set_account_limits(ann, {"max_daily_loss": "250.50"}, ann)
    row = set_account_limits(ann, {"max_gross_exposure": D(10_000)}, ann)

    assert AccountLimits.objects.get() == row
    row.refresh_from_db()
    assert (row.max_daily_loss, row.max_gross_exposure) == (D("250.5"), D(10_000))
    assert row.max_margin_used is None
    entry = AuditEntry.objects.latest("pk")
    assert (entry.before, entry.after) == (
        {"max_gross_exposure": None},
        {"max_gross_exposure": "10000"},
    )


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"max_daily_loss": "-1"}, ValidationError),
        ({"max_daily_loss": 0.5}, ValidationError),
        ({"max_daily_loss": "lots"}, ValidationError),
        ({"daily_loss": "1"}, InvalidLimits),
        ({"user": 1}, InvalidLimits),
    ],
)
def test_account_limits_that_make_no_sense_change_nothing(ann, changes, error):
    with pytest.raises(error):
        set_account_limits(ann, {"max_margin_used": 1, **changes}, ann)

    assert not AccountLimits.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_presets_are_back_after_a_flush():
    assert RiskProfile.objects.filter(owner=None).count() == len(PROFILES)


@pytest.mark.django_db(transaction=True)
def test_changes_at_once_are_versions_one_after_the_other():
    ann = User.objects.create_user("ann@example.org")
    mine = copy_profile(RiskProfile.objects.get(owner=None, name="balanced"), ann, "mine")
    barrier = Barrier(4)

    def change(leverage: int) -> int:
        try:
            barrier.wait()
            return change_profile(mine, {"max_leverage": leverage}, ann).version
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        versions = sorted(pool.map(change, [2, 3, 4, 5]))

    assert versions == [2, 3, 4, 5]
    latest = RiskProfile.objects.get(pk=mine.pk).limits()
    assert mine.versions.get(version=5).limits == limits_text(latest)
    assert mine.versions.count() == 5
