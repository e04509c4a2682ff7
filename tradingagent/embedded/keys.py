"""Keys of model providers in the environment, and the traders that they make.

A key is named here, never read: a shared profile names its variable, and whoever asks the model reads it.
"""

import os
from dataclasses import dataclass
from typing import Final

from llm.hosts import Provider
from llm.models import ModelProfile
from llm.services import create_model_profile
from tradingagent.accounts.models import User


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKey:
    """A variable that may hold a key, and the model that is asked with it until somebody chooses another."""

    variable: str
    name: str
    provider: Provider
    model: str
    base_url: str = ""


KEYS: Final = (
    KnownKey(
        variable="ANTHROPIC_API_KEY",
        name="Claude",
        provider=Provider.ANTHROPIC,
        model="claude-sonnet-5-5",
    ),
    KnownKey(variable="OPENAI_API_KEY", name="GPT", provider=Provider.OPENAI, model="gpt-6.1-sol"),
    KnownKey(
        variable="DEEPSEEK_API_KEY",
        name="DeepSeek",
        provider=Provider.DEEPSEEK,
        model="deepseek-flash",
    ),
)


def model_profiles(by: User) -> list[ModelProfile]:
    """The shared profile of each key that is set, made where it is missing."""
    return [_profile(key, by) for key in KEYS if os.environ.get(key.variable, "").strip()]


def _profile(key: KnownKey, by: User) -> ModelProfile:
    """The profile that asks with this key; one that was changed since stays as it is."""
    known = ModelProfile.objects.filter(owner=None, key_env=key.variable).order_by("pk").first()
    return known or create_model_profile(
        owner=None,
        name=key.name,
        provider=key.provider,
        by=by,
        model=key.model,
        base_url=key.base_url,
        key_env=key.variable,
    )
