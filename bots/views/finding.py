"""Whose bot a page is about: the asker's own, or there is no such page."""

from uuid import UUID

from django.http import Http404, HttpRequest

from bots import models
from tradingagent.accounts.access import visible
from tradingagent.accounts.models import User

BOT_ROWS = (
    "owner",
    "state",
    "risk_profile",
    "model_profile",
    "prompt_template",
    "exchange_account",
)


def own_bot(request: HttpRequest, bot_id: UUID) -> models.Bot:
    """The user's bot, with the rows that its page reads. One query. Raises Http404."""
    found = visible(models.Bot, request.user).select_related(*BOT_ROWS)
    bot = found.filter(pk=bot_id).first()
    if bot is None:
        raise Http404("there is no such bot")
    return bot


def signed_in(request: HttpRequest) -> User:
    """Who asks, for views that ask everybody else to sign in. Raises Http404 for nobody."""
    if not isinstance(request.user, User):
        raise Http404("nobody is signed in")
    return request.user
