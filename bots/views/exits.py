"""The exits that a bot manages by itself, in a form: the owner's own bot, or there is no such page."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from bots import models, rows, services
from bots.forms_exits import ExitsForm
from bots.pages.exits import may_change_exits
from bots.refusals import REFUSALS
from bots.views.finding import own_bot, signed_in
from bots.views.once import FIELD, Answer, new_request_id, once
from tradingagent.accounts.models import User

INVALID = 422


class _NotYet(Exception):
    """The form is not sound: its errors say why."""


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
def bot_exits(request: HttpRequest, bot_id: UUID) -> HttpResponse:
    """Every rule of a bot's own exits; what is saved is in force from its next beat on."""
    bot, user = own_bot(request, bot_id), signed_in(request)
    typed = request.POST if request.method == "POST" else None
    is_open = may_change_exits(bot)
    form = ExitsForm(rows.exits_of(bot), typed, is_open=is_open)
    context = {"form": form, "bot": bot, "is_open": is_open}
    if request.method != "POST":
        return render(request, "bot_exits.html", {**context, FIELD: new_request_id()})
    back = reverse("bot", args=[bot.pk])
    try:
        return once(request, user, back, lambda: _saved(form, bot, user, back))
    except _NotYet:
        context[FIELD] = request.POST.get(FIELD, "")
        return render(request, "bot_exits.html", context, status=INVALID)


def _saved(form: ExitsForm, bot: models.Bot, user: User, back: str) -> Answer:
    if not form.is_valid():
        raise _NotYet
    if form.rules == rows.exits_of(bot):
        return Answer(back, f"Nothing differs: {bot.name} goes on as before.", "info")
    try:
        services.manage_exits_of(bot.pk, form.rules, by=user)
    except REFUSALS as refusal:
        form.refuse(refusal)
        raise _NotYet from refusal
    if form.rules.is_off:
        return Answer(back, f"{bot.name} moves no stop by itself any more. What it moved stays.")
    return Answer(back, f"{bot.name} manages its exits by these rules from its next beat on.")
