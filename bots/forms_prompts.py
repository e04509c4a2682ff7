"""The form of a prompt's version: both texts, and the settings as fields.

What makes sense the template itself says; its sentence stands beside the field that it is about where that can be
told, and above the form otherwise.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError

from bots import runtime
from llm.models import PromptTemplate, settings_json
from llm.prompts import PromptSettings, TemplateError
from llm.prompts.template import SECTIONS

LISTS: Final = ("indicators", "series", "context_indicators", "context_series")
SETTINGS: Final = ("series_length", *LISTS, "volume_average_bars", "bytes_per_token")
LONGEST: Final = 100_000
_AS_WRITTEN: Final = {"spellcheck": "false", "autocomplete": "off"}


def specs_field(label: str, help_text: str) -> forms.CharField:
    """Indicators with their parameters, commas between."""
    widget = forms.TextInput(attrs=_AS_WRITTEN)
    return forms.CharField(
        label=label, required=False, max_length=2000, widget=widget, help_text=help_text
    )


class PromptForm(forms.Form):
    """A version of a prompt."""

    name = forms.CharField(max_length=80, help_text="The same name again makes its next version.")
    system = forms.CharField(
        label="System text",
        max_length=LONGEST,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 18, **_AS_WRITTEN}),
        help_text="The same for every call, so that hosts can cache it. It holds no placeholder.",
    )
    user = forms.CharField(
        label="User text",
        max_length=LONGEST,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 18, **_AS_WRITTEN}),
        help_text=f"Filled in at each decision: {', '.join(f'{{{{{name}}}}}' for name in sorted(SECTIONS))}.",
    )
    series_length = forms.IntegerField(
        label="Values in a series", min_value=1, max_value=200, help_text="1 to 200."
    )
    volume_average_bars = forms.IntegerField(
        label="Volume average", min_value=1, max_value=10_000, help_text="In bars."
    )
    bytes_per_token = forms.DecimalField(
        label="Bytes in a token", max_digits=6, help_text="For the estimate of a prompt's length."
    )
    indicators = specs_field("Indicators", "As ema:20, macd, rsi:14 or ta:adx:14; commas between.")
    series = specs_field("Series", "Shown as their last values; mid is the close.")
    context_indicators = specs_field("Indicators of the longer candles", "The wider picture.")
    context_series = specs_field("Series of the longer candles", "Their last values.")

    def clean_user(self) -> str:
        return _newlines(self.cleaned_data["user"])

    def clean_system(self) -> str:
        return _newlines(self.cleaned_data["system"])

    def clean_name(self) -> str:
        return str(self.cleaned_data["name"]).strip()

    def clean_bytes_per_token(self) -> Decimal:
        value: Decimal = self.cleaned_data["bytes_per_token"]
        if value <= 0:
            raise forms.ValidationError("Above zero.")
        return value

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                self.settings()
            except TemplateError as error:
                self.refuse(error)
        return data

    def settings(self) -> PromptSettings:
        """The settings that were typed. Raises TemplateError."""
        data = self.cleaned_data
        lists: dict[str, tuple[str, ...]] = {name: _specs(data[name]) for name in LISTS}
        return PromptSettings(
            series_length=data["series_length"],
            volume_average_bars=data["volume_average_bars"],
            bytes_per_token=data["bytes_per_token"],
            **lists,
        )

    def content(self) -> dict[str, Any]:
        """Texts and settings as columns. After `is_valid`."""
        data = self.cleaned_data
        stored = settings_json(self.settings())
        return {"system": data["system"], "user": data["user"], "settings": stored}

    def refuse(self, refusal: Exception) -> None:
        """Put a sentence beside the field that it is about."""
        for text in refusal.messages if isinstance(refusal, ValidationError) else [str(refusal)]:
            end = "" if text.endswith(".") else "."
            self.add_error(self._field_of(text), f"{text[:1].upper()}{text[1:]}{end}")

    def _field_of(self, text: str) -> str | None:
        lower = text.lower()
        if "system text" in lower:
            return "system"
        if "user text" in lower or lower.startswith("no section"):
            return "user"
        quoted = text.partition("'")[2].partition("'")[0]
        for name in LISTS:
            if quoted and quoted in _specs(self.data.get(name, "")):
                return name
        return next((name for name in SETTINGS if lower.startswith(name)), None)


class PreviewForm(forms.Form):
    """On which market a preview looks, and how long a prompt may be."""

    venue = forms.ChoiceField(label="Market", required=False)
    symbols = forms.CharField(
        label="Instruments",
        required=False,
        max_length=400,
        help_text="Empty: three of the simulated market. As BTC/USDT:USDT, commas between.",
        widget=forms.TextInput(attrs=_AS_WRITTEN),
    )
    tokens = forms.IntegerField(
        label="Longest prompt",
        required=False,
        min_value=1,
        max_value=10_000_000,
        help_text="In tokens; empty: no limit.",
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        venue: Any = self.fields["venue"]
        venue.choices = [
            (name, "Simulated market" if name == "simulated" else f"{name}, its public prices")
            for name in sorted(runtime.venues(), key=lambda name: (name != "simulated", name))
        ]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if data.get("venue", "") not in ("", "simulated") and not _specs(data.get("symbols", "")):
            self.add_error("symbols", "Name at least one, such as BTC/USDT:USDT.")
        return data

    def symbols_named(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(_specs(self.cleaned_data.get("symbols", ""))))


def shown_settings(settings: PromptSettings) -> dict[str, str]:
    """Settings as a form or a page shows them: lists with commas between."""
    shown = {}
    for name in SETTINGS:
        value = getattr(settings, name)
        shown[name] = ", ".join(value) if isinstance(value, tuple) else str(value)
    return shown


def filled_with(template: PromptTemplate) -> dict[str, Any]:
    """What a form shows of a template that is there."""
    settings = template.to_domain().settings
    return {
        "name": template.name,
        "system": template.system,
        "user": template.user,
        **shown_settings(settings),
    }


def _specs(text: str) -> tuple[str, ...]:
    return tuple(_words(text.split(",")))


def _words(parts: Iterable[str]) -> Iterable[str]:
    return (part.strip() for part in parts if part.strip())


def _newlines(text: str) -> str:
    """A browser sends every line end as two letters; the texts keep one."""
    return text.replace("\r\n", "\n")
