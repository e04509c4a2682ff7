"""Replies for the tests of the parser, as models write them."""

import json

from llm.parsing import parse_decision

BTC, ETH, PEPE = "BTC/USDT:USDT", "ETH/USDT:USDT", "1000PEPE/USDT:USDT"
OURS = (BTC, ETH, PEPE)
BUY = {
    "symbol": BTC,
    "action": "buy_to_enter",
    "confidence": 0.7,
    "risk_fraction": 0.01,
    "leverage": 5,
    "stop_loss": 45000.5,
    "take_profit": 48000,
    "invalidation_condition": "4h close below 45000",
    "justification": "trend {up} [strong]",
}
CLOSE_ETH = {"symbol": ETH, "action": "close"}


def reply(*items, **changes):
    return json.dumps({"summary": "Quiet.", "decisions": list(items), **changes})


def one(text, **known):
    """The single item that a text states, with nothing void."""
    parsed = parse_decision(text, OURS, **known)
    assert not parsed.void
    (item,) = parsed.items
    return item


def with_field(**fields):
    return reply({**BUY, **fields})


CANONICAL = one(reply(BUY))

ITEM = json.dumps(BUY)
ARENA = {
    "coin": "BTC",
    "signal": "buy_to_enter",
    "quantity": 0.5,
    "profit_target": 48000,
    "stop_loss": 45000.5,
    "invalidation_condition": "4h close below 45000",
    "leverage": 5,
    "confidence": 0.7,
    "risk_usd": 100,
    "justification": "x",
}
