"""From rows to models: a profile becomes something that can be asked, with its key, rates, budgets and prices.

The trap: a key of the operator's environment sent to an address that a user typed; the columns forbid it, and a
user's profile reaches public addresses alone.
"""

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from django.conf import settings
from django.utils import timezone

from llm.domain import Completion, Prompt
from llm.hosts import HOSTS, Provider
from llm.models import ModelProfile, PromptTemplate
from llm.ports import ChatModel
from llm.price_rows import price_at
from llm.prices import Price
from llm.prompts import STANDARD, question
from llm.prompts import PromptTemplate as DomainTemplate
from llm.providers.fallback import FallbackChat
from llm.providers.gate import IN_PROCESS, KeyGate
from llm.providers.one_request import Address, OneRequest
from llm.providers.parameters import ParameterError, read_parameters
from llm.providers.patient import PatientChat
from llm.providers.scripted import ScriptedChat, ScriptError
from llm.services.budgets import Allowance, DailyTill
from llm.traders.llm_trader import LLMTrader
from tradingagent.accounts.secrets import KeysUnusable, Secret

Allowances = Callable[[], Sequence[Allowance]]
Today = Callable[[], date]

TEST_DEADLINE: Final = timedelta(seconds=30)


class ProviderNotAvailable(Exception):
    """No model can be asked by this profile; one sentence says why."""


def chat_model(
    profile: ModelProfile, allowances: Allowances = tuple, today: Today | None = None
) -> ChatModel:
    """The model of a profile, paid from these allowances, and its fallback. Raises ProviderNotAvailable."""
    chat = _chat(profile, allowances, today or _utc_day)
    if profile.fallback is None:
        return chat
    return FallbackChat(first=chat, second=_chat(profile.fallback, allowances, today or _utc_day))


def trader_for(
    profile: ModelProfile,
    template: PromptTemplate | None,
    owner_words: str,
    allowances: Allowances = tuple,
    today: Today | None = None,
    deadline: timedelta | None = None,
) -> LLMTrader:
    """The trader that asks this profile's model with this template (None: the built-in one), within the profile's
    deadline or a shorter one.

    Using a template fixes it: from here on it can't be edited. Raises ProviderNotAvailable, TemplateError.
    """
    return LLMTrader(
        chat=chat_model(profile, allowances, today),
        template=STANDARD if template is None else _used(template),
        owner_words=owner_words,
        deadline=timedelta(seconds=profile.deadline_seconds) if deadline is None else deadline,
        token_budget=profile.token_budget,
    )


def made_of(profile: ModelProfile) -> list[object]:
    """All that a model is made of: a profile, key or fallback that was changed makes another."""
    found = [getattr(profile, field.attname) for field in profile._meta.concrete_fields]
    if profile.provider_key is not None:
        found.append(profile.provider_key.key.token())  # another one whenever it is stored
    return found if profile.fallback is None else [*found, *made_of(profile.fallback)]


def try_connection(
    profile: ModelProfile, allowances: Allowances = tuple, today: Today | None = None
) -> Completion:
    """Ask the model for one short answer, nothing of trading. Raises ProviderNotAvailable, and the errors of
    `llm.errors`, each with a sentence for people."""
    deadline = min(timedelta(seconds=profile.deadline_seconds), TEST_DEADLINE)
    return _chat(profile, allowances, today or _utc_day).complete(greeting(), deadline=deadline)


def greeting() -> Prompt:
    """What `try_connection` asks."""
    return question(
        system="You are asked whether you can be reached. Answer with a JSON object and nothing else.",
        user='Answer with {"summary": "ready", "decisions": []}.',
    )


def _chat(profile: ModelProfile, allowances: Allowances, today: Today) -> ChatModel:
    provider = Provider(profile.provider)
    if provider is Provider.SCRIPTED:
        return _scripted(profile)
    request = _request(profile, provider)
    key = request_key(profile, provider)

    def price() -> Price | None:
        found = price_at(provider, profile.model, timezone.now())
        return None if found is None else found.to_domain()

    return PatientChat(
        name=profile.name,
        request=request,
        gate=KeyGate(
            key=key,
            requests_per_minute=profile.requests_per_minute,
            tokens_per_minute=profile.tokens_per_minute,
            counters=settings.REDIS_URL or IN_PROCESS,
        ),
        till=DailyTill(allowances=allowances, day=today, price=price),
    )


def request_key(profile: ModelProfile, provider: Provider) -> str:
    """What a key is known by in counts and breakers: a digest of host and key, which says nothing of either."""
    key = _key(profile, provider)
    text = f"{provider}\0{_base_url(profile, provider)}\0{'' if key is None else key.reveal()}"
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _request(profile: ModelProfile, provider: Provider) -> OneRequest:
    host = HOSTS[provider]
    try:
        at = Address(
            host=host,
            base_url=_base_url(profile, provider),
            model=profile.model,
            key=_key(profile, provider),
            parameters=read_parameters(profile.params, host),
            may_reach_private=profile.owner is None or profile.owner.is_staff,
        )
    except ParameterError as error:
        raise ProviderNotAvailable(f"{profile.name}: {error}") from None
    if provider is Provider.ANTHROPIC:  # each SDK is a second to load and tens of megabytes
        from llm.providers.anthropic_chat import AnthropicChat

        return AnthropicChat(at=at)
    from llm.providers.openai_chat import OpenAIChat

    return OpenAIChat(at=at)


def _base_url(profile: ModelProfile, provider: Provider) -> str:
    found = profile.base_url or HOSTS[provider].base_url
    if not found:
        raise ProviderNotAvailable(f"{profile.name}: its host has no address")
    return found


def _key(profile: ModelProfile, provider: Provider) -> Secret | None:
    """The key of a profile: the stored one, or for a shared profile that of its variable. None where the host
    asks for none. Raises ProviderNotAvailable."""
    if profile.provider_key is not None:
        return _sendable(profile, profile.provider_key.key)
    variable = profile.key_env or (HOSTS[provider].key_variable if profile.owner is None else "")
    found = os.environ.get(variable, "").strip() if variable else ""
    if found:
        return _sendable(profile, Secret(found))
    if variable and (profile.key_env or HOSTS[provider].key_variable):
        raise ProviderNotAvailable(f"{profile.name}: {variable} is not set where this process runs")
    if HOSTS[provider].key_variable:
        raise ProviderNotAvailable(f"{profile.name}: a key of {HOSTS[provider].label} is missing")
    return None


def _sendable(profile: ModelProfile, key: Secret) -> Secret:
    """The key, if it opens and a header can hold it: what no header can hold, clients quote in their errors."""
    try:
        is_plain = re.fullmatch(r"[!-~]+", key.reveal()) is not None
    except KeysUnusable as error:
        raise ProviderNotAvailable(f"{profile.name}: {error}") from None
    if not is_plain:
        raise ProviderNotAvailable(f"{profile.name}: its key holds what no key does: enter it anew")
    return key


def _scripted(profile: ModelProfile) -> ScriptedChat:
    path = profile.params.get("completions")
    if set(profile.params) != {"completions"} or not isinstance(path, str):
        raise ProviderNotAvailable(
            f'{profile.name}: a SCRIPTED model takes params {{"completions": path}}, nothing else'
        )
    try:
        return ScriptedChat.from_file(Path(path), name=profile.name)
    except ScriptError as error:
        raise ProviderNotAvailable(f"{profile.name}: {error}") from None


def _used(template: PromptTemplate) -> DomainTemplate:
    if template.used_at is None:
        unused = PromptTemplate.objects.filter(pk=template.pk, used_at__isnull=True)
        unused.update(used_at=timezone.now())
        template.refresh_from_db()  # what it says now, it says for ever
    return template.to_domain()


def _utc_day() -> date:
    return datetime.now(UTC).date()
