"""Limits: the profiles, one of them, a copy, a change, a name, an end, a bot that follows another, and what binds all
bots together.

A change is a new version and never overwrites one. A preset is changed by nobody; another user's profile is not there.
"""

from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bots import services
from bots.forms_limits import AccountLimitsForm, GiveForm, LimitsForm, NameForm
from bots.forms_sizing import SizingForm
from bots.pages.limits_page import (
    ask_delete_limits,
    limits_context,
    profile_context,
    profile_name,
)
from bots.pages.sizing import sized_context
from bots.refusals import REFUSALS
from bots.views.finding import signed_in
from bots.views.once import FIELD, Answer, new_request_id, once
from risk.domain import InvalidLimits
from risk.models import AccountLimits, RiskProfile
from risk.services import (
    StillUsed,
    change_profile,
    copy_profile,
    delete_profile,
    rename_profile,
    set_account_limits,
)
from tradingagent.accounts.access import NotYours, require, visible
from tradingagent.accounts.models import User

INVALID = 422
_PAGE = require_http_methods(["GET", "HEAD", "POST"])


class _NotYet(Exception):
    """The form is not sound: its errors say why."""


@require_safe
@login_required
@never_cache
def limits(request: HttpRequest) -> HttpResponse:
    """The presets, the user's own profiles, and the limits over all bots."""
    context = limits_context(signed_in(request))
    return render(request, "limits.html", {**context, FIELD: new_request_id()})


@require_POST
@login_required
def account_limits(request: HttpRequest) -> HttpResponse:
    """What binds all bots of the user together."""
    user = signed_in(request)
    form = AccountLimitsForm(AccountLimits.objects.filter(user=user).first(), request.POST)
    try:
        return once(request, user, reverse("limits"), lambda: _bound(form, user))
    except _NotYet:
        context = {**limits_context(user, form), FIELD: request.POST.get(FIELD, "")}
        return render(request, "limits.html", context, status=INVALID)


@require_safe
@login_required
@never_cache
def risk_profile(request: HttpRequest, risk_id: int) -> HttpResponse:
    """A profile in words, who follows it, and its versions."""
    row, user = _seen(request, risk_id), signed_in(request)
    context = {**profile_context(user, row), FIELD: new_request_id()}
    return render(request, "risk_profile.html", context)


@_PAGE
@login_required
@never_cache
def copy_limits(request: HttpRequest, risk_id: int) -> HttpResponse:
    """A profile of one's own that begins with what this one says."""
    row, user = _seen(request, risk_id), signed_in(request)
    form = NameForm(user, request.POST if request.method == "POST" else None)
    context = {"form": form, "row": row, "name": profile_name(row)}
    if request.method != "POST":
        return render(request, "copy_limits.html", {**context, FIELD: new_request_id()})
    try:
        return once(request, user, reverse("limits"), lambda: _copied(form, row, user))
    except _NotYet:
        context[FIELD] = request.POST.get(FIELD, "")
        return render(request, "copy_limits.html", context, status=INVALID)


@_PAGE
@login_required
@never_cache
def change_limits(request: HttpRequest, risk_id: int) -> HttpResponse:
    """Every limit of a profile of one's own in a form; what differs becomes its next version."""
    row, user = _own(request, risk_id), signed_in(request)
    form = LimitsForm(row, request.POST if request.method == "POST" else None)
    context = {"form": form, "row": row}
    if request.method != "POST":
        return render(request, "change_limits.html", {**context, FIELD: new_request_id()})
    back = reverse("risk_profile", args=[row.pk])
    try:
        return once(request, user, back, lambda: _changed(form, row, user))
    except _NotYet:
        context[FIELD] = request.POST.get(FIELD, "")
        return render(request, "change_limits.html", context, status=INVALID)


@require_POST
@login_required
def rename_limits(request: HttpRequest, risk_id: int) -> HttpResponse:
    """Call a profile of one's own otherwise."""
    row, user = _own(request, risk_id), signed_in(request)
    form = NameForm(user, request.POST, row=row)
    back = reverse("risk_profile", args=[row.pk])
    try:
        return once(request, user, back, lambda: _renamed(form, row, user, back))
    except _NotYet:
        context = profile_context(user, row, name_form=form) | {FIELD: request.POST.get(FIELD, "")}
        return render(request, "risk_profile.html", context, status=INVALID)


@_PAGE
@login_required
@never_cache
def delete_limits(request: HttpRequest, risk_id: int) -> HttpResponse:
    """Delete a profile of one's own that no bot follows. GET asks first."""
    row, user = _own(request, risk_id), signed_in(request)
    if request.method != "POST":
        context = {"question": ask_delete_limits(row), FIELD: new_request_id()}
        return render(request, "halt.html", context)
    try:
        delete_profile(row, by=user)
    except StillUsed as refusal:
        back = reverse("risk_profile", args=[risk_id])
        return Answer(back, f"{refusal}, so it stays.", "warning").send(request)
    return Answer(reverse("limits"), f"{row.name} is deleted.").send(request)


@require_POST
@login_required
def give_limits(request: HttpRequest, risk_id: int) -> HttpResponse:
    """Let a bot of the user follow this profile from its next cycle on."""
    row, user = _seen(request, risk_id), signed_in(request)
    form = GiveForm(user, row, request.POST)
    back = reverse("risk_profile", args=[row.pk])
    try:
        return once(request, user, back, lambda: _given(form, row, user, back))
    except _NotYet:
        context = {**profile_context(user, row, form), FIELD: request.POST.get(FIELD, "")}
        return render(request, "risk_profile.html", context, status=INVALID)


@require_safe
@login_required
@never_cache
def try_limits(request: HttpRequest, risk_id: int) -> HttpResponse:
    """What this profile would let through of an entry that nobody makes; a raw one judges none."""
    row, user = _seen(request, risk_id), signed_in(request)
    if row.raw:
        raise Http404("a raw profile judges no entry")
    is_asked = "symbol" in request.GET
    form = (
        SizingForm(user, request.GET) if is_asked else SizingForm(user, initial=request.GET.dict())
    )
    context = {"form": form, "row": row, "name": profile_name(row)}
    if form.is_bound and form.is_valid():
        limits = row.limits()
        try:
            found = services.what_if(limits, form.asked(), form.holder())
            context |= sized_context(found, limits)
        except REFUSALS as refusal:
            text = str(refusal) or "the market can't be read now"
            context["failure"] = f"{text[:1].upper()}{text[1:].rstrip('.')}."
    return render(request, "try_limits.html", context)


def _bound(form: AccountLimitsForm, user: User) -> Answer:
    if not form.is_valid():
        raise _NotYet
    try:
        set_account_limits(user, form.cleaned_data, by=user)
    except ValidationError as refusal:
        form.add_error(None, refusal.messages)
        raise _NotYet from refusal
    return Answer(reverse("limits"), "The limits over all your bots are in force at once.")


def _copied(form: NameForm, row: RiskProfile, user: User) -> Answer:
    if not form.is_valid():
        raise _NotYet
    try:
        made = copy_profile(row, user, form.cleaned_data["name"])
    except ValidationError as refusal:
        form.add_error("name", refusal.messages)
        raise _NotYet from refusal
    text = f"{made.name} begins as {profile_name(row)} is. No bot follows it yet."
    return Answer(reverse("change_limits", args=[made.pk]), text)


def _renamed(form: NameForm, row: RiskProfile, user: User, back: str) -> Answer:
    if not form.is_valid():
        raise _NotYet
    before, name = row.name, form.cleaned_data["name"]
    if name == before:
        return Answer(back, f"It is called {name} already.", "info")
    try:
        rename_profile(row, name, by=user)
    except ValidationError as refusal:
        form.add_error("name", refusal.messages)
        raise _NotYet from refusal
    return Answer(back, f"{before} is called {name} now. Its limits are as they were.")


def _changed(form: LimitsForm, row: RiskProfile, user: User) -> Answer:
    if not form.is_valid():
        raise _NotYet
    before = row.version
    try:
        now = change_profile(row, form.changes(), by=user)
    except (ValidationError, InvalidLimits) as refusal:
        form.refuse(refusal)
        raise _NotYet from refusal
    back = reverse("risk_profile", args=[row.pk])
    if now.version == before:
        return Answer(back, f"Nothing differs: version {before} of {row.name} stays.", "info")
    text = f"{row.name}: version {now.version} is in force from each bot's next cycle."
    return Answer(back, text)


def _given(form: GiveForm, row: RiskProfile, user: User, back: str) -> Answer:
    if not form.is_valid():
        raise _NotYet
    bot = form.cleaned_data["bot"]
    try:
        services.update_bot(bot.pk, {"risk_profile": row}, by=user)
    except REFUSALS as refusal:
        text = str(refusal) or "that can't be done now"
        return Answer(back, f"{text[:1].upper()}{text[1:]}.", "warning")
    text = f"{bot.name} follows {profile_name(row)}, version {row.version}, from its next cycle."
    return Answer(back, text)


def _seen(request: HttpRequest, risk_id: int) -> RiskProfile:
    row = visible(RiskProfile, request.user).filter(pk=risk_id).first()
    if row is None:
        raise Http404("there is no such profile")
    return row


def _own(request: HttpRequest, risk_id: int) -> RiskProfile:
    row = _seen(request, risk_id)
    try:
        require(request.user, row, "change")
    except NotYours as error:
        raise Http404("there is no such profile") from error
    return row
