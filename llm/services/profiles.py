"""Models and keys as their owner adds, changes and deletes them. Permissions are asked by the doors.

A key goes in by itself and comes out nowhere. The trap: a key that stays behind in the database when the last
model that used it is gone.
"""

from collections.abc import Iterable
from typing import Any, Final
from uuid import uuid4

from django.db import transaction
from django.db.models.deletion import ProtectedError

from llm.hosts import Provider
from llm.models import ModelProfile, PromptTemplate, ProviderKey
from llm.services.rows import (
    change_provider_key,
    create_model_profile,
    create_provider_key,
    save_model_profile,
    save_prompt_template,
)
from tradingagent.accounts.models import User
from tradingagent.accounts.secrets import Secret
from tradingagent.accounts.services import audit, facts

NAMED: Final = 3
"""Of what uses a row so many are named."""


class StillUsed(ValueError):
    """The row can't be deleted while something uses it; one sentence says what."""


def add_model_profile(
    *, owner: User, name: str, provider: Provider, key: Secret | None, by: User, **options: Any
) -> ModelProfile:
    """Store a model of a user and, with `key`, a key of its own. Raises ValidationError; then nothing is stored."""
    with transaction.atomic():
        if key is not None:
            options["provider_key"] = _key_for(owner, provider, name, key, by)
        return create_model_profile(owner=owner, name=name, provider=provider, by=by, **options)


def change_model_profile(row: ModelProfile, *, key: Secret | None, by: User) -> ModelProfile:
    """Store a changed model. `key` replaces the stored one, for all models that use it; None keeps it. Raises
    ValidationError; then nothing is stored."""
    with transaction.atomic():
        if key is not None and row.provider_key is not None:
            change_provider_key(row.provider_key, name=row.provider_key.name, key=key, by=by)
        elif key is not None and row.owner is not None:
            row.provider_key = _key_for(row.owner, Provider(row.provider), row.name, key, by)
        return save_model_profile(row, by=by)


def delete_model_profile(row: ModelProfile, *, by: User) -> None:
    """Delete a model that nothing uses, and its key unless another model uses that. What it was asked and cost
    stays on record. Raises StillUsed."""
    key = row.provider_key
    with transaction.atomic():
        _delete(row, "delete_model_profile", by)
        if key is not None and not key.profiles.exists():
            delete_provider_key(key, by=by)


def delete_provider_key(row: ProviderKey, *, by: User) -> None:
    """Delete a key that no model uses. Raises StillUsed."""
    _delete(row, "delete_provider_key", by)


def add_prompt_version(
    *, owner: User, name: str, system: str, user: str, settings: dict[str, Any], by: User
) -> PromptTemplate:
    """Store two texts and settings as the next version of this name: above every version that the owner can see,
    so that no two of them read alike. Raises ValidationError."""
    with transaction.atomic():
        known = PromptTemplate.objects.filter(name=name)
        seen = [*known.filter(owner=owner), *known.filter(owner=None)]
        version = max((one.version for one in seen), default=0) + 1
        row = PromptTemplate(
            owner=owner, name=name, version=version, system=system, user=user, settings=settings
        )
        return save_prompt_template(row, by=by)


def delete_prompt_template(row: PromptTemplate, *, by: User) -> None:
    """Delete a version that was never used. Raises StillUsed, TemplateInUse."""
    _delete(row, "delete_prompt_template", by)


def _delete(row: ModelProfile | ProviderKey | PromptTemplate, action: str, by: User) -> None:
    with transaction.atomic():
        audit(by, action, row, before=facts(row))
        try:
            row.delete()
        except ProtectedError as error:
            using = (str(one) for one in error.protected_objects)
            raise StillUsed(f"{row} is still used by {_named(using)}") from None


def _key_for(owner: User, provider: Provider, name: str, key: Secret, by: User) -> ProviderKey:
    """A stored key named after its model, or nearly so where that is taken."""
    if ProviderKey.objects.filter(owner=owner, name=name).exists():
        name = f"{name[:70]} {uuid4().hex[:4]}"
    return create_provider_key(owner=owner, provider=provider, name=name, key=key, by=by)


def _named(names: Iterable[str]) -> str:
    found = sorted(names)
    rest = len(found) - NAMED
    said = ", ".join(found[:NAMED])
    return f"{said} and {rest} more" if rest > 0 else said
