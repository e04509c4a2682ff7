"""The desk in the admin: rows to look at, and the acts an operator needs, each through its service.

Nothing that trades is edited by hand. The tables grow by millions, so lists are read along an index, count
no further than they show, and offer no filter that would load every bot.
"""

import json
from collections.abc import Callable
from functools import cached_property
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from bots import models, queries
from bots.models import HaltScope
from market.domain.numbers import plain
from market.fields import AmountField
from tradingagent.accounts.read_only_admin import ReadOnlyAdmin

MOST_COUNTED = 10_000


class BoundedPaginator(Paginator):
    """Counts no further than MOST_COUNTED rows: what lies beyond is found by a filter, not by paging."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[:MOST_COUNTED].count())


class RowsAdmin(ReadOnlyAdmin):
    """Rows of the desk that the program alone writes; `?bot__id__exact=` shows those of one bot."""

    paginator = BoundedPaginator
    list_select_related = ("bot",)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Amounts without the zeros that their columns add, which would push what matters out of sight."""
        fields = {field.name: field for field in self.model._meta.concrete_fields}
        return [
            _amount(str(name)) if isinstance(fields.get(str(name)), AmountField) else name
            for name in super().get_list_display(request)
        ]


def _amount(name: str) -> Callable[[Any], str]:
    @admin.display(description=name.replace("_", " "), ordering=name)
    def shown(row: Any) -> str:
        value = getattr(row, name)
        return "-" if value is None else plain(value)

    return shown


# --- bots ------------------------------------------------------------------------------------------

_ROWS_OF_A_BOT = (
    models.TradingCycle, models.Order, models.Fill, models.Position, models.LedgerEntry,
    models.ClosedTrade, models.EquityPoint, models.Event, models.ModelCharge, models.ManualAction,
)  # fmt: skip


@admin.register(models.Bot)
class BotAdmin(ReadOnlyAdmin):
    """Bots are made and told otherwise by their owners; an operator starts and stops them."""

    list_display = (
        "name", "owner", "mode", "status", "is_halted", "venue", "trader", "model_profile", "created_at",
    )  # fmt: skip
    list_filter = ("status", "mode", "is_halted", "venue")
    list_select_related = ("owner", "model_profile")
    search_fields = ("name", "owner__email")
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
    readonly_fields = ("see",)
    actions = ("start", "pause", "flatten", "halt", "resume")

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("bots.change_bot")

    @admin.display(description="see")
    def see(self, bot: models.Bot) -> str:
        links = [(reverse("admin:bots_botstate_change", args=[bot.pk]), "state")]
        if bot.sim_account_id is not None:
            account = reverse("admin:market_simaccount_change", args=[bot.sim_account_id])
            links.append((account, "simulated account"))
        for model in _ROWS_OF_A_BOT:
            meta = model._meta
            page = reverse(f"admin:bots_{meta.model_name}_changelist")
            links.append((f"{page}?bot__id__exact={bot.pk}", str(meta.verbose_name_plural)))
        return format_html_join(" · ", '<a href="{}">{}</a>', links)

    @admin.action(description="Start", permissions=["operate"])
    def start(self, request: HttpRequest, bots: QuerySet[models.Bot]) -> None:
        from bots import services

        self._each(
            request, bots, "started", lambda bot: services.start_bot(bot.pk, by=_by(request))
        )

    @admin.action(description="Pause: open nothing any more", permissions=["operate"])
    def pause(self, request: HttpRequest, bots: QuerySet[models.Bot]) -> None:
        from bots import services

        self._each(request, bots, "paused", lambda bot: services.pause_bot(bot.pk, by=_by(request)))

    @admin.action(description="Flatten: close everything", permissions=["operate"])
    def flatten(self, request: HttpRequest, bots: QuerySet[models.Bot]) -> None:
        from bots import services

        self._each(
            request,
            bots,
            "is being closed",
            lambda bot: services.flatten_bot(bot.pk, by=_by(request)),
        )

    @admin.action(description="Halt until somebody resumes", permissions=["operate"])
    def halt(self, request: HttpRequest, bots: QuerySet[models.Bot]) -> None:
        from bots import services

        self._each(
            request,
            bots,
            "halted",
            lambda bot: services.halt(bot_id=bot.pk, by=_by(request), reason="in the admin"),
        )

    @admin.action(description="Resume", permissions=["operate"])
    def resume(self, request: HttpRequest, bots: QuerySet[models.Bot]) -> None:
        from bots import services

        self._each(
            request, bots, "resumed", lambda bot: services.resume(bot_id=bot.pk, by=_by(request))
        )

    def _each(
        self,
        request: HttpRequest,
        bots: QuerySet[models.Bot],
        done: str,
        act: Callable[[models.Bot], object],
    ) -> None:
        """Do it to one after the other, and say of each what came of it."""
        from bots.refusals import REFUSALS

        for bot in bots.order_by("name"):
            said, level = f"{bot.name}: {done}.", messages.SUCCESS
            try:
                act(bot)
            except REFUSALS as refusal:
                said, level = f"{bot.name}: {refusal}.", messages.ERROR
            self.message_user(request, said, level)


def _by(request: HttpRequest) -> Any:
    """Who asks: nobody but a user gets into the admin."""
    return request.user


@admin.register(models.BotState)
class BotStateAdmin(RowsAdmin):
    list_display = (
        "bot", "equity", "cash", "equity_at", "trading_state", "loss_streak", "peak_nav", "realized_pnl", "cycles",
    )  # fmt: skip
    list_filter = ("trading_state",)
    search_fields = ("bot__name",)
    exclude = ("book", "recent", "day_navs")

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.BotState]:
        return super().get_queryset(request).defer(*self.exclude)


@admin.register(models.Position)
class PositionAdmin(RowsAdmin):
    list_display = (
        "bot", "symbol", "quantity", "entry_cost", "margin", "leverage", "opened_at", "is_dust",
    )  # fmt: skip
    list_filter = ("is_dust",)
    search_fields = ("=symbol", "bot__name")


# --- what a bot did: sorted by an index, searched by one column -------------------------------------


@admin.register(models.TradingCycle)
class TradingCycleAdmin(RowsAdmin):
    list_display = (
        "started_at", "bot", "status", "outcome", "trading_state", "decision", "equity", "llm_cost", "reason",
    )  # fmt: skip
    list_filter = ("status", "outcome")
    search_fields = ("bot__name",)
    ordering = ("bot_id", "-started_at")  # the index; there is none over all bots
    fields = (
        "bot", "slot", "status", "owner", "lease_until", "started_at", "ended_at", "outcome", "reason",
        "trading_state", "trader", "decision", "summary", "actions", "denials", "clamps", "order_ids", "equity",
        "llm_cost", "profile", "whole_record",
    )  # fmt: skip
    readonly_fields = ("whole_record",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.TradingCycle]:
        return super().get_queryset(request).defer("record")

    @admin.display(description="record")
    def whole_record(self, cycle: models.TradingCycle) -> str:
        record = queries.cycle_record(cycle)
        text = "none" if record is None else json.dumps(record, indent=1, ensure_ascii=False)
        return format_html("<pre>{}</pre>", text)


@admin.register(models.Order)
class OrderAdmin(RowsAdmin):
    list_display = (
        "created_at", "bot", "symbol", "purpose", "side", "order_type", "quantity", "filled_quantity", "price",
        "trigger_price", "status", "reason",
    )  # fmt: skip
    list_filter = ("status", "purpose")
    search_fields = ("client_order_id__exact",)
    ordering = ("bot_id", "-created_at")  # the index; there is none over all bots
    raw_id_fields = ("cycle",)


@admin.register(models.Fill)
class FillAdmin(RowsAdmin):
    list_display = (
        "at",
        "bot",
        "symbol",
        "side",
        "quantity",
        "price",
        "fee",
        "reason",
        "liquidity",
    )
    list_filter = ("reason",)
    search_fields = ("order__client_order_id__exact",)
    ordering = ("-id",)


@admin.register(models.LedgerEntry)
class LedgerEntryAdmin(RowsAdmin):
    list_display = ("at", "bot", "sequence", "kind", "amount", "symbol", "key")
    list_filter = ("kind",)
    search_fields = ("bot__name",)
    ordering = ("-id",)


@admin.register(models.ClosedTrade)
class ClosedTradeAdmin(RowsAdmin):
    list_display = (
        "closed_at", "bot", "symbol", "side", "quantity", "entry_price", "exit_price", "net_pnl", "exit_reason",
    )  # fmt: skip
    list_filter = ("exit_reason", "side")
    search_fields = ("bot__name",)
    ordering = ("-id",)


@admin.register(models.EquityPoint)
class EquityPointAdmin(RowsAdmin):
    list_display = ("at", "bot", "equity")
    search_fields = ("bot__name",)
    ordering = ("-id",)


@admin.register(models.Event)
class EventAdmin(RowsAdmin):
    list_display = ("at", "bot", "sequence", "kind", "payload")
    list_filter = ("kind",)
    search_fields = ("bot__name",)
    ordering = ("-id",)


@admin.register(models.ModelCharge)
class ModelChargeAdmin(RowsAdmin):
    list_display = ("at", "bot", "cost", "ok", "is_booked", "key")
    list_filter = ("is_booked", "ok")
    search_fields = ("bot__name",)
    ordering = ("-id",)


@admin.register(models.Blob)
class BlobAdmin(ReadOnlyAdmin):
    """Shared parts of records: found by their hash, read through the cycles that refer to them."""

    paginator = BoundedPaginator
    list_display = ("hash",)
    search_fields = ("hash__exact",)
    ordering = ("hash",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Blob]:
        return super().get_queryset(request).defer("data")


@admin.register(models.CohortLook)
class CohortLookAdmin(ReadOnlyAdmin):
    """What traders that run beside each other were shown in the last minutes."""

    paginator = BoundedPaginator
    list_display = ("at", "cohort", "slot")
    exclude = ("data",)
    ordering = ("-at",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.CohortLook]:
        return super().get_queryset(request).defer("data")


@admin.register(models.ManualAction)
class ManualActionAdmin(RowsAdmin):
    list_display = ("requested_at", "bot", "kind", "status", "requested_by", "done_at", "result")
    list_filter = ("kind", "status")
    search_fields = ("bot__name", "requested_by")
    date_hierarchy = "requested_at"
    ordering = ("-requested_at",)


# --- halts -----------------------------------------------------------------------------------------


class HaltForm(forms.ModelForm):
    """Whom a halt covers: all, the bots of a user, or one bot."""

    class Meta:
        model = models.TradingHalt
        fields = ("scope", "bot", "user", "reason", "flatten")

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        named = {name.upper() for name in ("bot", "user") if given.get(name) is not None}
        if named != {given.get("scope")} - {HaltScope.ALL}:
            raise forms.ValidationError(
                "A halt of scope BOT names a bot, one of scope USER a user, one of scope ALL neither."
            )
        return given


@admin.register(models.TradingHalt)
class TradingHaltAdmin(admin.ModelAdmin):
    """The kill switch: adding a halt is halting, in force when the page answers."""

    form = HaltForm
    list_display = (
        "halted_at", "scope", "bot", "user", "reason", "halted_by", "resumed_at", "resumed_by",
    )  # fmt: skip
    list_filter = ("scope", ("resumed_at", admin.EmptyFieldListFilter))
    list_select_related = ("bot", "user")
    search_fields = ("bot__name", "user__email", "reason")
    autocomplete_fields = ("bot", "user")
    date_hierarchy = "halted_at"
    ordering = ("-halted_at",)
    actions = ("resume",)

    def has_change_permission(self, *_: object, **__: object) -> bool:
        return False

    has_delete_permission = has_change_permission

    def has_resume_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("bots.add_tradinghalt")

    def save_model(self, request: HttpRequest, obj: models.TradingHalt, *_: Any, **__: Any) -> None:
        from bots import services

        halted = services.halt(
            by=_by(request),
            reason=obj.reason,
            bot_id=obj.bot_id,
            user=obj.user,
            flatten=obj.flatten,
        )
        obj.pk, obj.halted_at = halted.halt.pk, halted.halt.halted_at
        said = f"{len(halted.bots)} bots halted, {len(halted.in_flight)} entries were under way."
        self.message_user(request, said, messages.WARNING)

    @admin.action(description="Resume what these halts cover", permissions=["resume"])
    def resume(self, request: HttpRequest, halts: QuerySet[models.TradingHalt]) -> None:
        from bots import services
        from bots.refusals import REFUSALS

        for halt in halts.select_related("bot", "user"):
            try:
                services.resume(by=_by(request), bot_id=halt.bot_id, user=halt.user)
                self.message_user(request, f"{halt}: resumed.")
            except REFUSALS as refusal:
                self.message_user(request, f"{halt}: {refusal}.", messages.ERROR)
