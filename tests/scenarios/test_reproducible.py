"""P6: prompt, parse, plan and verdict of every stored decision recompute from its bytes, offline."""

import json
from pathlib import Path

import pytest

from bots.domain.records import ENGINE_VERSION
from bots.lab.runner import ReplayResult
from bots.rerun import differences, rerun
from risk.profiles import profile
from tests.scenarios.tables import candles, item, play, script, scripted
from tests.scenarios.test_hand_made import ANSWERS, TABLE

RAVINGS = script(
    "I would buy everything, at once!!",
    "```json\n{\"decisions\": [{\"symbol\": \"TEST\", \"action\": \"buy\", \"notional\": \"1,500\", "
    "\"leverage\": \"5x\", \"stop_loss\": 95, \"take_profit\": 110, \"confidence\": 85}]}\n```",
    item("hold", stop_loss=96),
    item("close", symbol="DOGE/USDT:USDT"),
    "{" * 500,
)  # fmt: skip


@pytest.fixture(scope="module", params=["the hand-made day", "a raving model"])
def result(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> ReplayResult:
    folder: Path = tmp_path_factory.mktemp("script")
    answers = ANSWERS if request.param == "the hand-made day" else RAVINGS
    return play(candles(TABLE), scripted(folder, answers), profile("balanced"))


def test_every_record_recomputes_to_itself(result: ReplayResult) -> None:
    assert len(result.ledger.cycles) == 10
    judged = 0
    for record in result.ledger.cycles:
        assert rerun(record.evidence()) == ()
        judged += record.verdict is not None
    assert judged


def altered(record: bytes, *path: object, to: object) -> bytes:
    raw = json.loads(record)
    place = raw
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return json.dumps(raw).encode()


def test_a_changed_record_is_seen_and_named(tmp_path: Path) -> None:
    result = play(candles(TABLE), scripted(tmp_path, ANSWERS), profile("balanced"))
    whole = result.ledger.cycles[0].evidence()
    assert rerun(whole) == ()
    other = json.dumps({"decisions": [item("hold")]})
    for stage, changed in {
        "prompt": altered(whole, "decision", "prompts", 0, "user", to="another prompt"),
        "parse": altered(whole, "decision", "completions", 0, "text", to=other),
        "plan": altered(whole, "plan", "notes", to=["something else"]),
        "verdict": altered(whole, "limits", "max_position_notional_fraction", to="0.05"),
    }.items():
        assert stage in rerun(changed), stage


def test_a_difference_is_shown_where_it_is(tmp_path: Path) -> None:
    result = play(candles(TABLE), scripted(tmp_path, ANSWERS), profile("balanced"))
    whole = result.ledger.cycles[0].evidence()
    changed = altered(whole, "decision", "prompts", 0, "user", to="another prompt")

    [one] = [one for one in differences(changed) if one.stage == "prompt"]

    assert (one.path, one.was) == ("/user", '"another prompt"')
    assert one.now.startswith("…# Clock")
    assert str(one).startswith("prompt /user: was ")


def test_a_field_that_an_earlier_engine_had_not_is_no_difference(tmp_path: Path) -> None:
    result = play(candles(TABLE), scripted(tmp_path, ANSWERS), profile("balanced"))
    raw = json.loads(result.ledger.cycles[0].evidence())
    del raw["decision"]["prompts"][0]["reply"]

    assert raw["engine"] == ENGINE_VERSION
    assert [one.path for one in differences(json.dumps(raw).encode())] == [
        "/reply",
        "/prompts/0/reply",
    ]
    for older in ({"engine": ENGINE_VERSION - 1}, {}):
        record = {name: value for name, value in raw.items() if name != "engine"} | older
        assert differences(json.dumps(record).encode()) == ()


def test_what_is_no_record_is_refused() -> None:
    with pytest.raises(ValueError, match="no record of a cycle"):
        rerun(b"[]")


def test_two_runs_leave_the_same_evidence(tmp_path: Path) -> None:
    runs = [
        play(candles(TABLE), scripted(tmp_path, ANSWERS), profile("balanced")) for _ in range(2)
    ]
    first, second = ([record.evidence() for record in run.ledger.cycles] for run in runs)
    assert first == second
