"""What is written about models, and the making of a model or trader from its row.

Permissions are asked by the doors. The trap: a user's profile that reads a file of the server or sends
a key of the operator's; so only staff may name a file of completions, and the columns forbid the rest.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from llm.domain import Completion, Decision, DecisionOutcome, Prompt
from llm.models import (
    LLMCall,
    ModelPrice,
    ModelProfile,
    PromptTemplate,
    Provider,
    ProviderKey,
    settings_json,
)
from llm.ports import ChatModel
from llm.prompts import EMERGENCY, STANDARD
from llm.prompts import PromptTemplate as DomainTemplate
from llm.providers.scripted import ScriptedChat, ScriptError
from llm.traders.llm_trader import LLMTrader
from tradingagent.accounts.models import User
from tradingagent.accounts.secrets import Secret
from tradingagent.accounts.services import audit, facts


class ProviderNotAvailable(Exception):
    """No model can be asked by this profile; one sentence says why."""


# --- Keys, profiles, templates ---------------------------------------------------------------------


def create_provider_key(
    *, owner: User, provider: Provider, name: str, key: Secret, by: User
) -> ProviderKey:
    """Store a user's key. Raises ValidationError for a name that is empty or used already."""
    row = ProviderKey(owner=owner, provider=provider, name=name, key=key)
    row.full_clean()
    with transaction.atomic():
        row.save()
        audit(by, "create_provider_key", row, after=facts(row))
    return row


def change_provider_key(row: ProviderKey, *, name: str, key: Secret | None, by: User) -> None:
    """Rename a key, and replace it unless `key` is None. Raises ValidationError."""
    before = {"name": ProviderKey.objects.values_list("name", flat=True).get(pk=row.pk)}
    row.name = name
    row.full_clean()
    changed = ["name"]
    if key is not None:
        row.key = key
        changed.append("key")
    with transaction.atomic():
        row.save(update_fields=changed)
        after = {"name": name, "key_replaced": key is not None}
        audit(by, "change_provider_key", row, before, after)


def create_model_profile(
    *, owner: User | None, name: str, provider: Provider, by: User, **options: Any
) -> ModelProfile:
    """Store a model and how to ask it; `options` are further columns. `owner` None: shared.

    Raises ValidationError for what contradicts itself, belongs to another, or is staff's to set.
    """
    row = ModelProfile(owner=owner, name=name, provider=provider, **options)
    return save_model_profile(row, by=by)


def save_model_profile(row: ModelProfile, *, by: User) -> ModelProfile:
    """Check and store a new or changed profile. Raises ValidationError."""
    if row.provider == Provider.SCRIPTED and not by.is_staff:
        raise ValidationError({"provider": "Only staff may name a file of completions."})
    row.full_clean()
    _save(row, "save_model_profile", by)
    return row


def save_prompt_template(row: PromptTemplate, *, by: User) -> PromptTemplate:
    """Check and store a new or changed template. Raises ValidationError, TemplateInUse."""
    row.full_clean(exclude=["content_hash"])
    _save(row, "save_prompt_template", by)
    return row


def save_model_price(row: ModelPrice, *, by: User) -> ModelPrice:
    """Check and store a new or changed price. Raises ValidationError."""
    row.full_clean()
    _save(row, "save_model_price", by)
    return row


def _save(row: ModelProfile | PromptTemplate | ModelPrice, action: str, by: User) -> None:
    with transaction.atomic():
        stored = type(row)._base_manager.filter(pk=row.pk).first()
        row.save()
        audit(by, action, row, None if stored is None else facts(stored), facts(row))


def sync_builtin_templates() -> None:
    """Make the shared rows of the built-in templates. Raises TemplateInUse for one whose text changed
    without a new version after it was used."""
    for template in (STANDARD, EMERGENCY):
        row = PromptTemplate.objects.filter(
            owner=None, name=template.name, version=template.version
        ).first()
        if row is None:
            row = PromptTemplate(owner=None, name=template.name, version=template.version)
        elif row.to_domain() == template:
            continue
        row.system, row.user = template.system, template.user
        row.settings = settings_json(template.settings)
        row.save()


# --- From rows to traders --------------------------------------------------------------------------


def can_ask(provider: Provider) -> bool:
    """Whether models of this provider can be asked at all, by anybody."""
    return provider is Provider.SCRIPTED


def chat_model(profile: ModelProfile) -> ChatModel:
    """The model of a profile. Raises ProviderNotAvailable."""
    if not can_ask(Provider(profile.provider)):
        raise ProviderNotAvailable(
            f"{profile.name}: models of {profile.provider} can't be asked yet"
        )
    path = profile.params.get("completions")
    if set(profile.params) != {"completions"} or not isinstance(path, str):
        raise ProviderNotAvailable(
            f'{profile.name}: a SCRIPTED model takes params {{"completions": path}}, nothing else'
        )
    try:
        return ScriptedChat.from_file(Path(path), name=profile.name)
    except ScriptError as error:
        raise ProviderNotAvailable(f"{profile.name}: {error}") from None


def trader_for(
    profile: ModelProfile, template: PromptTemplate | None, owner_words: str
) -> LLMTrader:
    """The trader that asks this profile's model with this template (None: the built-in one).

    Using a template fixes it: from here on it can't be edited. Raises ProviderNotAvailable, TemplateError.
    """
    return LLMTrader(
        chat=chat_model(profile),
        template=STANDARD if template is None else _used(template),
        owner_words=owner_words,
        deadline=timedelta(seconds=profile.deadline_seconds),
        token_budget=profile.token_budget,
    )


def _used(template: PromptTemplate) -> DomainTemplate:
    if template.used_at is None:
        unused = PromptTemplate.objects.filter(pk=template.pk, used_at__isnull=True)
        unused.update(used_at=timezone.now())
        template.refresh_from_db()  # what it says now, it says for ever
    return template.to_domain()


# --- Calls -----------------------------------------------------------------------------------------


def record_calls(
    cost_center: str, decision: Decision, profile: ModelProfile | None, at: datetime
) -> list[LLMCall]:
    """Store one row per request that the decision made, answered or not, in one insert.

    A prompt that was never sent (over the budget) and a baseline's decision make none.
    """
    return LLMCall.objects.bulk_create(
        LLMCall(
            at=at,
            cost_center=cost_center,
            profile=profile,
            trader=decision.trader,
            template_name=prompt.template_name,
            template_version=prompt.template_version,
            template_hash=prompt.template_hash,
            outcome=outcome,
            error="" if outcome is DecisionOutcome.DECIDED else error,
            **_used_up(completion),
        )
        for prompt, completion, outcome, error in _calls(decision)
    )


def _calls(
    decision: Decision,
) -> Iterator[tuple[Prompt, Completion | None, DecisionOutcome, str]]:
    """(prompt, answer or None, outcome, error) of each request: what a second try had to repair was
    unreadable, the last request came to what the decision says."""
    if not decision.completions and decision.outcome is DecisionOutcome.OVER_BUDGET:
        return
    last = len(decision.prompts) - 1
    for number, prompt in enumerate(decision.prompts):
        answered = number < len(decision.completions)
        completion = decision.completions[number] if answered else None
        if number < last:
            yield prompt, completion, DecisionOutcome.UNREADABLE, "asked once more"
        else:
            yield prompt, completion, decision.outcome, decision.reason


def _used_up(completion: Completion | None) -> dict[str, Any]:
    """The columns of what a request used; the cost of one without an answer is unknown."""
    if completion is None:
        return {"cost": None, "latency_ms": None}
    return {
        "model": completion.model,
        "input_tokens": completion.usage.input_tokens,
        "output_tokens": completion.usage.output_tokens,
        "cached_tokens": completion.usage.cached_tokens,
        "cost": completion.cost,
        "latency_ms": completion.latency_ms,
    }
