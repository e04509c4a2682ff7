"""What a host's error means: asked again or not, charged or not, in one sentence.

The host's own words are quoted short and clean. The trap avoided: hosts repeat the key, or a part of it, in
what they say of it.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from llm.errors import ModelUnavailable
from tradingagent.accounts.secrets import Secret

QUOTED = 200
LONGEST_WAIT = timedelta(hours=1)
_KEYS = re.compile(r"\b[A-Za-z]{2,6}[-_][\w*.-]{6,}")
_WORDS = re.compile(r"[\w.-]{8,}")
_NO_CREDIT = ("insufficient_quota", "insufficient balance", "exceeded your current quota", "credit")

_PERMANENT = {
    400: "the host refused the request",
    404: "the host has no such model or address",
    413: "the prompt is too long for the host",
    422: "the host refused the request",
}
_OF_THE_KEY = {
    401: "the host refused the key",
    402: "the host wants to be paid: the account has no credit",
    403: "the key may not do this",
}
_PASSING = {
    408: "the host gave up waiting",
    409: "the host was in the way of itself",
    425: "the host was not ready",
    429: "the host asks for fewer requests",
    529: "the host is overloaded",
}


def of_status(
    status: int, said: str, headers: Mapping[str, str], key: Secret | None = None
) -> ModelUnavailable:
    """The failure that an answer of this status is. Nothing was charged for it. `key`: never quoted."""
    quoted = quote(said, key)
    if status in _OF_THE_KEY:  # these quote the key
        return ModelUnavailable(f"{_OF_THE_KEY[status]} ({status})", is_about_key=True)
    if status == 400 and "api key" in said.lower():  # xAI's and Gemini's way to refuse one
        return ModelUnavailable(f"{_OF_THE_KEY[401]} ({status})", is_about_key=True)
    if status == 429 and any(word in said.lower() for word in _NO_CREDIT):
        return ModelUnavailable(f"{_OF_THE_KEY[402]} ({status})", is_about_key=True)
    if status in _PASSING or status >= 500:
        words = _PASSING.get(status, "the host has an error of its own")
        return ModelUnavailable(
            f"{words} ({status}){quoted}", is_temporary=True, retry_after=retry_after(headers)
        )
    if 300 <= status < 400:
        return ModelUnavailable(f"the host sends elsewhere ({status}): correct its address")
    return ModelUnavailable(f"{_PERMANENT.get(status, 'the host answered')} ({status}){quoted}")


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """How long the host asks to wait; None where it says nothing that can be read."""
    exact = headers.get("retry-after-ms", "")
    if _is_number(exact):
        return _bounded(float(exact) / 1000)
    said = headers.get("retry-after", "")
    if _is_number(said):
        return _bounded(float(said))
    try:
        until = parsedate_to_datetime(said)
    except (ValueError, OverflowError):
        return None
    if until.tzinfo is None:
        return None
    return _bounded((until - datetime.now(UTC)).total_seconds())


def quote(said: str, key: Secret | None = None) -> str:
    """`: what was said`, on one line and without anything that looks like a key; empty for nothing."""
    if key is not None:
        said = _without(said, key.reveal())
    clean = " ".join(_KEYS.sub("…", said).split())
    clean = "".join(letter for letter in clean if letter.isprintable())
    return f": {clean[:QUOTED]}" if clean else ""


def _without(said: str, secret: str) -> str:
    """What was said, without the secret and without any longer part of it."""
    hidden = said.replace(secret, "…")
    return _WORDS.sub(lambda word: "…" if word[0] in secret else word[0], hidden)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d{1,9}(\.\d{1,6})?", text) is not None


def _bounded(seconds: float) -> timedelta:
    return min(max(timedelta(seconds=seconds), timedelta(0)), LONGEST_WAIT)
