"""The forms of models: a new one, a changed one, a key that is replaced, what all bots together may spend.

They read what was typed; services say what makes sense, and their sentence stands beside the field that it is
about. The trap avoided: a key that is put back into the page with what else was typed.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import F

from llm.hosts import HOSTS, Provider
from llm.models import ModelProfile, ProviderKey
from llm.services import EFFORTS, MOST_OUTPUT
from market.domain.numbers import to_decimal
from tradingagent.accounts.access import visible
from tradingagent.accounts.models import User
from tradingagent.accounts.outbound import is_private
from tradingagent.accounts.secrets import Secret

LONGEST_KEY: Final = 1000
PARAMETERS: Final = ("effort", "max_output_tokens", "temperature")
MORE: Final = ("token_budget", "requests_per_minute", "tokens_per_minute", *PARAMETERS)
"""The fields that stand folded: most models need none of them."""
_COLUMNS: Final = (
    "model", "base_url", "deadline_seconds", "fallback", "token_budget", "requests_per_minute", "tokens_per_minute",
)  # fmt: skip
OUR_NETWORK: Final = "Only the operator's models may stand on this machine or its network."


def key_field(**options: Any) -> forms.CharField:
    """A field into which a key goes, and out of which none comes."""
    widget = forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"})
    return forms.CharField(max_length=LONGEST_KEY, widget=widget, **options)


def provider_label(provider: Provider, *, mine: bool = True) -> str:
    """A provider as people know it."""
    host = HOSTS[provider]
    return f"{host.label}, on a server of your own" if mine and host.is_own_machine else host.label


class FallbackField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """Another model, by its name."""

    def label_from_instance(self, obj: Any) -> str:
        return f"{obj.name} (shared)" if obj.owner_id is None else str(obj.name)


class _ModelFields(forms.Form):
    """What a new model and a changed one have in common."""

    name = forms.CharField(max_length=80, help_text="What you call it.")
    model = forms.CharField(
        max_length=120,
        help_text="The host's own name of it.",
        widget=forms.TextInput(
            attrs={"list": "model-names", "autocomplete": "off", "spellcheck": "false"}
        ),
    )
    base_url = forms.CharField(
        label="Address",
        max_length=200,
        required=False,
        help_text="Empty: the host's own. A host that is not listed needs one, such as https://llm.example.org/v1.",
        widget=forms.TextInput(attrs={"inputmode": "url", "spellcheck": "false"}),
    )
    deadline_seconds = forms.IntegerField(
        label="Deadline",
        min_value=1,
        max_value=600,
        initial=60,
        help_text="Of a decision, a second try included. Later is a hold.",
    )
    fallback = FallbackField(
        label="If it does not answer",
        queryset=ModelProfile.objects.none(),
        required=False,
        empty_label="hold, nobody else is asked",
        help_text="Asked within the same deadline.",
    )
    token_budget = forms.IntegerField(
        label="Longest prompt",
        min_value=1,
        max_value=10_000_000,
        required=False,
        help_text="In tokens; what is over is trimmed in a stated order.",
    )
    requests_per_minute = forms.IntegerField(
        label="Requests a minute",
        min_value=1,
        max_value=1_000_000,
        required=False,
        help_text="Of the key, over all models that use it.",
    )
    tokens_per_minute = forms.IntegerField(
        label="Tokens a minute",
        min_value=1,
        max_value=1_000_000_000,
        required=False,
        help_text="Of the key, answers included.",
    )
    effort = forms.ChoiceField(
        label="Effort",
        required=False,
        choices=[("", "the model's own"), *((one, one) for one in EFFORTS)],
        help_text="How hard it thinks, where the host lets one say so.",
    )
    max_output_tokens = forms.IntegerField(
        label="Longest answer",
        min_value=1,
        max_value=MOST_OUTPUT,
        required=False,
        help_text="In tokens, thinking included. Empty: 8,000.",
    )
    temperature = forms.DecimalField(
        min_value=0,
        max_value=2,
        max_digits=4,
        required=False,
        help_text="0 to 2. Empty: the model's own.",
    )

    def __init__(self, user: User, row: ModelProfile | None, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.user, self.row = user, row
        fields: Any = self.fields
        others = visible(ModelProfile, user).filter(fallback=None)
        others = others.exclude(provider=Provider.SCRIPTED)
        if row is not None:
            others = others.exclude(pk=row.pk)
        fields["fallback"].queryset = others.order_by(F("owner").asc(nulls_last=True), "name")

    @property
    def has_more(self) -> bool:
        """Whether the folded fields hold something, or something that is wrong."""
        return any(self[name].errors or self[name].value() for name in MORE)

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"]).strip()
        same = ModelProfile.objects.filter(owner=self.user, name=name)
        if self.row is not None:
            same = same.exclude(pk=self.row.pk)
        if same.exists():
            raise forms.ValidationError("You have a model of this name already.")
        return name

    def clean_base_url(self) -> str:
        address = str(self.cleaned_data["base_url"]).strip()
        if address and not self.user.is_staff and _is_ours(address):
            raise forms.ValidationError(OUR_NETWORK)
        return address

    def clean_key(self) -> Secret | None:
        text = str(self.cleaned_data.pop("key", "")).strip()
        return Secret(text) if text else None

    def chosen_provider(self) -> Provider | None:
        """The chosen provider, while none is sound None."""
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        provider = self.chosen_provider()
        own = provider is not None and HOSTS[provider].is_own_machine
        if own and not self.user.is_staff and not data.get("base_url", "-"):
            self.add_error("base_url", f"Give its public address. {OUR_NETWORK}")
        return data

    def columns(self) -> dict[str, Any]:
        """The columns of the row. After `is_valid`."""
        return {name: self.cleaned_data[name] for name in _COLUMNS} | {"params": self._params()}

    def _params(self) -> dict[str, Any]:
        """What the row holds of other parameters is kept."""
        kept = {} if self.row is None else dict(self.row.params)
        for name in PARAMETERS:
            value = self.cleaned_data[name]
            kept.pop(name, None)
            if value not in ("", None):
                kept[name] = float(value) if isinstance(value, Decimal) else value
        return kept

    def refuse(self, refusal: ValidationError) -> None:
        """Put the sentences of a service beside the fields that they are about."""
        told: Mapping[str, list[str]] = (
            refusal.message_dict
            if hasattr(refusal, "error_dict")
            else {"__all__": refusal.messages}
        )
        for about, sentences in told.items():
            for sentence in sentences:
                self.add_error(self._field_of(about, sentence), sentence)

    def _field_of(self, about: str, sentence: str) -> str | None:
        if about == "params":
            return next((name for name in PARAMETERS if name in sentence.lower()), None)
        named = {"provider_key": "key"}.get(about, about)
        return named if named in self.fields else None


class NewModelForm(_ModelFields):
    """A new model of `user`, with a key of its own, a stored one, or none."""

    provider = forms.ChoiceField(label="Host")
    key = key_field(
        required=False,
        help_text="Stored encrypted and never shown again. A server of your own may need none.",
    )
    stored_key = forms.ModelChoiceField(
        label="Or a stored key",
        queryset=ProviderKey.objects.none(),
        required=False,
        empty_label="none of them",
    )

    def __init__(self, user: User, *args: Any, **options: Any) -> None:
        super().__init__(user, None, *args, **options)
        fields: Any = self.fields
        fields["provider"].choices = [(str(one), provider_label(one)) for one in HOSTS]
        keys = visible(ProviderKey, user).order_by("name")
        fields["stored_key"].queryset = keys
        if not keys:
            del self.fields["stored_key"]

    def chosen_provider(self) -> Provider | None:
        chosen = self.cleaned_data.get("provider") if self.is_bound else None
        return Provider(chosen) if chosen else None

    @property
    def shown_provider(self) -> Provider:
        """The provider that stands in the form, sound or not."""
        chosen = self["provider"].value()
        return Provider(chosen) if chosen in HOSTS else next(iter(HOSTS))

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        provider, stored = self.chosen_provider(), data.get("stored_key")
        if data.get("key") is not None and stored is not None:
            self.add_error("key", "Type a key or choose a stored one, not both.")
        elif provider is None or self.errors:
            return data
        elif HOSTS[provider].key_variable and data.get("key") is None and stored is None:
            self.add_error("key", f"{HOSTS[provider].label} wants a key.")
        return data

    def columns(self) -> dict[str, Any]:
        return super().columns() | {"provider_key": self.cleaned_data.get("stored_key")}


class ChangeModelForm(_ModelFields):
    """A model of `user` that is there. Its host stays: a key is for one host."""

    key = key_field(label="New key", required=False, help_text="Empty keeps the one that is set.")

    def __init__(self, user: User, row: ModelProfile, *args: Any, **options: Any) -> None:
        initial = {name: getattr(row, name) for name in ("name", *_COLUMNS)}
        initial |= {name: row.params.get(name) for name in PARAMETERS}
        super().__init__(user, row, *args, initial=initial, **options)
        self.changing = row

    def chosen_provider(self) -> Provider | None:
        return Provider(self.changing.provider)

    def changed_row(self) -> ModelProfile:
        """The row as it is to be. After `is_valid`."""
        self.changing.name = self.cleaned_data["name"]
        for name, value in self.columns().items():
            setattr(self.changing, name, value)
        return self.changing


class KeyForm(forms.Form):
    """Another key in the place of a stored one."""

    key = key_field(label="New key", help_text="Stored encrypted and never shown again.")

    def clean_key(self) -> Secret:
        text = str(self.cleaned_data.pop("key")).strip()
        if not text:
            raise forms.ValidationError("This field is required.")
        return Secret(text)


class BudgetForm(forms.Form):
    """What all bots of a user together may spend on models in a day."""

    money_per_day = forms.CharField(
        label="Money a day", required=False, max_length=24, help_text="Empty: no limit."
    )
    calls_per_day = forms.IntegerField(
        label="Calls a day",
        required=False,
        min_value=0,
        max_value=2_000_000_000,
        help_text="Empty: no limit.",
    )

    def clean_money_per_day(self) -> Decimal | None:
        text = self.cleaned_data["money_per_day"].replace(",", "").strip()
        if not text:
            return None
        try:
            money = to_decimal(text)
        except ValueError:
            raise forms.ValidationError("An amount in US dollars, such as 5.") from None
        if not 0 <= money <= 1_000_000 or -int(money.normalize().as_tuple().exponent) > 6:
            raise forms.ValidationError("0 to 1,000,000, with at most six digits behind the point.")
        return money


def _is_ours(address: str) -> bool:
    """Whether an address names this machine or a private network in so many words; a name that leads there is
    refused when it is asked."""
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return is_private(host)
    except ValueError:
        return False
