"""`manage.py check_decision`: what would become of a model's reply, given an account and a market. Nothing is sent."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from bots.lab.what_if import DocumentRefused, WhatIf, read_account, read_market, what_if
from bots.management.doors import find_user, named_row
from llm.domain import DecisionOutcome
from market.domain.canonical import canonical_value
from risk.domain import Limits, OrderIntent, Ruling
from risk.models import RiskProfile
from risk.profiles import UnknownProfile, changed, profile

UNREADABLE = 1
LONGEST = 1_000_000


class Command(BaseCommand):
    """A door: it reads files, calls the service, and prints."""

    help = (
        "Read a model's reply, plan and judge it against an account, a market and a risk profile, and print the"
        " decision, the intents, the verdicts with their codes and the orders that would leave. Nothing is sent."
        " Exit code 1 when the reply states no decision."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        for name, what in (
            ("reply", "the model's answer, as text"),
            ("account", "the account, as JSON (docs/check-decision.md)"),
            ("snapshot", "the market, as JSON (docs/check-decision.md)"),
        ):
            parser.add_argument(f"--{name}", required=True, type=Path, metavar="FILE", help=what)
        parser.add_argument(
            "--profile", default="balanced", metavar="NAME", help="a risk profile (balanced)"
        )
        parser.add_argument(
            "--owner", metavar="EMAIL", help="whose profile it is, where it is no preset"
        )
        parser.add_argument(
            "--set", action="append", default=[], metavar="LIMIT=VALUE",
            help="a limit of the profile otherwise, `none` for off; again for each",
        )  # fmt: skip
        parser.add_argument("--json", action="store_true", help="report as JSON")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            found = what_if(
                _text(options["reply"]),
                read_account(_json(options["account"])),
                read_market(_json(options["snapshot"])),
                _limits(options["profile"], options["owner"], options["set"]),
            )
        except (DocumentRefused, UnknownProfile, ValueError) as error:
            raise CommandError(str(error)) from None
        report = as_mapping(found)
        if options["json"]:
            self.stdout.write(json.dumps(report, ensure_ascii=False))
        else:
            self.stdout.write("\n".join(lines_of(report)))
        if found.decision.outcome is not DecisionOutcome.DECIDED:
            raise SystemExit(UNREADABLE)


def as_mapping(found: WhatIf) -> dict[str, Any]:
    """The report in JSON's own types, numbers as text."""
    decision = found.decision
    rulings = found.verdict.rulings
    return {
        "outcome": decision.outcome,
        "reason": decision.reason,
        "equity": canonical_value(found.context.equity),
        "decision": {
            "summary": decision.summary,
            "items": canonical_value(decision.items),
            "void": list(decision.void),
            "notes": list(decision.notes),
        },
        "notes": list(found.plan.notes),
        "intents": canonical_value(found.plan.intents),
        "verdicts": [_ruling(one) for one in rulings],
        "orders": [
            canonical_value(one.approved)
            for one in rulings
            if isinstance(one.approved, OrderIntent)
        ],
        "protection": [
            canonical_value(one.approved)
            for one in rulings
            if one.approved is not None and not isinstance(one.approved, OrderIntent)
        ],
    }


def _ruling(one: Ruling) -> dict[str, Any]:
    refused = [*([one.denial] if one.denial is not None else []), *one.refused_parts]
    return {
        "symbol": one.intent.symbol,
        "purpose": one.intent.purpose if isinstance(one.intent, OrderIntent) else "PROTECTION",
        "verdict": "denied" if one.approved is None else "clamped" if one.clamps else "approved",
        "denials": [
            {"code": denial.code, "context": dict(denial.context), "text": str(denial)}
            for denial in refused
        ],
        "clamps": [
            {"code": clamp.code, "text": str(clamp), **_numbers(clamp)} for clamp in one.clamps
        ],
    }


def _numbers(clamp: Any) -> dict[str, Any]:
    return {"before": canonical_value(clamp.before), "after": canonical_value(clamp.after)}


def lines_of(report: dict[str, Any]) -> list[str]:
    why = f": {report['reason']}" if report["reason"] else ""
    lines = [f"{report['outcome']}{why}"]
    if report["decision"]["summary"]:
        lines.append(report["decision"]["summary"])
    lines += [f"wants {one['action']} {one['symbol']}" for one in report["decision"]["items"]]
    lines += [f"note: {one}" for one in (*report["decision"]["notes"], *report["notes"])]
    for one in report["verdicts"]:
        lines.append(f"{one['verdict']:<9}{one['purpose']:<11}{one['symbol']}")
        lines += [f"{'':<9}{cut['text']}" for cut in (*one["denials"], *one["clamps"])]
    for one in report["orders"]:
        exits = "".join(
            f", {name} {one[key]}"
            for name, key in (("stop", "stop_price"), ("target", "target_price"))
            if one[key] is not None
        )
        money = one["quote_quantity"]
        size = one["quantity"] if money is None else f"{money} worth of"
        lines.append(
            f"order    {one['purpose']} {one['side']} {size} {one['symbol']} near "
            f"{one['reference_price']}, {one['leverage']}×{exits}"
        )
    return lines


def _limits(name: str, owner: str | None, changes: list[str]) -> Limits:
    """A preset, which needs no database, or a profile of `owner`; with these limits changed."""
    given: dict[str, object] = {}
    for change in changes:
        limit, sign, value = change.partition("=")
        if not (limit and sign):
            raise ValueError(f"{change!r} is not LIMIT=VALUE")
        switches = {"none": None, "true": True, "false": False}
        given[limit.strip()] = switches.get(value.strip().lower(), value.strip())
    if owner is None:
        return profile(name, **given)
    return changed(named_row(RiskProfile, find_user(owner), name).limits(), **given)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LONGEST:
            raise ValueError(f"{path} is longer than {LONGEST} bytes")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no UTF-8 text") from None


def _json(path: Path) -> object:
    try:
        return json.loads(_text(path), parse_float=str, parse_int=str)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is no JSON: {error}") from None
    except RecursionError:
        raise ValueError(f"{path} is nested too deeply to be read") from None
