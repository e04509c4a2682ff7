"""A form that is sent twice is done once: its hidden request id is claimed before anything is done.

The second gets the first one's answer. Without an id, or with one that came with something else, it is simply
done: a kill switch must never fail for its bookkeeping.
"""

import hashlib
import json
from collections.abc import Callable
from uuid import uuid4

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from tradingagent.accounts.models import User
from tradingagent.accounts.services import (
    KeyReused,
    StillRunning,
    forget_request,
    remember,
    store_answer,
)

FIELD = "request_id"
LONGEST = 60
SEE_OTHER = 303


class Answer:
    """Where to go, and what to say there. `level`: success, info, warning or error."""

    def __init__(self, url: str, text: str, level: str = "success") -> None:
        self.url = url
        self.text = text
        self.level = level

    def send(self, request: HttpRequest) -> HttpResponse:
        """The answer as a redirect with a message."""
        messages.add_message(request, _LEVELS[self.level], self.text)
        return redirect(self.url)


_LEVELS = {
    "success": messages.SUCCESS,
    "info": messages.INFO,
    "warning": messages.WARNING,
    "error": messages.ERROR,
}


def new_request_id() -> str:
    """An id for a form that is shown now."""
    return uuid4().hex


def once(request: HttpRequest, user: User, back: str, act: Callable[[], Answer]) -> HttpResponse:
    """Do what the form asks unless it was done before; the answer, or that of the first time. `back`: where
    to go while the first is still under way."""
    key = request.POST.get(FIELD, "")
    if not key or len(key) > LONGEST:
        return act().send(request)
    key = f"page:{key}"
    try:
        known = remember(user, key, _fingerprint(request))
    except KeyReused:
        return act().send(request)
    except StillRunning:
        return Answer(back, "That is being done already.", "info").send(request)
    if known is not None:
        return Answer(**known.body).send(request)
    try:
        answer = act()
    except BaseException:
        forget_request(user, key)
        raise
    store_answer(
        user, key, SEE_OTHER, {"url": answer.url, "text": answer.text, "level": answer.level}
    )
    return answer.send(request)


def _fingerprint(request: HttpRequest) -> str:
    """What was asked, the form's token and a key that was typed left out."""
    asked = [
        (name, request.POST.getlist(name))
        for name in sorted(request.POST)
        if name not in ("csrfmiddlewaretoken", "key")
    ]
    text = json.dumps([request.get_full_path(), asked])
    return hashlib.sha256(text.encode()).hexdigest()
