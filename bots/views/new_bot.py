"""A new bot by one form: checked as it is filled in, and made as a draft when it is sent.

Checking and sending go through the same form. A refusal is a sentence beside its field, and nothing that was
typed is lost.
"""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from bots import services
from bots.forms import SIMULATED, NewBotForm, symbols_listed
from bots.pages.new_bot import form_context
from bots.views.finding import signed_in
from bots.views.once import FIELD, Answer, new_request_id, once
from market.errors import VenueUnavailable
from tradingagent.accounts.models import User

INVALID = 422


class _NotYet(Exception):
    """The form is not sound, or the bot was refused: its errors say why."""


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
def new_bot(request: HttpRequest) -> HttpResponse:
    """The form, with the `model` and `prompt` of the address chosen; sent, it makes a bot in DRAFT and leads to
    its page."""
    user = signed_in(request)
    if request.method != "POST":
        # Bound to its own suggestions, so that what would happen is said from the start.
        chosen = {name: request.GET.get(name, "") for name in ("model", "prompt")}
        form = NewBotForm(user, NewBotForm(user).suggestions(**chosen))
        return _page(request, form, new_request_id())
    form = NewBotForm(user, request.POST)
    try:
        return once(request, user, reverse("bots"), lambda: _made(form, user))
    except _NotYet:
        return _page(request, form, request.POST.get(FIELD, ""), status=INVALID)


@require_POST
@login_required
def new_bot_check(request: HttpRequest) -> HttpResponse:
    """What is wrong with the form as it stands, for each field, and what would happen. Makes nothing, and
    asks no venue."""
    form = NewBotForm(signed_in(request), request.POST)
    form.is_valid()
    context = form_context(form) | {"listed": _listed(form)}
    return render(request, "new_bot.html#checked", context)


def _made(form: NewBotForm, user: User) -> Answer:
    if not form.is_valid():
        raise _NotYet
    try:
        bot = services.create_bot(form.wish(), by=user)
    except services.BotRefused as refusal:
        form.refuse(refusal)
        raise _NotYet from refusal
    except VenueUnavailable as silence:
        form.refuse(silence, "venue")
        raise _NotYet from silence
    return Answer(reverse("bot", args=[bot.pk]), f"{bot.name} is ready. Start it when you are.")


def _page(
    request: HttpRequest, form: NewBotForm, request_id: str, status: int = 200
) -> HttpResponse:
    context = form_context(form) | {FIELD: request_id, "listed": _listed(form)}
    return render(request, "new_bot.html", context, status=status)


def _listed(form: NewBotForm) -> list[str]:
    """What the chosen venue was last seen to list, for completion."""
    venue = str(form["venue"].value() or SIMULATED)
    return [] if venue == SIMULATED else symbols_listed(venue)
