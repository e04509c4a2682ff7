"""Prompts, byte for byte. UPDATE_GOLDEN=1 writes the files anew; then read the difference."""

import os
from pathlib import Path

import pytest

from tests.llm.scenes import GOLDEN, as_text

FOLDER = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize("name", GOLDEN)
def test_prompt_is_the_golden_one(name):
    path, made = FOLDER / f"prompt_{name}.txt", as_text(GOLDEN[name]())
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_bytes(made.encode())
    assert path.read_bytes() == made.encode()


def test_every_golden_prompt_is_of_a_scene_here():
    assert {path.stem for path in FOLDER.glob("prompt_*.txt")} == {f"prompt_{n}" for n in GOLDEN}
