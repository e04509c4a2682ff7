"""Keys of model providers in the environment: which traders they make, and what is said where they make none.

A key is named here, never read: a shared profile names its variable, and whoever asks the model reads it. The
trap avoided: a trader that seems to ask a model and asks none.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from llm.models import ModelProfile, Provider
from llm.services import can_ask, create_model_profile
from tradingagent.accounts.models import User
from tradingagent.embedded.first_run import Say


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
        model="claude-sonnet-4-5",
    ),
    KnownKey(variable="OPENAI_API_KEY", name="GPT", provider=Provider.OPENAI, model="gpt-5.1"),
    KnownKey(
        variable="DEEPSEEK_API_KEY",
        name="DeepSeek",
        provider=Provider.OPENAI_COMPATIBLE,
        model="deepseek-chat",
        base_url="https://api.deepseek.com",
    ),
)


def model_profiles(by: User, say: Say) -> list[ModelProfile]:
    """The shared profile of each key that is set, made where it is missing. It is said of which keys no model
    can be asked."""
    there = [key for key in KEYS if os.environ.get(key.variable)]
    without = [key.variable for key in there if not can_ask(key.provider)]
    if without:
        say(
            f"{_listed(without)} {'is' if len(without) == 1 else 'are'} set, but this version can't ask "
            "models yet: no model trader was started."
        )
    return [_profile(key, by) for key in there if can_ask(key.provider)]


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


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
