"""What the engine makes of a fixed corpus: prompts, readings, plans and verdicts, as hashes beside its version.

When one of them comes out otherwise, `ENGINE_VERSION` has to be raised with it, so that no record passes for one
that this engine made. Then the file is written anew: `python -m tests.scenarios.test_engine_version`.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bots.domain.records import ENGINE_VERSION
from risk.profiles import profile
from tests.scenarios.tables import candles, play, scripted
from tests.scenarios.test_hand_made import ANSWERS, TABLE
from tests.scenarios.test_reproducible import RAVINGS

GOLDEN = Path(__file__).parent.parent / "golden" / "engine.json"
STAGES = ("prompts", "items", "plan", "verdict")


def corpus() -> Iterator[tuple[str, bytes]]:
    """(name, record) of every cycle of two days, under each preset."""
    for answers, day in ((ANSWERS, "hand-made"), (RAVINGS, "raving")):
        for preset in ("conservative", "balanced", "aggressive"):
            with tempfile.TemporaryDirectory() as folder:
                result = play(candles(TABLE), scripted(Path(folder), answers), profile(preset))
            for number, record in enumerate(result.ledger.cycles):
                yield f"{day} {preset} {number}", record.evidence()


def hashes() -> dict[str, dict[str, str]]:
    """The hash of each stage of each record, by its name."""
    return {name: _stages(json.loads(record)) for name, record in corpus()}


def _stages(record: dict[str, Any]) -> dict[str, str]:
    said = record["decision"] or {}
    values = {**said, "plan": record["plan"], "verdict": record["verdict"]}
    return {name: _hash(values.get(name)) for name in STAGES}


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def test_what_comes_out_otherwise_is_another_engine() -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    today = hashes()
    changed = sorted(
        f"{name}: {stage}"
        for name, stages in golden["records"].items()
        for stage, value in stages.items()
        if today.get(name, {}).get(stage) != value
    )

    assert golden["engine"] == ENGINE_VERSION, (
        "the engine has another version: write the corpus anew (see the head of this file)"
    )
    assert not changed, f"raise ENGINE_VERSION, these come out otherwise: {changed[:5]}"
    assert today.keys() == golden["records"].keys()


def test_every_record_names_its_engine() -> None:
    assert {json.loads(record)["engine"] for _, record in corpus()} == {ENGINE_VERSION}


if __name__ == "__main__":
    GOLDEN.write_text(
        json.dumps({"engine": ENGINE_VERSION, "records": hashes()}, indent=1) + "\n",
        encoding="utf-8",
    )
