"""Keys, models, templates, prices and calls in the admin.

A key goes in and never comes out: its form field is write-only, and pages say "set" or "not set".
"""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters

from llm.models import (
    Budget,
    BudgetDay,
    LLMCall,
    ModelPrice,
    ModelProfile,
    PromptTemplate,
    ProviderKey,
)
from llm.services import (
    change_provider_key,
    create_provider_key,
    save_model_price,
    save_model_profile,
    save_prompt_template,
    set_budget,
)
from tradingagent.accounts.read_only_admin import ReadOnlyAdmin
from tradingagent.accounts.secrets import KeysUnusable, Secret
from tradingagent.accounts.services import rotate_keys


class ProviderKeyForm(forms.ModelForm):
    new_key = forms.CharField(
        label="key",
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="Is stored encrypted and never shown. Empty: keep the one that is set.",
    )

    class Meta:
        model = ProviderKey
        fields = ("owner", "provider", "name")

    def clean_new_key(self) -> Secret | None:
        text = self.cleaned_data["new_key"].strip()
        if not text and self.instance.pk is None:
            raise forms.ValidationError("A key is needed.")
        return Secret(text) if text else None


@admin.register(ProviderKey)
class ProviderKeyAdmin(admin.ModelAdmin):
    form = ProviderKeyForm
    list_display = ("name", "owner", "provider", "is_set", "created_at", "last_used_at")
    list_filter = ("provider",)
    list_select_related = ("owner",)
    search_fields = ("name", "owner__email")
    autocomplete_fields = ("owner",)
    fields = ("owner", "provider", "name", "new_key", "is_set", "created_at", "last_used_at")
    readonly_fields = ("is_set", "created_at", "last_used_at")
    actions = ("seal_all_anew",)

    @admin.display(description="stored key")
    def is_set(self, row: ProviderKey) -> str:
        return "not set" if row._state.adding else "set"

    @admin.action(description="Seal all stored secrets under the first encryption key")
    def seal_all_anew(self, request: HttpRequest, _: QuerySet[ProviderKey]) -> None:
        try:
            done = rotate_keys(by=request.user)  # type: ignore[arg-type] # nobody else gets in
        except KeysUnusable as error:
            self.message_user(request, f"{error}.", messages.ERROR)
            return
        unreadable = sum(one.unreadable for one in done)
        text = f"{sum(one.rotated for one in done)} sealed anew, {unreadable} opened by no key."
        self.message_user(request, text, messages.ERROR if unreadable else messages.SUCCESS)

    def get_readonly_fields(self, _: HttpRequest, obj: Any = None) -> Any:
        return self.readonly_fields if obj is None else ("owner", "provider", *self.readonly_fields)

    def save_model(self, request: HttpRequest, obj: ProviderKey, form: Any, change: bool) -> None:
        by: Any = request.user
        key = form.cleaned_data["new_key"]
        if change:
            change_provider_key(obj, name=obj.name, key=key, by=by)
            return
        stored = create_provider_key(
            owner=obj.owner, provider=obj.provider, name=obj.name, key=key, by=by
        )
        obj.pk = stored.pk

    @method_decorator(sensitive_post_parameters("new_key"))
    def changeform_view(self, *args: Any, **named: Any) -> HttpResponse:
        return super().changeform_view(*args, **named)


@admin.register(ModelProfile)
class ModelProfileAdmin(admin.ModelAdmin):
    list_display = ("name", "owner", "provider", "model", "deadline_seconds", "token_budget")
    list_filter = ("provider", ("owner", admin.EmptyFieldListFilter))
    list_select_related = ("owner",)
    search_fields = ("name", "model", "owner__email")
    autocomplete_fields = ("owner", "provider_key")
    readonly_fields = ("created_at",)

    def save_model(self, request: HttpRequest, obj: ModelProfile, *_: Any, **__: Any) -> None:
        save_model_profile(obj, by=request.user)  # type: ignore[arg-type] # nobody else gets in


@admin.register(PromptTemplate)
class PromptTemplateAdmin(admin.ModelAdmin):
    list_display = ("name", "version", "owner", "content_hash", "created_at", "used_at")
    list_filter = (("owner", admin.EmptyFieldListFilter), ("used_at", admin.EmptyFieldListFilter))
    list_select_related = ("owner",)
    search_fields = ("name", "content_hash", "owner__email")
    autocomplete_fields = ("owner",)
    readonly_fields = ("content_hash", "created_at", "used_at")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.used_at is None)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """One at a time, unused: a selection may hold a used one."""
        allowed = super().has_delete_permission(request, obj)
        return allowed and obj is not None and obj.used_at is None

    def save_model(self, request: HttpRequest, obj: PromptTemplate, *_: Any, **__: Any) -> None:
        save_prompt_template(obj, by=request.user)  # type: ignore[arg-type] # nobody else gets in


@admin.register(LLMCall)
class LLMCallAdmin(ReadOnlyAdmin):
    list_display = (
        "at",
        "cost_center",
        "trader",
        "model",
        "outcome",
        "input_tokens",
        "output_tokens",
        "cost",
        "latency_ms",
    )
    list_filter = ("outcome", "model")
    search_fields = ("cost_center", "trader", "model")
    list_select_related = ("profile",)
    date_hierarchy = "at"
    ordering = ("-at",)


@admin.register(ModelPrice)
class ModelPriceAdmin(admin.ModelAdmin):
    list_display = (
        "provider",
        "model_pattern",
        "valid_from",
        "input_price",
        "output_price",
        "cached_price",
        "written_price",
    )
    list_filter = ("provider",)
    search_fields = ("model_pattern",)
    ordering = ("provider", "model_pattern", "-valid_from")

    def save_model(self, request: HttpRequest, obj: ModelPrice, *_: Any, **__: Any) -> None:
        save_model_price(obj, by=request.user)  # type: ignore[arg-type] # nobody else gets in


@admin.register(Budget)
class BudgetAdmin(admin.ModelAdmin):
    list_display = ("cost_center", "owner", "money_per_day", "calls_per_day", "changed_at")
    list_select_related = ("owner",)
    search_fields = ("cost_center", "owner__email")
    autocomplete_fields = ("owner",)
    readonly_fields = ("changed_at",)

    def save_model(self, request: HttpRequest, obj: Budget, *_: Any, **__: Any) -> None:
        row = set_budget(
            owner=obj.owner,
            cost_center=obj.cost_center,
            money_per_day=obj.money_per_day,
            calls_per_day=obj.calls_per_day,
            by=request.user,  # type: ignore[arg-type] # nobody else gets in
        )
        obj.pk = row.pk


@admin.register(BudgetDay)
class BudgetDayAdmin(ReadOnlyAdmin):
    list_display = ("day", "cost_center", "dollars", "calls")
    search_fields = ("cost_center",)
    date_hierarchy = "day"
    ordering = ("-day", "cost_center")

    @admin.display(description="US dollars, set aside included", ordering="money")
    def dollars(self, row: BudgetDay) -> str:
        return f"{row.money / 1_000_000:.4f}"
