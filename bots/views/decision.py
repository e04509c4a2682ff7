"""The page of one decision: stored evidence, shown whole; `check` computes it anew and tells what differs.

It changes nothing: a check is a look, so it is a link. Not yours: not there.
"""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from bots import models
from bots.pages.decision import decision_context
from bots.queries.decision import decision_of
from tradingagent.accounts.access import visible

CYCLE_ROWS = ("bot__owner", "bot__risk_profile", "bot__model_profile", "bot__exchange_account")


@require_safe
@login_required
@never_cache
def decision(request: HttpRequest, bot_id: UUID, cycle_id: UUID) -> HttpResponse:
    """One decision of one of the user's bots."""
    found = visible(models.TradingCycle, request.user).select_related(*CYCLE_ROWS)
    cycle = found.filter(pk=cycle_id, bot=bot_id).first()
    if cycle is None:
        raise Http404("there is no such decision")
    context = decision_context(cycle, decision_of(cycle), check="check" in request.GET)
    return render(request, "decision.html", context)
