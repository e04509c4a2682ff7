"""A model is tested from its page: one sentence, paid and booked; and its key comes out nowhere."""

import io
import logging
import re
import sys
from collections.abc import Iterator
from decimal import Decimal as D
from typing import Any

import pytest
from django.core.management import call_command
from django.core.signals import got_request_exception
from django.test import Client
from django.urls import reverse
from django.views.debug import ExceptionReporter

from llm.hosts import Provider
from llm.models import Budget, BudgetDay, LLMCall, ModelPrice, ModelProfile, ProviderKey
from llm.providers.gate import BREAKERS
from tests.llm.hosts.server import Answer, Host, Talk, a_host, says
from tests.llm.hosts.wires import chat
from tests.web.test_models_page import MODELS, add, canary, change, error_of, model_of, shared, told
from tradingagent.accounts.models import AuditEntry, User

# --- asking ------------------------------------------------------------------------------------------------


USAGE = {"prompt_tokens": 90, "completion_tokens": 30, "total_tokens": 120}
READY = says(chat(usage=USAGE))
QUOTES_THE_KEY = says({"error": {"message": "the key {key} is wrong", "type": "auth"}}, 401)


def late(seconds: float) -> Answer:
    def answer(talk: Talk) -> None:
        talk.is_over.wait(seconds)
        READY(talk)

    return answer


@pytest.fixture
def host() -> Iterator[Host]:
    BREAKERS._states.clear()  # ports are used again
    with a_host() as host:
        host.answer_with(READY)
        yield host


def at(host: Host) -> dict[str, Any]:
    return {
        "provider": Provider.OPENAI_COMPATIBLE,
        "model": "tiny",
        "base_url": f"{host.url}/v1",
    }


@pytest.fixture
def asker(transactional_db) -> User:
    return User.objects.create_user("ann@example.org")


@pytest.fixture
def asking(asker) -> Client:
    signed_in = Client()
    signed_in.force_login(asker)
    return signed_in


def ask(client: Client, row: ModelProfile) -> str:
    answer = client.post(reverse("check_model", args=[row.pk]))
    assert (answer.status_code, answer["Location"]) == (302, MODELS)
    return told(answer)[-1]


def test_a_test_is_told_in_a_sentence_paid_and_booked(asking, asker, host):
    row = shared(**at(host))
    said = ask(asking, row)
    unpriced = LLMCall.objects.get()
    ModelPrice.objects.create(
        provider="OPENAI_COMPATIBLE", model_pattern="tiny", valid_from="2025-01-01",
        input_price=D(2), output_price=D(4), cached_price=D(1),
    )  # fmt: skip
    priced = ask(asking, row)

    assert re.fullmatch(r"Shared answered in \d+\.\d s, 120 tokens, its cost is unknown\.", said)
    assert re.fullmatch(r"Shared answered in \d+\.\d s, 120 tokens, 0\.00030 USD\.", priced)
    assert (unpriced.outcome, unpriced.cost, unpriced.input_tokens) == ("DECIDED", None, 90)
    assert unpriced.cost_center == f"user:{asker.pk}"
    day = BudgetDay.objects.get()
    assert (day.cost_center, day.calls, day.money) == (f"user:{asker.pk}", 2, 300)


def test_a_plain_users_model_reaches_no_private_address(asking, asker, host):
    row = model_of(asker, **at(host))
    said = ask(asking, row)
    BREAKERS._states.clear()
    User.objects.update(is_staff=True)
    allowed = ask(asking, row)

    assert said == (
        "Mine did not answer: the host's address is this machine's or of a private network."
    )
    assert "answered in" in allowed and len(host.requests) == 1


def test_a_key_that_is_refused_is_a_sentence(asking, host):
    host.answer_with(QUOTES_THE_KEY)

    said = ask(asking, shared(**at(host)))

    assert said.startswith("Shared did not answer: ") and said.endswith(".")
    assert list(LLMCall.objects.values_list("outcome", "cost")) == [("UNAVAILABLE", None)]


def test_an_answer_that_is_late_is_a_sentence(asking, host):
    host.answer_with(late(3))

    assert ask(asking, shared(**at(host), deadline_seconds=1)) == (
        "Shared did not answer: no answer within 1 s."
    )
    assert LLMCall.objects.get().outcome == "TIMED_OUT"


def test_what_was_not_asked_is_a_sentence_and_no_call(asking, asker, host):
    Budget.objects.create(owner=asker, cost_center=f"user:{asker.pk}", calls_per_day=0)

    assert ask(asking, shared(**at(host))) == (
        "Shared did not answer: All bots together may ask models 0 times a day, and has."
    )
    assert ask(asking, model_of(asker, key=None)) == (
        "Mine did not answer: a key of OpenAI is missing."
    )
    assert host.requests == [] and not LLMCall.objects.exists()


# --- what is somebody else's, and what is secret -------------------------------------------------------------


def test_a_key_comes_out_nowhere(asking, asker, host):
    """Through adding, changing, replacing and asking a host that quotes it."""
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    loggers = [
        logging.getLogger(name) for name in ("", "django", "django.request", "httpx2", "openai")
    ]
    levels = [one.level for one in loggers]
    loggers[0].addHandler(handler)
    for one in loggers:
        one.setLevel(logging.DEBUG)
    words = [canary(), canary("two"), canary("three")]
    seen: list[str] = []
    User.objects.update(is_staff=True)
    try:
        host.answer_with(QUOTES_THE_KEY)
        where = {name: str(value) for name, value in at(host).items()} | {"key": words[0]}
        answers = [add(asking, **where | {"deadline_seconds": "x"}), add(asking, **where)]
        row = ModelProfile.objects.get()
        key = reverse("replace_key", args=[row.provider_key_id])
        seen.append(ask(asking, row))
        answers += [
            change(asking, row, base_url="nonsense", key=words[1]),
            change(asking, row, base_url=where["base_url"], key=words[1]),
            asking.get(reverse("change_model", args=[row.pk])),
            asking.get(key), asking.post(key, {"key": words[2]}), asking.get(MODELS),
            asking.get(reverse("new_model")), asking.get(reverse("delete_model", args=[row.pk])),
        ]  # fmt: skip
        assert [one.key for one in host.requests] == [words[0]]
    finally:
        loggers[0].removeHandler(handler)
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
    dump = io.StringIO()
    call_command("dumpdata", "accounts", "llm", stdout=dump)
    seen += [one.content.decode() for one in answers]
    seen += [str(one["Location"]) for one in answers if one.status_code == 302]
    seen += [text for one in answers for text in told(one)]
    seen += [log.getvalue(), dump.getvalue(), str(list(AuditEntry.objects.values()))]
    seen += [str(list(LLMCall.objects.values()))]

    assert ProviderKey.objects.get().key.reveal() == words[2]
    found = [text[:200] for text in seen if any(word[3:] in text for word in words)]
    assert found == []


def test_a_key_is_in_no_error_report(asking, monkeypatch, rf):
    reports: list[str] = []

    def breaks(*_: Any, **__: Any) -> None:
        raise RuntimeError("a defect")

    def keep(*_: Any, request: Any, **__: Any) -> None:
        reporter = ExceptionReporter(request, *sys.exc_info())
        reports.append(reporter.get_traceback_html() + reporter.get_traceback_text())

    monkeypatch.setattr("bots.views.models_page.add_model_profile", breaks)
    monkeypatch.setattr("django.core.handlers.exception.log_response", lambda *_, **__: None)
    got_request_exception.connect(keep)
    asking.raise_request_exception = False
    try:
        answer = add(asking, request_id="one")
    finally:
        got_request_exception.disconnect(keep)

    assert answer.status_code == 500 and len(reports) == 1
    assert "a defect" in reports[0] and canary()[3:] not in reports[0]


def test_where_keys_can_not_be_stored_nothing_is(asking, settings):
    settings.ENCRYPTION_KEYS = []

    answer = add(asking)

    assert error_of(answer, "key").startswith("Keys can't be stored here")
    assert not ModelProfile.objects.exists() and not AuditEntry.objects.exists()
