"""Tries and pauses within a deadline, and a second model for the first: on a clock that only sleeping moves."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.domain import Completion, Usage
from llm.errors import BudgetExhausted, ModelRefused, ModelTimedOut, ModelUnavailable
from llm.prompts import with_repair
from llm.providers.failures import of_status, quote, retry_after
from llm.providers.fallback import FallbackChat
from llm.providers.patient import PatientChat
from llm.providers.scripted import ScriptedChat
from tests.llm.hosts.stage import canary
from tests.llm.scenes import first_view, standard
from tradingagent.accounts.secrets import Secret

PROMPT = standard(first_view())
USAGE = Usage(input_tokens=10, output_tokens=5)
ANSWER = Completion(text="yes", model="m", usage=USAGE, cost=None)
MINUTE = timedelta(minutes=1)
UNSURE = ModelUnavailable("lost", is_temporary=True, may_be_charged=True)
BUSY = ModelUnavailable("busy", is_temporary=True)
WRONG = ModelUnavailable("wrong")


@dataclass
class Time:
    """A clock that only sleeping and asking move."""

    now: float = 100.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def monotonic(self) -> float:
        return self.now


@dataclass
class Request:
    """Does what its lines say, each after `takes` seconds; keeps what it was given."""

    lines: Sequence[Completion | Exception]
    time: Time
    takes: float = 0.0
    model: str = "m"
    most_output: int = 1000
    given: list[tuple[str, float]] = field(default_factory=list)

    def send(self, prompt, timeout):
        line = self.lines[min(len(self.given), len(self.lines) - 1)]
        self.given.append((prompt.content_hash, timeout.total_seconds()))
        self.time.now += min(self.takes, timeout.total_seconds())
        if isinstance(line, Exception):
            raise line
        return line


@dataclass
class Books:
    """A gate and a till in one, which note what they are told."""

    told: list[object] = field(default_factory=list)
    exhausted_at: int = 99
    reserved: int = 0

    def enter(self, tokens, patience):
        self.told.append(("enter", tokens))

    def leave(self):
        self.told.append("leave")

    def report(self, failure):
        self.told.append(("report", failure))

    def reserve(self, usage):
        if self.reserved >= self.exhausted_at:
            raise BudgetExhausted("spent")
        self.reserved += 1
        self.told.append(("reserve", usage.input_tokens, usage.output_tokens))

        def settle(came_to):
            self.told.append(("settle", came_to))
            return Decimal("0.01")

        return settle


def patient(*lines, takes: float = 0.0, **of_books) -> tuple[PatientChat, Request, Books, Time]:
    time = Time()
    request, books = Request(lines, time, takes), Books(**of_books)
    chat = PatientChat(
        name="m", request=request, gate=books, till=books, sleep=time.sleep,
        monotonic=time.monotonic,
    )  # fmt: skip
    return chat, request, books, time


def test_an_answer_is_settled_and_reported():
    chat, request, books, _ = patient(ANSWER, takes=1.5)

    completion = chat.complete(PROMPT, deadline=MINUTE)

    assert completion == Completion(
        text="yes", model="m", usage=USAGE, cost=Decimal("0.01"), latency_ms=1500
    )
    assert request.given == [(PROMPT.content_hash, 60)]
    tokens = PROMPT.estimated_tokens
    assert books.told == [
        ("enter", tokens + 1000),
        ("reserve", tokens, 1000),
        ("report", None),
        ("settle", USAGE),
    ]


def test_pauses_are_doubled_and_what_failed_is_said():
    chat, request, books, time = patient(BUSY, UNSURE, ANSWER)

    completion = chat.complete(PROMPT, deadline=MINUTE)

    assert (time.slept, completion.tries) == ([1, 2], ("busy", "lost"))
    assert completion.latency_ms == 3000
    assert [seconds for _, seconds in request.given] == [60, 59, 57]
    assert [one for one in books.told if one[0] == "settle"] == [
        ("settle", None),
        ("settle", USAGE),
    ]


def test_three_tries_are_all():
    chat, request, _, time = patient(BUSY)
    with pytest.raises(ModelUnavailable, match=r"^busy, after 2 more$") as failed:
        chat.complete(PROMPT, deadline=MINUTE)
    assert failed.value.is_temporary
    assert (len(request.given), time.slept) == (3, [1, 2])


@pytest.mark.parametrize(
    ("failure", "settled"),
    [
        (WRONG, [("settle", None)]),
        (ModelUnavailable("key", is_about_key=True), [("settle", None)]),
        (ModelUnavailable("no JSON", may_be_charged=True), []),
        (ModelTimedOut("late"), []),
    ],
)
def test_what_asking_again_can_t_help_is_asked_once(failure, settled):
    chat, request, books, time = patient(failure)
    with pytest.raises(type(failure), match=str(failure)):
        chat.complete(PROMPT, deadline=MINUTE)
    assert (len(request.given), time.slept) == (1, [])
    assert [one for one in books.told if one[0] == "settle"] == settled
    assert ("report", failure) in books.told


def test_a_host_that_names_a_time_is_waited_for():
    busy = ModelUnavailable("busy", is_temporary=True, retry_after=timedelta(seconds=7))
    chat, _, _, time = patient(busy, busy, ANSWER)
    chat.complete(PROMPT, deadline=MINUTE)
    assert time.slept == [7, 7]


def test_a_host_that_names_too_long_a_time_is_not_asked_again():
    busy = ModelUnavailable("busy", is_temporary=True, retry_after=timedelta(seconds=59))
    chat, request, _, time = patient(busy)
    with pytest.raises(ModelUnavailable, match="busy; it takes 59 s and 60 s are left"):
        chat.complete(PROMPT, deadline=MINUTE)
    assert (len(request.given), time.slept) == (1, [])


def test_an_exhausted_budget_is_not_retried_and_gives_its_place_back():
    chat, request, books, time = patient(ANSWER, exhausted_at=0)
    with pytest.raises(BudgetExhausted):
        chat.complete(PROMPT, deadline=MINUTE)
    assert (request.given, time.slept, books.told[-1]) == ([], [], "leave")


def test_a_budget_that_ends_between_two_tries_hides_not_what_was_sent():
    chat, request, _, time = patient(BUSY, exhausted_at=1)
    with pytest.raises(ModelUnavailable, match="busy; not asked again: spent"):
        chat.complete(PROMPT, deadline=MINUTE)
    assert (len(request.given), time.slept) == (1, [1])


def test_an_answer_without_counts_keeps_what_was_set_aside():
    chat, _, books, _ = patient(Completion(text="yes", model="m", cost=None))
    assert chat.complete(PROMPT, deadline=MINUTE).cost is None
    assert books.told[-1] == ("report", None)


def test_a_repair_is_what_is_sent_and_counted():
    chat, request, books, _ = patient(ANSWER)
    chat.complete(PROMPT, deadline=MINUTE, repair="say it in JSON")
    sent = with_repair(PROMPT, "say it in JSON")
    assert request.given[0][0] == sent.content_hash
    assert books.told[0] == ("enter", sent.estimated_tokens + 1000)


@given(
    st.lists(st.sampled_from([BUSY, UNSURE, WRONG, ModelTimedOut("late")]), min_size=1, max_size=3),
    st.floats(0, 30),
    st.floats(2, 60),
    st.integers(0, 90),
)
def test_no_deadline_is_outlived(lines, takes, deadline, after):
    given = [
        ModelUnavailable("later", is_temporary=True, retry_after=timedelta(seconds=after))
        if line is BUSY
        else line
        for line in lines
    ]
    chat, request, _, time = patient(*given, takes=takes)
    began = time.now
    with pytest.raises((ModelUnavailable, ModelTimedOut)):
        chat.complete(PROMPT, deadline=timedelta(seconds=deadline))
    assert time.now - began <= deadline + 1e-5
    assert 1 <= len(request.given) <= 3
    assert all(seconds >= 2 - 1e-5 for _, seconds in request.given)


# --- A second model --------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [BUSY, WRONG, ModelTimedOut("late")])
def test_the_second_answers_for_the_first(failure):
    first, asked_first, _, time = patient(failure, takes=10)
    second, asked_second, _, _ = patient(ANSWER)
    both = FallbackChat(first=first, second=second, monotonic=time.monotonic)

    completion = both.complete(PROMPT, deadline=MINUTE)

    assert both.name == "m"
    assert completion.text == "yes"
    assert completion.tries[0].startswith(f"m: {failure}")
    assert asked_first.given[0][1] == 30
    took = time.now - 100
    assert asked_second.given[0][1] == pytest.approx(60 - took)
    assert completion.latency_ms == round(took * 1000)


@pytest.mark.parametrize("failure", [BudgetExhausted("spent"), ModelRefused("no")])
def test_what_is_no_failure_of_the_host_goes_to_nobody_else(failure):
    second = ScriptedChat(lines=[ANSWER])
    both = FallbackChat(first=ScriptedChat(lines=[failure]), second=second)
    with pytest.raises(type(failure)):
        both.complete(PROMPT, deadline=MINUTE)
    assert not second.asked


@pytest.mark.parametrize("failure", [WRONG, ModelTimedOut("late"), BudgetExhausted("spent")])
def test_both_reasons_are_said(failure):
    both = FallbackChat(
        first=ScriptedChat(lines=[WRONG], name="one"),
        second=ScriptedChat(lines=[failure], name="two"),
    )
    with pytest.raises(type(failure), match=f"^one: wrong; two: {failure}$"):
        both.complete(PROMPT, deadline=MINUTE)


def test_without_time_the_second_is_not_asked():
    first, _, _, time = patient(ModelTimedOut("late"), takes=99)
    second = ScriptedChat(lines=[ANSWER], name="two")
    both = FallbackChat(first=first, second=second, monotonic=time.monotonic)
    with pytest.raises(ModelTimedOut, match="m: late; no time is left for two"):
        both.complete(PROMPT, deadline=timedelta(seconds=3))
    assert not second.asked


# --- What a host's words become --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "99999"}, 3600),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00"}, None),
        ({"retry-after": "Wed, 21 Oct 99999999999999999999 07:28:00 GMT"}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 +99999999999999999999"}, None),
        ({"retry-after": "-7"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_how_long_a_host_asks_to_wait(headers, seconds):
    found = retry_after(headers)
    assert found == (None if seconds is None else timedelta(seconds=seconds))


@given(st.text(max_size=60))
def test_no_header_breaks_it(text):
    found = retry_after({"retry-after": text, "retry-after-ms": text})
    assert found is None or timedelta(0) <= found <= timedelta(hours=1)


@given(st.text(max_size=40), st.text(max_size=40), st.integers(8, len(canary())), st.booleans())
def test_no_long_part_of_a_key_is_quoted(before, after, length, is_end):
    part = canary()[-length:] if is_end else canary()[:length]
    said = quote(f"{before} {part} {after}", Secret(canary()))
    assert part not in said
    assert "\n" not in said and len(said) <= 202


@pytest.mark.parametrize(
    ("said", "quoted"),
    [
        ("Incorrect key sk-proj-abc123 given", ": Incorrect key … given"),
        ("two\nlines\tand \x1b[31mred", ": two lines and [31mred"),
        ("", ""),
        ("   ", ""),
        ("x" * 500, f": {'x' * 200}"),
    ],
)
def test_a_quotation_is_short_and_clean(said, quoted):
    assert quote(said) == quoted


def test_other_statuses():
    assert "has an error of its own (599)" in str(of_status(599, "", {}))
    assert of_status(599, "", {}).is_temporary
    assert "the host answered (451): no" in str(of_status(451, "no", {}))
