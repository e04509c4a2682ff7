"""The parser, as tables: each leniency it grants, and each thing it must never read into a text."""

import json
from decimal import Decimal

import pytest

from llm.domain import DecisionAction
from llm.errors import DecisionUnreadable
from llm.parsing import WireReply, parse_decision, reply_instructions
from llm.parsing.find import MAX_LENGTH
from llm.parsing.symbols import find_symbol
from tests.llm.replies import (
    ARENA,
    BTC,
    BUY,
    CANONICAL,
    CLOSE_ETH,
    ETH,
    ITEM,
    OURS,
    PEPE,
    one,
    reply,
    with_field,
)


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
        ('"buy BTC"', "no JSON object"),
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
