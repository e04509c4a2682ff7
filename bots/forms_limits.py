"""The forms of limits: a profile's, every limit a field; a copy's name; what binds all bots; a bot for a profile.

They read what was typed into exact values, and show values as they are typed: shares as percent, durations in
minutes, lists one to a line. The trap avoided: a share that passes through a float, or is rounded, on its way.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.db import connection
from django.forms import BoundField
from django.utils.html import format_html
from django.utils.safestring import SafeString

from bots import models
from bots.domain.bot import BotStatus
from market.domain.numbers import plain
from market.fields import AmountDoesNotFit, check_fits
from risk.catalogue import ACCOUNT_RULES, RULES
from risk.domain import NOT_RAW, RANGES
from risk.models import AccountLimits, RiskProfile
from risk.profiles import PROFILES, SENTENCES
from risk.services import ACCOUNT_LIMITS
from risk.versions import KINDS
from risk.windows import UnreadableWindow, read_window
from tradingagent.accounts.models import User

GROUPS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "Each entry": ("one order by itself", (
        "size", "allowed_symbols", "allow_shorts", "allow_adding", "allow_flips", "stop_required",
        "stop_may_widen", "stop_to_liquidation_fraction", "min_reward_risk", "min_confidence",
        "risk_per_trade_fraction", "max_leverage", "max_position_notional_fraction", "max_price_age_seconds",
        "max_price_drift_bps", "max_spread_bps", "max_slippage_bps",
    )),
    "Portfolio": ("all that one bot holds", (
        "max_open_positions", "max_gross_exposure", "max_net_exposure", "max_correlated_exposure",
        "max_margin_used_fraction",
    )),
    "Tempo": ("how often, and when not", (
        "max_trades_per_day", "max_opens_per_cycle", "cooldown_after_stop", "min_hold", "no_trade_windows",
        "no_trade_around_funding",
    )),
    "Breakers": ("what stops a bot", (
        "max_daily_loss_fraction", "soft_drawdown_fraction", "hard_drawdown_fraction", "max_loss_streak",
        "max_stale_beats", "max_model_failures", "max_llm_cost_per_day", "max_funding_cost_fraction",
        "breaker_cooldown", "emergency_interval",
    )),
}  # fmt: skip
"""Every limit, by what it is about: (title, note), names."""
NO_INSTRUMENT: Final = "none"
_LONGEST: Final = 40
_LONGEST_LIST: Final = 4000
_MOST: Final = Decimal(1_000_000_000)
_YEAR: Final = 366 * 24 * 60 * 60
_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)", re.ASCII)
_SPAN: Final = re.compile(r"([0-9]+)\s*(s?)", re.ASCII)
_SYMBOL: Final = re.compile(r"[^\s,;/:]+/[^\s,;/:]+(:[^\s,;/:]+)?")
_YES_NO: Final = (("yes", "Yes"), ("no", "No"))


class Kind(StrEnum):
    """How a limit is typed."""

    SHARE = "%"
    NUMBER = "number"
    COUNT = "count"
    SPAN = "min"
    YES_NO = "yes or no"
    SYMBOLS = "symbols"
    WINDOWS = "windows"


_KINDS: Final[Mapping[type, Kind]] = {
    int: Kind.COUNT,
    bool: Kind.YES_NO,
    timedelta: Kind.SPAN,
    frozenset: Kind.SYMBOLS,
    tuple: Kind.WINDOWS,
}


def kind_of(name: str) -> Kind:
    """How this limit is typed: a share where its unit is one."""
    declared = KINDS[name]
    if declared is Decimal:
        is_share = name in RULES and RULES[name].unit.startswith("share")
        return Kind.SHARE if is_share else Kind.NUMBER
    return _KINDS[declared]


def limit_names(*, raw: bool) -> frozenset[str]:
    """The limits that a profile can have: a raw one has few, and the size of its entries."""
    names = {name for _, group in GROUPS.values() for name in group}
    return frozenset(names - set(NOT_RAW) if raw else names - {"size"})


def typed(name: str, value: Any) -> str:
    """A value as it stands in its field; "" for a limit that is off."""
    kind = kind_of(name)
    if value is None:
        return ""
    if kind is Kind.SHARE:
        return plain(_shifted(value, 2))
    if kind is Kind.YES_NO:
        return "yes" if value else "no"
    if kind is Kind.SPAN:
        seconds = value // timedelta(seconds=1)
        return f"{seconds} s" if seconds % 60 else str(seconds // 60) if seconds else ""
    if kind is Kind.SYMBOLS:
        return "\n".join(sorted(value)) or NO_INSTRUMENT
    if kind is Kind.WINDOWS:
        return "\n".join(value)
    return plain(value) if kind is Kind.NUMBER else str(value)


def read(name: str, text: str) -> Any:
    """What was typed as a column takes it. Raises ValidationError, its sentence for people."""
    kind = kind_of(name)
    if kind is Kind.YES_NO:
        return text == "yes"
    if kind is Kind.SYMBOLS:
        return _symbols(text)
    if kind is Kind.WINDOWS:
        return _windows(text)
    if kind is Kind.SPAN:
        return _span(text)
    if not text:
        if name == "size":
            raise ValidationError("Give a number above 0.")
        return None
    value = _number(text.rstrip("%").rstrip() if kind is Kind.SHARE else text)
    value = _shifted(value, -2) if kind is Kind.SHARE else value
    low, high = RANGES[name]
    if not low <= value <= high:
        raise ValidationError(_range_in_words(name, value))
    if kind is not Kind.COUNT:
        return _kept_exactly(value)
    if value != int(value):
        raise ValidationError("Give a whole number.")
    return int(value)


def _number(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise ValidationError("Give a number, such as 2.5.")
    return Decimal(text)


def _kept_exactly(value: Decimal) -> Decimal:
    try:
        check_fits(value, connection.vendor, 30, 12)
    except AmountDoesNotFit:
        raise ValidationError("That has more digits than can be kept exactly.") from None
    return value


def _shifted(value: Decimal, places: int) -> Decimal:
    """The value with its point moved: exact, whatever its length."""
    sign, digits, exponent = value.as_tuple()
    return Decimal((sign, digits, int(exponent) + places))


def _range_in_words(name: str, value: Decimal) -> str:
    low, high = RANGES[name]
    is_share = kind_of(name) is Kind.SHARE
    least = "Above 0" if 0 < low < Decimal("0.001") else f"At least {plain(low)}"
    most = _shifted(high, 2) if is_share and high < _MOST else high
    unit = "%" if is_share else ""
    if value < low and high == _MOST:
        return f"{least}{unit}."
    return f"{least}{unit}, and at most {most:,f}{unit}."


def _span(text: str) -> timedelta:
    if not text:
        return timedelta(0)
    match = _SPAN.fullmatch(text.lower().removesuffix("min").rstrip())
    if match is None:
        raise ValidationError("Give whole minutes, such as 30; or seconds, such as 90 s.")
    seconds = int(match[1]) * (1 if match[2] else 60)
    if seconds > _YEAR:
        raise ValidationError("At most a year.")
    return timedelta(seconds=seconds)


def _lines(text: str) -> list[str]:
    return list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))


def _symbols(text: str) -> list[str] | None:
    named = _lines(text)
    if named == [NO_INSTRUMENT]:
        return []
    wrong = next((one for one in named if not _SYMBOL.fullmatch(one)), None)
    if wrong is not None:
        raise ValidationError(f"{wrong!r} is no instrument: one a line, such as BTC/USDT:USDT.")
    return sorted(named) or None


def _windows(text: str) -> list[str]:
    named = _lines(text)
    for one in named:
        try:
            read_window(one)
        except UnreadableWindow as error:
            raise ValidationError(f"{error}.") from None
    return named


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitField:
    """A limit in the form: its field, its unit, what it does and the code that it speaks with."""

    bound: BoundField
    unit: str
    help: SafeString
    is_list: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitGroup:
    """Limits that are about the same."""

    title: str
    note: str
    fields: tuple[LimitField, ...]


class LimitsForm(forms.Form):
    """Every limit of a profile of one's own. `seen`: the version that the form began with."""

    seen = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(self, row: RiskProfile, data: Any = None) -> None:
        limits = row.limits()
        self.row = row
        self.names = limit_names(raw=limits.raw)
        shown = {name: typed(name, getattr(limits, name)) for name in self.names}
        super().__init__(data, initial={**shown, "seen": row.version})
        for name in self.names:
            self.fields[name] = _field_of(name)

    @property
    def groups(self) -> Iterable[LimitGroup]:
        """The fields as they stand on the page."""
        for title, (note, names) in GROUPS.items():
            shown = tuple(self._shown(name) for name in names if name in self.names)
            if shown:
                yield LimitGroup(title=title, note=note, fields=shown)

    def _shown(self, name: str) -> LimitField:
        return LimitField(
            bound=self[name],
            unit=unit_of(name),
            help=_help(name),
            is_list=kind_of(name) in (Kind.SYMBOLS, Kind.WINDOWS),
        )

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        for name in self.names & data.keys():
            if name not in self.data:  # what was cut off on its way lifts no limit
                self.add_error(name, "It was not sent.")
                continue
            try:
                data[name] = read(name, data[name].strip())
            except ValidationError as error:
                self.add_error(name, error)
        soft, hard = (data.get(f"{which}_drawdown_fraction") for which in ("soft", "hard"))
        if soft is not None and hard is not None and soft > hard:
            most = typed("hard_drawdown_fraction", hard)
            self.add_error(
                "soft_drawdown_fraction",
                f"Above the drawdown that halts, {most}%: it would never come first.",
            )
        if data.get("seen") not in (None, self.row.version):
            self.add_error(
                None,
                f"Version {self.row.version} was made meanwhile. Save again to put what stands here in its place.",
            )
            said: Any = self.data
            self.data = {**said.dict(), "seen": self.row.version}
        return data

    def changes(self) -> dict[str, Any]:
        """Every limit as typed, for `change_profile`. After `is_valid`."""
        return {name: self.cleaned_data[name] for name in self.names}

    def refuse(self, refusal: Exception) -> None:
        """Put a service's sentence beside the limit that it is about, or above the form."""
        if isinstance(refusal, ValidationError) and hasattr(refusal, "error_dict"):
            said = [(name, text) for name, texts in refusal.message_dict.items() for text in texts]
        else:
            said = [("", str(refusal))]
        for name, text in said:
            about = name if name in self.fields else text.partition(" ")[0].rstrip(":")
            end = "" if text.endswith(".") else "."
            self.add_error(about if about in self.fields else None, f"{text}{end}")


def unit_of(name: str) -> str:
    """What stands behind the number that is typed; "" for lists, and for yes or no."""
    kind = kind_of(name)
    if kind in (Kind.SHARE, Kind.SPAN):
        return str(kind)
    if kind not in (Kind.NUMBER, Kind.COUNT):
        return ""
    unit = RULES[name].unit if name in RULES else "× equity"
    return {"× equity": "×", "US dollars": "USD", "ratio": "to 1"}.get(unit, unit)


def _help(name: str) -> SafeString:
    if name not in RULES:
        return format_html("{}", "Sets how much.")
    rule = RULES[name]
    extra = {
        Kind.SYMBOLS: "One a line, such as BTC/USDT:USDT; empty: all. ",
        Kind.WINDOWS: "One a line, such as sat,sun or mon-fri 22:00-02:00; empty: none. ",
    }.get(kind_of(name), "")
    effect = str(rule.effect)
    return format_html(
        '{}{} · <code class="code">{}</code>', extra, effect[0].upper() + effect[1:], rule.code
    )


def _field_of(name: str) -> forms.Field:
    label, kind = SENTENCES[name][0], kind_of(name)
    if kind is Kind.YES_NO:
        return forms.ChoiceField(label=label, choices=_YES_NO)
    attrs = {"autocomplete": "off", "spellcheck": "false"}
    if kind in (Kind.SYMBOLS, Kind.WINDOWS):
        widget: forms.Widget = forms.Textarea(attrs={"rows": 3, **attrs})
        return forms.CharField(label=label, required=False, max_length=_LONGEST_LIST, widget=widget)
    attrs |= {"inputmode": "text" if kind is Kind.SPAN else "decimal"}
    return forms.CharField(
        label=label, required=False, max_length=_LONGEST, widget=forms.TextInput(attrs=attrs)
    )


class NameForm(forms.Form):
    """What a profile is called. `row`: the one that is called otherwise; None: one that is not there yet."""

    name = forms.CharField(max_length=80, help_text="What you call it; bots show it.")

    def __init__(self, user: User, data: Any = None, *, row: RiskProfile | None = None) -> None:
        super().__init__(data, initial={} if row is None else {"name": row.name})
        self.user = user
        self.row = row

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"]).strip()
        if name.lower() in PROFILES:
            raise ValidationError("A preset is called so: give it a name of its own.")
        others = RiskProfile.objects.filter(owner=self.user, name=name)
        if self.row is not None:
            others = others.exclude(pk=self.row.pk)
        if others.exists():
            raise ValidationError("You have a profile of this name already.")
        return name


class AccountLimitsForm(forms.Form):
    """What binds all bots of a user together; an empty field switches its limit off."""

    def __init__(self, row: AccountLimits | None, data: Any = None) -> None:
        values = {name: getattr(row, name, None) for name in ACCOUNT_LIMITS}
        shown = {name: "" if one is None else plain(one) for name, one in values.items()}
        super().__init__(data, initial=shown)
        for name in ACCOUNT_LIMITS:
            sentence, rule = ACCOUNT_RULES[name]
            self.fields[name] = forms.CharField(
                label=sentence,
                required=False,
                max_length=_LONGEST,
                help_text=format_html('Denies · <code class="code">{}</code>', rule.code),
                widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
            )

    @property
    def amounts(self) -> Iterable[BoundField]:
        """The fields as they stand on the page."""
        return (self[name] for name in ACCOUNT_LIMITS)

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        for name in ACCOUNT_LIMITS:
            if name not in data:
                continue
            try:
                data[name] = _amount(data[name].strip())
            except ValidationError as error:
                self.add_error(name, error)
        return data


def _amount(text: str) -> Decimal | None:
    if not text:
        return None
    try:
        value = _number(text.replace(",", ""))
    except ValidationError:
        raise ValidationError("Give an amount, such as 5000.") from None
    if not 0 <= value <= _MOST:
        raise ValidationError("At least 0, and at most 1,000,000,000.")
    return _kept_exactly(value)


class GiveForm(forms.Form):
    """Which of the user's bots follows a profile from now on. One that runs beside others, or is archived, can't."""

    bot = forms.ModelChoiceField(
        label="Another bot", queryset=models.Bot.objects.none(), empty_label="choose one"
    )

    def __init__(self, user: User, row: RiskProfile, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        fields: Any = self.fields
        free = models.Bot.objects.filter(owner=user, cohort=None).exclude(risk_profile=row)
        fields["bot"].queryset = free.exclude(status=BotStatus.ARCHIVED).order_by("name")
