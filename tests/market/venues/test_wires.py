"""The loopback venues tell nothing that the real ones don't: their answers against recorded raw ones."""

import json
from datetime import datetime
from typing import Any

import pytest

from tests.market.venues.conftest import NOW
from tests.market.venues.wires import WIRES, Market

FIRST, LAST = "1777700000000", "1777809600000"
OKX = {"instId": "BTC-USDT-SWAP"}
CASES: list[tuple[str, str, dict[str, Any], str]] = [
    ("okx", "/api/v5/public/instruments", {"instType": "SWAP"}, "okx/http_get_instruments_swap"),
    ("okx", "/api/v5/public/mark-price", OKX, "okx/http_get_mark_price"),
    ("okx", "/api/v5/public/position-tiers", OKX, "okx/http_get_position_tiers"),
    ("okx", "/api/v5/public/funding-rate-history", OKX | {"before": FIRST, "limit": "9"},
     "okx/http_get_funding_rate_history"),
    ("okx", "/api/v5/market/candles", OKX | {"bar": "1m", "before": FIRST, "after": LAST, "limit": "9"},
     "okx/http_get_candlesticks_full"),
    ("hyperliquid", "/info", {"type": "l2Book", "coin": "BTC"}, "hyperliquid/http_l2_book_btc"),
    ("hyperliquid", "/info", {"type": "fundingHistory", "coin": "BTC", "startTime": FIRST},
     "hyperliquid/http_funding_history"),
    ("binanceusdm", "/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": "9"},
     "binance/spot/http_json/klines_response"),
    ("binanceusdm", "/fapi/v1/time", {}, "binance/spot/http_json/server_time_response"),
]  # fmt: skip
EXTRA = {"n"}  # fields that venues tell and the recording left out


def shape(payload: Any) -> Any:
    """What kind of things where: names of fields, lengths of rows, text or number."""
    if isinstance(payload, dict):
        return {name: shape(value) for name, value in payload.items() if name not in EXTRA}
    if isinstance(payload, list):
        if payload and isinstance(payload[0], dict | list):
            return [shape(payload[0])]
        return [shape(value) for value in payload]
    return "text" if isinstance(payload, str) else "number" if payload is not None else None


def told_too(mine: Any, theirs: Any, path: str = "") -> list[str]:
    """Every place where `mine` tells what `theirs` doesn't, or as another type."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return [
            place
            for name, value in mine.items()
            for place in (
                told_too(value, theirs[name], f"{path}.{name}")
                if name in theirs
                else [f"{path}.{name}"]
            )
        ]
    if isinstance(mine, list) and isinstance(theirs, list):
        if mine and theirs and isinstance(mine[0], dict | list):
            return told_too(mine[0], theirs[0], f"{path}[]")
        return [] if len(mine) == len(theirs) or not theirs else [f"{path}: length"]
    return [] if mine == theirs or mine is None else [path]


@pytest.mark.recorded_data
@pytest.mark.parametrize(("kind", "path", "asked", "recorded"), CASES)
def test_answers_have_the_recorded_shape(market_data_dir, kind, path, asked, recorded):
    raw = json.loads((market_data_dir / "venues" / "recorded" / f"{recorded}.json").read_text())

    _, _, mine = WIRES[kind]().answer(Market(NOW), path, asked)

    assert told_too(shape(json.loads(json.dumps(mine))), shape(raw)) == []


def test_another_shape_would_be_seen():
    assert told_too(shape({"a": 1, "b": [["1", 2]]}), shape({"a": "1", "b": [["1"]]})) == [
        ".a",
        ".b[]: length",
    ]
    assert told_too(shape({"a": 1, "c": 2}), shape({"a": 1})) == [".c"]


def test_the_market_is_the_same_whoever_asks():
    one, two = Market(NOW), Market(datetime.fromisoformat(NOW.isoformat()))

    assert one.bar("BTC", 1777800000000, 3_600_000) == two.bar("BTC", 1777800000000, 3_600_000)
    assert one.price("ETH") == two.price("ETH")
