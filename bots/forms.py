"""The form of a new bot: one class that checks a field when it changes and the whole when it is sent.

It turns what was typed into a wish; services say what makes sense, and their sentence stands beside the field
that it is about. The trap avoided: a choice that can't be had. Only models that can be asked now are listed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.db.models import F, QuerySet

from bots import runtime, services
from bots.domain.bot import BotMode
from llm.models import ModelProfile, PromptTemplate
from llm.prompts import EMERGENCY
from llm.services import ProviderNotAvailable, chat_model
from llm.traders.registry import trader_names, trader_parameters
from market.domain.enums import InstrumentStatus
from market.domain.numbers import to_decimal
from market.models import Instrument
from risk.models import RiskProfile
from tradingagent.accounts.access import visible
from tradingagent.accounts.models import User

SIMULATED: Final = "simulated"
RULE, MODEL = "rule", "model"
USUAL: Final = ("BTC/", "ETH/", "SOL/")
LISTED: Final = 500
"""Symbols of a venue that are offered for completion, at most."""
_MINUTE, _HOUR = 60, 3600
TIMEFRAMES: Final = (
    (_MINUTE, "1 minute"), (3 * _MINUTE, "3 minutes"), (5 * _MINUTE, "5 minutes"),
    (15 * _MINUTE, "15 minutes"), (_HOUR, "1 hour"), (4 * _HOUR, "4 hours"),
)  # fmt: skip
INTERVALS: Final = (
    (15, "15 seconds"), (30, "30 seconds"), *TIMEFRAMES[:4], (30 * _MINUTE, "30 minutes"), *TIMEFRAMES[4:],
)  # fmt: skip
RULES: Final[Mapping[str, tuple[str, str]]] = {
    "ema_trend": (
        "EMA trend",
        "Follows the cross of two moving averages, and leaves at the next one.",
    ),
    "rsi_mean_reversion": (
        "RSI mean reversion",
        "Buys weakness, sells strength, leaves in the middle.",
    ),
    "buy_and_hold": ("Buy and hold", "Buys each instrument once and keeps it."),
    "seeded_random": ("Random", "Enters and leaves by chance, the same chance for a seed."),
    "flat": ("Flat", "Never trades: what doing nothing is worth."),
}
"""Baselines as people know them: a name, and what they do."""
PARAMS: Final[Mapping[str, tuple[str, str]]] = {
    "fast": ("Fast average", "bars"), "slow": ("Slow average", "bars"),
    "period": ("RSI over", "bars"), "low": ("Buys below", "RSI"), "high": ("Sells above", "RSI"),
    "exit_level": ("Leaves at", "RSI"), "seed": ("Seed", ""), "rate": ("Acts at a share of bars", "0–1"),
    "side": ("Sides", ""), "size": ("Size of an entry", "× equity"), "leverage": ("Leverage", "×"),
    "stop_context_atr": ("Stop, of 4-hour candles", "ATR"), "stop_atr": ("Or of its own candles", "ATR"),
    "reward": ("Target, in stop distances", "×"),
}  # fmt: skip
"""Parameters of baselines that a form offers: what each is, and its unit."""
SUGGESTED: Final = {"leverage": "3", "stop_context_atr": "3", "reward": "3"}
"""Not the rules' own defaults: without a stop most profiles refuse every entry, and with all of it as margin
they halve the size."""
SIDES: Final = (("long", "Long only"), ("short", "Short only"), ("both", "Long and short"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mind:
    """A choice of who decides. `fields`: the names of the form's fields that belong to it."""

    value: str
    name: str
    text: str
    fields: tuple[str, ...] = ()


def minds_for(user: User) -> Iterator[Mind]:
    """Who may decide for a user's bot: the baselines, and the models that can be asked now."""
    rows = visible(ModelProfile, user).select_related(
        "owner", "provider_key", "fallback__owner", "fallback__provider_key"
    )
    for profile in rows.order_by("name", "pk"):
        try:
            chat_model(profile)
        except ProviderNotAvailable:
            continue
        yield Mind(
            value=f"{MODEL}:{profile.pk}",
            name=profile.name,
            text=f"Asks {profile.model or profile.provider.lower()} at every decision.",
            fields=("owner_words",),
        )
    for name in sorted(trader_names(), key=list(RULES).index):
        title, text = RULES[name]
        fields = tuple(param_field(name, param) for param in _shown_params(name))
        yield Mind(value=f"{RULE}:{name}", name=title, text=text, fields=fields)


def prompts_for(user: User) -> QuerySet[PromptTemplate]:
    """The prompts that a bot of the user may be sent, the newest of each name first; without their texts."""
    rows = visible(PromptTemplate, user).exclude(owner=None, name=EMERGENCY.name)
    return rows.defer("system", "user", "settings").order_by("name", "-version", "owner")


def prompt_words(row: PromptTemplate) -> str:
    """A version as a choice names it."""
    return f"{row.name}, version {row.version}{' (built in)' if row.owner_id is None else ''}"


def param_field(trader: str, param: str) -> str:
    """The name of the field of a baseline's parameter."""
    return f"{trader}-{param}"


def _shown_params(trader: str) -> list[str]:
    """A baseline's own parameters first; one that never trades has nothing to set."""
    if trader == "flat":
        return []
    return sorted(PARAMS.keys() & trader_parameters(trader), key=list(PARAMS).index)


class NewBotForm(forms.Form):
    """A new paper bot of `user`."""

    name = forms.CharField(
        max_length=80, required=False, help_text="Empty: named after what it does."
    )
    mind = forms.ChoiceField(label="Who decides", widget=forms.RadioSelect)
    prompt = forms.ChoiceField(
        label="Prompt",
        required=False,
        help_text="What the model is sent at each decision: see Models, Prompts.",
    )
    owner_words = forms.CharField(
        label="Your words to the model",
        required=False,
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Shown with every prompt as yours. They can change no limit.",
    )
    venue = forms.ChoiceField(label="Market")
    simulated = forms.MultipleChoiceField(
        label="Instruments", required=False, widget=forms.CheckboxSelectMultiple
    )
    symbols = forms.CharField(
        label="Instruments",
        required=False,
        help_text="As BTC/USDT:USDT (a perpetual) or BTC/USDT (spot), with commas between.",
    )
    timeframe = forms.TypedChoiceField(
        label="Candles of", coerce=int, choices=TIMEFRAMES, initial=3 * _MINUTE
    )
    interval = forms.TypedChoiceField(
        label="Decides every", coerce=int, choices=INTERVALS, initial=3 * _MINUTE
    )
    capital = forms.CharField(label="Paper capital", initial="10,000", max_length=24)
    risk = forms.ChoiceField(label="Limits", widget=forms.RadioSelect)

    def __init__(self, user: User, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.user = user
        self.minds = tuple(minds_for(user))
        self.prompts: dict[str, PromptTemplate] = {}
        self.profiles = {
            str(row.pk): row
            for row in visible(RiskProfile, user).order_by(F("owner").asc(nulls_first=True), "pk")
        }
        self._choose("mind", [(one.value, one.name) for one in self.minds], f"{RULE}:ema_trend")
        venues = [
            (name, f"{name}, its public prices") for name in runtime.venues() if name != SIMULATED
        ]
        self._choose("venue", [(SIMULATED, "Simulated market"), *venues], SIMULATED)
        listed = runtime.simulated_symbols()
        usual_symbols = [one for one in listed if one.startswith(USUAL)]
        self._choose("simulated", [(one, one) for one in listed], usual_symbols)
        usual = next((key for key, row in self.profiles.items() if row.name == "balanced"), "")
        self._choose("risk", [(key, row.name) for key, row in self.profiles.items()], usual)
        for one in self.minds:
            kind, _, trader = one.value.partition(":")
            if kind == RULE:
                self._add_params(trader)
        if not any("owner_words" in one.fields for one in self.minds):
            del self.fields["owner_words"], self.fields["prompt"]
        else:
            self.prompts = {str(row.pk): row for row in prompts_for(user)}
            named = [(key, prompt_words(row)) for key, row in self.prompts.items()]
            self._choose("prompt", [("", "The built-in one"), *named], "")
        for name, field in self.fields.items():
            if not isinstance(field.widget, (forms.RadioSelect, forms.CheckboxSelectMultiple)):
                helped = f"help-{name} " if field.help_text else ""
                field.widget.attrs |= {"class": "input", "aria-describedby": f"{helped}err-{name}"}

    def _choose(self, name: str, choices: list[tuple[str, str]], initial: Any) -> None:
        field: Any = self.fields[name]
        field.choices, field.initial = choices, initial

    def _add_params(self, trader: str) -> None:
        for param in _shown_params(trader):
            label = PARAMS.get(param, (param, ""))[0]
            default = trader_parameters(trader)[param]
            text = "" if default is None else str(default)
            field: forms.Field
            if param == "side":
                field = forms.ChoiceField(label=label, choices=SIDES, required=False)
            else:
                field = forms.CharField(label=label, required=False, max_length=24)
            field.initial = SUGGESTED.get(param, text)
            self.fields[param_field(trader, param)] = field

    def suggestions(self, model: str = "", prompt: str = "") -> dict[str, Any]:
        """What the form suggests, as it would be sent; with a model and a prompt chosen before, by their ids."""
        initial = (
            (name, self.get_initial_for_field(field, name)) for name, field in self.fields.items()
        )
        suggested = {name: "" if value is None else value for name, value in initial}
        asked = f"{MODEL}:{model}"
        if any(one.value == asked for one in self.minds):
            suggested["mind"] = asked
        if prompt in self.prompts:
            suggested["prompt"] = prompt
        return suggested

    # --- checking ---

    def clean_capital(self) -> Decimal:
        try:
            capital = to_decimal(self.cleaned_data["capital"].replace(",", "").replace(" ", ""))
        except ValueError:
            raise forms.ValidationError("An amount, such as 10,000.") from None
        if not 0 < capital <= 1_000_000_000:
            raise forms.ValidationError("Above zero, and at most 1,000,000,000.")
        if -int(capital.normalize().as_tuple().exponent) > 8:
            raise forms.ValidationError("At most eight digits behind the point.")
        return capital

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        self._check_symbols(data)
        self._check_stop(data)
        if not self.errors:
            try:
                services.check_wish(self.wish())
            except services.BotRefused as refusal:
                self.refuse(refusal)
        return data

    def _check_symbols(self, data: Mapping[str, Any]) -> None:
        if data.get("venue") == SIMULATED and not data.get("simulated"):
            self.add_error("simulated", "Choose at least one.")
        elif data.get("venue") != SIMULATED and not self._typed(data):
            self.add_error("symbols", "Name at least one, such as BTC/USDT:USDT.")

    def _check_stop(self, data: Mapping[str, Any]) -> None:
        kind, _, trader = data.get("mind", "").partition(":")
        profile = self.profiles.get(data.get("risk", ""))
        fields = [param_field(trader, name) for name in ("stop_context_atr", "stop_atr")]
        if kind != RULE or fields[0] not in self.fields or self.errors.keys() & set(fields):
            return
        has_stop = any(data.get(field) for field in fields)
        if profile is not None and profile.stop_required and not has_stop:
            text = f"The limits “{profile.name}” want a stop with every entry: 3, for example."
            self.add_error(fields[0], text)

    def refuse(self, refusal: Exception, about: str = "") -> None:
        """Put a sentence beside the field that it is about."""
        text = str(refusal)
        field = self._field_of(about or getattr(refusal, "about", ""), text)
        if field is not None and "-" in field:  # what of which rule it is about is seen
            for known in field.split("-"):
                text = text.removeprefix(f"{known}: ")
        self.add_error(field, f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}")

    def _field_of(self, about: str, text: str) -> str | None:
        at_simulated = self.cleaned_data.get("venue") == SIMULATED
        names = {
            "name": "name", "capital": "capital", "venue": "venue", "risk_profile": "risk",
            "interval_seconds": "interval", "timeframe_seconds": "timeframe", "trader": "mind",
            "model_profile": "mind", "owner_words": "owner_words", "prompt_template": "prompt",
            "symbols": "simulated" if at_simulated else "symbols",
        }  # fmt: skip
        if about == "params":
            trader = self.cleaned_data["mind"].partition(":")[2]
            words = text.replace(":", " ").replace(",", " ").split()
            named = (param_field(trader, word) for word in words)
            return next((name for name in named if name in self.fields), "mind")
        return names.get(about)

    # --- what is wished ---

    def wish(self) -> services.BotWish:
        """The wish of a form whose fields are sound."""
        data = self.cleaned_data
        kind, _, key = data["mind"].partition(":")
        model = ModelProfile.objects.get(pk=key) if kind == MODEL else None
        at_simulated = data["venue"] == SIMULATED
        return services.BotWish(
            owner=self.user,
            mode=BotMode.PAPER,
            venue=data["venue"],
            symbols=tuple(data["simulated"]) if at_simulated else self._typed(data),
            capital=data["capital"],
            risk_profile=self.profiles[data["risk"]],
            trader=key if kind == RULE else "",
            params=self._params(key) if kind == RULE else {},
            model_profile=model,
            prompt_template=self.prompts.get(data["prompt"]) if kind == MODEL else None,
            owner_words=data["owner_words"].strip() if kind == MODEL else "",
            interval_seconds=data["interval"],
            timeframe_seconds=data["timeframe"],
            name=data["name"].strip(),
        )

    def _params(self, trader: str) -> dict[str, str]:
        """What differs from the rule's own defaults, or may be left out."""
        given = {
            name: self.cleaned_data[param_field(trader, name)] for name in _shown_params(trader)
        }
        return {name: text.strip() for name, text in given.items() if text.strip()}

    def _typed(self, data: Mapping[str, Any]) -> tuple[str, ...]:
        words = (word.strip() for word in data.get("symbols", "").split(","))
        return tuple(dict.fromkeys(self._symbol(word, data["venue"]) for word in words if word))

    def _symbol(self, word: str, venue: str) -> str:
        """BTC is what the venue lists of that base: its perpetual in USDT first."""
        if "/" in word:
            return word
        listed = symbols_listed(venue, base=word)
        return min(
            listed, key=lambda symbol: (not symbol.endswith("/USDT:USDT"), symbol), default=word
        )


def symbols_listed(venue: str, base: str = "") -> list[str]:
    """What a real venue was last seen to list, in name order; of one base, where it is given. One query."""
    rows = Instrument.objects.filter(venue=venue, status=InstrumentStatus.TRADING)
    if base:
        rows = rows.filter(base__iexact=base)
    return list(rows.order_by("symbol").values_list("symbol", flat=True)[:LISTED])
