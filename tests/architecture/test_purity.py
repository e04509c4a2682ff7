"""Importing what decides loads no framework, no exchange library and no model SDK.

import-linter sees the imports that are written; this sees those that happen.
"""

import json
import subprocess
import sys

from tests.architecture.contracts import configured
from tests.architecture.sources import ROOT, python_files

HEAVY = {"django", "celery", "channels", "redis", "rest_framework", "ccxt", "anthropic", "openai"}

SCRIPT = """
import importlib, json, sys
heavy, found = set(sys.argv[1].split(",")), {}
for name in sys.argv[2:]:
    before = set(sys.modules)
    importlib.import_module(name)
    loaded = {module.partition(".")[0] for module in set(sys.modules) - before} & heavy
    if loaded:
        found[name] = sorted(loaded)
print(json.dumps(found))
"""


def heavy_imports(modules: list[str], path: str) -> dict[str, list[str]]:
    """Import the modules in a fresh interpreter; return those that loaded something heavy first."""
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, ",".join(sorted(HEAVY)), *modules],
        cwd=path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def pure_modules() -> list[str]:
    contracts = {contract["name"]: contract for contract in configured()["contracts"]}
    names = contracts["What decides is pure"]["source_modules"]
    files = python_files(*(name.replace(".", "/") for name in names))
    modules = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]
    return [module.removesuffix(".__init__") for module in modules]


def test_what_decides_loads_nothing_heavy():
    modules = pure_modules()

    assert "market.domain" in modules
    assert heavy_imports(modules, str(ROOT)) == {}


def test_a_heavy_import_is_seen(tmp_path):
    (tmp_path / "innocent.py").write_text("import json\n")
    (tmp_path / "guilty.py").write_text("from django.utils import timezone\n")

    assert heavy_imports(["innocent", "guilty"], str(tmp_path)) == {"guilty": ["django"]}
