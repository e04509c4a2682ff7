"""Rows of the mind: templates fixed by use, profiles that can't leak a key, prices by day."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, transaction

from llm.hosts import Provider
from llm.models import (
    LLMCall,
    ModelPrice,
    ModelProfile,
    PromptTemplate,
    ProviderKey,
    TemplateInUse,
    settings_json,
)
from llm.price_rows import price_at
from llm.prompts import EMERGENCY, STANDARD, PromptSettings, TemplateError
from llm.queries import cost_since
from llm.services import sync_builtin_templates
from tests.risk.build import D
from tradingagent.accounts.models import User
from tradingagent.accounts.secrets import Secret

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def ann() -> User:
    return User.objects.create_user("ann@example.org")


def template(**changes) -> PromptTemplate:
    values = {"name": "mine", "system": "Trade.", "user": "{{clock}} {{account}}", **changes}
    return PromptTemplate(**values)


# --- Templates -------------------------------------------------------------------------------------


@pytest.mark.parametrize("builtin", [STANDARD, EMERGENCY])
def test_built_in_templates_are_there_to_the_byte(builtin):
    row = PromptTemplate.objects.get(owner=None, name=builtin.name, version=builtin.version)

    assert row.to_domain() == builtin
    assert row.content_hash == builtin.hash == row.to_domain().hash


def test_built_in_templates_are_put_in_place_once():
    before = list(PromptTemplate.objects.values().order_by("pk"))
    sync_builtin_templates()
    call_command("migrate", verbosity=0)

    assert list(PromptTemplate.objects.values().order_by("pk")) == before


def test_a_built_in_text_that_changed_is_taken_unless_it_was_used():
    row = PromptTemplate.objects.get(owner=None, name="standard")
    PromptTemplate.objects.filter(pk=row.pk).update(system="Old words.")
    sync_builtin_templates()
    assert PromptTemplate.objects.get(pk=row.pk).to_domain() == STANDARD

    PromptTemplate.objects.filter(pk=row.pk).update(system="Old words.")
    PromptTemplate.objects.filter(pk=row.pk).update(used_at=NOW)
    with pytest.raises(TemplateInUse, match="standard v1 was used: add a version"):
        sync_builtin_templates()


def test_settings_come_back_as_they_were(ann):
    settings = PromptSettings(series_length=5, indicators=("ema:20",), bytes_per_token=D("3.1"))
    row = template(owner=ann, settings=settings_json(settings))
    row.save()

    found = PromptTemplate.objects.get(pk=row.pk).to_domain()
    assert found.settings == settings
    assert found.hash == row.content_hash


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"user": "no placeholder"}, "no placeholder"),
        ({"user": "{{nothing_like_it}}"}, "no section"),
        ({"system": "{{clock}}"}, "can't hold placeholders"),
        ({"settings": {"series_length": 0}}, "series_length must be"),
        ({"settings": {"colour": "red"}}, "something unknown"),
        ({"settings": {"bytes_per_token": "much"}}, "something unknown"),
        ({"settings": [1]}, "an object of names and values"),
    ],
)
def test_a_template_that_can_t_be_rendered_is_not_stored(changes, words):
    row = template(**changes)

    with pytest.raises(ValidationError, match=words):
        row.full_clean(exclude=["content_hash"])
    with pytest.raises(TemplateError, match=words):
        row.save()
    assert not PromptTemplate.objects.filter(name="mine").exists()


CHANGES = [
    {"system": "Trade more."},
    {"user": "{{clock}}"},
    {"settings": {"series_length": 3}},
    {"name": "other"},
    {"version": 2},
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_template_may_change_until_it_is_used(ann, change):
    row = template(owner=ann)
    row.save()
    first = row.content_hash

    for name, value in change.items():
        setattr(row, name, value)
    row.save()

    assert PromptTemplate.objects.get(pk=row.pk).content_hash == row.to_domain().hash != first


@pytest.mark.parametrize("change", CHANGES)
def test_a_used_template_is_never_changed(ann, change):
    row = template(owner=ann, used_at=NOW)
    row.save()
    kept = PromptTemplate.objects.values().get(pk=row.pk)

    stale = PromptTemplate.objects.get(pk=row.pk)
    stale.used_at = None
    for name, value in change.items():
        setattr(stale, name, value)
    with pytest.raises(TemplateInUse, match="was used"):
        stale.save()
    with pytest.raises(TemplateInUse, match="was used"):
        PromptTemplate.objects.filter(owner=ann).update(**change)
    with pytest.raises(TemplateInUse, match="was used"), transaction.atomic():
        PromptTemplate.objects.bulk_update([stale], list(change))
    with pytest.raises(TemplateInUse, match="was used"):
        stale.delete()
    with pytest.raises(TemplateInUse, match="was used"):
        PromptTemplate.objects.filter(owner=ann).delete()
    assert PromptTemplate.objects.values().get(pk=row.pk) == kept


def test_a_used_template_stays_used(ann):
    row = template(owner=ann, used_at=NOW)
    row.save()
    row.used_at = None

    row.save()

    assert PromptTemplate.objects.get(pk=row.pk).used_at == NOW


def test_a_newer_renderer_does_not_touch_the_hash_of_what_was_used(ann, monkeypatch):
    row = template(owner=ann, used_at=NOW)
    row.save()
    first = row.content_hash
    monkeypatch.setattr("llm.prompts.template.RENDERER_VERSION", 99)

    row.save()

    assert PromptTemplate.objects.get(pk=row.pk).content_hash == first


def test_an_unused_template_can_be_deleted(ann):
    row = template(owner=ann)
    row.save()
    row.delete()
    template(owner=ann).save()
    PromptTemplate.objects.filter(owner=ann).delete()

    assert not PromptTemplate.objects.filter(owner=ann).exists()


def test_versions_are_there_once(ann):
    template(owner=ann).save()
    template(owner=ann, version=2).save()
    template().save()
    for owner in (ann, None):
        with pytest.raises(IntegrityError), transaction.atomic():
            template(owner=owner).save()


# --- Profiles and keys -----------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0, 601])
def test_deadlines_are_one_to_six_hundred_seconds(seconds):
    with pytest.raises(IntegrityError), transaction.atomic():
        ModelProfile.objects.create(name="x", provider=Provider.OPENAI, deadline_seconds=seconds)


@pytest.mark.parametrize(
    "values",
    [
        {"token_budget": 0},
        {"requests_per_minute": 0},
        {"tokens_per_minute": 0},
    ],
)
def test_the_database_refuses_what_makes_no_sense(values):
    with pytest.raises(IntegrityError), transaction.atomic():
        ModelProfile.objects.create(**{"name": "x", "provider": Provider.OPENAI, **values})


def test_a_user_s_profile_never_names_a_variable_of_the_operator(ann):
    """Else its base_url would be sent the operator's key."""
    key = ProviderKey.objects.create(
        owner=ann, provider=Provider.OPENAI, name="mine", key=Secret("sk")
    )
    shared = {"provider": Provider.OPENAI, "key_env": "OPENAI_API_KEY"}
    ModelProfile.objects.create(name="shared", **shared)

    for values in ({"owner": ann}, {"provider_key": key}):
        row = ModelProfile(name="x", **shared, **values)
        with pytest.raises(IntegrityError), transaction.atomic():
            row.save()
        with pytest.raises(ValidationError):
            row.full_clean()


def test_a_profile_takes_its_owner_s_key_of_its_provider(ann):
    bob = User.objects.create_user("bob@example.org")
    key = ProviderKey.objects.create(
        owner=ann, provider=Provider.OPENAI, name="mine", key=Secret("sk")
    )

    def profile(**values) -> ModelProfile:
        return ModelProfile(name="x", model="m", provider_key=key, **values)

    profile(owner=ann, provider=Provider.OPENAI).full_clean()
    for owner, provider, words in [
        (bob, Provider.OPENAI, "belongs to somebody else"),
        (None, Provider.OPENAI, "belongs to somebody else"),
        (ann, Provider.ANTHROPIC, "for another provider"),
    ]:
        with pytest.raises(ValidationError, match=words):
            profile(owner=owner, provider=provider).full_clean()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"provider": Provider.OPENAI, "model": ""}, "Name the model of OpenAI"),
        ({"provider": Provider.OPENAI_COMPATIBLE, "model": "m"}, "Give the host's address"),
        ({"provider": "NOBODY", "model": "m"}, "not a valid choice"),
        ({"provider": Provider.OLLAMA, "model": "m", "base_url": "ftp://x"}, "valid URL"),
    ],
)
def test_a_profile_says_where_its_model_is(values, words):
    with pytest.raises(ValidationError, match=words):
        ModelProfile(name="x", **values).full_clean()


def test_a_fallback_is_another_without_one_and_may_be_used(ann):
    bob = User.objects.create_user("bob@example.org")
    made = {"provider": Provider.OLLAMA, "model": "m"}
    theirs = ModelProfile.objects.create(name="theirs", owner=bob, **made)
    last = ModelProfile.objects.create(name="last", owner=None, **made)
    first = ModelProfile.objects.create(name="first", owner=ann, fallback=last, **made)

    first.full_clean()
    for other, words in [(theirs, "somebody else"), (first, "has none of its own")]:
        with pytest.raises(ValidationError, match=words):
            ModelProfile(name="x", owner=ann, fallback=other, **made).full_clean()


@pytest.mark.parametrize("shared", [False, True])
def test_names_are_there_once(ann, shared):
    values = {"name": "x", "provider": Provider.OPENAI, "owner": None if shared else ann}
    ModelProfile.objects.create(**values)

    with pytest.raises(IntegrityError), transaction.atomic():
        ModelProfile.objects.create(**values)


# --- Prices and costs ------------------------------------------------------------------------------


def price(pattern: str, valid_from: date, dollars: str) -> None:
    ModelPrice.objects.create(
        provider=Provider.OPENAI,
        model_pattern=pattern,
        valid_from=valid_from,
        input_price=D(dollars),
        output_price=D(10),
        cached_price=D("0.1"),
    )


@pytest.mark.parametrize(
    ("model", "at", "expected"),
    [
        ("gpt-x-mini", NOW, "2"),
        ("gpt-x", NOW, "1"),
        ("gpt-x-mini", datetime(2026, 2, 1, tzinfo=UTC), "3"),
        ("gpt-x", datetime(2026, 3, 10, tzinfo=UTC), "4"),
        ("gpt-x", datetime(2025, 12, 31, 23, 59, tzinfo=UTC), None),
        ("other", NOW, None),
    ],
)
def test_the_price_is_the_closest_pattern_s_latest(model, at, expected):
    price("gpt-*", date(2026, 1, 1), "1")
    price("gpt-*", date(2026, 3, 10), "4")
    price("gpt-x-*", date(2026, 1, 1), "3")
    price("gpt-x-mini", date(2026, 2, 2), "2")

    found = price_at(Provider.OPENAI, model, at)

    assert (None if found is None else found.input_price) == (
        None if expected is None else D(expected)
    )
    assert price_at(Provider.ANTHROPIC, model, at) is None


def test_costs_are_added_exactly(django_assert_num_queries):
    for number, cost in enumerate(["0.1", "0.2", "0.000000000001", None]):
        for center in ("bot 1", "bot 2"):
            LLMCall.objects.create(
                at=NOW.replace(hour=number),
                cost_center=center,
                trader="t",
                template_name="standard",
                template_version=1,
                template_hash="0" * 64,
                outcome="DECIDED",
                cost=None if cost is None else D(cost),
            )

    with django_assert_num_queries(1):
        assert cost_since("bot 1", NOW.replace(hour=0)) == D("0.300000000001")
    assert cost_since("bot 1", NOW.replace(hour=1)) == D("0.200000000001")
    assert cost_since("bot 1", NOW) == 0
    assert cost_since("bot", NOW.replace(hour=0)) == 0


def test_a_call_costs_nothing_less_than_nothing():
    with pytest.raises(IntegrityError), transaction.atomic():
        LLMCall.objects.create(
            at=NOW,
            cost_center="x",
            trader="t",
            template_name="s",
            template_version=1,
            template_hash="0",
            outcome="DECIDED",
            cost=D("-0.01"),
        )


def test_migrations_name_no_code_that_may_move():
    text = (Path(__file__).parents[2] / "llm/migrations/0001_initial.py").read_text()

    assert "llm.models" not in text and "llm.domain" not in text
