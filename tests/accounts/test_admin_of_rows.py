"""Every page of the admin of accounts, llm and risk answers, without a query per row."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from llm.hosts import Provider
from llm.models import (
    Budget,
    BudgetDay,
    LLMCall,
    ModelPrice,
    ModelProfile,
    PromptTemplate,
    ProviderKey,
)
from risk.models import AccountLimits, DailyLossStop, RiskProfile, RiskProfileVersion
from risk.services import copy_profile, set_account_limits
from tests.architecture.test_models import our_models
from tests.risk.build import D
from tradingagent.accounts.models import (
    ApiToken,
    AuditEntry,
    IdempotencyKey,
    Scope,
    User,
)
from tradingagent.accounts.secrets import Secret
from tradingagent.accounts.services import issue_token, remember

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OURS = [model for model in our_models() if model._meta.app_label in ("accounts", "llm", "risk")]
READ_ONLY = {
    ApiToken, AuditEntry, IdempotencyKey, BudgetDay, LLMCall, RiskProfileVersion, DailyLossStop,
}  # fmt: skip
NO_ADD = READ_ONLY | {RiskProfile}


def page(model, name: str, *args) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


def one_of_each(number: int) -> None:
    user = User.objects.create_user(f"user{number}@example.org")
    preset = RiskProfile.objects.get(owner=None, name="balanced")
    copy_profile(preset, user, "mine")
    set_account_limits(user, {"max_daily_loss": 5}, user)
    DailyLossStop.objects.create(user=user, day=NOW.date(), lost=D(5), at=NOW)
    issue_token(user, "script", {Scope.READ}, None)
    remember(user, "k", "a" * 64)
    key = ProviderKey.objects.create(
        owner=user, provider=Provider.OPENAI, name="mine", key=Secret("sk")
    )
    profile = ModelProfile.objects.create(
        owner=user, name="mine", provider=Provider.OPENAI, provider_key=key
    )
    PromptTemplate(owner=user, name="mine", system="Trade.", user="{{clock}}").save()
    ModelPrice.objects.create(
        provider=Provider.OPENAI,
        model_pattern="m",
        valid_from=date(2026, 1, 1) + timedelta(number),
        input_price=1,
        output_price=1,
        cached_price=1,
    )
    Budget.objects.create(owner=user, cost_center=f"user:{user.pk}", calls_per_day=5)
    BudgetDay.objects.create(cost_center=f"user:{user.pk}", day=NOW.date(), calls=1)
    LLMCall.objects.create(
        at=NOW,
        cost_center="bot",
        profile=profile,
        trader="t",
        template_name="standard",
        template_version=1,
        template_hash="0",
        outcome="DECIDED",
    )


@pytest.fixture
def site(client):
    root = User.objects.create_superuser("root@example.org")
    client.force_login(root)
    client.root = root
    one_of_each(1)
    return client


@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.label)
def test_lists_answer_with_as_many_queries_for_many_rows(site, model):
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as caught:
            answer = site.get(page(model, "changelist"))
        assert answer.status_code == 200
        return len(caught)

    queries()
    few = queries()
    for number in (2, 3, 4):
        one_of_each(number)

    assert queries() <= few
    assert site.get(page(model, "changelist"), {"q": "no such thing"}).status_code == 200


@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.label)
def test_rows_open(site, model):
    row = model._default_manager.order_by("-pk").first()

    answer = site.get(page(model, "change", row.pk))

    assert answer.status_code == 200
    assert (b"_save" in answer.content) is (model not in READ_ONLY)
    assert site.get(page(model, "add")).status_code == (403 if model in NO_ADD else 200)
    deleted = site.get(page(model, "delete", row.pk)).status_code
    assert deleted == (403 if model in NO_ADD | {AccountLimits} else 200)


@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.label)
def test_secrets_are_in_no_list(model):
    shown = admin.site.get_model_admin(model)

    assert not {"key", "hash", "password"} & set(shown.list_display) or model is IdempotencyKey


def test_presets_and_used_templates_are_read_only(site):
    PromptTemplate.objects.filter(owner=None).update(used_at=NOW)
    for row in (
        RiskProfile.objects.get(owner=None, name="raw"),
        PromptTemplate.objects.get(owner=None, name="standard"),
    ):
        answer = site.get(page(type(row), "change", row.pk))
        assert answer.status_code == 200 and b"_save" not in answer.content
        assert site.post(page(type(row), "change", row.pk), {"name": "x"}).status_code == 403
        assert site.post(page(type(row), "delete", row.pk), {"post": "yes"}).status_code == 403


def form_of(site, row) -> dict:
    """What a browser would send back, unchanged."""
    form = site.get(page(type(row), "change", row.pk)).context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    return {name: value for name, value in values.items() if value not in (None, False)}


def test_a_saved_profile_is_a_new_version(site):
    row = RiskProfile.objects.get(name="mine")

    unchanged = site.post(page(RiskProfile, "change", row.pk), form_of(site, row))
    assert unchanged.status_code == 302, unchanged.context["errors"]
    assert row.versions.count() == 1
    site.post(page(RiskProfile, "change", row.pk), {**form_of(site, row), "max_leverage": "4"})

    row.refresh_from_db()
    assert (row.version, row.max_leverage) == (2, D(4))
    assert row.versions.get(version=2).changed_by == site.root
    assert AuditEntry.objects.latest("pk").action == "change_profile"
    refused = site.post(
        page(RiskProfile, "change", row.pk),
        {**form_of(site, row), "soft_drawdown_fraction": "0.9"},
    )
    assert b"is above hard_drawdown_fraction" in refused.content


def test_account_limits_are_set_through_the_service(site):
    site.post(page(AccountLimits, "add"), {"user": site.root.pk, "max_margin_used": "7.5"})

    row = AccountLimits.objects.get(user=site.root)
    assert row.max_margin_used == D("7.5")
    site.post(page(AccountLimits, "add"), {"user": "", "max_daily_loss": "70"})  # the operator's
    assert AccountLimits.objects.get(user=None).max_daily_loss == 70
    assert AuditEntry.objects.latest("pk").action == "set_account_limits"


@pytest.mark.parametrize(
    ("model", "values", "action"),
    [
        (
            ModelProfile,
            {
                "name": "new",
                "provider": "OPENAI",
                "model": "m",
                "deadline_seconds": 30,
                "params": "{}",
            },
            "save_model_profile",
        ),
        (
            PromptTemplate,
            {"name": "new", "version": 1, "system": "x", "user": "{{clock}}", "settings": "{}"},
            "save_prompt_template",
        ),
        (
            ModelPrice,
            {
                "provider": "OPENAI",
                "model_pattern": "gpt-*",
                "valid_from": "2026-01-01",
                "input_price": "1",
                "output_price": "2",
                "cached_price": "0.5",
            },
            "save_model_price",
        ),
    ],
)
def test_what_is_added_is_audited(site, model, values, action):
    answer = site.post(page(model, "add"), values)

    assert answer.status_code == 302, answer.context["errors"]
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.actor) == (action, site.root)


def test_tokens_are_revoked_by_an_action(site):
    token = ApiToken.objects.get()

    site.post(page(ApiToken, "changelist"), {"action": "revoke", "_selected_action": token.pk})

    token.refresh_from_db()
    assert token.revoked_at is not None
    assert AuditEntry.objects.latest("pk").actor == site.root


def test_keys_are_sealed_anew_by_an_action(site):
    key = ProviderKey.objects.get()

    answer = site.post(
        page(ProviderKey, "changelist"),
        {"action": "seal_all_anew", "_selected_action": key.pk},
        follow=True,
    )

    assert b"0 sealed anew, 0 opened by no key." in answer.content
    assert AuditEntry.objects.latest("pk").action == "rotate_keys"
