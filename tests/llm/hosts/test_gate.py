"""Who may ask a host: the breaker of a key, and its rates, alone and over many processes."""

from datetime import timedelta
from uuid import uuid4

import pytest
import time_machine
from limits.errors import StorageError

from llm.errors import ModelTimedOut, ModelUnavailable
from llm.hosts import Provider
from llm.providers import gate as module
from llm.providers.gate import DOWN_FOR, IN_A_ROW, REFUSED_FOR, Breakers, KeyGate, limiter_at
from llm.services.asking import request_key
from tests.concurrency.processes import an_empty_broker
from tests.concurrency.stage import at_once
from tests.llm.hosts.server import says
from tests.llm.hosts.stage import Asking, profile_of
from tests.llm.hosts.test_patience import BUSY, UNSURE, WRONG, Time
from tests.llm.hosts.wires import chat

KEY_FAILURE = ModelUnavailable("no credit", is_about_key=True)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


# --- Breakers --------------------------------------------------------------------------------------


def opened(failure: Exception, times: int = IN_A_ROW) -> tuple[Breakers, Time]:
    time = Time()
    breakers = Breakers(monotonic=time.monotonic)
    for _ in range(times):
        breakers.check("a")
        breakers.report("a", failure)
    return breakers, time


def is_open(breakers: Breakers, key: str = "a") -> bool:
    try:
        breakers.check(key)
    except ModelUnavailable:
        return True
    return False


@pytest.mark.parametrize("failure", [BUSY, UNSURE, ModelTimedOut("late")])
def test_five_failures_of_the_host_open_it(failure):
    assert not is_open(opened(failure, 4)[0])
    breakers, _ = opened(failure)
    with pytest.raises(ModelUnavailable, match=f"not asked, it failed lately: {failure}"):
        breakers.check("a")
    assert not is_open(breakers, "b")


def test_one_failure_of_the_key_opens_it_for_longer():
    breakers, time = opened(KEY_FAILURE, 1)
    assert is_open(breakers)
    time.now += DOWN_FOR.total_seconds() + 1
    assert is_open(breakers)
    time.now = 100 + REFUSED_FOR.total_seconds()
    assert not is_open(breakers)


def test_a_wrong_request_is_no_failure_of_the_host():
    breakers, _ = opened(WRONG, 50)
    assert not is_open(breakers)
    breakers, _ = opened(BUSY, 4)
    breakers.report("a", WRONG)
    for _ in range(4):
        breakers.report("a", BUSY)
    assert not is_open(breakers)


def test_an_answer_in_between_begins_anew():
    breakers, _ = opened(BUSY, 4)
    breakers.report("a", None)
    breakers.report("a", BUSY)
    assert not is_open(breakers)


def test_after_its_time_one_may_and_the_others_wait_for_what_becomes_of_it():
    breakers, time = opened(BUSY)
    time.now += DOWN_FOR.total_seconds()
    assert [is_open(breakers) for _ in range(3)] == [False, True, True]

    breakers.report("a", None)

    assert [is_open(breakers) for _ in range(3)] == [False] * 3


def test_a_trial_that_fails_shuts_it_again():
    breakers, time = opened(BUSY)
    time.now += DOWN_FOR.total_seconds()
    assert not is_open(breakers)
    breakers.report("a", BUSY)
    time.now += DOWN_FOR.total_seconds() - 1
    assert is_open(breakers)
    time.now += 1
    assert not is_open(breakers)


def test_a_trial_that_the_host_refuses_as_wrong_lets_all_through():
    breakers, time = opened(BUSY)
    time.now += DOWN_FOR.total_seconds()
    assert not is_open(breakers)
    breakers.report("a", WRONG)
    assert not is_open(breakers)


def test_a_trial_that_is_not_sent_is_the_next_one_s():
    breakers, time = opened(BUSY)
    time.now += DOWN_FOR.total_seconds()
    assert not is_open(breakers)
    breakers.leave("a")
    assert [is_open(breakers), is_open(breakers)] == [False, True]


def test_a_trial_of_which_nothing_is_heard_is_not_waited_for_for_ever():
    breakers, time = opened(BUSY)
    time.now += DOWN_FOR.total_seconds()
    assert [is_open(breakers), is_open(breakers)] == [False, True]
    time.now += DOWN_FOR.total_seconds()
    assert not is_open(breakers)


def test_leaving_opens_nothing_that_is_shut():
    breakers, _ = opened(BUSY, 4)
    breakers.leave("a")
    breakers.leave("never seen")
    assert not is_open(breakers)


# --- Rates -----------------------------------------------------------------------------------------


def a_gate(
    requests: int | None = None, tokens: int | None = None, key: str = "", counters: str = ""
) -> tuple[KeyGate, Time]:
    time = Time()
    gate = KeyGate(
        key=key or uuid4().hex,
        requests_per_minute=requests,
        tokens_per_minute=tokens,
        counters=counters or module.IN_PROCESS,
        breakers=Breakers(monotonic=time.monotonic),
        sleep=time.sleep,
        monotonic=time.monotonic,
    )
    return gate, time


def entered(gate: KeyGate, tokens: int = 1, patience: timedelta = -SECOND) -> bool:
    try:
        gate.enter(tokens, patience)
    except ModelUnavailable as refused:
        return "no place" not in str(refused)
    return True


def test_without_rates_all_enter():
    gate, time = a_gate()
    assert all(entered(gate, 10**9) for _ in range(100))
    assert time.slept == []


def test_requests_of_a_minute():
    gate, _ = a_gate(requests=3)
    assert [entered(gate) for _ in range(5)] == [True] * 3 + [False] * 2


def test_tokens_of_a_minute():
    gate, _ = a_gate(tokens=1000)
    assert [entered(gate, 400) for _ in range(3)] == [True, True, False]
    assert entered(gate, 200)
    assert not entered(gate, 1)


def test_both_count():
    gate, _ = a_gate(requests=2, tokens=1000)
    assert entered(gate, 900)
    assert [entered(gate, 200) for _ in range(5)] == [False] * 5
    assert entered(gate, 100), (
        "those that found no place for their tokens took none of the requests"
    )
    assert not entered(gate, 0)


def test_two_minutes_later_there_is_place_again():
    gate, _ = a_gate(requests=3)
    with time_machine.travel("2026-03-01 12:00:00Z", tick=False) as traveller:
        assert [entered(gate) for _ in range(4)] == [True, True, True, False]
        traveller.shift(121)
        assert [entered(gate) for _ in range(4)] == [True, True, True, False]


def test_waiting_ends_with_patience_and_sleeps_a_second_at_most():
    gate, time = a_gate(requests=1)
    assert entered(gate)
    assert not entered(gate, 1, timedelta(seconds=2.5))
    assert time.slept == [1, 1, 0.5]


def test_who_waits_enters_when_there_is_place():
    gate, time = a_gate(requests=1)
    with time_machine.travel("2026-03-01 12:00:00Z", tick=False) as traveller:
        assert entered(gate)

        def sleep(seconds: float) -> None:
            time.sleep(seconds)
            traveller.shift(seconds)

        waiting = KeyGate(
            key=gate.key,
            requests_per_minute=1,
            breakers=gate.breakers,
            sleep=sleep,
            monotonic=time.monotonic,
        )
        assert entered(waiting, 1, 3 * MINUTE)
    assert 55 <= sum(time.slept) <= 121


def test_what_can_never_pass_is_refused_at_once():
    gate, time = a_gate(tokens=1000)
    with pytest.raises(ModelUnavailable, match="may take 1,001 tokens, and the key has 1,000"):
        gate.enter(1001, MINUTE)
    assert time.slept == []
    assert entered(gate, 1000)


def test_two_gates_of_one_key_share_the_count_whatever_their_numbers():
    first, _ = a_gate(requests=5)
    second, _ = a_gate(requests=3, key=first.key)
    assert [entered(first), entered(first), entered(second)] == [True] * 3
    assert not entered(second)
    assert [entered(first) for _ in range(3)] == [True, True, False]
    stranger, _ = a_gate(requests=3)
    assert entered(stranger)


def test_who_finds_no_place_gives_the_trial_to_the_next():
    gate, time = a_gate(requests=1)
    assert entered(gate)
    for _ in range(IN_A_ROW):
        gate.report(BUSY)
    time.now += DOWN_FOR.total_seconds()
    assert not entered(gate), "the minute is full"
    other, _ = a_gate(key=gate.key)
    object.__setattr__(other, "breakers", gate.breakers)
    assert entered(other)


def test_counters_that_can_t_be_reached_are_said_without_their_address():
    gate, _ = a_gate(requests=1, counters="redis://:a-password@127.0.0.1:1/0")
    with pytest.raises(ModelUnavailable, match="the counts of the key's requests can't be") as told:
        gate.enter(1, SECOND)
    assert told.value.__suppress_context__
    assert not isinstance(told.value.__cause__, StorageError)


# --- Profiles --------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_two_profiles_with_one_key_share_the_count(host, monkeypatch, settings):
    settings.REDIS_URL = ""
    host.answer_with(says(chat()))
    one = profile_of(host, Provider.OPENAI, requests_per_minute=2)
    two = profile_of(host, Provider.OPENAI, name="two", model="m-2", requests_per_minute=2)
    assert request_key(one, Provider.OPENAI) == request_key(two, Provider.OPENAI)

    outcomes = [Asking(each).decide(1).decision.outcome.value for each in (one, two, two, one)]

    assert outcomes == ["DECIDED", "DECIDED", "UNAVAILABLE", "UNAVAILABLE"]
    monkeypatch.setenv("ANOTHER_KEY", "another-key")
    other = profile_of(host, Provider.OPENAI, name="three", key_env="ANOTHER_KEY")
    assert request_key(other, Provider.OPENAI) != request_key(one, Provider.OPENAI)
    assert Asking(other).decide(1).decision.outcome == "DECIDED"


@pytest.mark.django_db(transaction=True)
def test_a_host_that_is_down_is_left_in_peace(host):
    host.answer_with(says(b"", 500))
    asking = Asking(profile_of(host, Provider.OPENAI))

    asking.decide()
    asking.decide()
    third = asking.decide()

    assert len(host.requests) == IN_A_ROW
    assert "not asked, it failed lately: the host has an error of its own" in third.decision.reason
    assert third.spent == 0


@pytest.mark.django_db(transaction=True)
def test_an_exhausted_budget_keeps_nobody_else_out(host):
    host.answer_with(says(chat()))
    poor = Asking(profile_of(host, Provider.OPENAI), calls=0)
    for _ in range(IN_A_ROW):
        poor.chat.gate.report(BUSY)
    state = next(iter(module.BREAKERS._states.values()))
    state.closed_until = 0.0
    assert poor.decide().decision.outcome == "OVER_BUDGET"
    rich = Asking(poor.profile)
    assert rich.decide().decision.outcome == "DECIDED"


# --- Redis -----------------------------------------------------------------------------------------


@pytest.mark.redis
def test_processes_share_the_count_in_redis(settings):
    def ask() -> int:
        limiter_at.cache_clear()
        gate, _ = a_gate(requests=7, key="shared", counters=settings.REDIS_URL)
        return sum(entered(gate) for _ in range(5))

    with an_empty_broker() as redis:
        passed = at_once(*[ask] * 4)
        names = [name.decode() for name in redis.keys("*")]
    limiter_at.cache_clear()
    assert sum(passed) == 7
    assert names and all("shared" in name for name in names)


@pytest.mark.redis
def test_tokens_are_counted_in_redis(settings):
    with an_empty_broker():
        gate, _ = a_gate(tokens=1000, key="tokens", counters=settings.REDIS_URL)
        assert [entered(gate, 400) for _ in range(3)] == [True, True, False]
        assert entered(gate, 200)
    limiter_at.cache_clear()
