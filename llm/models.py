"""Rows of the mind: keys, models with their settings, prompt templates, calls and what they cost.

A template that was used is never edited: a stored prompt names exactly what it was made from. The trap:
a key of the operator's environment sent to an address that a user typed, so only shared profiles may
name a variable.
"""

from dataclasses import asdict
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import models, transaction
from django.db.models import F, Q

from llm.domain import DecisionOutcome
from llm.hosts import Provider, find_host
from llm.prices import Price
from llm.prompts import PromptSettings, TemplateError
from llm.prompts import PromptTemplate as DomainTemplate
from market.domain.canonical import canonical_value
from market.fields import AmountField, EnumField
from tradingagent.accounts.access import register
from tradingagent.accounts.secrets import EncryptedTextField


class TemplateInUse(Exception):
    """A template that a decision was made with can't be changed or deleted: add a version."""


def _one_of(column: str, enum: type[StrEnum]) -> Q:
    """What a column of an enum must satisfy; plain texts, so that a migration names no code."""
    return Q(**{f"{column}__in": [member.value for member in enum]})


class ProviderKey(models.Model):
    """A user's key at a model provider. The key itself never leaves the row but to the provider."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="provider_keys"
    )
    provider = EnumField(Provider)
    name = models.CharField(max_length=80)
    key = EncryptedTextField(editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="provider_key_name_once"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.provider})"


class ModelProfile(models.Model):
    """A model and how to ask it. Without an owner it is the operator's, for everybody to use.

    `deadline_seconds` covers a decision's both tries; `token_budget` is the largest prompt in estimated
    tokens (empty: no limit). The key comes from `provider_key`, or for shared profiles from the
    environment variable named by `key_env`. The rates are those of the key, counted over all profiles that
    use it. `fallback` is asked when this one gives no answer, within the same deadline.
    """

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="model_profiles",
        help_text="Empty: shared, for everybody.",
    )
    name = models.CharField(max_length=80)
    provider = EnumField(Provider)
    model = models.CharField(max_length=120, blank=True, help_text="The provider's name of it.")
    base_url = models.CharField(
        max_length=200,
        blank=True,
        validators=[URLValidator(schemes=["http", "https"])],
        help_text="Empty: the provider's own address.",
    )
    provider_key = models.ForeignKey(
        ProviderKey, null=True, blank=True, on_delete=models.PROTECT, related_name="profiles"
    )
    key_env = models.CharField(
        max_length=80, blank=True, help_text="Variable that holds the key; shared profiles only."
    )
    params = models.JSONField(
        default=dict,
        blank=True,
        help_text='Provider\'s parameters; SCRIPTED: {"completions": path}.',
    )
    deadline_seconds = models.PositiveSmallIntegerField(default=60, help_text="1 to 600.")
    token_budget = models.PositiveIntegerField(null=True, blank=True)
    requests_per_minute = models.PositiveIntegerField(
        null=True, blank=True, help_text="Of the key; empty: no limit."
    )
    tokens_per_minute = models.PositiveIntegerField(
        null=True, blank=True, help_text="Of the key, answers included; empty: no limit."
    )
    fallback = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="stands_in_for",
        help_text="Asked when this one gives no answer.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="model_profile_name_once"),
            models.UniqueConstraint(
                fields=["name"], condition=Q(owner__isnull=True), name="model_profile_shared_once"
            ),
            models.CheckConstraint(
                condition=Q(deadline_seconds__gte=1, deadline_seconds__lte=600),
                name="model_profile_deadline_range",
            ),
            models.CheckConstraint(
                condition=Q(token_budget__gte=1), name="model_profile_budget_range"
            ),
            models.CheckConstraint(
                condition=Q(requests_per_minute__gte=1) & Q(tokens_per_minute__gte=1),
                name="model_profile_rates_range",
            ),
            models.CheckConstraint(
                condition=Q(key_env="") | Q(owner__isnull=True, provider_key__isnull=True),
                name="model_profile_variable_if_shared",
                violation_error_message="Only a shared profile without a stored key may name a "
                "variable of the environment.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if not isinstance(self.params, dict):
            raise ValidationError({"params": "An object of names and values."})
        key = self.provider_key
        if key is not None and key.provider != self.provider:
            raise ValidationError({"provider_key": "This key is for another provider."})
        if key is not None and key.owner_id != self.owner_id:
            raise ValidationError({"provider_key": "This key belongs to somebody else."})
        self._check_address()
        self._check_fallback()

    def _check_address(self) -> None:
        host = find_host(self.provider)
        if host is None:
            return
        if not self.model:
            raise ValidationError({"model": f"Name the model of {host.label}."})
        if not (self.base_url or host.base_url):
            raise ValidationError({"base_url": "Give the host's address."})

    def _check_fallback(self) -> None:
        other = self.fallback
        if other is None:
            return
        if other.pk == self.pk or other.fallback_id is not None:
            raise ValidationError({"fallback": "A fallback has none of its own, and is another."})
        if other.owner_id not in (None, self.owner_id):
            raise ValidationError({"fallback": "This profile belongs to somebody else."})


class PromptTemplateQuerySet(models.QuerySet["PromptTemplate"]):
    """Refuses to change or delete what was used."""

    def update(self, **changes: Any) -> int:
        if CONTENT & changes.keys():
            self._refuse_used()
        return super().update(**changes)

    def delete(self) -> tuple[int, dict[str, int]]:
        self._refuse_used()
        return super().delete()

    def _refuse_used(self) -> None:
        used = self.filter(used_at__isnull=False).first()
        if used is not None:
            raise TemplateInUse(f"{used} was used: add a version instead of changing it")


class PromptTemplate(models.Model):
    """One version of a prompt's two texts and its settings. Without an owner it is for everybody.

    Saving changed content of a used one raises TemplateInUse; content that no prompt can be rendered
    from raises ValidationError in `clean` and TemplateError in `save`.
    """

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="prompt_templates",
        help_text="Empty: shared, for everybody.",
    )
    name = models.CharField(max_length=80)
    version = models.PositiveIntegerField(default=1)
    system = models.TextField()
    user = models.TextField()
    settings = models.JSONField(default=dict, blank=True, help_text="Empty: the usual settings.")
    content_hash = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = PromptTemplateQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "name", "version"], name="prompt_template_version_once"
            ),
            models.UniqueConstraint(
                fields=["name", "version"],
                condition=Q(owner__isnull=True),
                name="prompt_template_shared_once",
            ),
            models.CheckConstraint(
                condition=Q(version__gte=1), name="prompt_template_version_range"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"

    def save(self, *args: Any, **options: Any) -> None:
        self.content_hash = self.to_domain().hash
        with transaction.atomic():
            self._refuse_change_of_used()
            super().save(*args, **options)

    def delete(self, *args: Any, **options: Any) -> tuple[int, dict[str, int]]:
        if type(self).objects.filter(pk=self.pk, used_at__isnull=False).exists():
            raise TemplateInUse(f"{self} was used: it can't be deleted")
        return super().delete(*args, **options)

    def to_domain(self) -> DomainTemplate:
        """The template as the renderer takes it. Raises TemplateError."""
        return DomainTemplate(
            name=self.name,
            version=self.version,
            system=self.system,
            user=self.user,
            settings=_prompt_settings(self.settings),
        )

    def clean(self) -> None:
        try:
            self.to_domain()
        except TemplateError as error:
            raise ValidationError(f"{error}.") from None

    def _refuse_change_of_used(self) -> None:
        stored = type(self).objects.select_for_update().filter(pk=self.pk).first()
        if stored is None or stored.used_at is None:
            return
        if any(getattr(stored, name) != getattr(self, name) for name in CONTENT - {"content_hash"}):
            raise TemplateInUse(f"{stored} was used: add a version instead of changing it")
        self.content_hash = stored.content_hash
        self.used_at = stored.used_at


CONTENT: Final = frozenset({"name", "version", "system", "user", "settings", "content_hash"})
"""What a template's hash covers."""


class LLMCall(models.Model):
    """One request to a model: what it used, cost and came to. Answers stand with the decision's record.

    `cost_center` is whatever the caller books under. `cost` is in US dollars, empty when unknown.
    """

    at = models.DateTimeField()
    cost_center = models.CharField(max_length=80)
    profile = models.ForeignKey(
        ModelProfile, null=True, blank=True, on_delete=models.SET_NULL, related_name="calls"
    )
    trader = models.CharField(max_length=160)
    model = models.CharField(max_length=160, blank=True)
    template_name = models.CharField(max_length=80)
    template_version = models.PositiveIntegerField()
    template_hash = models.CharField(max_length=64)
    outcome = EnumField(DecisionOutcome)
    input_tokens = models.PositiveIntegerField(default=0)
    output_tokens = models.PositiveIntegerField(default=0)
    cached_tokens = models.PositiveIntegerField(default=0)
    written_tokens = models.PositiveIntegerField(default=0)
    cost = AmountField(null=True, blank=True)
    latency_ms = models.PositiveIntegerField(null=True, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        verbose_name = "LLM call"
        indexes = [models.Index(fields=["cost_center", "at"], name="llm_call_cost_center_at")]
        constraints = [
            models.CheckConstraint(condition=Q(cost__gte=0), name="llm_call_cost_range"),
            models.CheckConstraint(
                condition=_one_of("outcome", DecisionOutcome), name="llm_call_outcome"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.trader} {self.at:%Y-%m-%d %H:%M:%S} {self.outcome}"


class ModelPrice(models.Model):
    """What a provider charges from a day (UTC) on, in US dollars per million tokens.

    `model_pattern` may hold `*`; of several that fit, the one with the most other letters counts.
    """

    provider = EnumField(Provider)
    model_pattern = models.CharField(max_length=120)
    valid_from = models.DateField()
    input_price = AmountField()
    output_price = AmountField()
    cached_price = AmountField(help_text="Of input tokens that the provider had cached.")
    written_price = AmountField(
        null=True,
        blank=True,
        help_text="Of input tokens that it put into its cache; empty: as input.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "model_pattern", "valid_from"], name="model_price_once"
            ),
            models.CheckConstraint(
                condition=Q(input_price__gte=0)
                & Q(output_price__gte=0)
                & Q(cached_price__gte=0)
                & Q(cached_price__lte=F("input_price")),
                name="model_price_range",
            ),
            models.CheckConstraint(
                condition=Q(written_price__gte=0), name="model_price_written_range"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.model_pattern} from {self.valid_from}"

    def to_domain(self) -> Price:
        """The price as costs are made with it."""
        written = self.input_price if self.written_price is None else self.written_price
        return Price(
            input=self.input_price,
            output=self.output_price,
            cached=self.cached_price,
            written=written,
        )


class Budget(models.Model):
    """What a cost center may spend on models in a day; empty: no limit. `cost_center` is opaque here."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="model_budgets"
    )
    cost_center = models.CharField(max_length=80, unique=True)
    money_per_day = AmountField(null=True, blank=True, help_text="US dollars.")
    calls_per_day = models.PositiveIntegerField(null=True, blank=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(money_per_day__gte=0), name="budget_money_range")
        ]

    def __str__(self) -> str:
        return f"budget of {self.cost_center}"


class BudgetDay(models.Model):
    """What a cost center has spent and set aside in one day: `money` in millionths of a US dollar, because
    a database adds whole numbers exactly. Whoever asks a model reserves here first, in one statement."""

    cost_center = models.CharField(max_length=80)
    day = models.DateField()
    money = models.BigIntegerField(default=0)
    calls = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["cost_center", "day"], name="budget_day_once"),
            models.CheckConstraint(condition=Q(money__gte=0), name="budget_day_money_range"),
        ]

    def __str__(self) -> str:
        return f"{self.cost_center} {self.day}"


def settings_json(prompt_settings: PromptSettings) -> Any:
    """A template's settings as its row keeps them: JSON's own types, Decimals as text."""
    return canonical_value(asdict(prompt_settings))


def _prompt_settings(stored: Any) -> PromptSettings:
    if not isinstance(stored, dict):
        raise TemplateError("the settings of a template are an object of names and values")
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()
    }
    try:
        if "bytes_per_token" in values:
            values["bytes_per_token"] = Decimal(values["bytes_per_token"])
        return PromptSettings(**values)
    except (TypeError, ArithmeticError):
        raise TemplateError("the settings of a template name or hold something unknown") from None


register(ProviderKey, "owner")
register(ModelProfile, "owner", shared=True)
register(PromptTemplate, "owner", shared=True)
register(Budget, "owner")
