"""What the commands of the mind share: how a person names a profile, and how a refusal is said."""

import json
from argparse import ArgumentTypeError
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db.models import Q

from llm.hosts import HOSTS, Provider
from llm.models import ModelProfile
from tradingagent.accounts.models import User


def provider_named(text: str) -> Provider:
    """A provider as people write it: `openai-compatible`, `DeepSeek`."""
    wanted = text.strip().upper().replace("-", "_").replace(".", "")
    for provider in HOSTS:
        if provider == wanted:
            return provider
    raise ArgumentTypeError(
        f"{text!r} is none of {', '.join(provider.lower() for provider in HOSTS)}"
    )


def value_of(text: str) -> tuple[str, Any]:
    """`name=value`; a value that is JSON is read as such (`temperature=0.2`), any other is a text."""
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return name.strip(), json.loads(value)
    except ValueError:
        return name.strip(), value


def user_of(email: str | None) -> User | None:
    """The user of this e-mail; None for none. Raises CommandError."""
    if email is None:
        return None
    try:
        return User.objects.get_by_natural_key(email)
    except User.DoesNotExist:
        raise CommandError(f"there is no user {email!r}") from None


def profile_named(name: str, owner: User | None = None) -> ModelProfile:
    """The profile of this name: the owner's own before the shared one; without an owner the only one of this
    name, the shared one first. Raises CommandError."""
    rows = ModelProfile.objects.filter(name=name).select_related(
        "owner", "provider_key", "fallback__owner", "fallback__provider_key"
    )
    if owner is not None:
        rows = rows.filter(Q(owner=owner) | Q(owner=None))
    found = sorted(rows, key=lambda row: (row.owner_id is None) is (owner is not None))
    if not found:
        raise CommandError(f"there is no model profile {name!r}")
    if owner is None and found[0].owner_id is not None and len(found) > 1:
        raise CommandError(f"{name!r} is the name of several users' profiles: say --owner EMAIL")
    return found[0]


def said(error: ValidationError) -> str:
    """What was wrong, on one line."""
    return " ".join(
        message if message.endswith(".") else f"{message}." for message in error.messages
    )
