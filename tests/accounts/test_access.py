"""What a user sees and changes: their own rows, and the shared ones to look at."""

from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import AnonymousUser
from django.db.models import Model

from risk.models import AccountLimits, RiskProfile, RiskProfileVersion
from risk.services import copy_profile
from tests.architecture.test_models import our_models
from tradingagent.accounts.access import NotYours, registered, require, visible
from tradingagent.accounts.models import AuditEntry, User
from tradingagent.accounts.services import audit

# A path to a user, but no owner: an operator's rows, seen through the admin or another row.
NOBODYS = {
    "llm.LLMCall",  # the cost center's; its profile may be shared by many
    "market.SimRecord",
    "market.SimAccount",
    "bots.TradingHalt",  # covers a bot, a user or all: `queries.halts_over` tells whom it concerns
}


@pytest.fixture
def people(db) -> tuple[User, User, User]:
    ann, bob = (User.objects.create_user(f"{name}@example.org") for name in ("ann", "bob"))
    return ann, bob, User.objects.create_superuser("root@example.org")


@pytest.fixture
def profiles(people) -> tuple[RiskProfile, RiskProfile, RiskProfile]:
    ann, bob, _ = people
    preset = RiskProfile.objects.get(owner=None, name="balanced")
    return preset, copy_profile(preset, ann, "mine"), copy_profile(preset, bob, "mine")


def test_a_user_sees_their_own_and_the_shared(people, profiles):
    ann, bob, _ = people
    preset, of_ann, of_bob = profiles

    assert {of_ann, preset} <= set(visible(RiskProfile, ann))
    assert of_bob not in visible(RiskProfile, ann)
    assert set(visible(RiskProfile.objects.exclude(owner=None), bob)) == {of_bob}


def test_a_row_below_another_follows_its_owner(people, profiles):
    ann, _, _ = people

    seen = visible(RiskProfileVersion.objects.exclude(profile__owner=None), ann)

    assert [version.profile.owner for version in seen] == [ann]


def test_rows_of_nobody_are_shared_only_where_an_app_says_so(people):
    ann, _, _ = people
    by_system = audit("system", "act", "thing")

    assert not visible(AuditEntry, ann).exists()
    with pytest.raises(NotYours):
        require(ann, by_system, "view")


def test_a_user_sees_themselves(people):
    ann, bob, _ = people

    assert list(visible(User, ann)) == [ann]
    require(ann, ann, "change")
    with pytest.raises(NotYours):
        require(ann, bob, "view")


def test_a_superuser_sees_all_only_when_asked(people, profiles):
    _, bob, root = people
    _, of_ann, _ = profiles

    assert of_ann not in visible(RiskProfile, root)
    assert of_ann in visible(RiskProfile, root, everyone=True)
    assert of_ann not in visible(RiskProfile, bob, everyone=True)
    with pytest.raises(NotYours):
        require(root, of_ann, "change")


@pytest.mark.parametrize("everyone", [False, True])
def test_nobody_sees_nothing(people, profiles, everyone):
    ann, _, root = people
    for someone in (ann, root):
        someone.is_active = False

    for user in (AnonymousUser(), ann, root):
        assert not visible(RiskProfile, user, everyone=everyone).exists()
        for row in profiles:
            with pytest.raises(NotYours, match="there is no such risk profile"):
                require(user, row, "view")


def test_what_may_be_done(people, profiles):
    ann, _, _ = people
    preset, of_ann, of_bob = profiles

    require(ann, of_ann, "view")
    require(ann, of_ann, "change")
    require(ann, preset, "view")
    require(ann, of_ann.versions.get(), "change")
    with pytest.raises(NotYours):
        require(ann, preset, "change")
    with pytest.raises(NotYours):
        require(ann, of_bob, "view")
    with pytest.raises(NotYours):
        require(ann, of_bob, "change")
    with pytest.raises(NotYours):
        require(ann, AccountLimits(user=people[1]), "view")


def test_an_unsaved_row_is_nobody_s(people):
    with pytest.raises(NotYours):
        require(people[0], AuditEntry(), "view")


def test_a_model_that_nobody_registered_is_an_error(people):
    session = apps.get_model("sessions", "Session")

    with pytest.raises(LookupError, match="has not said who owns"):
        visible(session, people[0])
    with pytest.raises(LookupError, match="has not said who owns"):
        require(people[0], session(), "view")


# --- Every model has said --------------------------------------------------------------------------


def leads_to_a_user(model: type[Model], seen: frozenset = frozenset()) -> bool:
    if model in seen:
        return False
    if model is User:
        return True
    return any(
        leads_to_a_user(field.related_model, seen | {model})
        for field in model._meta.concrete_fields
        if field.is_relation and field.related_model
    )


def test_every_model_with_a_path_to_a_user_is_registered():
    """Each app registers its own, at the end of its models; see `access.register`."""
    missing = {
        model._meta.label
        for model in our_models()
        if leads_to_a_user(model) and model not in registered()
    }

    assert missing - NOBODYS == set()


def test_every_registered_path_ends_at_a_user():
    for model, owning in registered().items():
        *steps, last = owning.path.split("__")
        held: Any = model
        for step in steps:
            held = held._meta.get_field(step).related_model
        field = held._meta.get_field(last)
        assert field.related_model is User or (held is User and last == "id"), owning


def test_the_walk_sees_keys_of_keys():
    assert leads_to_a_user(RiskProfileVersion)
    assert not leads_to_a_user(apps.get_model("market", "Candle"))
