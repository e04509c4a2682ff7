"""`manage.py parse_reply`: what the parser makes of a model's raw reply, for people who write prompts.

It asks no model, reads no database and judges no trade: limits come later, in a cycle. All of the report is
made before any of it is written.
"""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from llm.domain import DecisionItem, DecisionOutcome
from llm.errors import DecisionUnreadable
from llm.parsing import ParsedDecision, parse_decision
from market.domain.enums import PositionSide
from market.domain.numbers import plain, to_decimal

MOST_BYTES = 1_000_000


class Command(BaseCommand):
    """A door: it reads arguments, calls the parser, and prints."""

    help = (
        "Read a model's raw reply and print the decision that it states, or the reason why it states none:"
        " then the exit code is 1."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", help="the reply as UTF-8 text, - for stdin")
        parser.add_argument(
            "--symbols", required=True, metavar="A,B", help="what it may speak of, as in the prompt"
        )
        parser.add_argument(
            "--equity", metavar="X", help="without it, risk stated in money is not read"
        )
        parser.add_argument(
            "--held",
            default="",
            metavar="SYMBOL=LONG,…",
            help="open positions, LONG or SHORT: sell ends a long, else it opens a short",
        )
        parser.add_argument(
            "--emergency", action="store_true", help="an emergency's answer: close or hold only"
        )
        parser.add_argument("--json", action="store_true", help="report as JSON")

    def handle(self, *_: Any, **options: Any) -> None:
        symbols = _symbols(options["symbols"])
        equity = _equity(options["equity"])
        held = _held(options["held"], symbols)
        text = _text(options["file"])
        parsed, reason = ParsedDecision(), ""
        try:
            parsed = parse_decision(
                text, symbols, equity=equity, held=held, close_or_keep=options["emergency"]
            )
        except DecisionUnreadable as unreadable:
            reason = str(unreadable)
        report = _as_mapping(parsed, reason)
        self.stdout.write(json.dumps(report) if options["json"] else "\n".join(_lines(report)))
        if reason:
            sys.exit(1)


def _symbols(said: str) -> tuple[str, ...]:
    symbols = tuple(name for part in said.split(",") if (name := part.strip()))
    if not symbols:
        raise CommandError("--symbols needs at least one symbol")
    for symbol in symbols:
        if symbols.count(symbol) > 1:
            raise CommandError(f"--symbols names {symbol!r} twice")
    return symbols


def _equity(said: str | None) -> Decimal | None:
    if said is None:
        return None
    try:
        equity = to_decimal(said)
    except ValueError as error:
        raise CommandError(f"--equity: {error}") from None
    if equity <= 0:
        raise CommandError("--equity must be above zero")
    return equity


def _held(said: str, symbols: tuple[str, ...]) -> dict[str, PositionSide]:
    """Every symbol and its side, FLAT where none is said, as a cycle knows them."""
    held = dict.fromkeys(symbols, PositionSide.FLAT)
    for part in filter(None, (part.strip() for part in said.split(","))):
        symbol, _, side = (word.strip() for word in part.partition("="))
        if symbol not in held:
            raise CommandError(f"--held: {symbol!r} is none of --symbols")
        if side.upper() not in (PositionSide.LONG, PositionSide.SHORT):
            raise CommandError(f"--held: {part!r} is not like {symbol}=LONG or {symbol}=SHORT")
        if held[symbol] is not PositionSide.FLAT:
            raise CommandError(f"--held names {symbol!r} twice")
        held[symbol] = PositionSide(side.upper())
    return held


def _text(file: str) -> str:
    """The reply. Raises CommandError when it can't be read."""
    name = "the standard input" if file == "-" else file
    try:
        if file == "-":
            content = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with Path(file).open("rb") as handle:
                content = handle.read(MOST_BYTES + 1)
    except OSError as error:
        raise CommandError(f"can't read {name}: {error.strerror or error}") from None
    if len(content) > MOST_BYTES:
        raise CommandError(f"{name} is larger than {MOST_BYTES:,} bytes: that is no reply")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise CommandError(f"{name} is not UTF-8 text: see byte {error.start}") from None


def _as_mapping(parsed: ParsedDecision, reason: str) -> dict[str, Any]:
    outcome = DecisionOutcome.UNREADABLE if reason else DecisionOutcome.DECIDED
    return {
        "outcome": outcome.value,
        "reason": reason,
        "summary": parsed.summary,
        "decisions": [_item(item) for item in parsed.items],
        "void": list(parsed.void),
        "notes": list(parsed.notes),
    }


def _item(item: DecisionItem) -> dict[str, str | None]:
    said = {field.name: getattr(item, field.name) for field in fields(item)}
    return {
        name: plain(value) if isinstance(value, Decimal) else value for name, value in said.items()
    }


def _lines(report: Mapping[str, Any]) -> list[str]:
    if report["reason"]:
        return [f"{report['outcome']}: {report['reason']}"]
    count = len(report["decisions"])
    lines = [f"{report['outcome']}: {count} decision{'' if count == 1 else 's'}"]
    if report["summary"]:
        lines.append(f"summary: {_one_line(report['summary'])}")
    for item in report["decisions"]:
        lines.append(f"{item['action']} {item['symbol']}")
        lines += [
            f"  {name:<23}{_one_line(value)}"
            for name, value in item.items()
            if value and name not in ("symbol", "action")
        ]
    lines += [f"void: {symbol}" for symbol in report["void"]]
    lines += [f"note: {note}" for note in report["notes"]]
    return lines


def _one_line(text: str) -> str:
    return " ".join(text.split())
