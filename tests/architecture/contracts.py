"""The import contracts of the finished tree, cut down to the modules that exist.

`python -m tests.architecture.contracts` writes them to the end of pyproject.toml.
"""

import json
import tomllib
from collections.abc import Callable
from typing import Any

from tests.architecture.sources import PRODUCT, ROOT, module_exists

FULL = ROOT / "tests" / "architecture" / "contracts.toml"
PYPROJECT = ROOT / "pyproject.toml"
HEADING = "[tool.importlinter]"

MODULE_LISTS = (
    "source_modules",
    "forbidden_modules",
    "protected_modules",
    "allowed_importers",
    "containers",
)
# A contract that has lost all of these says nothing.
SUBJECTS = ("source_modules", "protected_modules", "containers")

Config = dict[str, Any]


def full() -> Config:
    return tomllib.loads(FULL.read_text())["tool"]["importlinter"]


def configured() -> Config:
    return tomllib.loads(PYPROJECT.read_text())["tool"].get("importlinter", {})


def trimmed(config: Config, exists: Callable[[str], bool] = module_exists) -> Config:
    """Return the contracts without our own modules that don't exist (yet)."""

    def keep(name: str) -> bool:
        return name.split(".")[0] not in PRODUCT or exists(name)

    contracts = [
        {
            key: [name for name in value if keep(name)] if key in MODULE_LISTS else value
            for key, value in contract.items()
        }
        for contract in config["contracts"]
    ]
    return {
        **config,
        "contracts": [c for c in contracts if all(c.get(key, [1]) for key in SUBJECTS)],
    }


def _lines(table: Config) -> list[str]:
    lines = []
    for key, value in table.items():
        text = json.dumps(value)  # strings, lists of strings and booleans look the same in TOML
        if isinstance(value, list) and len(text) > 80:
            lines += [f"{key} = [", *(f"  {json.dumps(item)}," for item in value), "]"]
        else:
            lines.append(f"{key} = {text}")
    return lines


def as_toml(config: Config) -> str:
    tables = [[HEADING, *_lines({k: v for k, v in config.items() if k != "contracts"})]]
    tables += [["[[tool.importlinter.contracts]]", *_lines(c)] for c in config["contracts"]]
    return "\n\n".join("\n".join(table) for table in tables) + "\n"


def write() -> None:
    before = PYPROJECT.read_text().partition(HEADING)[0]
    PYPROJECT.write_text(before + as_toml(trimmed(full())))


if __name__ == "__main__":
    write()
