"""Limits in the admin. A saved form goes through the services, so each change is a new version."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from risk.models import (
    LIMIT_NAMES,
    AccountLimits,
    DailyLossStop,
    RiskProfile,
    RiskProfileVersion,
)
from risk.services import CHANGEABLE, change_profile, set_account_limits
from tradingagent.accounts.read_only_admin import ReadOnlyAdmin


@admin.register(RiskProfile)
class RiskProfileAdmin(admin.ModelAdmin):
    """Presets are read-only. New profiles are copies, made by their owners."""

    list_display = (
        "name",
        "owner",
        "version",
        "raw",
        "max_leverage",
        "risk_per_trade_fraction",
        "max_daily_loss_fraction",
        "hard_drawdown_fraction",
        "changed_at",
    )
    list_filter = (("owner", admin.EmptyFieldListFilter), "raw")
    list_select_related = ("owner",)
    search_fields = ("name", "owner__email")
    ordering = ("owner", "name")
    fields = ("owner", *LIMIT_NAMES, "created_at", "changed_at")
    readonly_fields = ("owner", "name", "version", "created_at", "changed_at")

    def has_add_permission(self, *_: object) -> bool:
        return False

    def has_delete_permission(self, *_: object, **__: object) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and not (obj and obj.is_preset)

    def save_model(self, request: HttpRequest, obj: RiskProfile, form: Any, *_: object) -> None:
        by: Any = request.user
        changes = {
            name: form.cleaned_data[name] for name in form.changed_data if name in CHANGEABLE
        }
        obj.version = change_profile(obj, changes, by).version


@admin.register(RiskProfileVersion)
class RiskProfileVersionAdmin(ReadOnlyAdmin):
    list_display = ("profile", "version", "changed_by", "at")
    list_select_related = ("profile", "changed_by")
    search_fields = ("profile__name",)
    ordering = ("-at",)


@admin.register(AccountLimits)
class AccountLimitsAdmin(admin.ModelAdmin):
    list_display = (
        "user",
        "max_exposure_per_asset",
        "max_gross_exposure",
        "max_margin_used",
        "max_daily_loss",
        "changed_at",
    )
    list_select_related = ("user",)
    search_fields = ("user__email",)
    autocomplete_fields = ("user",)

    def get_readonly_fields(self, _: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else ("user",)

    def has_delete_permission(self, *_: object, **__: object) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: AccountLimits, form: Any, *_: object) -> None:
        by: Any = request.user
        changes = {name: form.cleaned_data[name] for name in form.changed_data if name != "user"}
        obj.pk = set_account_limits(obj.user, changes, by).pk


@admin.register(DailyLossStop)
class DailyLossStopAdmin(ReadOnlyAdmin):
    list_display = ("day", "user", "lost", "at")
    list_select_related = ("user",)
    search_fields = ("user__email",)
    ordering = ("-at",)
