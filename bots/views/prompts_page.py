"""Prompts: which there are, one version, two beside each other, what a model would be sent now, a new version.

A used version is never changed: a new one is added. Another user's version is not there. The trap avoided: a
preview that fails with an error page because a venue is silent; that is a sentence.
"""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from bots import services
from bots.forms_prompts import PreviewForm, PromptForm, filled_with
from bots.pages.prompts_page import (
    ask_delete_prompt,
    differences,
    prompt_context,
    prompts_context,
)
from bots.refusals import REFUSALS
from bots.services import Sight
from bots.views.finding import signed_in
from bots.views.once import FIELD, Answer, new_request_id, once
from llm.models import PromptTemplate, TemplateInUse
from llm.prompts import TemplateError
from llm.services import (
    StillUsed,
    add_prompt_version,
    delete_prompt_template,
    save_prompt_template,
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
def prompts(request: HttpRequest) -> HttpResponse:
    """The versions that the user may see, by name."""
    return render(request, "prompts.html", prompts_context(signed_in(request)))


@require_safe
@login_required
@never_cache
def prompt(request: HttpRequest, template_id: int) -> HttpResponse:
    """One version; with `preview` in the address, what a model would be sent by it now."""
    row = _seen(request, template_id)
    context = prompt_context(signed_in(request), row)
    asked = request.GET if "preview" in request.GET else None
    form = PreviewForm(asked)
    context["preview_form"] = form
    if form.is_bound:
        context |= _preview(row, form)
    return render(request, "prompt.html", context)


@require_safe
@login_required
@never_cache
def compare_prompt(request: HttpRequest, template_id: int) -> HttpResponse:
    """What this version says otherwise than another, `with` in the address; without it, than the one before."""
    row, user = _seen(request, template_id), signed_in(request)
    context = prompt_context(user, row)
    named = request.GET.get("with", "")
    if named and not named.isdecimal():
        raise Http404("there is no such prompt")
    others = context["others"]
    before = [one for one in others if (one.name, one.version < row.version) == (row.name, True)]
    found = int(named) if named else next((one.pk for one in (*before, *others)), None)
    if found is not None:
        other = _seen(request, found)
        context |= {"other": other, "parts": differences(other, row)}
    return render(request, "compare_prompt.html", context)


@_PAGE
@login_required
@never_cache
def new_prompt(request: HttpRequest, template_id: int) -> HttpResponse:
    """A new version, beginning with what this one says; of somebody else's name it is a copy of one's own."""
    row, user = _seen(request, template_id), signed_in(request)
    if request.method != "POST":
        form = PromptForm(initial=filled_with(row))
        return _form_page(request, form, row, new_request_id(), is_new=True)
    form = PromptForm(request.POST)
    try:
        return once(request, user, reverse("prompts"), lambda: _added(form, user))
    except _NotYet:
        return _form_page(
            request, form, row, request.POST.get(FIELD, ""), is_new=True, status=INVALID
        )


@_PAGE
@login_required
@never_cache
def change_prompt(request: HttpRequest, template_id: int) -> HttpResponse:
    """Change a version that was not used yet. A used one says that it can't be."""
    row, user = _own(request, template_id), signed_in(request)
    if row.used_at is not None:
        text = f"{row} was used, so it stays as it is: add a version instead."
        return Answer(reverse("prompt", args=[row.pk]), text, "warning").send(request)
    if request.method != "POST":
        return _form_page(request, PromptForm(initial=filled_with(row)), row, "", is_new=False)
    form = PromptForm({**request.POST.dict(), "name": row.name})
    if form.is_valid():
        for name, value in form.content().items():
            setattr(row, name, value)
        try:
            _check(row)
            save_prompt_template(row, by=user)
        except (ValidationError, TemplateError, TemplateInUse) as refusal:
            form.refuse(refusal)
        else:
            return Answer(reverse("prompt", args=[row.pk]), f"{row} is changed.").send(request)
    return _form_page(request, form, row, "", is_new=False, status=INVALID)


@_PAGE
@login_required
@never_cache
def delete_prompt(request: HttpRequest, template_id: int) -> HttpResponse:
    """Delete a version that was never used. GET asks first."""
    row, user = _own(request, template_id), signed_in(request)
    back = reverse("prompt", args=[row.pk])
    if row.used_at is not None:
        text = f"{row} was used: decisions name it, so it stays."
        return Answer(back, text, "warning").send(request)
    if request.method != "POST":
        context = {"question": ask_delete_prompt(row), FIELD: new_request_id()}
        return render(request, "halt.html", context)
    name = str(row)
    try:
        delete_prompt_template(row, by=user)
    except (StillUsed, TemplateInUse) as refusal:
        return Answer(back, f"{refusal}, so it stays.", "warning").send(request)
    return Answer(reverse("prompts"), f"{name} is deleted.").send(request)


def _added(form: PromptForm, user: User) -> Answer:
    if not form.is_valid():
        raise _NotYet
    content, name = form.content(), form.cleaned_data["name"]
    try:
        _check(PromptTemplate(owner=user, name=name, **content))
        row = add_prompt_version(owner=user, name=name, by=user, **content)
    except (ValidationError, TemplateError) as refusal:
        form.refuse(refusal)
        raise _NotYet from refusal
    return Answer(reverse("prompt", args=[row.pk]), f"{row} is stored. No bot is sent it yet.")


def _check(row: PromptTemplate) -> None:
    """Render it on the simulated market: an indicator that there is not shows only there. Raises TemplateError."""
    services.preview_prompt(row, Sight())


def _preview(row: PromptTemplate, form: PreviewForm) -> dict[str, Any]:
    """What a model would be sent now, or in a sentence why that can't be told."""
    if not form.is_valid():
        return {}
    sight = Sight(venue=form.cleaned_data["venue"] or Sight().venue, symbols=form.symbols_named())
    try:
        shown = services.preview_prompt(row, sight, token_budget=form.cleaned_data["tokens"])
    except (TemplateError, *REFUSALS) as failure:
        text = str(failure) or "the market can't be read now"
        return {"failure": f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"}
    return {"shown": shown, "venue": sight.venue}


def _form_page(
    request: HttpRequest,
    form: PromptForm,
    row: PromptTemplate,
    request_id: str,
    *,
    is_new: bool,
    status: int = 200,
) -> HttpResponse:
    context = {"form": form, "row": row, "is_new": is_new, FIELD: request_id}
    return render(request, "prompt_form.html", context, status=status)


def _seen(request: HttpRequest, template_id: int) -> PromptTemplate:
    row = visible(PromptTemplate, request.user).filter(pk=template_id).first()
    if row is None:
        raise Http404("there is no such prompt")
    return row


def _own(request: HttpRequest, template_id: int) -> PromptTemplate:
    row = _seen(request, template_id)
    try:
        require(request.user, row, "change")
    except NotYours as error:
        raise Http404("there is no such prompt") from error
    return row
