"""A request sent twice is answered once; another one under its key is refused."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
import time_machine
from django.db import IntegrityError, connection, transaction

from tradingagent.accounts.models import IdempotencyKey, User
from tradingagent.accounts.services import (
    ANSWERS_KEPT,
    KeyReused,
    StillRunning,
    StoredAnswer,
    forget_request,
    remember,
    store_answer,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ONE, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def ann(db) -> User:
    return User.objects.create_user("ann@example.org")


@pytest.mark.parametrize("body", [{"id": 7, "rows": [1, "x", None]}, [], None, "text"])
def test_the_second_request_gets_the_first_answer(ann, body):
    assert remember(ann, "k", ONE) is None
    store_answer(ann, "k", 201, body)

    assert remember(ann, "k", ONE) == StoredAnswer(status=201, body=body)
    assert remember(ann, "k", ONE) == StoredAnswer(status=201, body=body)


def test_the_second_request_waits_for_no_answer(ann):
    remember(ann, "k", ONE)

    with pytest.raises(StillRunning, match="has no answer yet"):
        remember(ann, "k", ONE)


@pytest.mark.parametrize("answered", [False, True])
def test_another_request_under_the_key_is_refused(ann, answered):
    remember(ann, "k", ONE)
    if answered:
        store_answer(ann, "k", 200, {})

    with pytest.raises(KeyReused, match="'k' was used for another request"):
        remember(ann, "k", OTHER)


def test_keys_are_each_user_s_own(ann):
    bob = User.objects.create_user("bob@example.org")
    remember(ann, "k", ONE)

    assert remember(bob, "k", OTHER) is None


def test_a_request_that_did_nothing_may_be_sent_again(ann):
    remember(ann, "k", ONE)
    forget_request(ann, "k")

    assert remember(ann, "k", ONE) is None


def test_an_answer_is_not_forgotten_and_not_replaced(ann):
    remember(ann, "k", ONE)
    store_answer(ann, "k", 200, {"first": True})

    forget_request(ann, "k")
    with pytest.raises(LookupError, match="under way"):
        store_answer(ann, "k", 500, {})
    assert remember(ann, "k", ONE) == StoredAnswer(status=200, body={"first": True})


@pytest.mark.parametrize("answered", [False, True])
def test_keys_are_kept_for_a_day(ann, answered):
    with time_machine.travel(NOW, tick=False) as clock:
        remember(ann, "k", ONE)
        if answered:
            store_answer(ann, "k", 200, {})
        clock.move_to(NOW + ANSWERS_KEPT - timedelta(seconds=1))
        with pytest.raises(KeyReused):
            remember(ann, "k", OTHER)
        clock.move_to(NOW + ANSWERS_KEPT)

        assert remember(ann, "k", OTHER) is None


@pytest.mark.django_db(transaction=True)
def test_of_requests_at_once_one_acts():
    ann = User.objects.create_user("ann@example.org")
    barrier = Barrier(6)

    def request(_: int) -> str:
        try:
            barrier.wait()
            return "acts" if remember(ann, "k", ONE) is None else "answered"
        except StillRunning:
            return "still running"
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        outcomes = sorted(pool.map(request, range(6)))

    assert outcomes == ["acts", *["still running"] * 5]


@pytest.mark.parametrize("change", [{"body": {}}, {"status": 99}, {"status": 600}])
def test_the_database_refuses_half_an_answer(ann, change):
    remember(ann, "k", ONE)

    with pytest.raises(IntegrityError), transaction.atomic():
        IdempotencyKey.objects.update(**change)
