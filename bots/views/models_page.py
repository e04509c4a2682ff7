"""Models: which there are, a new one, what one is told, its keys, and what all bots together may spend on them.

A key goes in and comes out nowhere. Another user's model or key is not there; a shared model can be asked and
changed by nobody. The trap avoided: a model that is asked while a transaction is open; a test speaks outward first
and writes afterwards.
"""

from collections.abc import Callable

from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bots import services
from bots.forms_models import BudgetForm, ChangeModelForm, KeyForm, NewModelForm
from bots.pages.models_page import (
    answer_in_words,
    ask_delete_key,
    ask_delete_model,
    host_words,
    models_context,
    users_of,
)
from bots.views.finding import signed_in
from bots.views.once import FIELD, Answer, new_request_id, once
from llm.errors import BudgetExhausted, ModelRefused, ModelTimedOut, ModelUnavailable
from llm.hosts import HOSTS, Provider
from llm.models import ModelProfile, ProviderKey
from llm.price_rows import names_priced
from llm.services import (
    ProviderNotAvailable,
    StillUsed,
    add_model_profile,
    change_model_profile,
    change_provider_key,
    delete_model_profile,
    delete_provider_key,
    set_budget,
)
from tradingagent.accounts.access import NotYours, require, visible
from tradingagent.accounts.models import User
from tradingagent.accounts.secrets import KeysUnusable

INVALID = 422
NO_ANSWER = (
    ProviderNotAvailable, ModelUnavailable, ModelTimedOut, ModelRefused, BudgetExhausted,
)  # fmt: skip
_PAGE = require_http_methods(["GET", "HEAD", "POST"])


class _NotYet(Exception):
    """The form is not sound: its errors say why."""


@require_safe
@login_required
@never_cache
def models(request: HttpRequest) -> HttpResponse:
    """The user's models, the shared ones, the keys and the budget."""
    return render(request, "models.html", models_context(signed_in(request)))


@sensitive_post_parameters("key")
@_PAGE
@login_required
@never_cache
def new_model(request: HttpRequest) -> HttpResponse:
    """The form of a new model; `provider` chooses the host that it starts with."""
    user = signed_in(request)
    if request.method != "POST":
        chosen = request.GET.get("provider", "")
        form = NewModelForm(user, initial={"provider": chosen} if chosen in HOSTS else None)
        return _new_page(request, form, new_request_id())
    form = NewModelForm(user, request.POST)
    try:
        return once(request, user, reverse("models"), lambda: _added(form, user))
    except _NotYet:
        return _new_page(request, form, request.POST.get(FIELD, ""), status=INVALID)


@sensitive_post_parameters("key")
@_PAGE
@login_required
@never_cache
def change_model(request: HttpRequest, profile_id: int) -> HttpResponse:
    """What a model of the user is told."""
    row, user = _own_model(request, profile_id), signed_in(request)
    form = ChangeModelForm(user, row, request.POST if request.method == "POST" else None)
    name = row.name
    if form.is_valid():
        changed = _tried(
            form,
            lambda: change_model_profile(form.changed_row(), key=form.cleaned_data["key"], by=user),
        )
        if changed:
            return Answer(reverse("models"), f"{row.name} is changed.").send(request)
    context = {
        "form": form, "row": row, "name": name, "used_by": users_of(row),
        "host": host_words(row.provider), "names": names_priced(Provider(row.provider)),
    }  # fmt: skip
    return render(request, "change_model.html", context, status=INVALID if form.is_bound else 200)


@_PAGE
@login_required
@never_cache
def delete_model(request: HttpRequest, profile_id: int) -> HttpResponse:
    """Delete a model that nothing uses. GET asks first."""
    row, user = _own_model(request, profile_id), signed_in(request)
    if request.method != "POST":
        context = {"question": ask_delete_model(row), FIELD: new_request_id()}
        return render(request, "halt.html", context)
    name = row.name
    try:
        delete_model_profile(row, by=user)
    except StillUsed as refusal:
        back = reverse("change_model", args=[profile_id])
        return Answer(back, f"{refusal}, so it stays.", "warning").send(request)
    return Answer(reverse("models"), f"{name} is deleted.").send(request)


@require_POST
@login_required
def check_model(request: HttpRequest, profile_id: int) -> HttpResponse:
    """Ask a model whether it answers; what came of it is said in a sentence."""
    user = signed_in(request)
    rows = visible(ModelProfile, user).select_related("owner", "provider_key")
    row = rows.filter(pk=profile_id).first()
    if row is None:
        raise Http404("there is no such model")
    back = reverse("models")
    if row.provider not in HOSTS:
        text = f"{row.name} plays a file: there is nobody to ask."
        return Answer(back, text, "info").send(request)
    try:
        said = Answer(back, answer_in_words(row.name, services.try_model(row, by=user)))
    except NO_ANSWER as failure:
        text = str(failure).removeprefix(f"{row.name}: ") or "no answer"
        said = Answer(back, f"{row.name} did not answer: {text.rstrip('.')}.", "error")
    return said.send(request)


@require_POST
@login_required
def models_budget(request: HttpRequest) -> HttpResponse:
    """What all bots of the user together may spend on models in a day."""
    user = signed_in(request)
    form = BudgetForm(request.POST)
    if form.is_valid():
        try:
            set_budget(
                owner=user, cost_center=services.cost_center_of(user), by=user, **form.cleaned_data
            )
        except ValidationError as refusal:
            form.add_error(None, refusal.messages)
        else:
            text = "The budget of all your bots together is kept."
            return Answer(reverse("models"), text).send(request)
    return render(request, "models.html", models_context(user, form), status=INVALID)


@sensitive_post_parameters("key")
@_PAGE
@login_required
@never_cache
def replace_key(request: HttpRequest, key_id: int) -> HttpResponse:
    """Put another key in the place of a stored one."""
    row, user = _own_key(request, key_id), signed_in(request)
    form = KeyForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        key = form.cleaned_data["key"]
        if _tried(form, lambda: change_provider_key(row, name=row.name, key=key, by=user)):
            text = f"The key {row.name} is replaced, for every model that uses it."
            return Answer(reverse("models"), text).send(request)
    context = {
        "form": form, "row": row, "host": host_words(row.provider),
        "used_by": row.profiles.order_by("name").values_list("name", flat=True),
    }  # fmt: skip
    return render(request, "replace_key.html", context, status=INVALID if form.is_bound else 200)


@_PAGE
@login_required
@never_cache
def delete_key(request: HttpRequest, key_id: int) -> HttpResponse:
    """Delete a key that no model uses. GET asks first."""
    row, user = _own_key(request, key_id), signed_in(request)
    if request.method != "POST":
        context = {"question": ask_delete_key(row), FIELD: new_request_id()}
        return render(request, "halt.html", context)
    name = row.name
    try:
        delete_provider_key(row, by=user)
    except StillUsed as refusal:
        return Answer(reverse("models"), f"{refusal}, so it stays.", "warning").send(request)
    return Answer(reverse("models"), f"The key {name} is deleted.").send(request)


@sensitive_variables("key")
def _added(form: NewModelForm, user: User) -> Answer:
    if not form.is_valid():
        raise _NotYet
    data = form.cleaned_data
    made = _tried(
        form,
        lambda: add_model_profile(
            owner=user, name=data["name"], provider=Provider(data["provider"]), key=data["key"],
            by=user, **form.columns(),
        ),
    )  # fmt: skip
    if not made:
        raise _NotYet
    text = f"{data['name']} is added. Test whether it answers before a bot depends on it."
    return Answer(reverse("models"), text)


def _tried(form: NewModelForm | ChangeModelForm | KeyForm, act: Callable[[], object]) -> bool:
    """Whether a service did it; what it refused stands in the form."""
    try:
        act()
    except ValidationError as refusal:
        if isinstance(form, KeyForm):
            form.add_error(None, refusal.messages)
        else:
            form.refuse(refusal)
        return False
    except KeysUnusable:
        form.add_error("key", "Keys can't be stored here: the operator has to set ENCRYPTION_KEYS.")
        return False
    return True


def _new_page(
    request: HttpRequest, form: NewModelForm, request_id: str, status: int = 200
) -> HttpResponse:
    context = {"form": form, FIELD: request_id, "names": names_priced(form.shown_provider)}
    return render(request, "new_model.html", context, status=status)


def _own_model(request: HttpRequest, profile_id: int) -> ModelProfile:
    rows = ModelProfile.objects.select_related("owner", "provider_key", "fallback")
    row = rows.filter(pk=profile_id).first()
    try:
        if row is None or row.provider not in HOSTS:
            raise NotYours
        require(request.user, row, "change")
    except NotYours as error:
        raise Http404("there is no such model") from error
    return row


def _own_key(request: HttpRequest, key_id: int) -> ProviderKey:
    row = visible(ProviderKey, request.user).filter(pk=key_id).first()
    if row is None:
        raise Http404("there is no such key")
    return row
