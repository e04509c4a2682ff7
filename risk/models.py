"""Risk profiles: one column per limit, every change a new version; and what binds all bots of a user.

The domain's `Limits` decides what makes sense; the database repeats the ranges, so that no door can
store what no rule expects. The trap: a limit that has no column is a limit that nobody can set, so a
test walks the fields of `Limits`.
"""

from dataclasses import fields
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce

from market.domain.canonical import canonical_bytes
from market.domain.numbers import ONE, plain
from market.fields import AmountField
from risk.catalogue import ACCOUNT_RULES, RULES
from risk.domain import InvalidLimits, Limits
from risk.profiles import SENTENCES
from tradingagent.accounts.access import register
from tradingagent.accounts.append_only import AppendOnlyModel

LIMIT_NAMES: Final = tuple(field.name for field in fields(Limits))

_FRACTIONS: Final = (
    "stop_to_liquidation_fraction", "risk_per_trade_fraction", "max_margin_used_fraction",
    "max_daily_loss_fraction", "soft_drawdown_fraction", "hard_drawdown_fraction",
)  # fmt: skip
_FROM_ONE: Final = ("max_loss_streak", "max_stale_beats", "max_model_failures", "max_leverage")
_FROM_ZERO: Final = (
    "min_reward_risk", "max_position_notional_fraction", "max_price_age_seconds", "max_price_drift_bps",
    "max_spread_bps", "max_slippage_bps", "max_open_positions", "max_gross_exposure",
    "max_net_exposure", "max_correlated_exposure", "max_trades_per_day", "max_opens_per_cycle",
    "max_llm_cost_per_day", "max_funding_cost_fraction",
)  # fmt: skip
_DURATIONS: Final = (
    "cooldown_after_stop", "min_hold", "no_trade_around_funding", "breaker_cooldown", "emergency_interval",
)  # fmt: skip
_MOST: Final = 1_000_000_000


def _range(name: str, condition: Q) -> models.CheckConstraint:
    return models.CheckConstraint(condition=condition, name=f"risk_{name}_range")


def _ranges() -> list[models.BaseConstraint]:
    return [
        *(_range(name, Q(**{f"{name}__gt": 0, f"{name}__lte": 1})) for name in _FRACTIONS),
        *(_range(name, Q(**{f"{name}__gte": 1, f"{name}__lte": _MOST})) for name in _FROM_ONE),
        *(_range(name, Q(**{f"{name}__gte": 0, f"{name}__lte": _MOST})) for name in _FROM_ZERO),
        *(_range(name, Q(**{f"{name}__gte": timedelta(0)})) for name in _DURATIONS),
        _range("min_confidence", Q(min_confidence__gte=0, min_confidence__lte=1)),
        _range("size", Q(size__gt=0, size__lte=_MOST)),
        _range("version", Q(version__gte=1)),
    ]


_UNITS: Final = {"time": "hours:minutes:seconds", "s": "seconds", "bps": "basis points"}
_NO_UNIT: Final = ("yes or no", "symbols", "owner's calendar")


def _help(name: str) -> str:
    """What the limit says, and the unit of its column where it has one."""
    sentence, unit = SENTENCES[name][0], "× equity" if name == "size" else RULES[name].unit
    if unit in _NO_UNIT:
        return f"{sentence}."
    shown = f"{unit}, 0 to 1" if unit.startswith("share") else _UNITS.get(unit, unit)
    return f"{sentence} [{shown}]."


def _amount(name: str) -> AmountField:
    return AmountField(null=True, blank=True, help_text=f"{_help(name)} Empty: no limit.")


def _count(name: str) -> "models.PositiveIntegerField[int | None, int | None]":
    return models.PositiveIntegerField(
        null=True, blank=True, help_text=f"{_help(name)} Empty: no limit."
    )


def _yes_no(name: str, default: bool) -> "models.BooleanField[bool, bool]":
    return models.BooleanField(default=default, help_text=_help(name))


def _duration(name: str) -> "models.DurationField[timedelta, timedelta]":
    default = next(field.default for field in fields(Limits) if field.name == name)
    return models.DurationField(default=default, help_text=_help(name))


class RiskProfile(models.Model):
    """A named set of limits. Without an owner it is a preset: everybody may use it, nobody change it.

    Fractions are 0–1 of equity unless named otherwise, exposures multiples of equity, money in the
    bot's settlement currency; empty switches a limit off. `risk.services` writes, raising `version`.
    """

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="risk_profiles",
        help_text="Empty: a preset, for everybody.",
    )
    name = models.CharField(max_length=80)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    raw = models.BooleanField(
        default=False,
        help_text="Judges no entry; each is `size` times equity. For replay and paper only.",
    )
    allowed_symbols = models.JSONField(
        null=True, blank=True, help_text=f"{_help('allowed_symbols')} A list; empty: all."
    )
    allow_shorts = _yes_no("allow_shorts", default=True)
    allow_adding = _yes_no("allow_adding", default=False)
    allow_flips = _yes_no("allow_flips", default=False)
    stop_required = _yes_no("stop_required", default=True)
    stop_may_widen = _yes_no("stop_may_widen", default=False)
    stop_to_liquidation_fraction = _amount("stop_to_liquidation_fraction")
    min_reward_risk = _amount("min_reward_risk")
    min_confidence = _amount("min_confidence")
    risk_per_trade_fraction = _amount("risk_per_trade_fraction")
    max_leverage = _amount("max_leverage")
    max_position_notional_fraction = _amount("max_position_notional_fraction")
    max_price_age_seconds = _count("max_price_age_seconds")
    max_price_drift_bps = _amount("max_price_drift_bps")
    max_spread_bps = _amount("max_spread_bps")
    max_slippage_bps = _amount("max_slippage_bps")
    max_open_positions = _count("max_open_positions")
    max_gross_exposure = _amount("max_gross_exposure")
    max_net_exposure = _amount("max_net_exposure")
    max_correlated_exposure = _amount("max_correlated_exposure")
    max_margin_used_fraction = _amount("max_margin_used_fraction")
    max_trades_per_day = _count("max_trades_per_day")
    max_opens_per_cycle = _count("max_opens_per_cycle")
    cooldown_after_stop = _duration("cooldown_after_stop")
    min_hold = _duration("min_hold")
    no_trade_windows = models.JSONField(
        default=list,
        blank=True,
        help_text=f"{_help('no_trade_windows')} A list, as sat,sun or mon-fri 22:00-02:00.",
    )
    no_trade_around_funding = _duration("no_trade_around_funding")
    max_daily_loss_fraction = _amount("max_daily_loss_fraction")
    soft_drawdown_fraction = _amount("soft_drawdown_fraction")
    hard_drawdown_fraction = _amount("hard_drawdown_fraction")
    max_loss_streak = _count("max_loss_streak")
    max_stale_beats = _count("max_stale_beats")
    max_model_failures = _count("max_model_failures")
    max_llm_cost_per_day = _amount("max_llm_cost_per_day")
    max_funding_cost_fraction = _amount("max_funding_cost_fraction")
    breaker_cooldown = _duration("breaker_cooldown")
    emergency_interval = _duration("emergency_interval")
    size = AmountField(default=ONE, help_text=f"{_help('size')} Profile raw only.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="risk_profile_name_once"),
            models.UniqueConstraint(
                fields=["name"], condition=Q(owner__isnull=True), name="risk_preset_name_once"
            ),
            models.CheckConstraint(
                condition=Q(soft_drawdown_fraction__isnull=True)
                | Q(hard_drawdown_fraction__isnull=True)
                | Q(soft_drawdown_fraction__lte=F("hard_drawdown_fraction")),
                name="risk_soft_drawdown_before_hard",
            ),
            models.CheckConstraint(
                condition=Q(raw=True) | Q(size=1), name="risk_size_belongs_to_raw"
            ),
            *_ranges(),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"

    @property
    def is_preset(self) -> bool:
        return self.owner_id is None

    def limits(self) -> Limits:
        """The limits of this version. Raises InvalidLimits when the columns contradict each other."""
        values: dict[str, Any] = {name: getattr(self, name) for name in LIMIT_NAMES}
        if values["allowed_symbols"] is not None:
            values["allowed_symbols"] = frozenset(values["allowed_symbols"])
        values["no_trade_windows"] = tuple(values["no_trade_windows"] or ())
        return Limits(**values)

    def clean(self) -> None:
        symbols = self.allowed_symbols
        if symbols is not None and not (
            isinstance(symbols, list) and all(isinstance(symbol, str) for symbol in symbols)
        ):
            raise ValidationError({"allowed_symbols": "A list of symbols, such as BTC/USDT:USDT."})
        windows = self.no_trade_windows
        if not (isinstance(windows, list) and all(isinstance(one, str) for one in windows)):
            raise ValidationError({"no_trade_windows": "A list of windows, such as sat,sun."})
        try:
            self.limits()
        except InvalidLimits as error:
            raise ValidationError(f"{error}.") from None
        except (TypeError, ArithmeticError):
            raise ValidationError("A limit is not of its kind.") from None


class RiskProfileVersion(AppendOnlyModel):
    """What a profile's limits were at one version: the canonical JSON of `Limits`, by whom, and when."""

    profile = models.ForeignKey(RiskProfile, on_delete=models.PROTECT, related_name="versions")
    version = models.PositiveIntegerField()
    limits = models.TextField()
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Empty: the program itself.",
    )
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["profile", "version"], name="risk_version_once"),
        ]

    def __str__(self) -> str:
        return f"version {self.version} of profile {self.profile_id}"


def _account_help(name: str) -> str:
    sentence, rule = ACCOUNT_RULES[name]
    return f"{sentence} [{rule.unit}]. Empty: no limit."


class AccountLimits(models.Model):
    """Limits over all bots and venues of one user, in the bots' settlement currency; empty: none. The row
    without a user is the operator's: it binds all bots of all users together.

    The row is locked when an opening order is claimed, so that two bots can't spend one allowance.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="account_limits",
        help_text="Empty: the operator's, over all users together.",
    )
    max_exposure_per_asset = AmountField(
        null=True, blank=True, help_text=_account_help("max_exposure_per_asset")
    )
    max_gross_exposure = AmountField(
        null=True, blank=True, help_text=_account_help("max_gross_exposure")
    )
    max_margin_used = AmountField(null=True, blank=True, help_text=_account_help("max_margin_used"))
    max_daily_loss = AmountField(null=True, blank=True, help_text=_account_help("max_daily_loss"))
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "account limits"
        constraints = [
            models.UniqueConstraint(Coalesce("user", 0), name="account_limits_once"),
            *(
                models.CheckConstraint(
                    condition=Q(**{f"{name}__gte": 0}), name=f"account_{name}_range"
                )
                for name in (
                    "max_exposure_per_asset",
                    "max_gross_exposure",
                    "max_margin_used",
                    "max_daily_loss",
                )
            ),
        ]

    def __str__(self) -> str:
        return f"limits of user {self.user_id}" if self.user_id else "limits of all users together"


class DailyLossStop(models.Model):
    """A day on which all bots of a user (none: of everybody) lost what they may: nothing is opened until it is
    over, whatever the prices do. The day is the user's own, everybody's is UTC's."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="daily_loss_stops",
    )
    day = models.DateField()
    lost = AmountField()
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(Coalesce("user", 0), "day", name="daily_loss_stop_once")
        ]

    def __str__(self) -> str:
        return f"{self.day}: lost {plain(self.lost)}"


def row_values(limits: Limits) -> dict[str, Any]:
    """The columns of RiskProfile for these limits, name and version included."""
    values = {name: getattr(limits, name) for name in LIMIT_NAMES}
    if limits.allowed_symbols is not None:
        values["allowed_symbols"] = sorted(limits.allowed_symbols)
    values["no_trade_windows"] = list(limits.no_trade_windows)
    return values


def limits_text(limits: Limits) -> str:
    """The canonical JSON of limits, as a version keeps them."""
    return canonical_bytes(limits).decode()


register(RiskProfile, "owner", shared=True)
register(RiskProfileVersion, "profile__owner", shared=True)
register(AccountLimits, "user")
register(DailyLossStop, "user")
