"""The parser against any text: it never fails otherwise, and never returns a value out of range."""

import json
import random
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.domain import DecisionAction, DecisionItem
from llm.errors import DecisionUnreadable
from llm.parsing import parse_decision
from llm.parsing.scalars import is_said
from market.domain.enums import PositionSide

SYMBOLS = ("BTC/USDT:USDT", "ETH/USDT:USDT", "DOGE/USDT:USDT")
FRAGMENTS = [
    "{", "}", "[", "]", ",", ":", '"', "'", "“", "”", "\\", "\n", "```json", "```", "<think>",
    "</think>", "null", "None", "NaN", "-Infinity", "1e999", "-0.0", "85%", "1,234", "true",
    "symbol", "action", "signal", "buy_to_enter", "sell", "close", "reduce", "decisions", "BTC",
    "ETH/USDT:USDT", "stop_loss", "take_profit", "confidence", "risk_fraction", "reduce_fraction",
    "leverage", "risk_usd", "quantity", "0.5", "2", "-1", "46000", '{"symbol": "BTC", "action": ',
    '"decisions": [', "\ud800", "\x00", "//", "/*", "#", " ",
]  # fmt: skip
texts = st.one_of(
    st.text(max_size=200),
    st.lists(st.sampled_from(FRAGMENTS), max_size=60).map("".join),
    st.lists(st.sampled_from(FRAGMENTS), max_size=60).map(" ".join),
)
numbers = st.decimals("0.0000001", "1000000", allow_nan=False, allow_infinity=False, places=7)
fractions = st.decimals("0", "1", places=4)
printable = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2000, categories=["L", "N", "P", "S"]),
    max_size=60,
).filter(lambda text: text.isprintable() and (not text.strip() or is_said(text)))


def check(parsed):
    """Every promise about values, whatever was read."""
    assert len({item.symbol for item in parsed.items}) == len(parsed.items)
    assert not {item.symbol for item in parsed.items} & set(parsed.void)
    for item in parsed.items:
        assert item.symbol in SYMBOLS
        assert isinstance(item.action, DecisionAction)
        for value in (item.confidence, item.risk_fraction):
            assert value is None or 0 <= value <= 1
        for value in (item.stop_loss, item.take_profit):
            assert value is None or (value.is_finite() and 0 < value <= 10**15)
        assert item.notional is None or (item.notional.is_finite() and item.notional >= 0)
        assert item.leverage is None or 1 <= item.leverage <= 1000
        assert item.reduce_fraction is None or 0 < item.reduce_fraction <= 1
        if item.action is DecisionAction.REDUCE:
            assert item.reduce_fraction is not None
        (item.justification + item.invalidation_condition).encode()
    (parsed.summary + "".join(parsed.notes)).encode()


def read(text):
    """What is parsed, or None; anything but DecisionUnreadable fails the test."""
    try:
        parsed = parse_decision(
            text, SYMBOLS, equity=Decimal(10000), held={SYMBOLS[0]: PositionSide.LONG}
        )
    except DecisionUnreadable as error:
        str(error).encode()
        return None
    check(parsed)
    return parsed


@given(texts)
def test_any_text(text):
    read(text)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([fragment for fragment in FRAGMENTS if len(fragment) > 2])
    | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["symbol", "action", "decisions", "BTC", "ETH", "stop_loss", "signal",
                             "confidence", "risk_fraction", "reduce_fraction", "leverage", "coin"]),
            inner, max_size=6,
        )
    ),
    max_leaves=25,
)  # fmt: skip


@given(json_values)
def test_any_json(value):
    read(json.dumps(value))


items = st.builds(
    DecisionItem,
    symbol=st.sampled_from(SYMBOLS),
    action=st.sampled_from(DecisionAction),
    confidence=st.none() | fractions,
    risk_fraction=st.none() | st.decimals("0", "0.9999", places=4),
    notional=st.none() | numbers,
    leverage=st.none() | st.decimals("1", "100", places=2),
    stop_loss=st.none() | numbers,
    take_profit=st.none() | numbers,
    reduce_fraction=st.decimals("0.0001", "1", places=4),
    invalidation_condition=printable.map(str.strip),
    justification=printable.map(str.strip),
)
replies = st.lists(items, max_size=3, unique_by=lambda item: item.symbol)


def wire(item, as_text):
    """An item as JSON's own types, numbers as JSON numbers or as texts."""
    said = {name: getattr(item, name) for name in DecisionItem.__slots__}
    for name, value in said.items():
        if isinstance(value, Decimal):
            said[name] = format(value, "f") if as_text else float(value)
    return said


@given(replies, st.booleans(), st.sampled_from(["{}", "```json\n{}\n```", "So:\n{}\nThat's all."]))
def test_a_valid_decision_comes_back_as_it_was(said, as_text, around):
    body = {"summary": "s", "decisions": [wire(item, as_text) for item in said]}
    parsed = parse_decision(around.replace("{}", json.dumps(body)), SYMBOLS)
    assert parsed.items == tuple(said)
    assert parsed.void == ()


@given(replies, st.randoms(use_true_random=False), st.integers(1, 6))
def test_mutated_replies(said, chance, mutations):
    """Characters dropped, doubled, swapped and inserted: read as something valid, or not at all."""
    text = json.dumps({"summary": "s", "decisions": [wire(item, False) for item in said]})
    characters = list(text)
    for _ in range(mutations):
        at = chance.randrange(len(characters))
        kind = chance.randrange(4)
        if kind == 0:
            del characters[at]
        elif kind == 1:
            characters.insert(at, characters[at])
        elif kind == 2:
            characters.insert(at, chance.choice(FRAGMENTS))
        else:
            other = chance.randrange(len(characters))
            characters[at], characters[other] = characters[other], characters[at]
    read("".join(characters))


@given(replies.filter(bool), st.data())
def test_a_reply_that_is_cut_off_states_nothing(said, data):
    text = json.dumps({"decisions": [wire(item, False) for item in said]})
    cut = data.draw(st.integers(0, len(text) - 1))
    with pytest.raises(DecisionUnreadable):
        parse_decision(text[:cut], SYMBOLS)


def test_a_thousand_mutations_of_a_real_reply():
    """Deterministic twin of the fuzzing above, with a reply as models write it."""
    text = json.dumps(
        {
            "summary": "Trend is up; {risk} is [small].",
            "decisions": [
                {"symbol": "BTC", "action": "buy_to_enter", "confidence": 0.72, "stop_loss": 45500.5,
                 "risk_fraction": 0.01, "leverage": 5, "take_profit": 48000},
                {"symbol": "ETH", "action": "reduce", "reduce_fraction": 0.5},
            ],
        }
    )  # fmt: skip
    chance = random.Random(1)
    entries = {Decimal("45500.5")}
    unread = 0
    for _ in range(1000):
        at = chance.randrange(len(text))
        mutated = text[:at] + chance.choice(FRAGMENTS) + text[at + chance.randrange(3) :]
        parsed = read(mutated)
        unread += parsed is None
        if parsed is not None:
            entries.update(item.stop_loss for item in parsed.items if item.stop_loss)
    assert 300 < unread < 900
    assert len(entries) > 1, "a changed digit is a changed price: nothing can see that"
