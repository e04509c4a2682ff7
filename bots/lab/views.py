"""The pages of arenas: the list, the form of a new one, one arena, and its curves as numbers.

Thin doors: a refusal is a sentence, another user's arena is not there. Everything that moves comes from the
topic's own context, so that page and socket can't differ.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import (
    conditional_page,
    require_http_methods,
    require_POST,
    require_safe,
)

from bots.lab import pages, queries, services
from bots.lab.forms import ArenaForm
from bots.lab.models import Arena
from bots.live.topics import page_context
from bots.refusals import REFUSALS
from bots.views.finding import signed_in
from tradingagent.accounts.access import NotYours

UNPROCESSABLE = 422


@require_safe
@login_required
@never_cache
def arenas(request: HttpRequest) -> HttpResponse:
    """The user's arenas."""
    return render(request, "arenas.html", {"lines": queries.arenas_of(request.user)})


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
def new_arena(request: HttpRequest) -> HttpResponse:
    """The form of a new arena; what it makes has not started."""
    user = signed_in(request)
    form = ArenaForm(user, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.create_arena(form.wish(), by=user, entrants=form.entrants())
        except REFUSALS as refusal:
            form.add_error(None, _sentence(refusal))
        else:
            messages.success(request, f"{made.name} is made. Nobody trades before you start it.")
            return redirect("arena", made.pk)
    status = UNPROCESSABLE if form.is_bound else 200
    return render(request, "new_arena.html", {"form": form}, status=status)


@require_safe
@login_required
@never_cache
def arena(request: HttpRequest, arena_id: UUID) -> HttpResponse:
    """One of the user's arenas."""
    found = _own(request, arena_id)
    context = page_context(pages.KIND, found) | {"live_topic": f"{pages.KIND}:{found.pk}"}
    return render(request, "arena.html", context)


@require_safe
@login_required
@cache_control(private=True, no_cache=True)
@conditional_page
def arena_equity(request: HttpRequest, arena_id: UUID) -> HttpResponse:
    """The curves of all entrants as JSON."""
    return JsonResponse(pages.as_json(_race(_own(request, arena_id))))


@require_safe
@login_required
@never_cache
def arena_numbers(request: HttpRequest, arena_id: UUID) -> HttpResponse:
    """The same as a table, the newest first."""
    found = _own(request, arena_id)
    return render(request, "arena_numbers.html", {"arena": found, **pages.as_table(_race(found))})


@require_POST
@login_required
def start_arena(request: HttpRequest, arena_id: UUID) -> HttpResponse:
    """Let all entrants trade from now on."""
    said = "{} runs: all entrants decide from this instant on."
    return _asked(request, arena_id, services.start_arena, said)


@require_POST
@login_required
def stop_arena(request: HttpRequest, arena_id: UUID) -> HttpResponse:
    """Pause all entrants."""
    said = "{} is stopped: nobody opens anything any more, what is held stays protected."
    return _asked(request, arena_id, services.stop_arena, said)


def _asked(
    request: HttpRequest, arena_id: UUID, act: Callable[..., Arena], said: str
) -> HttpResponse:
    found = _own(request, arena_id)
    try:
        act(found.pk, by=signed_in(request))
        messages.success(request, said.format(found.name))
    except REFUSALS as refusal:
        messages.warning(request, _sentence(refusal))
    return redirect(reverse("arena", args=[found.pk]))


def _own(request: HttpRequest, arena_id: UUID) -> Any:
    try:
        return queries.arena_of(request.user, arena_id)
    except NotYours as error:
        raise Http404 from error


def _race(found: Arena) -> queries.Race:
    return queries.race_of(queries.table_of(found))


def _sentence(refusal: Exception) -> str:
    text = str(refusal) or "That can't be done now"
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"
