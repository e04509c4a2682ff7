"""Who may import what: the contracts are complete, and kept."""

import subprocess
import sys
import tomllib

from tests.architecture.contracts import as_toml, configured, full, trimmed
from tests.architecture.sources import ROOT

# What the script `lint-imports` does, whatever folder it is installed in.
LINT_IMPORTS = "from importlinter.cli import lint_imports_command as lint; lint()"


def test_every_existing_module_stands_in_its_contracts():
    assert configured() == trimmed(full()), "run: python -m tests.architecture.contracts"


def test_a_module_that_comes_to_exist_is_wanted_in_its_contract():
    def purity(config):
        return next(c for c in config["contracts"] if c["name"] == "What decides is pure")

    before = purity(trimmed(full(), exists=lambda name: name == "market.domain"))
    after = purity(trimmed(full(), exists=lambda name: name in ("market.domain", "risk.rules")))

    assert before["source_modules"] == ["market.domain"]
    assert after["source_modules"] == ["market.domain", "risk.rules"]
    assert "django" in before["forbidden_modules"]


def test_a_contract_without_subject_is_left_out():
    names = [c["name"] for c in trimmed(full(), exists=lambda name: False)["contracts"]]

    assert names == ["Apps follow the flow of the data"]


def test_contracts_survive_being_written():
    assert tomllib.loads(as_toml(full()))["tool"]["importlinter"] == full()


def test_contracts_are_kept():
    run = subprocess.run(
        [sys.executable, "-c", LINT_IMPORTS, "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
