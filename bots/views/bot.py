"""A bot's page: the parts that move, the controls beside them, and one of its books as a table.

Everything that moves comes from the topic's own contexts, so that page and socket can't differ. Links have
addresses: `tab`, `symbol`, `length`, `range`, and `after` for older rows.
"""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from bots.live.topics import page_context
from bots.pages import bot as page
from bots.pages.bot_books import TABS, book_context
from bots.pages.bot_charts import chart_context
from bots.pages.controls import controls_of, start_of
from tradingagent.accounts.access import NotYours


@require_safe
@login_required
@never_cache
def bot(request: HttpRequest, bot_id: UUID) -> HttpResponse:
    """One of the user's bots. 404 for any other, and for an address that no link of ours has."""
    try:
        found = page.find(request.user, str(bot_id))
    except NotYours as error:
        raise Http404 from error
    moving = page_context(page.KIND, found)
    tab = request.GET.get("tab", TABS[0])
    try:
        context = moving | chart_context(found, moving["standing"], request.GET)
        context |= book_context(found, context, tab, request.GET)
    except (LookupError, ValueError) as error:
        raise Http404(str(error)) from error
    holds = bool(moving["positions"] or moving["tally"].resting)
    context |= {
        "live_topic": f"{page.KIND}:{found.pk}",
        "mode": page.mode_words(found),
        "start": start_of(found),
        "controls": controls_of(found, holds=holds, is_stopped=moving["is_stopped"]),
    }
    return render(request, "bot.html", context)
