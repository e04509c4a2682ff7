"""What is written of keys, models, templates and prices. Permissions are asked by the doors.

The trap: a user's profile that reads a file of the server or sends a key of the operator's; so only staff may
name a file of completions, and the columns forbid the rest.
"""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction

from llm.hosts import Provider, find_host
from llm.models import ModelPrice, ModelProfile, PromptTemplate, ProviderKey, settings_json
from llm.prompts import EMERGENCY, STANDARD
from llm.providers.parameters import ParameterError, read_parameters
from tradingagent.accounts.models import User
from tradingagent.accounts.secrets import Secret
from tradingagent.accounts.services import audit, facts


def create_provider_key(
    *, owner: User, provider: Provider, name: str, key: Secret, by: User | str
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
    *, owner: User | None, name: str, provider: Provider, by: User | str, **options: Any
) -> ModelProfile:
    """Store a model and how to ask it; `options` are further columns. `owner` None: shared.

    Raises ValidationError for what contradicts itself, belongs to another, or is staff's to set.
    """
    row = ModelProfile(owner=owner, name=name, provider=provider, **options)
    return save_model_profile(row, by=by)


def save_model_profile(row: ModelProfile, *, by: User | str) -> ModelProfile:
    """Check and store a new or changed profile. Raises ValidationError."""
    if row.provider == Provider.SCRIPTED and isinstance(by, User) and not by.is_staff:
        raise ValidationError({"provider": "Only staff may name a file of completions."})
    row.full_clean()
    host = find_host(row.provider)
    if host is not None:
        try:
            read_parameters(row.params, host)
        except ParameterError as error:
            raise ValidationError(
                {"params": f"{str(error)[:1].upper()}{str(error)[1:]}."}
            ) from None
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


def _save(row: ModelProfile | PromptTemplate | ModelPrice, action: str, by: User | str) -> None:
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


PRICE_LIST: Final = Path(__file__).parent.parent / "price_list.json"
_PRICES: Final = ("input_price", "output_price", "cached_price", "written_price")


def sync_price_list() -> int:
    """Add the listed prices that the table does not have; how many. What is there stays as somebody made it."""
    listed = json.loads(PRICE_LIST.read_text(encoding="utf-8"))
    there = set(ModelPrice.objects.values_list("provider", "model_pattern", "valid_from"))
    missing = [
        ModelPrice(
            provider=Provider(one["provider"]),
            model_pattern=one["model_pattern"],
            valid_from=date.fromisoformat(one["valid_from"]),
            **{name: None if one[name] is None else Decimal(one[name]) for name in _PRICES},
        )
        for one in listed
        if (one["provider"], one["model_pattern"], date.fromisoformat(one["valid_from"]))
        not in there
    ]
    ModelPrice.objects.bulk_create(missing, ignore_conflicts=True)
    return len(missing)
