"""A bot's page: the parts that move, the controls beside them, and one of its books as a table.

Everything that moves comes from the topic's own contexts, so that page and socket can't differ. Links have
addresses: `tab`, `symbol`, `length`, `range`, and `after` for older rows.
"""

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from bots import models
from bots.live.topics import page_context
from bots.pages import bot as page
from bots.pages.bot_books import TABS, book_context
from bots.pages.bot_charts import chart_context
from bots.pages.controls import controls_of, start_of
from tradingagent.accounts.access import NotYours

BUTTONS = ("controls", "start")
"""The parts of the page that are the reader's own."""


@require_safe
@login_required
@never_cache
def bot(request: HttpRequest, bot_id: UUID) -> HttpResponse:
    """One of the user's bots. 404 for any other, and for an address that no link of ours has."""
    found = _find(request, bot_id)
    moving = page_context(page.KIND, found)
    tab = request.GET.get("tab", TABS[0])
    try:
        context = moving | chart_context(found, moving["standing"], request.GET)
        context |= book_context(found, context, tab, request.GET)
    except (LookupError, ValueError) as error:
        raise Http404(str(error)) from error
    context |= {
        "live_topic": f"{page.KIND}:{found.pk}",
        "mode": page.mode_words(found),
    }
    return render(request, "bot.html", context | _buttons(found, moving))


@require_safe
@login_required
@never_cache
def bot_controls(request: HttpRequest, bot_id: UUID) -> HttpResponse:
    """The buttons of a bot as it stands now, for a page that it changed under.

    They hold the reader's own token, so the socket, which sends everyone the same, can't bring them. A fragment
    and not the page: whole pages take the message that waits for the reader."""
    found = _find(request, bot_id)
    moving = page_context(page.KIND, found)
    context = moving | _buttons(found, moving)
    parts = (render_to_string(f"bot.html#{part}", context, request) for part in BUTTONS)
    return HttpResponse("".join(parts))


def _find(request: HttpRequest, bot_id: UUID) -> models.Bot:
    try:
        return page.find(request.user, str(bot_id))
    except NotYours as error:
        raise Http404 from error


def _buttons(bot: models.Bot, moving: dict[str, Any]) -> dict[str, Any]:
    holds, is_stopped = moving["holds"], moving["is_stopped"]
    return {
        "start": start_of(bot),
        "controls": controls_of(bot, holds=holds, is_stopped=is_stopped),
    }
