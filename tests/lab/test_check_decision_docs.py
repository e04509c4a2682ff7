"""The page of `check_decision` is true: its commands print what it shows, its files are read, no field is missing."""

import json
import re
import shlex
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from bots.lab.management.commands.check_decision import as_mapping
from bots.lab.what_if import (
    AccountDocument,
    HeldPosition,
    MarketDocument,
    PricedInstrument,
    read_account,
    read_market,
    what_if,
)
from risk.profiles import profile

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "check-decision.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"```console\n\$ manage\.py check_decision (.*?)\n(.*?)```", PAGE, re.DOTALL)
EXAMPLES = ROOT / "docs" / "examples"


@pytest.mark.parametrize(("options", "output"), SHOWN, ids=["ratio", "liquidation", "neighbours"])
def test_a_command_of_the_page_prints_what_the_page_shows(monkeypatch, options, output) -> None:
    """Without a database: nothing here may ask one."""
    monkeypatch.chdir(ROOT)
    out = StringIO()

    call_command("check_decision", *shlex.split(options), stdout=out)

    assert out.getvalue() == output


def test_every_example_is_on_the_page() -> None:
    named = {Path(options.split()[1]).parent.name for options, _ in SHOWN}
    assert named == {folder.name for folder in EXAMPLES.iterdir()} and len(SHOWN) == 3


def test_the_documents_of_the_page_are_read_whole() -> None:
    account, market = (json.loads(one) for one in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
    reply = '{"decisions": [{"symbol": "ETH/USDT:USDT", "action": "close"}]}'

    found = what_if(reply, read_account(account), read_market(market), profile("balanced"))

    assert [one["purpose"] for one in as_mapping(found)["orders"]] == ["CLOSE"]
    for form, shown in (
        (AccountDocument, account),
        (HeldPosition, account["positions"][0]),
        (MarketDocument, market),
        (PricedInstrument, market["instruments"][0]),
    ):
        assert set(shown) == set(form.model_fields), form.__name__


@pytest.mark.parametrize("form", [AccountDocument, HeldPosition, MarketDocument, PricedInstrument])
def test_every_field_stands_in_a_table(form: Any) -> None:
    rows = re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}

    assert set(form.model_fields) <= named


def test_every_part_of_the_report_is_named() -> None:
    files = {
        name: (EXAMPLES / "close-and-bad-entry" / f"{name}.json").read_text()
        for name in ("reply", "account", "market")
    }
    report = as_mapping(
        what_if(
            files["reply"],
            read_account(json.loads(files["account"])),
            read_market(json.loads(files["market"])),
            profile("balanced", allow_shorts=False),
        )
    )

    parts = {*report, *report["decision"], *report["verdicts"][0]}
    named = set(re.findall(r"`(\w+)`", PAGE.split("## What comes back")[1]))
    assert parts <= named
