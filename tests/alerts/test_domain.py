"""What events are alerts of, and in which words."""

from datetime import UTC, datetime
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.alerts import wording
from bots.alerts.domain import (
    KINDS,
    OF_NOTICE,
    AlertKind,
    CycleFacts,
    Direction,
    Severity,
    Told,
    is_beyond,
    occurrences,
)
from bots.domain.entries import NoticeKind
from bots.domain.events import EventKind

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def found(kind, payload, **cycles):
    told = Told(at=NOW, kind=EventKind(kind), payload=payload)
    return [(one.kind.value, one.text) for one in occurrences(told, cycles)]


def test_every_kind_has_its_row_and_is_fed():
    assert set(KINDS) == set(AlertKind)
    for row in KINDS.values():
        assert row.feeds or row.is_measured or row.kind is AlertKind.DAILY_SUMMARY


def test_every_notice_of_the_desk_is_named():
    assert set(OF_NOTICE) == set(NoticeKind)


@pytest.mark.parametrize(
    ("kind", "payload", "expected"),
    [
        (
            "FILL",
            {"symbol": "BTC/USDT:USDT", "side": "BUY", "quantity": "0.5", "price": "65000.1"},
            [("FILL", "Filled: BUY 0.5 BTC/USDT:USDT at 65000.1.")],
        ),
        (
            "TRADE",
            {"symbol": "ETH", "side": "LONG", "net_pnl": "-12.5", "exit_reason": "STOP"},
            [("STOP_HIT", "The stop closed the long of ETH: net -12.5.")],
        ),
        (
            "TRADE",
            {"symbol": "ETH", "side": "SHORT", "net_pnl": "3", "exit_reason": "TARGET"},
            [("TARGET_HIT", "The target closed the short of ETH: net 3.")],
        ),
        ("TRADE", {"symbol": "ETH", "exit_reason": "CLOSE"}, []),
        (
            "NOTICE",
            {"kind": "BREAKER_TRIPPED", "symbol": "", "text": "LLM_BUDGET"},
            [
                ("BUDGET", "The breaker llm budget tripped."),
                ("BREAKER", "The breaker llm budget tripped."),
            ],
        ),
        (
            "NOTICE",
            {"kind": "ORDER_UNKNOWN", "symbol": "ETH", "text": "no answer"},
            [("UNKNOWN_ORDER", "Order unknown on ETH: no answer.")],
        ),
        (
            "NOTICE",
            {
                "kind": "MANAGED_EXIT",
                "symbol": "ETH",
                "text": "break-even: the stop moves to 100.3",
            },
            [("MANAGED_EXIT", "Managed exit on ETH: break-even: the stop moves to 100.3.")],
        ),
        ("NOTICE", {"kind": "BREAKER_CLEARED", "text": "x"}, []),
        ("NOTICE", {"kind": "OF_TOMORROW"}, []),
        ("ORDER", {"status": "FILLED"}, []),
        (
            "ORDER",
            {"status": "DENIED", "side": "BUY", "quantity": "1", "symbol": "ETH", "reason": "r"},
            [("DENIAL", "Denied: BUY 1 ETH: r.")],
        ),
        ("BOT", {"act": "start_bot"}, []),
        ("CYCLE", {"id": "x", "outcome": "DECIDED"}, []),
    ],
)
def test_events(kind, payload, expected):
    assert found(kind, payload) == expected


def test_a_cycle_tells_of_its_model_and_its_denials():
    facts = CycleFacts(decision="TIMED_OUT", reason="30 s", denials=(("ETH", "MAX_LEVERAGE"),))
    assert found("CYCLE", {"id": "c"}, c=facts) == [
        ("MODEL_FAILURE", "The model did not answer in time: 30 s."),
        ("DENIAL", "Denied on ETH: max leverage."),
    ]
    assert found("CYCLE", {"id": "c"}, c=CycleFacts(decision="OVER_BUDGET"))[0][0] == "BUDGET"
    assert found("CYCLE", {"id": "c"}, c=CycleFacts(decision="DECIDED")) == []


@given(st.sampled_from(EventKind), st.dictionaries(st.text(max_size=8), st.text() | st.none()))
def test_no_payload_raises(kind, payload):
    found(kind, payload)


def test_a_title_says_how_bad_it_is_once():
    title = wording.title_of(AlertKind.BREAKER, Severity.CRITICAL, "Momentum")
    assert title == "Critical: Momentum: a breaker tripped"
    assert wording.unmarked(title, Severity.CRITICAL) == "Momentum: a breaker tripped"


def test_levels_include_the_threshold():
    assert is_beyond(D(5), D(5), Direction.ABOVE)
    assert is_beyond(D(5), D(5), Direction.BELOW)
    assert not is_beyond(D("4.9"), D(5), Direction.ABOVE)
    assert not is_beyond(D("5.1"), D(5), Direction.BELOW)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0", "0"), ("0.000123456789", "0.000123457"), ("-0.5", "-0.5"), ("-12", "-12"),
        ("1234567.891", "1,234,568"), ("65000.12", "65,000.1"), ("100000", "100,000"),
    ],
)  # fmt: skip
def test_figures(value, shown):
    assert wording.figure(D(value)) == shown


def test_a_message_says_how_many_more_and_where():
    text = wording.message_of("A thing.", 9999, NOW, "http://localhost:8000/bots/1/")
    assert text == (
        "A thing.\nAnd 9,999 more like it since 12:00 UTC.\nhttp://localhost:8000/bots/1/"
    )
    assert wording.message_of("A thing.", 0, NOW, "") == "A thing."


def test_a_title_is_one_line_and_says_how_bad_it_is():
    title = wording.title_of(AlertKind.BREAKER, Severity.CRITICAL, "My\r\nBcc: x@y bot")
    assert title == "Critical: My Bcc: x@y bot: a breaker tripped"
    assert wording.title_of(AlertKind.DAILY_SUMMARY, Severity.INFO, "") == "The day in short"


def test_no_address_of_others_stands_in_a_message():
    text = wording.clean("failed at https://u:key@host/bot123:ABC?k=1 and\ntgram://123:abc/9 \x07")
    assert text == "failed at (an address) and (an address)"
    assert len(wording.clean("x" * 5000)) == wording.MOST_TEXT


def test_links():
    assert wording.link_to("https://x.org/", "/bots/1/") == "https://x.org/bots/1/"
    assert wording.link_to("https://x.org", "") == ""


@pytest.mark.parametrize("kind", [row.kind for row in KINDS.values() if row.is_measured])
def test_every_measure_has_its_sentence(kind):
    text = wording.measured(kind, D("7.5"), D(5), Direction.ABOVE, "ETH", "USDT")
    assert text.endswith(".")
    assert kind is AlertKind.NAKED_POSITION or ("7.5" in text and "5" in text)
