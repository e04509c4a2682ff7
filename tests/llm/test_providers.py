"""The two models that need no network: a script, and a recording."""

import json
import re
from datetime import timedelta
from decimal import Decimal

import pytest

from llm.decider import reread
from llm.domain import Completion, DecisionOutcome, Usage
from llm.errors import ModelTimedOut, ModelUnavailable
from llm.ports import ChatModel
from llm.providers.recorded import RecordedChat, RecordingChat, RecordingError, prompt_key
from llm.providers.scripted import ScriptedChat, ScriptError
from llm.traders.llm_trader import LLMTrader
from tests.llm.scenes import first_view, standard
from tests.llm.views import series, snapshot, view, walk

PROMPT = standard(first_view())
SECOND = timedelta(seconds=1)
CLOSE = {"decisions": [{"symbol": "BTC", "action": "close"}]}


def texts(chat, count):
    return [chat.complete(PROMPT, deadline=SECOND).text for _ in range(count)]


def test_a_script_plays_in_order_and_then_holds():
    chat: ChatModel = ScriptedChat(lines=["one", Completion(text="two", model="m"), "three"])
    assert texts(chat, 3) == ["one", "two", "three"]
    assert json.loads(texts(chat, 1)[0])["decisions"] == []
    ending = ScriptedChat(lines=["one"], hold_at_end=False)
    assert texts(ending, 1) == ["one"]
    with pytest.raises(ModelUnavailable, match="ended after 1 answers"):
        ending.complete(PROMPT, deadline=SECOND)


def test_a_script_may_fail_on_purpose():
    chat = ScriptedChat(lines=[ModelTimedOut("late"), "then"])
    with pytest.raises(ModelTimedOut, match="late"):
        chat.complete(PROMPT, deadline=SECOND)
    assert texts(chat, 1) == ["then"]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(["free text", CLOSE, {"text": "cut", "stop_reason": "length"}]),
        json.dumps(["free text", CLOSE, {"text": "cut", "stop_reason": "length"}], indent=2),
        '"free text"\n\n' + json.dumps(CLOSE) + '\n{"text": "cut", "stop_reason": "length"}\n',
    ],
)
def test_a_script_file_is_a_list_or_lines(tmp_path, content):
    path = tmp_path / "script.json"
    path.write_text(content)
    chat = ScriptedChat.from_file(path, name="mine")
    answers = [chat.complete(PROMPT, deadline=SECOND) for _ in range(3)]
    assert [answer.text for answer in answers] == ["free text", json.dumps(CLOSE), "cut"]
    assert [answer.stop_reason for answer in answers] == ["stop", "stop", "length"]


def test_a_script_file_may_be_one_answer(tmp_path):
    path = tmp_path / "script.json"
    path.write_text(json.dumps(CLOSE))
    assert texts(ScriptedChat.from_file(path), 1) == [json.dumps(CLOSE)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no completions file"),
        (b"\xff\xfe\x00", "can't be read"),
        (b"hello\n", "line 1 is no JSON"),
        (b'"ok"\n{broken\n', "line 2 is no JSON"),
        (b"[1]", "entry 1 is neither a text nor an object"),
        (b'["a", null]', "entry 2 is neither"),
        (b'[{"text": "a", "model": "b"}]', "entry 1 may have a text and a stop_reason"),
        (b'[{"text": "a", "stop_reason": 1}]', "entry 1 may have a text and a stop_reason"),
        (b"[" * 100_000, "line 1 is no JSON"),
    ],
)
def test_script_files_that_can_not_be_read(tmp_path, content, message):
    path = tmp_path / "script.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ScriptError, match=re.escape(message)):
        ScriptedChat.from_file(path)


ANSWER = Completion(
    text='{"decisions": []} é',
    model="m-1",
    usage=Usage(input_tokens=12, output_tokens=3, cached_tokens=1),
    stop_reason="end_turn",
    cost=Decimal("0.00012"),
    latency_ms=321,
)


def test_what_is_recorded_is_played_back(tmp_path):
    path = tmp_path / "answers.jsonl"
    unpriced = Completion(text="again", model="m-1", cost=None)
    live: ChatModel = RecordingChat(
        chat=ScriptedChat(lines=[ANSWER, unpriced, "repaired"], name="m-1"), path=path
    )
    assert live.name == "m-1"
    for repair in (None, None, "bad stop"):
        live.complete(PROMPT, deadline=SECOND, repair=repair)
    played: ChatModel = RecordedChat.from_file(path, name="m-1")
    assert played.complete(PROMPT, deadline=SECOND, repair="bad stop").text == "repaired"
    assert played.complete(PROMPT, deadline=SECOND) == ANSWER
    assert played.complete(PROMPT, deadline=SECOND) == unpriced
    assert played.complete(PROMPT, deadline=SECOND) == unpriced, "the last is repeated"
    for repair in ("another reason", ""):
        with pytest.raises(ModelUnavailable, match="has no answer to prompt"):
            played.complete(PROMPT, deadline=SECOND, repair=repair)


def test_failures_pass_through_a_recorder_and_leave_nothing(tmp_path):
    path = tmp_path / "answers.jsonl"
    live = RecordingChat(chat=ScriptedChat(lines=[ModelTimedOut("late")]), path=path)
    with pytest.raises(ModelTimedOut):
        live.complete(PROMPT, deadline=SECOND)
    assert not path.exists()


def test_a_recorded_run_decides_the_same_again(tmp_path):
    """Two decisions, one with a repair, replayed from the file: equal to the byte (P6)."""
    path = tmp_path / "answers.jsonl"
    script = ScriptedChat(lines=["no JSON", json.dumps(CLOSE), json.dumps(CLOSE)], name="m")
    views = [view(snapshot(series(walk(count)))) for count in (40, 41)]
    live = [LLMTrader(chat=RecordingChat(chat=script, path=path)).decide(seen) for seen in views]
    played = LLMTrader(chat=RecordedChat.from_file(path, name="m"))
    assert [played.decide(seen) for seen in views] == live
    assert [reread(decision) for decision in live] == live
    elsewhere = played.decide(view(snapshot(series(walk(42)))))
    assert elsewhere.outcome is DecisionOutcome.UNAVAILABLE


def test_the_key_is_of_everything_that_was_sent():
    other = standard(view(snapshot(series(walk(9)))))
    keys = {prompt_key(PROMPT), prompt_key(other), prompt_key(PROMPT, "x"), prompt_key(PROMPT, "y")}
    assert len(keys) == 4


@pytest.mark.parametrize("row", ["nonsense", "{}", '{"prompt": "a", "completion": {"text": "b"}}',
                                 '{"prompt": "a", "completion": {"usage": {"x": 1}}}', "[]"])  # fmt: skip
def test_recordings_that_can_not_be_read(tmp_path, row):
    path = tmp_path / "answers.jsonl"
    path.write_text("\n" + row + "\n")
    with pytest.raises(RecordingError, match="line 2 is no recorded answer"):
        RecordedChat.from_file(path)
    with pytest.raises(RecordingError, match="there is no recording"):
        RecordedChat.from_file(tmp_path / "none")
