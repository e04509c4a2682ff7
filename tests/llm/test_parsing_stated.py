"""No text makes the parser fail otherwise than it says, or trade on what the text does not state.

An oracle that shares nothing with the parser (`tests.llm.stated`) looks for every number of every item that
was read, under its own key, and for the instrument's name.
"""

import json
import random
from dataclasses import replace
from decimal import Decimal
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.domain import DecisionAction, DecisionItem
from llm.errors import DecisionUnreadable
from llm.parsing import parse_decision
from market.domain.enums import PositionSide
from tests.llm.stated import numbers, unstated
from tests.llm.test_parsing_properties import FRAGMENTS, json_values, texts

SYMBOLS = ("BTC/USDT:USDT", "ETH/USDT:USDT", "DOGE/USDT:USDT")
EQUITY = Decimal(12345)
EXAMPLES = max(400, settings.default.max_examples if settings.default else 0)
PIECES = [
    *FRAGMENTS, "0", "9", "00", ".", "5000", "95,000", "~95k", "k", "x", "%", "$", "，", "：", "＂",
    '"stop_loss": 44000,', '"take_profit": 51000', "{}", "[[", "]]", "\\u0035", "\\5", "N/A", "1e308",
]  # fmt: skip
PROSE = [
    "BTC at ~95k, stop near 93.5k, target 101,000; RSI 44",
    "stop_loss: 91000, take_profit: 99000, leverage 20x, confidence 95%",
    "we risk 2% of equity, 100 USD, at 10x",
    "止损 45,000，目标 48,000；信心 85%",
    "",
]
KEYS = {
    "stop_loss": ["stop_loss", "stopLoss", "Stop Loss", "sl"],
    "take_profit": ["take_profit", "profit_target", "tp"],
    "leverage": ["leverage"],
    "notional": ["notional", "notional_usd"],
    "confidence": ["confidence", "confidence_pct"],
    "risk_fraction": ["risk_fraction", "risk_pct", "risk_usd"],
    "reduce_fraction": ["reduce_fraction"],
    "quantity": ["quantity"],
}


def spelled(chance):
    """A number as models write it, mostly a good one."""
    whole, part = chance.randrange(1, 99), chance.randrange(1, 1000)
    return chance.choice(
        [whole, f"{whole},{part:03}", f"{whole}{part:03}.5", f"{whole}k", f"{whole}.{part}", f"0.{part}",
         whole / 100, whole * 1000 + part, f"{whole}%", f"{whole}x", f"${whole}{part:03}", f" {whole} ",
         None, "N/A", 0, f"~{whole}k", -whole]
        if chance.random() < 0.3
        else [whole * 1000 + part, whole / 100, f"{whole},{part:03}", f"{whole}k", whole]
    )  # fmt: skip


def made_item(chance, symbol):
    """An item as a model writes it, any of its fields missing, prose with numbers between them."""
    fields = [
        ("symbol", chance.choice([symbol, symbol.partition("/")[0]])),
        ("action", chance.choice([*DecisionAction, "buy", "short"])),
    ]
    for name, keys in KEYS.items():
        if chance.random() < 0.6:
            value = spelled(chance)
            if name in ("confidence", "risk_fraction", "reduce_fraction") and chance.random() < 0.8:
                value = chance.choice([0.01, 0.7, 85, "85%", "0.5"])
            fields.append(
                (chance.choice(keys), chance.choice([3, "10x"]) if name == "leverage" else value)
            )
    fields += [
        ("justification", chance.choice(PROSE)),
        ("invalidation_condition", chance.choice(PROSE)),
    ]
    chance.shuffle(fields)
    return dict(fields)


def made_reply(chance):
    """A reply of up to three items, in one of the shapes, wrapped in one of the ways."""
    items = [made_item(chance, symbol) for symbol in chance.sample(SYMBOLS, chance.randrange(1, 4))]
    shape = chance.randrange(4)
    body: object = items
    if shape == 1:
        body = {item.pop("symbol"): {"trade_signal_args": item} for item in items}
    elif shape > 1:
        body = {"summary": chance.choice(PROSE), "decisions": items}
    text = json.dumps(body, ensure_ascii=chance.random() < 0.5)
    wrap = chance.randrange(8)
    if wrap == 1:
        return f"{chance.choice(PROSE)}\n```json\n{text}\n```\n{chance.choice(PROSE)}"
    if wrap == 2:
        return f"<think>{text.replace('0', '1')}</think>\n{text}"
    if wrap == 3:
        return json.dumps(text)
    if wrap == 4:
        return f"So: {text[:-1]},{text[-1]}"
    return text


def mutated(chance, text):
    """The text with pieces put in, taken out, doubled, moved and put around it."""
    for _ in range(chance.randrange(1, 5)):
        at, size = chance.randrange(len(text) + 1), chance.randrange(1, 9)
        other = chance.randrange(len(text) + 1)
        kind = chance.randrange(5)
        if kind == 0:
            text = text[:at] + chance.choice(PIECES) + text[at:]
        elif kind == 1:
            text = text[:at] + text[at + size :]
        elif kind == 2:
            text = text[:at] + text[at : at + size] + text[at:]
        elif kind == 3:
            text = text[:at] + text[other : other + size] + text[at:]
        else:
            text = chance.choice(PIECES) + text + chance.choice(PIECES)
    return text


def read(text):
    """The items read, each checked; none when it is unreadable. Any other exception goes through."""
    held = {SYMBOLS[0]: PositionSide.LONG}
    try:
        parsed = parse_decision(text, SYMBOLS, equity=EQUITY, held=held)
    except DecisionUnreadable:
        return ()
    for item in parsed.items:
        assert unstated(item, text, EQUITY) == [], text
    return parsed.items


@settings(max_examples=EXAMPLES)
@given(texts | st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
def test_any_text(text):
    read(text)


@settings(max_examples=EXAMPLES)
@given(json_values, st.sampled_from(["{}", "So:\n{}", "[{}]", '{"decisions": {}}']))
def test_any_json(value, around):
    read(around.replace("{}", json.dumps(value)))


@settings(max_examples=EXAMPLES)
@given(st.randoms(use_true_random=False))
def test_mutated_replies(chance):
    read(mutated(chance, made_reply(chance)))


@pytest.mark.parametrize("change", [None, mutated])
def test_a_thousand_replies(change):
    """Seeded twin of the fuzzing above, which also shows that enough of it is read for that to mean something."""
    chance = random.Random(7)
    many = [made_reply(chance) for _ in range(1000)]
    if change is not None:
        many = list(map(partial(change, chance), many))
    items = [item for text in many for item in read(text)]
    numbered = [item for item in items if item.stop_loss or item.take_profit]
    assert len(items) > (300 if change else 600)
    assert len(numbered) > (100 if change else 300)


@pytest.mark.parametrize(
    "fields",
    [
        {"stop_loss": Decimal(44100)},
        {"stop_loss": Decimal(95000)},
        {"take_profit": Decimal(45000)},
        {"confidence": Decimal("0.95")},
        {"leverage": Decimal(20)},
        {"risk_fraction": Decimal("0.02")},
        {"notional": Decimal(100)},
        {"symbol": "DOGE/USDT:USDT"},
    ],
)
def test_the_oracle_sees_what_is_not_stated(fields):
    """The number of another field, of a sentence, or of nowhere is not that field's."""
    said = {"symbol": "BTC", "action": "buy_to_enter", "stop_loss": "45,000", "confidence": 70,
            "risk_usd": 100, "justification": PROSE[0], "invalidation_condition": PROSE[1]}  # fmt: skip
    text = f"{PROSE[2]}\n{json.dumps(said)}\n{PROSE[1]}"
    item = DecisionItem(
        symbol=SYMBOLS[0],
        action=DecisionAction.BUY_TO_ENTER,
        stop_loss=Decimal(45000),
        confidence=Decimal("0.7"),
        risk_fraction=Decimal("0.00810044"),
    )
    assert unstated(item, text, EQUITY) == []
    assert len(unstated(replace(item, **fields), text, EQUITY)) == 1
    assert numbers(text)["stop_loss"] == {Decimal(45000)}
