"""Rules of the house that are read off the source text."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import APPS, PRODUCT, ROOT, parse, place, python_files

MAX_LINES = 500

EXACT = (  # where money, prices and quantities are computed
    "market/domain",
    "llm/domain",
    *(f"risk/{name}" for name in ("domain", "rules", "engine", "breakers", "sizing")),
    *(f"bots/{name}" for name in ("domain", "planning", "cycle", "memory_ledger")),
)

MODES = {"mode", "live", "paper", "dry_run", "is_live", "is_paper", "is_dry_run"}


def too_long(path: Path) -> bool:
    return "migrations" not in path.parts and len(path.read_text().splitlines()) > MAX_LINES


def floats(path: Path) -> Iterator[str]:
    """Yield every float literal and every use of `float`, save to refuse one by isinstance."""
    tree = parse(path)
    allowed = {
        name
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "isinstance"
        for name in ast.walk(call.args[1])
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and (isinstance(node.value, float) or node.value == "float")
        ) or (isinstance(node, ast.Name) and node.id == "float" and node not in allowed):
            yield place(path, node)


def _speaks_of_mode(node: ast.expr) -> bool:
    words = (
        part.id
        if isinstance(part, ast.Name)
        else part.attr
        if isinstance(part, ast.Attribute)
        else part.value
        if isinstance(part, ast.Constant)
        else None
        for part in ast.walk(node)
    )
    return any(isinstance(word, str) and word.lower().strip("_") in MODES for word in words)


def mode_branches(path: Path) -> Iterator[str]:
    """Yield every condition that asks whether this is live, paper or a dry run."""
    for node in ast.walk(parse(path)):
        match node:
            case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
                conditions = [test]
            case ast.comprehension(ifs=ifs):
                conditions = ifs
            case ast.Match(subject=subject):
                conditions = [subject]
            case _:
                continue
        yield from (place(path, test) for test in conditions if _speaks_of_mode(test))


def test_no_file_is_too_long():
    files = python_files("manage", *PRODUCT, "tests")

    assert [str(path.relative_to(ROOT)) for path in files if too_long(path)] == []


def long_functions(path: Path, most: int) -> Iterator[str]:
    """Functions of more than so many lines, the docstring not counted."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.FunctionDef):
            first = node.body[1:] if ast.get_docstring(node) else node.body
            lines = (node.end_lineno or 0) - first[0].lineno + 1 if first else 0
            if lines > most:
                yield f"{path.name}:{node.name} has {lines} lines"


def test_a_risk_rule_can_be_read_at_a_glance():
    rules = python_files("risk/rules")

    assert [hit for path in rules for hit in long_functions(path, 20)] == []


def test_a_long_rule_would_be_seen(tmp_path):
    long = "def rule():\n" + "    x = 1\n" * 21
    (tmp_path / "rules.py").write_text(long)

    assert list(long_functions(tmp_path / "rules.py", 20)) == ["rules.py:rule has 21 lines"]


def test_no_float_where_money_is_computed():
    assert [hit for path in python_files(*EXACT) for hit in floats(path)] == []


def test_mode_is_decided_at_the_door():
    files = [path for path in python_files(*APPS) if path != ROOT / "bots" / "runtime.py"]

    assert [hit for path in files for hit in mode_branches(path)] == []


# Each rule can fail, and only on what it is about.


@pytest.mark.parametrize(("lines", "expected"), [(500, False), (501, True)])
def test_a_long_file_is_seen(tmp_path, lines, expected):
    path = tmp_path / "module.py"
    path.write_text("x = 1\n" * lines)

    assert too_long(path) is expected


@pytest.mark.parametrize(
    "code",
    [
        "fee = 0.1",
        "tiny = 1e-8",
        "fee = float(text)",
        "def f(x: float): ...",
        "def f() -> float | None: ...",
        "fees: list[float] = []",
        "def f(x: 'float'): ...",
    ],
)
def test_a_float_is_seen(tmp_path, code):
    path = tmp_path / "module.py"
    path.write_text(code)

    assert len(list(floats(path))) == 1


@pytest.mark.parametrize(
    "code", ["fee = Decimal('0.1')", "if isinstance(x, (int, float)): raise TypeError", "n = 1"]
)
def test_exact_code_is_no_float(tmp_path, code):
    path = tmp_path / "module.py"
    path.write_text(code)

    assert list(floats(path)) == []


@pytest.mark.parametrize(
    "code",
    [
        "if live: ...",
        "if not self.dry_run: ...",
        "if bot.mode is BotMode.LIVE: ...",
        "if kind == 'paper': ...",
        "x = 1 if is_paper else 2",
        "while self._live: ...",
        "x = [b for b in bots if b.mode]",
        "match bot.mode:\n  case _: ...",
    ],
)
def test_a_branch_on_mode_is_seen(tmp_path, code):
    path = tmp_path / "module.py"
    path.write_text(code)

    assert len(list(mode_branches(path))) == 1


@pytest.mark.parametrize("code", ["if order.is_open: ...", "mode = 1", "if margin_mode: ..."])
def test_other_branches_are_fine(tmp_path, code):
    path = tmp_path / "module.py"
    path.write_text(code)

    assert list(mode_branches(path)) == []
