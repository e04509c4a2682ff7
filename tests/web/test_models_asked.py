"""A model is tested from its page: one sentence, paid and booked; and its key comes out nowhere."""

import io
import logging
import re
import sys
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
from tests.llm.chat_host import ChatHost
from tests.web.test_models_page import MODELS, add, canary, change, error_of, model_of, shared, told
from tradingagent.accounts.models import AuditEntry, User

# --- asking ------------------------------------------------------------------------------------------------


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


def test_a_test_is_told_in_a_sentence_paid_and_booked(asking, asker):
    with ChatHost() as host:
        row = shared(provider=Provider.OPENAI_COMPATIBLE, model="tiny", base_url=host.url)
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


def test_a_plain_users_model_reaches_no_private_address(asking, asker):
    with ChatHost() as host:
        row = model_of(asker, provider=Provider.OPENAI_COMPATIBLE, model="tiny", base_url=host.url)
        said = ask(asking, row)
        User.objects.update(is_staff=True)
        allowed = ask(asking, row)
        asked = len(host.keys)

    assert "Mine did not answer: the host can't be reached" in said
    assert "is an address of a private network" in said
    assert "answered in" in allowed and asked == 1


def test_every_failure_is_a_sentence(asking, asker):
    with ChatHost() as host:
        options: dict[str, Any] = {
            "provider": Provider.OPENAI_COMPATIBLE,
            "model": "tiny",
            "base_url": host.url,
        }
        row = shared(**options)
        host.refuse(401)
        refused = ask(asking, row)
        other = shared("Other", **options | {"model": "other"}, deadline_seconds=1)
        host.refuse(200)
        host.waits = 2
        ModelProfile.objects.filter(pk=other.pk).update(base_url=f"{host.url}/x/..")
        late = ask(asking, other)
        Budget.objects.create(owner=asker, cost_center=f"user:{asker.pk}", calls_per_day=0)
        third = shared("Third", **options | {"base_url": host.url + "/y/.."})
        over = ask(asking, third)
    missing = ask(asking, model_of(asker, key=None, name="Keyless"))

    assert refused.startswith("Shared did not answer: ") and "401" not in refused[:10]
    assert late == "Other did not answer: no answer within 1 s."
    assert over == "Third did not answer: All bots together may ask models 0 times a day, and has."
    assert missing == "Keyless did not answer: a key of OpenAI is missing."
    outcomes = LLMCall.objects.order_by("pk").values_list("outcome", "cost")
    assert list(outcomes) == [("UNAVAILABLE", None), ("TIMED_OUT", None)]


# --- what is somebody else's, and what is secret -------------------------------------------------------------


def test_a_key_comes_out_nowhere(asking, asker):
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
        with ChatHost() as host:
            host.refuse(401)
            where = {"provider": "OPENAI_COMPATIBLE", "base_url": host.url, "key": words[0]}
            answers = [add(asking, **where | {"deadline_seconds": "x"}), add(asking, **where)]
            row = ModelProfile.objects.get()
            key = reverse("replace_key", args=[row.provider_key_id])
            seen.append(ask(asking, row))
            answers += [
                change(asking, row, base_url="nonsense", key=words[1]),
                change(asking, row, base_url=host.url, key=words[1]),
                asking.get(reverse("change_model", args=[row.pk])),
                asking.get(key), asking.post(key, {"key": words[2]}), asking.get(MODELS),
                asking.get(reverse("new_model")), asking.get(reverse("delete_model", args=[row.pk])),
            ]  # fmt: skip
            assert host.keys == [words[0]]
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
