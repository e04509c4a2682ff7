"""The habits of models, as tables: what comes before, around and inside an answer, and what it must come to."""

import json
from decimal import Decimal

import pytest

from llm.domain import DecisionAction
from llm.errors import DecisionUnreadable
from llm.parsing import parse_decision
from tests.llm.replies import (
    ARENA,
    BTC,
    BUY,
    CANONICAL,
    CLOSE_ETH,
    ETH,
    ITEM,
    OURS,
    one,
    reply,
    with_field,
)

ANSWER = reply(BUY)
DRAFT = reply({**BUY, "action": "sell_to_enter", "stop_loss": 51000, "take_profit": 40000})
ARENA_ETH = {"coin": "ETH", "signal": "hold", "quantity": 0, "stop_loss": 0, "risk_usd": 0}
PROSE = "BTC trades at ~95k (resistance 95,000; stop near 93.5k, target 1e5). RSI14 = 61.2, MACD: -12.4."

BEFORE = {
    "a fence": "```json\n",
    "an array of figures": "MACD: [1.25, -0.5, 3], RSI [44, 61]\n",
    "an array of objects": '[{"macd": 1.25}, {"macd": -0.5}]\n',
    "an empty array and object": "[] {}\n",
    "an object of figures": '{"BTC": {"rsi": 44.2, "stop_loss": 1}, "ETH": {"rsi": 61}}\n',
    "an object with a note": '{"note": "looking at BTC first", "confidence": 0.9}\n',
    "a nested note": '{"analysis": {"trend": {"BTC": "up", "levels": [93000, 95000]}}}\n',
    "prose with prices": f"{PROSE}\n\n",
    "Chinese": "比特币目前约为 95,000 美元（~95k）。我的决定：\n",
    "Russian": "Биткоин около 95 000 долларов, стоп «45 000». Ответ:\n",
    "Arabic": "البيتكوين عند 95,000 دولار، الإجابة:\n",
    "a markdown table": "| symbol | action |\n|---|---|\n| ETH | sell |\n\n",
    "a heading and a list": "## Plan {#plan}\n- [ ] buy {BTC}\n1. [BTC](https://example.org/{x})\n",
}


@pytest.mark.parametrize("what", BEFORE)
def test_what_stands_before_the_answer_changes_nothing(what):
    assert one(BEFORE[what] + ANSWER) == CANONICAL
    assert one(f"{BEFORE[what]}\n{ANSWER}\n```\n{PROSE}") == CANONICAL


THOUGHTS = {
    "a draft": f"<think>First idea:\n{DRAFT}\nno.</think>\n{ANSWER}",
    "a draft in a fence": f"<think>\n```json\n{DRAFT}\n```\n</think>\n```json\n{ANSWER}\n```",
    "no opening tag": f"First idea: {DRAFT}\nno.</think>\n{ANSWER}",
    "a tag with an attribute": f'<thinking budget="3">{DRAFT}</thinking>{ANSWER}',
    "a tag inside the thought": f"<think>I am in <think> now </think> {DRAFT} </think>{ANSWER}",
    "capitals": f"<THINK>{DRAFT}</THINK>{ANSWER}",
    "another word": f"<analysis>{DRAFT}</analysis><scratchpad>{DRAFT}</scratchpad>{ANSWER}",
    "brackets": f"[THINK]{DRAFT}[/THINK]{ANSWER}",
    "triangles": f"◁think▷{DRAFT}◁/think▷{ANSWER}",
    "a thought behind it, never closed": f"{ANSWER}\n<think>or rather {DRAFT}",
    "a draft cut off": f"<think>{DRAFT[:60]}</think>{ANSWER}",
    "nothing thought": f"<think>\n\n</think>\n{ANSWER}",
}


@pytest.mark.parametrize("what", THOUGHTS)
def test_a_draft_in_a_thought_does_not_count(what):
    assert one(THOUGHTS[what]) == CANONICAL


@pytest.mark.parametrize(
    "text",
    [
        f"<think>{DRAFT}",
        f"<think>{DRAFT}\n{ANSWER}",
        f"<think>{DRAFT}</think>I hold.",
        f"<think>a<think>b</think>{DRAFT}</think>I hold.",
        f"{DRAFT}</think>",
        f"[THINK]{DRAFT}[/THINK]",
        f"So:\n<think>{ANSWER}</think>\n<think>{DRAFT}",
    ],
)
def test_a_thought_alone_is_no_answer(text):
    with pytest.raises(DecisionUnreadable, match="no JSON object"):
        parse_decision(text, OURS)


INNER = {key: value for key, value in ARENA.items() if key != "signal"}
SHAPES = {
    "a single object": ITEM,
    "nested lists": f"[[{ITEM}]]",
    "nested lists in prose": f"So: [ [[{ITEM}]] ] it is",
    "a list with the whole answer": f"[{ANSWER}]",
    "decisions in a list of lists": json.dumps({"decisions": [[BUY]]}),
    "a JSON text": json.dumps(ANSWER),
    "a JSON text twice over": json.dumps(json.dumps(ANSWER)),
    "a JSON text with a fence inside": json.dumps(f"```json\n{ANSWER}\n```"),
    "a JSON text of an item": json.dumps(ITEM),
    "a comment at the beginning": "So: {// plan\n" + ANSWER[1:],
    "a block comment at the beginning": "So: {/* plan { */" + ANSWER[1:],
    "a comment of Python": "{ # plan\n" + ANSWER[1:] + " # done",
    "a comment in the middle": ANSWER.replace('"leverage"', '// 5x, stop 1\n"leverage"'),
    "trailing commas": ANSWER.replace("}]", ",},]"),
    "smart quotes": ANSWER.replace('"', "“", 1).replace('"', "”"),
    "full-width punctuation": ANSWER.replace('": ', '"：').replace(', "', '，"'),
    "full-width quotes": ANSWER.replace('"', "＂"),
    "guillemets": ITEM.replace('": ', "»: ")
    .replace('", ', "», ")
    .replace('"}', "»}")
    .replace('"', "«"),
}


@pytest.mark.parametrize("what", SHAPES)
def test_shapes_of_one_answer(what):
    item = one(SHAPES[what])
    for name in ("symbol", "action", "confidence", "risk_fraction", "leverage", "stop_loss"):
        assert getattr(item, name) == getattr(CANONICAL, name), name


@pytest.mark.parametrize(
    "text",
    [
        f"[[{ITEM}], [{json.dumps(CLOSE_ETH)}]]",
        f"[{ITEM}, [{json.dumps(CLOSE_ETH)}]]",
        f"Both:\n[[{ITEM}],\n [{json.dumps(CLOSE_ETH)}]]\nDone.",
        json.dumps({"decisions": [[BUY], [CLOSE_ETH]]}),
    ],
)
def test_lists_in_lists_lose_nothing(text):
    assert parse_decision(text, OURS).items == parse_decision(reply(BUY, CLOSE_ETH), OURS).items


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"BTC": ARENA, "ETH": ARENA_ETH}),
        json.dumps([ARENA, ARENA_ETH]),
        json.dumps([[ARENA, ARENA_ETH]]),
        json.dumps({"BTC": {"trade_signal_args": ARENA}, "ETH": {"trade_signal_args": ARENA_ETH}}),
        json.dumps([{"trade_signal_args": ARENA}, {"trade_signal_args": ARENA_ETH}]),
        json.dumps({"BTC": {"signal": "buy_to_enter", "trade_signal_args": INNER}, "ETH": ARENA_ETH}),
        json.dumps([{"signal": "buy_to_enter", "trade_signal_args": INNER}, ARENA_ETH]),
        f"▶ CHAIN OF THOUGHT\n{PROSE}\n▶ TRADING DECISIONS\n" + json.dumps([ARENA, ARENA_ETH]),
    ],
)  # fmt: skip
def test_the_arenas_own_shape_in_all_its_forms(text):
    btc, eth = parse_decision(text, OURS, equity=Decimal(10000)).items
    assert (btc.symbol, btc.action) == (BTC, DecisionAction.BUY_TO_ENTER)
    assert (btc.stop_loss, btc.take_profit) == (Decimal("45000.5"), Decimal(48000))
    assert (btc.leverage, btc.confidence) == (Decimal(5), Decimal("0.7"))
    assert (btc.risk_fraction, btc.notional) == (Decimal("0.01"), None)
    assert btc.invalidation_condition == "4h close below 45000"
    assert (eth.symbol, eth.action) == (ETH, DecisionAction.HOLD)


JUSTIFICATIONS = [
    "BTC at ~95k, above 95,000; a stop at 93.5k is 1.5% away",
    "突破均线，止损在 45,000 下方；“趋势”向上：做多",
    "Тренд вверх, стоп «45 000,5», цель ~48k",
    "الاتجاه صاعد، وقف الخسارة 45,000",
    'the "stop_loss": 44000 of before, and {"stop_loss": 1}',
    "it's 10x, N/A, NaN, // not a comment, # nor this, /* nor this */",
]


@pytest.mark.parametrize("said", JUSTIFICATIONS)
def test_numbers_and_languages_in_a_justification_are_words(said):
    item = one(with_field(justification=said, stop_loss=None, take_profit=None))
    assert item.justification == said
    assert (item.stop_loss, item.take_profit) == (None, None)
    escaped = json.dumps({**BUY, "justification": said}, ensure_ascii=False)
    loose = one(f"Answer：\n{escaped[:-1]},}}")
    assert (loose.justification, loose.stop_loss) == (said, CANONICAL.stop_loss)


def test_an_entry_without_a_stop_has_none():
    """Whether one is needed is for the limits to say."""
    without = {key: value for key, value in BUY.items() if key != "stop_loss"}
    for text in (reply(without), with_field(stop_loss=None), with_field(stop_loss="N/A")):
        item = one(f"{PROSE}\n{text}\n{PROSE}")
        assert (item.action, item.stop_loss) == (DecisionAction.BUY_TO_ENTER, None)
        assert item.take_profit == Decimal(48000)


@pytest.mark.parametrize("bare", ["N/A", "n/a", "NaN", "None", "null", "undefined"])
def test_bare_words_for_nothing(bare):
    item = one(ITEM.replace("45000.5", bare))
    assert item.stop_loss is None
    assert one(ITEM.replace("45000.5", bare)[:-1] + ",}").stop_loss is None


@pytest.mark.parametrize(
    "bare",
    ["95,000", "~95k", "95k", "10x", "85%", "Infinity", "-Infinity", "1e308", "-45000", "4 5000",
     "45'000", "４５０００", "market", "45000 // or 44000 /*"],
)  # fmt: skip
def test_bare_values_that_are_no_price_make_it_unreadable(bare):
    with pytest.raises(DecisionUnreadable):
        parse_decision(ITEM.replace("45000.5", bare), OURS)


@pytest.mark.parametrize(
    "said",
    ["4\\5000", "\\x34", "45<think>x</think>000", "45\\n000", "4\\u00b2"],
)
def test_an_escape_or_a_thought_inside_a_number_makes_no_other_number(said):
    loose = f"So: {ITEM[:-1]},}}".replace("45000.5", f'"{said}"')
    with pytest.raises(DecisionUnreadable, match="stop_loss must be"):
        parse_decision(loose, OURS)


def test_escapes_that_json_has_not_stay_as_they_are():
    loose = f"{ITEM[:-1]},}}".replace("trend {up} [strong]", r"\alpha > 0, it\'s \$5\/day\t\u00e9")
    assert one(loose).justification == "\\alpha > 0, it's $5/day\té"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t",
        "\ufeff",
        "I'm sorry, but I can't help with trading decisions.",
        "很抱歉，我无法提供交易建议。",
        "| symbol | action | stop_loss |\n|---|---|---|\n| BTC | buy_to_enter | 45000 |",
        "symbol: BTC\naction: buy_to_enter\nstop_loss: 45000",
        "<symbol>BTC</symbol><action>buy_to_enter</action>",
        "｛＂symbol＂：＂BTC＂，＂action＂：＂close＂｝",
        f"{ANSWER}\n\nOn reflection:\n\n{DRAFT}",
        f"```json\n{DRAFT}\n```\n```json\n{ANSWER}\n```",
        f"{ITEM}\n{ANSWER.replace('45000.5', '44000')}",
        json.dumps(ANSWER)[:-20],
        json.dumps(ANSWER[:-20]),
        f"```json\n{ANSWER[: len(ANSWER) // 2]}\n```",
        f"[[{ITEM}]",
        f"[[[[[[[{ITEM}]]]]]]]",
        f"[[1, 2], {ITEM}]",
    ],
)
def test_texts_that_state_no_decision(text):
    with pytest.raises(DecisionUnreadable) as caught:
        parse_decision(text, OURS)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "text",
    [
        reply(BUY, CLOSE_ETH),
        json.dumps({"BTC": "close", "ETH": "close"}),
        json.dumps({"BTC": BUY | {"symbol": "BTC"}, "ETH": CLOSE_ETH}),
    ],
)
def test_a_base_that_two_instruments_share_is_left_out_with_a_note(text):
    spot = ("BTC/USDT", BTC, ETH)
    parsed = parse_decision(text.replace(BTC, "BTC"), spot)
    assert [(item.symbol, item.action) for item in parsed.items] == [(ETH, DecisionAction.CLOSE)]
    assert parsed.notes == ("'BTC' could be several of our instruments: left out",)
