"""Alerts in the admin: looked at, never edited. The address of a channel is shown to nobody."""

from django.contrib import admin

from bots.admin import BoundedPaginator
from bots.alerts.models import Alert, AlertChannel, AlertCursor, AlertRule, Delivery
from tradingagent.accounts.read_only_admin import ReadOnlyAdmin


@admin.register(AlertChannel)
class AlertChannelAdmin(ReadOnlyAdmin):
    list_display = ("name", "owner", "kind", "scheme", "is_enabled", "created_at")
    list_select_related = ("owner",)
    search_fields = ("name", "owner__email")
    ordering = ("-id",)
    exclude = ("address",)


@admin.register(AlertRule)
class AlertRuleAdmin(ReadOnlyAdmin):
    list_display = (
        "id", "owner", "kind", "bot", "symbol", "direction", "threshold", "severity", "is_enabled",
    )  # fmt: skip
    list_select_related = ("owner", "bot")
    search_fields = ("owner__email", "bot__name")
    ordering = ("-id",)


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    paginator = BoundedPaginator
    list_display = ("id", "title", "owner", "severity", "count", "first_at", "last_at", "is_open")
    list_select_related = ("owner",)
    search_fields = ("owner__email", "bot__name")
    ordering = ("-id",)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    paginator = BoundedPaginator
    list_display = (
        "id", "alert", "channel_name", "part", "status", "attempts", "next_at", "sent_at", "error",
    )  # fmt: skip
    list_select_related = ("alert",)
    search_fields = ("alert__owner__email",)
    ordering = ("-id",)


@admin.register(AlertCursor)
class AlertCursorAdmin(ReadOnlyAdmin):
    list_display = ("bot", "sequence", "awake_at")
    list_select_related = ("bot",)
    search_fields = ("bot__name",)
    ordering = ("bot",)
