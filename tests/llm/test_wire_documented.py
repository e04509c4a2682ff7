"""The wire schema in the documentation is the one that prompts, hosts and the parser use."""

from pathlib import Path

from llm.parsing import reply_instructions

PAGE = Path(__file__).parents[2] / "docs" / "prompts.md"


def test_the_documented_schema_is_the_one_in_force() -> None:
    assert f"```text\n{reply_instructions()}\n```" in PAGE.read_text(encoding="utf-8"), (
        "copy what llm.parsing.reply_instructions() says into docs/prompts.md"
    )
