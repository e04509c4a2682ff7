"""A provider's key stands in no error, no traceback, no log and no repr, whatever the host says or does."""

import logging
import sys

import pytest
from django.test import RequestFactory
from django.views.debug import ExceptionReporter

from llm.errors import ModelTimedOut, ModelUnavailable
from llm.services import chat_model, made_of, try_connection
from llm.services.asking import request_key
from tests.llm.hosts import server
from tests.llm.hosts.server import Answer, says
from tests.llm.hosts.stage import (
    assert_no_key,
    canary,
    printed,
    profile_of,
    sends,
    unstored_profile,
)
from tests.llm.hosts.wires import HOLD, WIRES, Wire
from tests.llm.scenes import first_view, standard

PROMPT = standard(first_view())
wires = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.provider.value)

STATUSES = (400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 529)
LOUD: dict[str, Answer] = {
    "a page": says(b"<h1>{key}</h1>", 502),
    "no JSON": says(b"{key}"),
    "no message": says({"error": {"message": "{key}"}}),
    "elsewhere": says(b"", 307, location="http://127.0.0.1:1/{key}"),
    "no protocol": server.breaks_the_protocol,
    "half": server.closes_in_the_middle,
    "late": server.drips_its_answer,
    "in its first line": server.shouts_the_key,
}


def quoting(wire: Wire, status: int) -> Answer:
    return says(wire.error("The key {key} (Bearer {key}) is wrong", "code-{key}"), status)


def failure_of(host, wire) -> Exception:
    """What the host's answer becomes, with all that was around it."""
    with pytest.raises((ModelUnavailable, ModelTimedOut)) as caught:
        sends(unstored_profile(host, wire.provider, wire.base), PROMPT, 0.6)
    return caught.value


@wires
@pytest.mark.parametrize("way", [*LOUD, *STATUSES])
def test_no_failure_shows_the_key(way, wire, host, caplog):
    caplog.set_level(logging.DEBUG)
    host.answer_with(LOUD[way] if way in LOUD else quoting(wire, way))

    failure = failure_of(host, wire)

    assert host.requests[0].key == canary()
    shown = [str(failure), repr(failure), str(failure.__dict__), printed(failure)]
    assert_no_key(*shown, records=caplog.records)
    assert len(str(failure)) < 400


@wires
def test_an_error_page_of_it_shows_no_key(wire, host):
    """Such a page prints the local variables of every frame."""
    host.answer_with(says(wire.error("The key {key} is wrong"), 400))
    profile = unstored_profile(host, wire.provider, wire.base)
    request = RequestFactory().get("/")
    try:
        sends(profile, PROMPT)
    except ModelUnavailable:
        page = ExceptionReporter(request, *sys.exc_info()).get_traceback_text()
    assert "the host refused the request" in page
    assert_no_key(page)


@wires
def test_no_repr_shows_the_key(wire, host):
    profile = unstored_profile(host, wire.provider, wire.base)
    chat = chat_model(profile)
    request = chat.request  # type: ignore[attr-defined]
    options = [repr(part) for part in (profile, chat, request, request.at, made_of(profile))]
    assert_no_key(*options, request_key(profile, wire.provider))
    assert "••••" in repr(request.at)


@pytest.mark.django_db(transaction=True)
@wires
def test_a_good_answer_leaves_none_in_the_log(wire, host, caplog):
    caplog.set_level(logging.DEBUG)
    host.answer_with(says(wire.says()))
    assert try_connection(profile_of(host, wire.provider, wire.base)).text == HOLD
    assert_no_key(records=caplog.records)
    loud = [record.name for record in caplog.records if record.levelno < logging.WARNING]
    assert not {"openai", "anthropic", "httpx2", "httpcore2"} & {n.split(".")[0] for n in loud}


def test_the_canary_would_be_seen():
    record = logging.makeLogRecord({"msg": "sent %s", "args": (canary(),)})
    for shown in ([f"a {canary()} b"], [f"half: {canary()[:16]}"], [f"half: {canary()[-16:]}"]):
        with pytest.raises(AssertionError):
            assert_no_key(*shown)
    with pytest.raises(AssertionError):
        assert_no_key(records=[record])
