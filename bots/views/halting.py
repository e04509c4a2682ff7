"""The kill switch and its undoing: a question in numbers, then a POST answered in words.

`bot` names one bot of the user; without it, all of theirs are meant. The trap avoided: a halt that is refused
for a formality. It asks for nothing but the button.
"""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from bots import models, queries, services
from bots.domain.bot import BotStatus
from bots.pages.questions import Question, ask_halt, ask_resume, stakes_of
from bots.refusals import REFUSALS
from bots.services import Halted
from bots.views.finding import own_bot, signed_in
from bots.views.once import FIELD, Answer, new_request_id, once
from tradingagent.accounts.access import visible

LONGEST_REASON = 500


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
def halt(request: HttpRequest) -> HttpResponse:
    """Halt one bot or all of the user's; `flatten` 1 closes what they hold, too. GET asks first."""
    user, bot = signed_in(request), _bot(request)
    if request.method != "POST":
        return _question(request, ask_halt(stakes_of(user, bot), bot))
    flatten = request.POST.get("flatten") == "1"

    def act() -> Answer:
        halted = services.halt(
            by=user,
            reason=_reason(request),
            bot_id=None if bot is None else bot.pk,
            user=user if bot is None else None,
            flatten=flatten,
        )
        return Answer(_page_of(bot), _told(halted, bot), "warning")

    return once(request, user, _page_of(bot), act)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
def resume(request: HttpRequest) -> HttpResponse:
    """End the user's own halt of one bot or of all of theirs. GET asks first."""
    user, bot = signed_in(request), _bot(request)
    if request.method != "POST":
        halts = queries.halts_over(user)
        return _question(request, ask_resume(stakes_of(user, bot), halts, bot))

    def act() -> Answer:
        try:
            services.resume(
                by=user,
                bot_id=None if bot is None else bot.pk,
                user=user if bot is None else None,
                reason=_reason(request),
            )
        except REFUSALS as refusal:
            text = str(refusal)
            return Answer(_page_of(bot), f"{text[:1].upper()}{text[1:]}.", "warning")
        left = _still_halted(request, bot)
        if not left:
            return Answer(_page_of(bot), "Resumed: decisions may open positions again.")
        names = ", ".join(left[:3]) + (" and more" if len(left) > 3 else "")
        text = f"Resumed, but a halt of its own or a wider one still covers {names}."
        return Answer(_page_of(bot), text, "warning")

    return once(request, user, _page_of(bot), act)


def _question(request: HttpRequest, question: Question) -> HttpResponse:
    return render(request, "halt.html", {"question": question, FIELD: new_request_id()})


def _bot(request: HttpRequest) -> models.Bot | None:
    named = request.POST.get("bot") or request.GET.get("bot") or ""
    if not named:
        return None
    try:
        return own_bot(request, UUID(named))
    except ValueError as error:
        raise Http404 from error


def _reason(request: HttpRequest) -> str:
    return request.POST.get("reason", "").strip()[:LONGEST_REASON]


def _page_of(bot: models.Bot | None) -> str:
    return reverse("dashboard") if bot is None else reverse("bot", args=[bot.pk])


def _told(halted: Halted, bot: models.Bot | None) -> str:
    """What the halt did, and what had left before it."""
    number = len(halted.bots)
    whom = bot.name if bot is not None else "1 bot" if number == 1 else f"{number} bots"
    text = f"Halted: {whom}."
    if halted.in_flight:
        many = len(halted.in_flight)
        text += f" {many} entr{'y' if many == 1 else 'ies'} had left before and may still fill."
    if halted.halt.flatten:
        many = len(halted.actions)
        text += f" What {many} of them held is being closed." if many else " Nothing was held."
    return text


def _still_halted(request: HttpRequest, bot: models.Bot | None) -> list[str]:
    rows = visible(models.Bot, request.user).filter(is_halted=True)
    rows = rows.exclude(status=BotStatus.ARCHIVED) if bot is None else rows.filter(pk=bot.pk)
    return list(rows.order_by("name").values_list("name", flat=True))
