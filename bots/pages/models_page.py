"""The pages of models: what each is, what it was asked today, what all bots together may spend.

The trap avoided: calls of other users at a shared model. Only cost centers of this user are counted. Nothing here
opens a key, so none can be shown.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit

from django.db.models import F
from django.urls import reverse

from bots import models, runtime
from bots.forms_models import BudgetForm, provider_label
from bots.pages.questions import Button, Question
from bots.queries import midnight
from bots.services import cost_center_of, day_of
from bots.templatetags.figures import cost
from llm.domain import Completion, DecisionOutcome
from llm.hosts import HOSTS, Provider, find_host
from llm.models import ModelPrice, ModelProfile, ProviderKey
from llm.price_rows import prices_at
from llm.queries import BudgetState, ModelUse, budget_state, use_since, with_last_call
from market.domain.numbers import plain
from tradingagent.accounts.access import visible
from tradingagent.accounts.models import User

OUTCOMES: Final[Mapping[str, tuple[str, str, str]]] = {
    DecisionOutcome.DECIDED: ("approved", "check", "answered"),
    DecisionOutcome.UNREADABLE: ("clamped", "warn", "unreadable"),
    DecisionOutcome.REFUSED: ("denied", "ban", "refused"),
    DecisionOutcome.TIMED_OUT: ("denied", "clock", "too late"),
    DecisionOutcome.UNAVAILABLE: ("denied", "warn", "unavailable"),
    DecisionOutcome.OVER_BUDGET: ("clamped", "cut", "over budget"),
}
"""What a call came to: how it is drawn, and the word for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLine:
    """A model in the list. `used_by`: names of the user's bots and models that would miss it."""

    row: ModelProfile
    host: str
    key: str
    price: ModelPrice | None
    use: ModelUse
    last: tuple[str, str, str] | None
    last_at: datetime | None
    used_by: tuple[str, ...]
    can_be_asked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLine:
    """A stored key, and the models that use it."""

    row: ProviderKey
    host: str
    used_by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What is used of what all bots together may spend in a day; shares are None without a limit."""

    state: BudgetState
    money_share: Decimal | None
    calls_share: Decimal | None


def models_context(user: User, form: BudgetForm | None = None) -> dict[str, Any]:
    """Everything on the page of models. Eight queries, however many models, keys and bots there are."""
    bots = list(models.Bot.objects.filter(owner=user).values_list("pk", "name", "model_profile_id"))
    centers = [cost_center_of(user), *(runtime.cost_center(pk) for pk, _, _ in bots)]
    now = runtime.clock().now()
    rows = visible(ModelProfile, user).select_related("provider_key", "fallback")
    rows = rows.order_by(F("owner").asc(nulls_last=True), "name")
    profiles = list(with_last_call(rows, centers))
    uses = use_since(centers, midnight(user.time_zone, now))
    asked = {(Provider(row.provider), row.model) for row in profiles}
    prices = prices_at(asked, now)
    used_by = _used_by(profiles, [(name, pk) for _, name, pk in bots])
    lines = [
        ModelLine(
            row=row,
            host=_at(row),
            key=_key_words(row),
            price=prices[Provider(row.provider), row.model],
            use=uses.get(row.pk, ModelUse()),
            last=OUTCOMES.get(getattr(row, "last_outcome", None) or ""),
            last_at=getattr(row, "last_at", None),
            used_by=tuple(used_by[row.pk]),
            can_be_asked=row.provider in HOSTS,
        )
        for row in profiles
    ]
    budget = _budget(budget_state(cost_center_of(user), day_of(user)))
    return {
        "own": [line for line in lines if line.row.owner_id is not None],
        "shared": [line for line in lines if line.row.owner_id is None],
        "keys": _keys(user, profiles),
        "budget": budget,
        "budget_form": form or BudgetForm(initial=_limits(budget.state)),
    }


def users_of(row: ModelProfile) -> tuple[str, ...]:
    """Names of the bots and models that use a model of a user. Two queries."""
    bots = models.Bot.objects.filter(model_profile=row).values_list("name", flat=True)
    others = ModelProfile.objects.filter(fallback=row).values_list("name", flat=True)
    return (*sorted(bots), *sorted(others))


def ask_delete_model(row: ModelProfile) -> Question:
    """Delete this model?"""
    facts = ["It can't be asked any more. What it was asked and cost stays on record."]
    if row.provider_key is not None:
        others = row.provider_key.profiles.exclude(pk=row.pk).exists()
        facts.append(
            f"Its key “{row.provider_key.name}” stays: another model uses it."
            if others
            else f"Its stored key “{row.provider_key.name}” is deleted with it."
        )
    return Question(
        title=f"Delete {row.name}?",
        facts=tuple(facts),
        action=reverse("delete_model", args=[row.pk]),
        buttons=(Button(text="Delete it", kind="danger sure"),),
        stay="Keep it",
        stay_href=reverse("change_model", args=[row.pk]),
    )


def ask_delete_key(row: ProviderKey) -> Question:
    """Delete this key?"""
    return Question(
        title=f"Delete the key {row.name}?",
        facts=(
            "It is deleted here; at the host it stays valid until you withdraw it there.",
            "No model uses it.",
        ),
        action=reverse("delete_key", args=[row.pk]),
        buttons=(Button(text="Delete it", kind="danger sure"),),
        stay="Keep it",
        stay_href=reverse("models"),
    )


def answer_in_words(name: str, answer: Completion) -> str:
    """What a model's answer to a test took: sonnet answered in 1.2 s, 120 tokens, 0.0003 USD."""
    tokens = answer.usage.input_tokens + answer.usage.output_tokens
    price = "its cost is unknown" if answer.cost is None else f"{cost(answer.cost)} USD"
    return f"{name} answered in {answer.latency_ms / 1000:.1f} s, {tokens:,} tokens, {price}."


def _used_by(
    profiles: Sequence[ModelProfile], bots: Sequence[tuple[str, int | None]]
) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for name, profile_id in sorted(bots, key=lambda one: one[0]):
        if profile_id is not None:
            found[profile_id].append(name)
    for row in profiles:
        if row.fallback_id is not None:
            found[row.fallback_id].append(row.name)
    return found


def host_words(provider: str) -> str:
    """A provider as a page names it."""
    if find_host(provider) is None:
        return "A file of completions"
    other = provider == Provider.OPENAI_COMPATIBLE
    return "Another host" if other else provider_label(Provider(provider), mine=False)


def _at(row: ModelProfile) -> str:
    """Who is asked: the host, or for one that is not listed its address; where the operator's stand is theirs."""
    if row.provider != Provider.OPENAI_COMPATIBLE:
        return host_words(row.provider)
    return "Another host" if row.owner_id is None else urlsplit(row.base_url).netloc


def _key_words(row: ModelProfile) -> str:
    """Where the key comes from; of the key itself nothing is known here."""
    known = find_host(row.provider)
    if row.provider_key is not None:
        return "stored"
    if row.owner_id is None and (row.key_env or (known is not None and known.key_variable)):
        return "variable"
    return "missing" if known is not None and known.key_variable else "none needed"


def _keys(user: User, profiles: Sequence[ModelProfile]) -> list[KeyLine]:
    users: dict[int, list[str]] = defaultdict(list)
    for row in profiles:
        if row.provider_key_id is not None:
            users[row.provider_key_id].append(row.name)
    return [
        KeyLine(row=row, host=host_words(row.provider), used_by=tuple(users[row.pk]))
        for row in visible(ProviderKey, user).defer("key").order_by("name")
    ]


def _budget(state: BudgetState) -> Budget:
    return Budget(
        state=state,
        money_share=_share(state.money, state.money_per_day),
        calls_share=_share(
            Decimal(state.calls),
            None if state.calls_per_day is None else Decimal(state.calls_per_day),
        ),
    )


def _share(used: Decimal, of: Decimal | None) -> Decimal | None:
    if of is None:
        return None
    return used / of if of else Decimal(1)


def _limits(state: BudgetState) -> dict[str, Any]:
    money = state.money_per_day
    return {
        "money_per_day": "" if money is None else plain(money),
        "calls_per_day": state.calls_per_day,
    }
