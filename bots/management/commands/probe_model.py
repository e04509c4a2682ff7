"""`manage.py probe_model`: one real decision of a model, on the market as it is. Nothing is traded."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from bots import services
from bots.management.doors import refusals_as_errors, span
from llm.domain import Decision, DecisionOutcome
from llm.management.doors import profile_named, user_of
from llm.services import ProviderNotAvailable
from market.domain.numbers import plain
from market.errors import VenueUnavailable

GAVE_NONE = 1


class Command(BaseCommand):
    """A door: it reads arguments, calls the service, and prints."""

    help = (
        "Ask a model for one decision on the market as it is, with an account that holds nothing, and print it"
        " with its tokens, cost and time. Exit code 1 when it gave none."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("profile", metavar="PROFILE", help="the name of a model profile")
        parser.add_argument("--owner", metavar="EMAIL", help="whose profile it is, and who pays")
        parser.add_argument("--venue", default="simulated", help="default: simulated")
        parser.add_argument("--symbols", default="", help="as BTC/USDT:USDT,ETH/USDT:USDT")
        parser.add_argument("--timeframe", type=span, default="3m", metavar="T", help="(3m)")
        parser.add_argument("--json", action="store_true", help="report as JSON")

    def handle(self, *_: Any, **options: Any) -> None:
        owner = user_of(options["owner"])
        profile = profile_named(options["profile"], owner)
        sight = services.Sight(
            venue=options["venue"],
            symbols=tuple(one.strip() for one in options["symbols"].split(",") if one.strip()),
            timeframe=options["timeframe"],
        )
        try:
            with refusals_as_errors():
                decision = services.probe_model(profile, sight, by=owner or profile.owner)
        except (ProviderNotAvailable, VenueUnavailable, ValueError) as error:
            raise CommandError(str(error)) from None
        report = _as_mapping(decision)
        if options["json"]:
            self.stdout.write(json.dumps(report, ensure_ascii=False))
        else:
            self.stdout.write("\n".join(_lines(report)))
        if decision.outcome is not DecisionOutcome.DECIDED:
            raise SystemExit(GAVE_NONE)


def _as_mapping(decision: Decision) -> dict[str, Any]:
    used = [one.usage for one in decision.completions]
    return {
        "trader": decision.trader,
        "outcome": decision.outcome,
        "reason": decision.reason,
        "model": decision.completions[-1].model if decision.completions else "",
        "summary": decision.summary,
        "decisions": [
            {
                "symbol": item.symbol,
                "action": item.action,
                **{
                    name: plain(value)
                    for name in (
                        "confidence", "risk_fraction", "notional", "leverage", "stop_loss",
                        "take_profit", "reduce_fraction",
                    )
                    if (value := getattr(item, name)) is not None
                },
                "justification": item.justification,
            }
            for item in decision.items
        ],
        "notes": list(decision.notes),
        "void": list(decision.void),
        "input_tokens": sum(one.input_tokens for one in used),
        "cached_tokens": sum(one.cached_tokens for one in used),
        "output_tokens": sum(one.output_tokens for one in used),
        "cost": None if decision.cost is None else plain(decision.cost),
        "latency_ms": sum(one.latency_ms for one in decision.completions),
        "tries": [why for one in decision.completions for why in one.tries],
    }  # fmt: skip


def _lines(report: dict[str, Any]) -> list[str]:
    why = f": {report['reason']}" if report["reason"] else ""
    lines = [f"{report['trader']}: {report['outcome']}{why}"]
    lines += [f"tried before: {one}" for one in report["tries"]]
    if report["summary"]:
        lines.append(report["summary"])
    for item in report["decisions"]:
        terms = "  ".join(
            f"{name} {value}"
            for name, value in item.items()
            if name not in ("symbol", "action", "justification")
        )
        lines.append(f"{item['action']:<14} {item['symbol']:<18} {terms}".rstrip())
        if item["justification"]:
            lines.append(f"{'':<14} {item['justification']}")
    lines += [f"note: {one}" for one in report["notes"]]
    if report["model"]:
        cost = "unknown (no price)" if report["cost"] is None else f"{report['cost']} US dollars"
        lines.append(
            f"{report['model']}: {report['input_tokens']:,} tokens in ({report['cached_tokens']:,} cached), "
            f"{report['output_tokens']:,} out, cost {cost}, {report['latency_ms'] / 1000:.2f} s"
        )
    return lines
