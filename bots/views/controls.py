"""What may be asked of one bot: POST forms, each answered by a redirect with a sentence.

A refusal is a sentence too, never an error page. Nothing is decided or done here: services do, and closing
goes on in the background. A GET of what is grave is a question.
"""

import hashlib
from collections.abc import Callable
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from bots import models, services
from bots.domain.bot import BotStatus
from bots.pages.closing import ask_close
from bots.pages.questions import Question, ask_archive, ask_flatten, ask_pause, stakes_of
from bots.refusals import REFUSALS
from bots.views.finding import own_bot
from bots.views.once import FIELD, LONGEST, Answer, new_request_id, once
from tradingagent.accounts.models import User

Act = Callable[[models.Bot, User], Answer]


@require_POST
@login_required
def start_bot(request: HttpRequest, bot_id: UUID) -> HttpResponse:
    """Let a bot decide from now on."""

    def start(bot: models.Bot, user: User) -> Answer:
        started = services.start_bot(bot.pk, by=user)
        if started.is_halted:
            return _said(
                bot, f"{bot.name} is started, but a halt keeps it from opening.", "warning"
            )
        return _said(bot, f"{bot.name} is started: its first decision comes at once.")

    return _asked(request, bot_id, start, already=BotStatus.ACTIVE)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
def pause_bot(request: HttpRequest, bot_id: UUID) -> HttpResponse:
    """Open nothing any more; `flatten` 1 closes what is held, too. GET asks first."""
    if request.method != "POST":
        bot = own_bot(request, bot_id)
        return _question(request, ask_pause(stakes_of(bot.owner, bot), bot))
    flatten = request.POST.get("flatten") == "1"

    def pause(bot: models.Bot, user: User) -> Answer:
        services.pause_bot(bot.pk, by=user, flatten=flatten)
        rest = "everything it holds is being closed" if flatten else "what it holds stays protected"
        return _said(bot, f"{bot.name} is paused: it opens nothing, {rest}.")

    return _asked(request, bot_id, pause, already=BotStatus.PAUSED)


@require_POST
@login_required
def run_bot(request: HttpRequest, bot_id: UUID) -> HttpResponse:
    """A decision out of turn."""

    def run(bot: models.Bot, user: User) -> Answer:
        services.run_now(bot.pk, by=user, request_id=_request_id(request))
        return _said(bot, f"{bot.name} decides now, out of turn.")

    return _asked(request, bot_id, run)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
def archive_bot(request: HttpRequest, bot_id: UUID) -> HttpResponse:
    """Put a bot away for good. GET asks first."""
    if request.method != "POST":
        return _question(request, ask_archive(own_bot(request, bot_id)))

    def archive(bot: models.Bot, user: User) -> Answer:
        services.archive_bot(bot.pk, by=user)
        return Answer(reverse("bots"), f"{bot.name} is archived. Its history stays.")

    return _asked(request, bot_id, archive, already=BotStatus.ARCHIVED)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
def flatten_bot(request: HttpRequest, bot_id: UUID) -> HttpResponse:
    """Close everything that a bot holds. GET asks first."""
    if request.method != "POST":
        bot = own_bot(request, bot_id)
        return _question(request, ask_flatten(stakes_of(bot.owner, bot), bot))

    def flatten(bot: models.Bot, user: User) -> Answer:
        services.flatten_bot(bot.pk, by=user, request_id=_request_id(request))
        return _said(bot, f"Everything that {bot.name} holds is being closed.")

    return _asked(request, bot_id, flatten)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
def close_position(request: HttpRequest, bot_id: UUID) -> HttpResponse:
    """Close one position, named by `symbol`. GET asks first."""
    if request.method != "POST":
        return _question(
            request, ask_close(own_bot(request, bot_id), request.GET.get("symbol", ""))
        )
    symbol = request.POST.get("symbol", "")

    def close(bot: models.Bot, user: User) -> Answer:
        services.close_position(bot.pk, symbol, by=user, request_id=_request_id(request, symbol))
        return _said(bot, f"{symbol} of {bot.name} is being closed.")

    return _asked(request, bot_id, close)


def _question(request: HttpRequest, question: Question) -> HttpResponse:
    context = {"question": question, "next": request.GET.get("next", ""), FIELD: new_request_id()}
    return render(request, "halt.html", context)


def _asked(
    request: HttpRequest, bot_id: UUID, act: Act, *, already: BotStatus | None = None
) -> HttpResponse:
    """Do it once, and answer in words whatever becomes of it. `already`: the status that it leads to."""
    bot = own_bot(request, bot_id)
    back = _back(request, bot)

    def answer() -> Answer:
        if already is not None and bot.status == already:
            return Answer(back, f"{bot.name} is {already.lower()} already.", "info")
        try:
            done = act(bot, bot.owner)
        except REFUSALS as refusal:
            return Answer(back, _sentence(refusal), "warning")
        return Answer(back, done.text, done.level) if done.url == _page_of(bot) else done

    return once(request, bot.owner, back, answer)


def _said(bot: models.Bot, text: str, level: str = "success") -> Answer:
    return Answer(_page_of(bot), text, level)


def _page_of(bot: models.Bot) -> str:
    return reverse("bot", args=[bot.pk])


def _back(request: HttpRequest, bot: models.Bot) -> str:
    """The page that the form stood on, if it is one of ours; else the bot's own."""
    named = request.POST.get("next", "")
    own_hosts = {request.get_host()}
    if named.startswith("/") and url_has_allowed_host_and_scheme(named, own_hosts):
        return named
    return _page_of(bot)


def _request_id(request: HttpRequest, part: str = "") -> str:
    """The id by which the desk knows this request; "" for a form without one. `part`: what of several
    things on one page is meant."""
    key = request.POST.get(FIELD, "")
    if not key or len(key) > LONGEST:
        return ""
    return hashlib.sha256(f"{key} {part}".encode()).hexdigest()[:40]


def _sentence(refusal: Exception) -> str:
    text = str(refusal) or "That can't be done now"
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"
