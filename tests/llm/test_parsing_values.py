"""The parser's values, as tables: how numbers and actions may be spelled, and which it refuses."""

import json
from decimal import Decimal

import pytest

from llm.domain import DecisionAction
from llm.errors import DecisionUnreadable
from llm.parsing import parse_decision
from market.domain.enums import PositionSide
from tests.llm.replies import (
    ARENA,
    BTC,
    BUY,
    CANONICAL,
    ETH,
    OURS,
    one,
    reply,
    with_field,
)


def test_money_at_risk_is_checked_never_trusted():
    arena = json.dumps(ARENA)
    assert one(arena).risk_fraction is None, "equity unknown"
    assert one(arena, equity=Decimal(99)).risk_fraction is None, "more than there is"
    assert one(arena, equity=Decimal(-5)).risk_fraction is None
    assert one(arena, equity=Decimal(15000)).risk_fraction == Decimal("0.00666666"), "down"
    stated = json.dumps({**ARENA, "risk_fraction": 0.002})
    assert one(stated, equity=Decimal(10000)).risk_fraction == Decimal("0.002")
    for bad in (-100, "lots", "5%", [1]):
        assert one(json.dumps({**ARENA, "risk_usd": bad}), equity=Decimal(1)).risk_fraction is None


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("46377.5", "46377.5"),
        (" 46377.50 ", "46377.50"),
        ("46,377.5", "46377.5"),
        ("1,046,377", "1046377"),
        ("46 377", "46377"),
        ("46_377", "46377"),
        ("46'377.25", "46377.25"),
        ("$46,377.5", "46377.5"),
        ("46377 USDT", "46377"),
        ("USD 46377", "46377"),
        ("+46377", "46377"),
        ("4.6e4", "46000"),
        ("46k", "46000"),
        ("$46.3775K", "46377.5"),
        ("95,000", "95000"),
        (".00001234", "0.00001234"),
        ("0.000000012345", "0.000000012345"),
        (46377, "46377"),
        (46377.125, "46377.125"),
    ],
)
def test_prices(said, meant):
    assert one(with_field(stop_loss=said)).stop_loss == Decimal(meant)


NOT_SAID = [
    None,
    "",
    "N/A",
    "n/a",
    "NA",
    "null",
    "None",
    "-",
    " — ",
    "NaN",
    float("nan"),
    "nil",
    0,
    "0",
    "0.0",
    -0.0,
]


@pytest.mark.parametrize("said", NOT_SAID)
def test_what_stands_for_nothing_is_nothing(said):
    item = one(with_field(stop_loss=said, take_profit=said, leverage=said))
    assert (item.stop_loss, item.take_profit, item.leverage) == (None, None, None)


@pytest.mark.parametrize(
    "said",
    [
        -45000, "-45000", "−45000", "1,23", "0,123", "12,34,567", "1.234,5", "46.377,50", "46,5k",
        "~46000", "~95k", "46 k", "46m", "-46k", "46k%", "k", "46000-47000", "<46000", "about 46000",
        "2%", "-2%", "1e400", "1e40", "1e-30",
        float("inf"), "Infinity", True, [46000], {"price": 46000}, "9" * 41, 10**4000, "٤٦٠٠٠",
        "46 37", "1,234 567", "0x10", "1_0", "--5", "€46000", 1e308, "1e308", float("-inf"), "４６０００",
        "46000; 45000", "9" * 65, "1" + " " * 5000 + "1",
    ],
)  # fmt: skip
@pytest.mark.parametrize("field", ["stop_loss", "take_profit"])
def test_prices_that_are_none_are_refused(field, said):
    with pytest.raises(DecisionUnreadable, match=rf"^{BTC}: {field} "):
        parse_decision(with_field(**{field: said}), OURS)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (0.7, "0.7"),
        ("0.7", "0.7"),
        (1, "1"),
        (0, "0"),
        (85, "0.85"),
        ("85", "0.85"),
        ("85%", "0.85"),
        ("85 %", "0.85"),
        ("1%", "0.01"),
        (100, "1"),
        (1.5, "0.015"),
        (None, None),
        ("N/A", None),
    ],
)
def test_confidence(said, meant):
    expected = None if meant is None else Decimal(meant)
    assert one(with_field(confidence=said)).confidence == expected


@pytest.mark.parametrize("said", [-0.1, 101, "850", "high", "-5%", True, "0,85", "101%", "8/10"])
def test_confidence_that_is_none(said):
    with pytest.raises(DecisionUnreadable, match="confidence"):
        parse_decision(with_field(confidence=said), OURS)


@pytest.mark.parametrize(
    ("fields", "meant"),
    [
        ({"risk_fraction": 0.01}, "0.01"),
        ({"risk_fraction": "1%"}, "0.01"),
        ({"risk_fraction": "0.5%"}, "0.005"),
        ({"risk_fraction": 2}, "0.02"),
        ({"risk_fraction": 1}, "0.01"),
        ({"risk_fraction": "1.0"}, "0.01"),
        ({"risk_fraction": 0.99}, "0.99"),
        ({"risk_fraction": None, "risk_pct": 1.5}, "0.015"),
        ({"risk_fraction": 0.01, "risk_percent": 1}, "0.01"),
        ({"risk_fraction": 0}, "0"),
    ],
)
def test_risk_fraction_is_never_inflated(fields, meant):
    assert one(with_field(**fields)).risk_fraction == Decimal(meant)


def test_a_reply_that_counts_in_percent_counts_so_throughout():
    """`1` beside `85` is one percent; read alone it would be certainty."""
    eth = {**BUY, "symbol": ETH, "confidence": 85}
    first, second = parse_decision(reply({**BUY, "confidence": 1}, eth), OURS).items
    assert (first.confidence, second.confidence) == (Decimal("0.01"), Decimal("0.85"))
    both = reply({**BUY, "risk_fraction": 0.5}, {**eth, "risk_fraction": 2})
    first, second = parse_decision(both, OURS).items
    assert (first.risk_fraction, second.risk_fraction) == (Decimal("0.005"), Decimal("0.02"))


@pytest.mark.parametrize(
    ("said", "meant"), [(5, 5), ("5x", 5), ("X10", 10), ("3 ×", 3), (2.5, "2.5"), ("1", 1)]
)
def test_leverage(said, meant):
    assert one(with_field(leverage=said)).leverage == Decimal(meant)


@pytest.mark.parametrize("said", [0.5, -3, "5%", "max", 1001, "5x5"])
def test_leverage_that_is_none(said):
    with pytest.raises(DecisionUnreadable, match="leverage"):
        parse_decision(with_field(leverage=said), OURS)


WORDS = {
    DecisionAction.BUY_TO_ENTER: ["buy_to_enter", "BUY", "Long", "open long", "enter-long"],
    DecisionAction.SELL_TO_ENTER: ["sell_to_enter", "sell", "SHORT", "openShort", "go short"],
    DecisionAction.HOLD: ["hold", "Wait", "do nothing", "no_trade", "N/A", "keep"],
    DecisionAction.CLOSE: ["close", "close_position", "Exit", "close long", "flatten"],
    DecisionAction.REDUCE: ["reduce", "partial close", "trim"],
    DecisionAction.ADJUST: ["adjust", "move stop", "update_stop_loss"],
}


@pytest.mark.parametrize(
    ("word", "action"), [(word, action) for action, words in WORDS.items() for word in words]
)
def test_actions(word, action):
    assert one(with_field(action=word, reduce_fraction=0.5)).action is action
    signal = {key: value for key, value in BUY.items() if key != "action"}
    assert one(reply({**signal, "signal": word, "reduce_fraction": 0.5})).action is action


@pytest.mark.parametrize(
    "word", ["buy or sell", "yolo", "b", "buy!now", "not buy", "买入", "купить"]
)
def test_actions_that_are_none(word):
    with pytest.raises(DecisionUnreadable, match="action must be one of buy_to_enter"):
        parse_decision(with_field(action=word), OURS)


def test_a_side_beside_the_action():
    assert one(with_field(action="open", side="long")).action is DecisionAction.BUY_TO_ENTER
    assert one(with_field(action="enter", direction="SHORT")).action is DecisionAction.SELL_TO_ENTER
    assert one(with_field(side="long")) == CANONICAL
    with pytest.raises(DecisionUnreadable, match="which side to open"):
        parse_decision(with_field(action="open"), OURS)
    with pytest.raises(DecisionUnreadable, match="contradict"):
        parse_decision(with_field(side="short"), OURS)
    with pytest.raises(DecisionUnreadable, match="two different actions"):
        parse_decision(with_field(signal="sell"), OURS)
    assert one(with_field(signal="long")) == CANONICAL


@pytest.mark.parametrize(
    ("word", "held", "action"),
    [
        ("sell", PositionSide.LONG, DecisionAction.CLOSE),
        ("buy", PositionSide.SHORT, DecisionAction.CLOSE),
        ("sell", PositionSide.SHORT, DecisionAction.SELL_TO_ENTER),
        ("sell", PositionSide.FLAT, DecisionAction.SELL_TO_ENTER),
        ("sell_to_enter", PositionSide.LONG, DecisionAction.SELL_TO_ENTER),
        ("close_long", PositionSide.SHORT, DecisionAction.HOLD),
        ("close_long", PositionSide.LONG, DecisionAction.CLOSE),
    ],
)
def test_words_that_mean_more_when_something_is_held(word, held, action):
    parsed = parse_decision(with_field(action=word), OURS, held={BTC: held})
    assert parsed.items[0].action is action


@pytest.mark.parametrize(
    ("said", "meant"),
    [(0.5, "0.5"), ("50%", "0.5"), (50, "0.5"), (1, "1"), ("25", "0.25")],
)
def test_reduce_fraction(said, meant):
    item = one(reply({"symbol": "BTC", "action": "reduce", "reduce_fraction": said}))
    assert (item.action, item.reduce_fraction) == (DecisionAction.REDUCE, Decimal(meant))


@pytest.mark.parametrize("said", [None, 0, -1, "half", 150])
def test_reduce_needs_its_fraction(said):
    with pytest.raises(DecisionUnreadable, match="reduce"):
        parse_decision(reply({"symbol": "BTC", "action": "reduce", "reduce_fraction": said}), OURS)


@pytest.mark.parametrize("action", ["hold", "close"])
def test_what_an_action_does_not_use_can_not_spoil_it(action):
    parsed = parse_decision(
        with_field(action=action, stop_loss=-1, leverage="max", confidence=850, notional="?"), OURS
    )
    (item,) = parsed.items
    assert (item.action.value, item.stop_loss, item.confidence) == (action, None, None)
    assert item.take_profit == Decimal(48000)
    assert len(parsed.notes) == 4
    assert all("not used by this action, left out" in note for note in parsed.notes)
