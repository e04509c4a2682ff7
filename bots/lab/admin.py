"""Arenas in the admin: looked at, never edited; what is compared must not change under the comparison."""

from django.contrib import admin

from bots.lab.models import Arena, Entrant
from tradingagent.accounts.read_only_admin import ReadOnlyAdmin


@admin.register(Arena)
class ArenaAdmin(ReadOnlyAdmin):
    list_display = (
        "name", "owner", "venue", "interval_seconds", "created_at", "started_at", "stopped_at",
    )  # fmt: skip
    list_select_related = ("owner",)
    search_fields = ("name", "owner__email")
    ordering = ("-created_at",)


@admin.register(Entrant)
class EntrantAdmin(ReadOnlyAdmin):
    list_display = ("label", "arena", "place", "bot", "is_baseline", "joined_at")
    list_select_related = ("arena", "bot")
    search_fields = ("label", "arena__name", "bot__name")
    ordering = ("-joined_at",)
