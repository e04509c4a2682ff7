"""The supervisor with parts that are none: who dies takes the others along, and the end waits for nobody for ever."""

import os
import signal
import time

import pytest

from tradingagent.embedded import supervisor
from tradingagent.embedded.signals import EXIT_AT_ONCE, Stopped, StopSignals
from tradingagent.embedded.supervisor import Supervisor


class FakePart:
    """A part that a test moves by hand."""

    def __init__(self, name, *, ready=True, done=True):
        self.name = name
        self.ready, self.done = ready, done
        self.has_died = None
        self.went_round = None
        self.calls = []

    def start(self):
        self.calls.append("start")

    def is_ready(self):
        return self.ready

    def death(self):
        return self.has_died

    def turns(self):
        return self.went_round

    def stop(self):
        self.calls.append("stop")

    def is_done(self):
        return self.done


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(supervisor, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 0.3)
    monkeypatch.setattr(supervisor, "READY_SECONDS", 0.3)


@pytest.fixture
def parts():
    return [FakePart("the server"), FakePart("the worker"), FakePart("the scheduler")]


@pytest.fixture
def signals():
    return StopSignals()


def test_asked_to_end_it_stops_every_part_and_tells_of_no_death(parts, signals):
    def ask():
        signals.is_asked = True

    assert Supervisor(parts, signals).run(ask) is None
    assert [part.calls for part in parts] == [["start", "stop"]] * 3


def test_a_part_that_dies_ends_the_others_with_a_sentence(parts, signals):
    def kill():
        parts[1].has_died = "the worker died"

    assert Supervisor(parts, signals).run(kill) == "the worker died"
    assert all(part.calls == ["start", "stop"] for part in parts)


def test_a_part_that_dies_before_all_are_ready_ends_it_too(parts, signals):
    parts[2].ready = False
    parts[0].has_died = "the server died"
    ready = []

    assert Supervisor(parts, signals).run(lambda: ready.append(1)) == "the server died"
    assert ready == []


def test_a_part_that_never_comes_up_is_named(parts, signals):
    parts[1].ready = False

    assert Supervisor(parts, signals).run().startswith("the worker did not come up within")


def test_a_part_that_goes_round_no_more_is_as_good_as_dead(parts, signals, monkeypatch):
    monkeypatch.setattr(supervisor, "STANDSTILL_SECONDS", 0.1)
    parts[0].went_round = 5

    assert Supervisor(parts, signals).run().startswith("the server has not moved")


def test_a_part_that_moves_is_not(parts, signals, monkeypatch):
    monkeypatch.setattr(supervisor, "STANDSTILL_SECONDS", 0.05)
    looks = []

    def move():
        looks.append(1)
        if len(looks) > 30:
            signals.is_asked = True
        return len(looks)

    parts[0].turns = move

    assert Supervisor(parts, signals).run() is None
    assert len(looks) > 30


def test_the_end_waits_for_what_is_under_way_and_tidies_meanwhile(parts, signals):
    signals.is_asked = True
    parts[1].done = False
    tidied = []

    def tidy():
        tidied.append(time.monotonic())
        parts[1].done = len(tidied) >= 3

    assert Supervisor(parts, signals, tidy).run() is None
    assert len(tidied) == 3


def test_the_end_does_not_wait_for_ever(parts, signals):
    signals.is_asked = True
    parts[1].done = False
    began = time.monotonic()

    assert Supervisor(parts, signals).run() is None
    assert 0.25 < time.monotonic() - began < 5


def test_parts_are_ended_when_the_announcement_fails(parts, signals):
    def fail():
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        Supervisor(parts, signals).run(fail)
    assert all(part.calls == ["start", "stop"] for part in parts)


# --- signals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_only_asks_once_somebody_watches(number):
    with StopSignals() as signals:
        signals.is_watched = True
        os.kill(os.getpid(), number)
        assert signals.is_asked


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)


def test_a_signal_ends_what_is_done_before_that():
    with StopSignals() as signals, pytest.raises(Stopped):
        interrupt()
    assert signals.is_asked


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_that_meets_a_destructor_is_not_lost():
    class Dying:
        def __del__(self):
            interrupt()  # what the handler raises here goes no further

    with StopSignals() as signals:
        dying = [Dying()]
        dying.clear()
        with pytest.raises(Stopped):
            signals.check()


def test_handlers_are_as_before_afterwards():
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("second", "pause", "left"),
    [
        (signal.SIGINT, 1.0, [EXIT_AT_ONCE]),
        (signal.SIGINT, 0.0, []),  # one press that came twice
        (signal.SIGTERM, 1.0, []),
    ],
)
def test_a_second_ctrl_c_leaves_at_once(second, pause, left, monkeypatch):
    codes: list[int] = []
    with StopSignals(leave=codes.append) as signals:
        signals.is_watched = True
        os.kill(os.getpid(), signal.SIGINT)
        now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now + pause)
        os.kill(os.getpid(), second)
    assert codes == left
