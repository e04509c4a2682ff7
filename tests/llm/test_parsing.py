"""The parser, as tables: each leniency it grants, and each thing it must never read into a text."""

import json
from decimal import Decimal

import pytest

from llm.domain import DecisionAction
from llm.errors import DecisionUnreadable
from llm.parsing import WireReply, parse_decision, reply_instructions
from llm.parsing.find import MAX_LENGTH
from llm.parsing.symbols import find_symbol
from market.domain.enums import PositionSide

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


def test_the_canonical_reply():
    parsed = parse_decision(reply(BUY, CLOSE_ETH), OURS)
    assert parsed.summary == "Quiet."
    assert parsed.notes == ()
    first, second = parsed.items
    assert first.symbol == BTC
    assert first.action is DecisionAction.BUY_TO_ENTER
    assert (first.confidence, first.risk_fraction) == (Decimal("0.7"), Decimal("0.01"))
    assert (first.leverage, first.notional, first.reduce_fraction) == (Decimal(5), None, None)
    assert (first.stop_loss, first.take_profit) == (Decimal("45000.5"), Decimal(48000))
    assert first.invalidation_condition == "4h close below 45000"
    assert (second.symbol, second.action) == (ETH, DecisionAction.CLOSE)


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


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{reply(BUY)}\n```",
        f"```\n{reply(BUY)}\n```",
        f"Here is my answer:\n\n{reply(BUY)}\n\nGood luck {{to us}}!",
        f"I looked at [1] and {{the rest}}; so:\n```JSON\n{reply(BUY)}```",
        f"\ufeff  {reply(BUY)}\n",
        f"[{ITEM}]",
        ITEM,
        json.dumps({BTC: {key: BUY[key] for key in BUY if key != "symbol"}}),
        json.dumps({"BTC": BUY}),
        json.dumps({"decisions": {"btc": BUY}}),
        json.dumps({"decisions": BUY}),
        json.dumps({"result": {"decisions": [BUY]}}),
        json.dumps({"response": {"output": {"decisions": [BUY]}}}),
        json.dumps(reply(BUY)),
        f"<think>Maybe {{'symbol': 'ETH', 'action': 'sell'}}? No.</think>\n{reply(BUY)}",
        f"Maybe [{{sell}}]? No. </think>{reply(BUY)}",
        f'<think>one</think>{reply(BUY)}<think>never closed {{"symbol": 1',
        f"{reply(BUY)}\n{reply(BUY)}",
        ITEM[:-1] + ",}",
        f"[{ITEM},]",
        str([BUY]),
        str({"decisions": [BUY], "extra": (None, True)}).replace("(", "[").replace(")", "]"),
        reply(BUY).replace('"', "”"),
        "“".join(reply(BUY).split('"')[:1]) + reply(BUY).replace('"', "'"),
        reply(BUY)[:-1] + " // done\n}",
        reply(BUY)[:-1] + " /* done */ }",
        reply(BUY).replace("trend", "trend\n"),
        json.dumps({"stopLoss" if k == "stop_loss" else k.title(): v for k, v in BUY.items()}),
        json.dumps({"decisions": [BUY], "positions": [{"symbol": "ETH", "side": "long"}]}),
        json.dumps({"rsi": {"BTC": 44}}) + reply(BUY),
        reply(BUY, BUY),
        reply(BUY, {**BUY, "justification": "said again"}),
    ],
)
def test_shapes_and_wrappings_that_all_state_the_same(text):
    item = one(text)
    for name in ("symbol", "action", "confidence", "risk_fraction", "leverage", "stop_loss"):
        assert getattr(item, name) == getattr(CANONICAL, name), name
    assert item.take_profit == CANONICAL.take_profit


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"BTC": {"trade_signal_args": ARENA}, "ETH": {"signal": "hold"}}),
        json.dumps({"BTC": ARENA, "ETH": {"trade_signal_args": {"coin": "ETH", "signal": "hold"}}}),
        json.dumps([ARENA, {"coin": "ETH", "signal": "hold", "stop_loss": 0, "risk_usd": 0}]),
        json.dumps({"decisions": {"BTC": ARENA, "ETH": "hold"}}),
        json.dumps(ARENA) + "\n" + json.dumps({"coin": "ETH", "signal": "hold"}),
        json.dumps(ARENA) + ",\n" + json.dumps({"coin": "ETH", "signal": "hold"}),
    ],
)
def test_the_arenas_own_shape(text):
    parsed = parse_decision(text, OURS, equity=Decimal(10000))
    btc, eth = parsed.items
    assert (btc.symbol, btc.action) == (BTC, DecisionAction.BUY_TO_ENTER)
    assert (btc.stop_loss, btc.take_profit) == (Decimal("45000.5"), Decimal(48000))
    assert btc.risk_fraction == Decimal("0.01"), "risk in money over known equity"
    assert btc.notional is None
    assert (eth.symbol, eth.action, eth.stop_loss) == (ETH, DecisionAction.HOLD, None)
    (note,) = parsed.notes
    assert note == f"{BTC}: risk_usd '100' and quantity '0.5' stated; the quantity is computed here"


def test_money_at_risk_is_checked_never_trusted():
    arena = json.dumps(ARENA)
    assert one(arena).risk_fraction is None, "equity unknown"
    assert one(arena, equity=Decimal(99)).risk_fraction is None, "more than there is"
    assert one(arena, equity=Decimal(-5)).risk_fraction is None
    assert one(arena, equity=Decimal(30000)).risk_fraction == Decimal("0.00333333"), "down"
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
        -45000, "-45000", "−45000", "1,23", "0,123", "12,34,567", "1.234,5", "46.377,50", "46k",
        "~46000", "46000-47000", "<46000", "about 46000", "2%", "-2%", "1e400", "1e40", "1e-30",
        float("inf"), "Infinity", True, [46000], {"price": 46000}, "9" * 41, 10**4000, "٤٦٠٠٠",
        "46 37", "1,234 567", "0x10", "1_0", "--5", "€46000",
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


@pytest.mark.parametrize("word", ["buy or sell", "yolo", "b", "buy!now", "not buy", "买入"])
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


# --- Symbols -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [BTC, "BTC", "btc", "$BTC", "BTC/USDT", "BTCUSDT", "BTC-USDT", "btc_usdt", "BTC-PERP",
     "BTC-USDT-SWAP", "BTCUSDT.P", " BTC/USDT:USDT "],
)  # fmt: skip
def test_a_symbol_by_its_other_names(said):
    assert one(with_field(symbol=said)).symbol == BTC


@pytest.mark.parametrize(
    "said", ["XBT", "BITCOIN", "BTC/USD", "BTCP", "USDT", "", "BTC/USDT/X", "ВТС"]
)
def test_an_instrument_that_is_not_ours_is_left_out(said):
    assert find_symbol(said, OURS) is None
    parsed = parse_decision(reply({**BUY, "symbol": said or "?", "stop_loss": -1}, CLOSE_ETH), OURS)
    assert [item.symbol for item in parsed.items] == [ETH]
    assert "none of our instruments" in parsed.notes[0]
    assert parse_decision(reply({**BUY, "symbol": said or "?"}), OURS).items == ()


def test_a_name_that_fits_two_instruments_fits_none():
    both = ("BTC/USDT", BTC)
    assert find_symbol("BTC", both) is None
    assert find_symbol("BTCUSDT", both) is None
    assert find_symbol("BTC/USDT", both) == "BTC/USDT"
    assert find_symbol(BTC, both) == BTC
    odd = ("币安/USDT:USDT",)
    assert find_symbol("USDT", odd) is None
    assert find_symbol("币安/USDT:USDT", odd) == odd[0]


def test_a_missing_symbol_is_clear_only_when_there_is_one_instrument():
    nameless = reply({key: value for key, value in BUY.items() if key != "symbol"})
    assert parse_decision(nameless, (BTC,)).items[0].symbol == BTC
    with pytest.raises(DecisionUnreadable, match="names no symbol"):
        parse_decision(nameless, OURS)
    with pytest.raises(DecisionUnreadable, match="is for"):
        parse_decision(json.dumps({"ETH": BUY}), OURS)


# --- Never a trade that the text did not state ---------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        {**BUY, "action": "sell_to_enter"},
        {**BUY, "action": "hold"},
        {**BUY, "stop_loss": 45000},
        {**BUY, "symbol": "BTCUSDT", "risk_fraction": None},
    ],
)
def test_items_that_contradict_each_other_are_all_void(other):
    for items in ((BUY, other), (other, BUY), (BUY, other, BUY)):
        parsed = parse_decision(reply(*items, CLOSE_ETH), OURS)
        assert [item.symbol for item in parsed.items] == [ETH]
        assert parsed.void == (BTC,)
    beside = json.dumps(BUY) + "\n" + json.dumps(other)
    assert parse_decision(beside, OURS).void == (BTC,)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no JSON object"),
        ("I would buy BTC at 46000.", "no JSON object"),
        ("{}", "no decision"),
        ("[]", "no decision"),
        ("42", "no decision"),
        ("null", "no decision"),
        ('"buy BTC"', "no decision"),
        (json.dumps({"price": 5}), "no decision"),
        (json.dumps({"BTC": {"rsi": 44}}), "no decision"),
        (reply(BUY)[:-1], "cut off"),
        (reply(BUY, CLOSE_ETH)[:-30], "cut off"),
        (reply(BUY).split("justification")[0], "cut off"),
        (reply(BUY).removeprefix("{"), "fragment"),
        (reply(BUY)[reply(BUY).index("[") :], "fragment"),
        (reply(BUY) + reply({**BUY, "action": "sell_to_enter"}), "two different sets"),
        (reply(BUY) + "\nWait:\n" + reply(CLOSE_ETH), "two different sets"),
        (reply({"symbol": BTC, "stop_loss": 5}, BUY), "1 of the 2 decisions state no action"),
        (json.dumps([BUY, "and ETH"]), "1 of the 2"),
        (json.dumps({"BTC": BUY, "ETH": {"stop_loss": 4}}), "ETH: no action is stated"),
        (json.dumps({"BTC": BUY, "ETH": "moon"}), "ETH: no action is stated"),
        (json.dumps({"decisions": [BUY], "actions": [CLOSE_ETH]}), "both decisions and actions"),
        (json.dumps({"decisions": [{"a": 1}]}), "decisions holds nothing"),
        (ITEM[:-1] + ', "action": "sell_to_enter"}', "stated twice"),
        (ITEM[:-1] + ', "stop_loss": 44000}', "stated twice"),
        (ITEM[:-1] + ', "sl": 44000}', "stated twice"),
        (ITEM[:-1] + ', "stopLoss": 44000}', "stated twice"),
        (ITEM.replace("45000.5", "45,000.5"), "not valid JSON"),
        (ITEM.replace('"stop_loss"', "stop_loss"), "not valid JSON"),
        (ITEM.replace("45000.5", "45000.5.1"), "not valid JSON"),
        (ITEM.replace("45000.5", "46000 - 999"), "not valid JSON"),
        (ITEM.replace("45000.5", "close"), "not valid JSON"),
        (reply(*[BUY] * 201), "more than 200"),
        (ITEM * 51, "too many JSON values"),
        ("x" * (MAX_LENGTH + 1), "longer than"),
        ("{" * 90_000, "no JSON object"),
        ('{"a":' * 15_000, "nested too deeply"),
        ("[{" * 40_000, "not valid JSON"),
        ('[{"a":' * 10_000, "nested too deeply"),
        ("<think>" * 10_000, "no JSON object"),
        ("'" * 90_000, "no JSON object"),
        ('{"' + "\\" * 90_000, "cut off"),
    ],
)  # fmt: skip
def test_texts_that_state_no_clear_decision(text, reason):
    with pytest.raises(DecisionUnreadable, match=reason) as caught:
        parse_decision(text, OURS)
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


def test_an_empty_list_of_decisions_is_hold():
    for text in (reply(), json.dumps({"decisions": {}}), "```json\n" + reply() + "```"):
        assert parse_decision(text, OURS).items == ()


def test_a_thought_is_no_decision():
    with pytest.raises(DecisionUnreadable):
        parse_decision(f"<think>{reply(BUY)}</think> I'd rather not say.", OURS)
    with pytest.raises(DecisionUnreadable):
        parse_decision(f"<think>{reply(BUY)}", OURS)


def test_texts_are_cleaned_and_capped():
    item = one(with_field(justification="a\x00b\ud800\u2028c\x1b[31m" + "x" * 5000))
    assert item.justification.startswith("a b  c [31mxxx")
    assert len(item.justification) == 2000
    item.justification.encode()
    parsed = parse_decision(reply(BUY, summary="y" * 9000), OURS)
    assert len(parsed.summary) == 4000
    assert one(with_field(invalidation_condition="N/A")).invalidation_condition == ""
    assert one(with_field(justification=["one", "two", None])).justification == "one; two"
    assert one(with_field(justification={"a": 1})).justification == ""


def test_close_or_keep_drops_everything_else():
    text = reply(BUY, CLOSE_ETH, {"symbol": PEPE, "action": "reduce", "reduce_fraction": 0.5})
    parsed = parse_decision(text, OURS, close_or_keep=True)
    assert [item.action for item in parsed.items] == [DecisionAction.CLOSE]
    assert len(parsed.notes) == 2
    assert "buy_to_enter is not open to choice now" in parsed.notes[0]


# --- The schema ----------------------------------------------------------------------------------


def test_the_instructions_name_every_field_and_action():
    text = reply_instructions()
    schema = WireReply.model_json_schema()
    assert schema["additionalProperties"] is False
    for name in schema["$defs"]["WireItem"]["properties"]:
        assert f"`{name}`" in text
    for action in DecisionAction:
        assert action.value in text


def test_what_the_schema_accepts_the_parser_reads():
    wire = WireReply.model_validate_json(reply(BUY, CLOSE_ETH))
    assert parse_decision(wire.model_dump_json(), OURS).items == (
        parse_decision(reply(BUY, CLOSE_ETH), OURS).items
    )
