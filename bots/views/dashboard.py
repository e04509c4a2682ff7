"""The dashboard, the list of all bots, and the equity of several bots as numbers and as a table.

Everything that moves comes from the topic's own contexts, so that page and socket can't differ.
"""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import conditional_page, require_safe

from bots import queries
from bots.live.topics import page_context
from bots.pages import dashboard as page
from bots.pages import equity
from bots.pages.bot_lists import groups_of, with_last_stories
from tradingagent.accounts.access import NotYours


@require_safe
@login_required
@never_cache
def dashboard(request: HttpRequest) -> HttpResponse:
    """All bots of one kind of money. `money` as `pages.dashboard.key_of`, `range` and `of` of the curve."""
    subject = _subject(request)
    context = page_context(page.KIND, subject)
    if context["total"] is None:
        return render(request, "dashboard.html", context)
    key = request.GET.get("money", "")
    return render(
        request,
        "dashboard.html",
        context
        | equity.chart_context(request.GET, context["lines"])
        | {"live_topic": f"{page.KIND}:{key}" if key else page.KIND},
    )


@require_safe
@login_required
@never_cache
def bots(request: HttpRequest) -> HttpResponse:
    """Every bot of the user with its state and money; `archived` for those that were put away."""
    archived = "archived" in request.GET
    lines = queries.bots_of(request.user, archived=archived)
    groups = groups_of(lines, with_last_stories(lines))
    return render(request, "bots.html", {"archived": archived, "bot_groups": groups})


@require_safe
@login_required
@cache_control(private=True, no_cache=True)
@conditional_page
def equity_json(request: HttpRequest) -> HttpResponse:
    """The curves of the dashboard as JSON: `money`, `range`, `of`."""
    return JsonResponse(equity.as_json(_curves(request)))


@require_safe
@login_required
@never_cache
def equity_table(request: HttpRequest) -> HttpResponse:
    """The same as a table, the newest first."""
    return render(request, "equity.html", equity.as_table(_curves(request), request.GET))


def _curves(request: HttpRequest) -> equity.Lines:
    subject = _subject(request)
    try:
        return equity.lines_of(subject, request.GET, timezone.now())
    except LookupError as error:
        raise Http404(str(error)) from error


def _subject(request: HttpRequest) -> Any:
    try:
        return page.find(request.user, request.GET.get("money", ""))
    except NotYours as error:
        raise Http404 from error
