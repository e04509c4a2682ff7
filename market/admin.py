"""The venue's rows in the admin: to be looked at. What was seen or traded is never edited by hand.

The trap avoided: an account corrected in a form is one that its own records no longer explain.
"""

from django.contrib import admin

from market.models import (
    Candle,
    ExchangeAccount,
    FundingRate,
    Instrument,
    LatestPrice,
    SimAccount,
    SimRecord,
)
from tradingagent.accounts.read_only_admin import ReadOnlyAdmin


@admin.register(ExchangeAccount)
class ExchangeAccountAdmin(admin.ModelAdmin):
    """Keys are never shown and never typed in here: their fields are not on the page."""

    list_display = ("name", "venue", "owner", "uid", "created_at")
    list_filter = ("venue",)
    list_select_related = ("owner",)
    search_fields = ("name", "uid", "owner__email")
    autocomplete_fields = ("owner",)
    fields = ("owner", "name", "venue", "uid", "created_at")
    readonly_fields = ("created_at",)


@admin.register(Instrument)
class InstrumentAdmin(ReadOnlyAdmin):
    list_display = ("symbol", "venue", "kind", "status", "price_step", "quantity_step", "as_of")
    list_filter = ("venue", "kind", "status")
    search_fields = ("symbol",)
    ordering = ("venue", "symbol")


@admin.register(Candle)
class CandleAdmin(ReadOnlyAdmin):
    list_display = (
        "symbol", "venue", "timeframe_seconds", "is_mark", "opened_at", "open", "high", "low", "close", "volume",
    )  # fmt: skip
    list_filter = ("is_mark",)
    search_fields = ("=symbol",)


@admin.register(FundingRate)
class FundingRateAdmin(ReadOnlyAdmin):
    list_display = ("symbol", "venue", "at", "rate")
    search_fields = ("=symbol",)


@admin.register(LatestPrice)
class LatestPriceAdmin(ReadOnlyAdmin):
    list_display = ("symbol", "venue", "mark_price", "last_price", "at")
    list_filter = ("venue",)
    search_fields = ("=symbol",)


@admin.register(SimAccount)
class SimAccountAdmin(ReadOnlyAdmin):
    list_display = ("id", "currency", "opening_cash", "version", "last_sequence", "created_at")


@admin.register(SimRecord)
class SimRecordAdmin(ReadOnlyAdmin):
    list_display = ("sequence", "account", "kind", "client_order_id", "at")
    list_filter = ("kind",)
    list_select_related = ("account",)
    search_fields = ("=client_order_id",)
