"""The source files that the architecture tests read."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
APPS = ("market", "llm", "risk", "bots")
PRODUCT = ("tradingagent", *APPS)


def python_files(*names: str) -> Iterator[Path]:
    """Yield every Python file of these files or folders (given from the root), sorted.

    A name may leave out `.py`, so that a module may grow into a package; a missing one is skipped.
    """
    for name in names:
        path = ROOT / name
        if path.is_dir():
            yield from sorted(path.rglob("*.py"))
        elif path.with_suffix(".py").is_file():
            yield path.with_suffix(".py")


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def place(path: Path, node: ast.expr | ast.stmt) -> str:
    """Return where a node stands, as an editor can open it."""
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    return f"{shown}:{node.lineno}: {ast.unparse(node)}"


def module_exists(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return (path / "__init__.py").is_file() or path.with_suffix(".py").is_file()
