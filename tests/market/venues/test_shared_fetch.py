"""One fetch for everybody; success remembered as long as asked, failure for a second; bounded."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from market.errors import VenueUnavailable
from market.venues.shared_fetch import FAILURE_SECONDS, SharedFetch


class Source:
    """Counts how often it is asked; answers with that count, or fails."""

    def __init__(self):
        self.count = 0
        self.error = None

    def __call__(self):
        self.count += 1
        if self.error is not None:
            raise self.error
        return self.count


@pytest.fixture
def at():
    return [100.0]


@pytest.fixture
def shared(at):
    return SharedFetch(most=3, monotonic=lambda: at[0])


def test_fifty_threads_fetch_once(shared):
    source, gate, ready = Source(), Event(), Barrier(51)

    def slowly():
        gate.wait(5)
        return source()

    def ask():
        ready.wait()
        return shared.get("key", slowly, seconds=2)

    with ThreadPoolExecutor(50) as pool:
        asked = [pool.submit(ask) for _ in range(50)]
        ready.wait()
        time.sleep(0.05)
        gate.set()
        answers = [one.result() for one in asked]

    assert answers == [1] * 50
    assert source.count == 1


def test_a_result_is_shared_until_its_time_is_up(shared, at):
    source = Source()
    assert [shared.get("key", source, seconds=2) for _ in range(3)] == [1, 1, 1]
    at[0] += 1.9
    assert shared.get("key", source, seconds=2) == 1
    at[0] += 0.2

    assert shared.get("key", source, seconds=2) == 2


def test_the_result_may_say_how_long_it_is_shared(shared, at):
    source = Source()
    shared.get("key", source, seconds=lambda result: 10 * result)
    at[0] += 9.9
    assert shared.get("key", source, seconds=0) == 1
    at[0] += 0.2

    assert shared.get("key", source, seconds=0) == 2


def test_a_failure_is_shared_for_a_second_only(shared, at):
    source = Source()
    source.error = VenueUnavailable("down")
    for _ in range(3):
        with pytest.raises(VenueUnavailable, match="down"):
            shared.get("key", source, seconds=60)
    assert source.count == 1
    source.error = None
    at[0] += FAILURE_SECONDS + 0.01

    assert shared.get("key", source, seconds=60) == 2


def test_those_who_wait_for_a_failure_get_an_exception_of_their_own(shared):
    error = VenueUnavailable("down")
    source = Source()
    source.error = error
    with pytest.raises(VenueUnavailable) as first:
        shared.get("key", source, seconds=1)
    with pytest.raises(VenueUnavailable) as second:
        shared.get("key", source, seconds=1)

    assert first.value is error
    assert second.value is not error


def test_keys_do_not_wait_for_each_other(shared):
    assert shared.get("one", lambda: shared.get("two", Source(), seconds=1), seconds=1) == 1


def test_memory_is_bounded_and_what_was_used_last_stays(shared):
    for key in "abc":
        shared.get(key, Source(), seconds=60)
    shared.get("a", Source(), seconds=60)
    shared.get("d", Source(), seconds=60)
    source = Source()

    assert len(shared) == 3
    shared.get("a", source, seconds=60)
    assert source.count == 0
    shared.get("b", source, seconds=60)
    assert source.count == 1


def test_a_fetch_under_way_is_not_forgotten(shared):
    gate, source = Event(), Source()
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(shared.get, "slow", lambda: gate.wait(5) and source(), seconds=60)
        for key in range(10):
            shared.get(key, Source(), seconds=60)
        second = pool.submit(shared.get, "slow", source, seconds=60)
        gate.set()

    assert (slow.result(), second.result(), source.count) == (1, 1, 1)
