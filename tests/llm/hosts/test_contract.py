"""Whatever a host does, a decision is recorded in time, and what it may have cost is booked; no key is shown.

Each case runs over both wire formats, through `chat_model` and a trader, with the real clients.
"""

import gzip
import json
import logging
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import pytest

from llm.domain import DecisionOutcome
from llm.prices import micros
from tests.llm.hosts import server
from tests.llm.hosts.server import Answer, a_host, says
from tests.llm.hosts.stage import (
    Asking,
    asked,
    assert_no_key,
    everything_of,
    is_hold,
    priced,
    profile_of,
)
from tests.llm.hosts.wires import HOLD, WIRES, Wire
from tradingagent.accounts import outbound

pytestmark = pytest.mark.django_db(transaction=True)
DECIDED, REFUSED = DecisionOutcome.DECIDED, DecisionOutcome.REFUSED
UNREADABLE, TIMED_OUT = DecisionOutcome.UNREADABLE, DecisionOutcome.TIMED_OUT
UNAVAILABLE = DecisionOutcome.UNAVAILABLE
COST, KEPT, NOTHING = "cost", "kept", "nothing"

wires = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.provider.value)


@dataclass(frozen=True)
class Case:
    """What the host does, and what comes of it: `money` of each of `requests`."""

    name: str
    answers: Callable[[Wire], Sequence[Answer]]
    outcome: DecisionOutcome
    money: str
    requests: int = 1
    words: str = ""
    pauses: tuple[float, ...] = ()
    seconds: float = 20


def error(status: int, said: str = "wrong: {key}", code: str = "some_error", **headers: str):
    """An error of the host, which quotes the key."""
    return lambda wire: [says(wire.error(said, code), status, **headers)]


def always(answer: Answer):
    return lambda wire: [answer]


TWICE = (1.0, 2.0)
CASES = [
    Case("an answer", lambda wire: [says(wire.says())], DECIDED, COST),
    Case("an answer in parts", lambda wire: [says(wire.of_parts)], DECIDED, COST),
    Case("a refusal", lambda wire: [says(wire.refusal)], REFUSED, COST, 1, "declined"),
    Case("cut off", lambda wire: [says(wire.cut_off)], UNREADABLE, COST, 2, "token limit"),
    Case("no text", lambda wire: [says(wire.empty)], UNREADABLE, COST, 2, "no JSON"),
    Case("usage only", lambda wire: [says(wire.usage_only)], UNREADABLE, COST, 2, "no JSON"),
    Case("400", error(400), UNAVAILABLE, NOTHING, 1, "refused the request (400)"),
    Case("400 of a key", error(400, "API key not valid"), UNAVAILABLE, NOTHING, 1, "the key (400)"),
    Case("401", error(401), UNAVAILABLE, NOTHING, 1, "the host refused the key (401)"),
    Case("402", error(402), UNAVAILABLE, NOTHING, 1, "no credit (402)"),
    Case("403", error(403), UNAVAILABLE, NOTHING, 1, "may not do this (403)"),
    Case("404", error(404), UNAVAILABLE, NOTHING, 1, "no such model or address (404)"),
    Case("408", error(408), UNAVAILABLE, NOTHING, 3, "gave up waiting (408)", TWICE),
    Case("413", error(413), UNAVAILABLE, NOTHING, 1, "too long for the host (413)"),
    Case("422", error(422), UNAVAILABLE, NOTHING, 1, "refused the request (422)"),
    Case("429", error(429), UNAVAILABLE, NOTHING, 3, "fewer requests (429)", TWICE),
    Case(
        "429, soon again",
        lambda wire: [says(wire.error("slow down"), 429, retry_after="3"), says(wire.says())],
        DECIDED, COST, 2, "", (3.0,),
    ),
    Case(
        "429, in an hour",
        error(429, retry_after="3600"),
        UNAVAILABLE, NOTHING, 1, "; it takes 3600 s and 20 s are left",
    ),
    Case(
        "429 without credit",
        error(429, "You exceeded your current quota", "insufficient_quota"),
        UNAVAILABLE, NOTHING, 1, "no credit (429)",
    ),
    Case("500", error(500), UNAVAILABLE, NOTHING, 3, "of its own (500)", TWICE),
    Case("529", error(529), UNAVAILABLE, NOTHING, 3, "overloaded (529)", TWICE),
    Case(
        "500 once",
        lambda wire: [says(b"oops", 500), says(wire.says())],
        DECIDED, COST, 2, "", (1.0,),
    ),
    Case("418 in HTML", always(says(b"<p>{key}</p>", 418)), UNAVAILABLE, NOTHING, 1, "answered (418)"),
    Case("no answer", always(server.never_answers), TIMED_OUT, KEPT, 1, "within 1 s", (), 0.6),
    Case("a slow body", always(server.drips_its_answer), TIMED_OUT, KEPT, 1, "within 1 s", (), 0.6),
    Case("a slow head", always(server.drips_its_headers), TIMED_OUT, KEPT, 1, "within 1 s", (), 0.6),
    Case("closed", always(server.closes_before), UNAVAILABLE, KEPT, 3, "line to the host", TWICE),
    Case(
        "closed in the middle",
        always(server.closes_in_the_middle),
        UNAVAILABLE, KEPT, 3, "line to the host", TWICE,
    ),
    Case(
        "no protocol",
        always(server.breaks_the_protocol),
        UNAVAILABLE, KEPT, 3, "line to the host", TWICE,
    ),
    Case("no JSON", always(says(b"<p>{key}</p>")), UNAVAILABLE, KEPT, 3, "is no JSON", TWICE),
    Case("nothing", always(says(b"")), UNAVAILABLE, KEPT, 3, "is no JSON", TWICE),
    Case("a list", always(says([])), UNAVAILABLE, KEPT, 1, "is no object"),
    Case("an empty object", always(says({})), UNAVAILABLE, KEPT, 1, "holds no message"),
    Case(
        "an error that says 200",
        always(says({"error": {"message": "sorry, {key}"}})),
        UNAVAILABLE, KEPT, 1, "holds no message",
    ),
    Case(
        "odd shapes",
        always(says({"choices": {"a": 1}, "content": "text", "usage": [1], "model": 7})),
        UNAVAILABLE, KEPT, 1, "holds no message",
    ),
    Case("packed", lambda wire: [
        says(gzip.compress(json.dumps(wire.says()).encode()), content_encoding="gzip")
    ], UNAVAILABLE, KEPT, 1, "packed"),
]  # fmt: skip


@wires
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_whatever_the_host_does(case, wire, host, caplog):
    caplog.set_level(logging.DEBUG)
    host.answer_with(*case.answers(wire))

    came = asked(wire, host, case.seconds)

    decision = came.decision
    assert (decision.outcome, is_hold(decision)) == (case.outcome, True)
    assert case.words in decision.reason
    assert len(host.requests) == case.requests
    assert {seen.path for seen in host.requests} == {wire.path}
    assert tuple(came.pauses) == case.pauses
    assert came.took < case.seconds + 1
    rows = came.rows
    assert rows[-1].outcome == case.outcome
    match case.money:
        case "cost":
            assert {row.cost for row in rows} == {wire.cost}
            assert came.spent == len(rows) * micros(wire.cost)
        case "kept":
            assert [row.cost for row in rows] == [None]
            assert came.spent == case.requests * came.set_aside > 0
        case "nothing":
            assert [row.cost for row in rows] == [None]
            assert came.spent == 0
    assert_no_key(*everything_of(came), records=caplog.records)


@wires
def test_an_answer_without_counts_costs_nobody_knows_what(wire, host):
    host.answer_with(says(wire.no_usage))

    came = asked(wire, host)

    assert came.decision.outcome is DECIDED
    assert [row.cost for row in came.rows] == [None]
    assert came.spent == came.set_aside


@wires
def test_a_host_that_is_not_there_costs_nothing(wire, host):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        host.port = taken.getsockname()[1]

    came = asked(wire, host)

    assert came.decision.outcome is UNAVAILABLE
    assert came.decision.reason.startswith("the host can't be reached: ")
    assert (came.pauses, came.spent) == ([1.0, 2.0], 0)


@wires
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(wire, status, host):
    with a_host() as other:
        other.answer_with(says(wire.says()))
        host.answer_with(says(b"", status, location=f"{other.url}/{{key}}"))

        came = asked(wire, host)

        assert other.requests == []
    assert len(host.requests) == 1
    assert came.decision.outcome is UNAVAILABLE
    assert came.decision.reason == f"the host sends elsewhere ({status}): correct its address"
    assert came.spent == 0
    assert_no_key(*everything_of(came))


@wires
@pytest.mark.parametrize("says_how_long", [True, False])
def test_an_answer_that_is_too_long_is_cut_off(wire, says_how_long, host, monkeypatch):
    monkeypatch.setattr(outbound, "MOST_BYTES", 100_000)
    whole = json.dumps(wire.says(HOLD + " " * 200_000)).encode()

    def answer(talk: server.Talk) -> None:
        talk.send(server.head(200, len(whole) if says_how_long else None) + whole)

    host.answer_with(answer)

    came = asked(wire, host)

    assert came.decision.outcome is UNAVAILABLE
    assert "longer than 100000 bytes" in came.decision.reason
    assert (len(host.requests), came.spent) == (1, came.set_aside)


@wires
def test_a_text_that_no_record_can_hold_is_mended(wire, host):
    text = json.dumps({"summary": "a", "decisions": []})[:-1] + ' , "x": "\ud800\x00"}'
    said = wire.says(text, model="m\x00\ud800")
    host.answer_with(says(said))

    came = asked(wire, host)

    [row], [completion] = came.rows, came.decision.completions
    assert row.model == "m?"
    assert "\x00" not in completion.text
    completion.text.encode()  # it has no half character
    assert came.decision.outcome is DECIDED


@wires
def test_counts_beyond_reason_are_cut(wire, host):
    usage = {"input_tokens": 10**30, "output_tokens": -5, "prompt_tokens": 10**30}
    host.answer_with(says(wire.says(usage=usage)))

    came = asked(wire, host)

    [row] = came.rows
    assert (row.input_tokens, row.output_tokens) == (100_000_000, 0)
    assert row.cost == 300


@wires
def test_a_second_try_repairs_and_both_are_paid(wire, host):
    host.answer_with(says(wire.says("no json at all")), says(wire.says()))

    came = asked(wire, host)

    assert came.decision.outcome is DECIDED
    assert [row.outcome for row in came.rows] == [UNREADABLE, DECIDED]
    assert came.spent == 2 * micros(wire.cost)
    [user] = [one for one in host.body["messages"] if one["role"] == "user"]
    assert "Your last answer could not be used" in str(user["content"])


@wires
def test_over_the_budget_nothing_leaves(wire, host):
    host.answer_with(says(wire.says()))
    priced(wire.provider)

    came = Asking(profile_of(host, wire.provider, wire.base), money=Decimal(0)).decide()

    assert came.decision.outcome is DecisionOutcome.OVER_BUDGET
    assert is_hold(came.decision)
    assert "The bot may spend 0 US dollars a day on models" in came.decision.reason
    assert (host.requests, came.rows) == ([], [])


@wires
def test_an_unknown_price_is_an_unknown_cost_and_only_calls_count(wire, host):
    host.answer_with(says(wire.says()))
    asking = Asking(profile_of(host, wire.provider, wire.base), money=Decimal(0), calls=1)

    came, second = asking.decide(), asking.decide()

    assert came.decision.outcome is DECIDED
    assert came.decision.cost is None
    assert [row.cost for row in came.rows] == [None]
    assert came.spent == 0
    assert second.decision.outcome is DecisionOutcome.OVER_BUDGET
    assert second.decision.reason == "The bot may ask models 1 times a day, and has"
    assert len(host.requests) == 1


@wires
def test_a_kept_connection_is_used_again_with_the_time_of_its_own_request(wire, host):
    whole = json.dumps(wire.says()).encode()

    def answer(talk: server.Talk) -> None:
        talk.send(server.head(200, len(whole), Connection="keep-alive") + whole)

    host.keeps_connections = True
    host.answer_with(answer, answer, server.never_answers)
    asking = Asking(profile_of(host, wire.provider, wire.base))

    outcomes = [asking.decide(seconds).decision.outcome for seconds in (20, 0.6, 0.6)]

    assert outcomes == [DECIDED, DECIDED, TIMED_OUT]
    assert len(host.connections) == 1


@wires
def test_a_connection_that_the_host_closed_meanwhile_costs_nothing(wire, host):
    whole = json.dumps(wire.says()).encode()

    def answer(talk: server.Talk) -> None:
        talk.send(server.head(200, len(whole), Connection="keep-alive") + whole)

    host.answer_with(answer)  # says that it keeps the connection, and closes it
    asking = Asking(profile_of(host, wire.provider, wire.base))

    first = asking.decide()
    time.sleep(0.05)
    second = asking.decide()

    [completion] = second.decision.completions
    assert (first.decision.outcome, second.decision.outcome) == (DECIDED, DECIDED)
    assert (completion.tries, len(host.connections)) == ((), 2)
