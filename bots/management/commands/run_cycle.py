"""`manage.py run_cycle`: one decision of a bot, now, in this process."""

import json
from argparse import ArgumentParser
from typing import Any
from uuid import uuid4

from django.core.management.base import BaseCommand, CommandError

from bots import models, services
from bots.management.doors import BOT_HELP, find_bot, refusals_as_errors
from market.domain.numbers import plain


class Command(BaseCommand):
    """A door: it reads arguments, calls the service, and prints."""

    help = (
        "Run one cycle of a bot and print its stages with their times. A bot that is not active decides and"
        " records all the same; what would open is denied (BOT_NOT_ACTIVE)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("bot", metavar="BOT", help=BOT_HELP)
        parser.add_argument("--json", action="store_true", help="report as JSON")

    def handle(self, *_: Any, **options: Any) -> None:
        bot = find_bot(options["bot"])
        with refusals_as_errors():
            run = services.run_requested(bot.pk, uuid4().hex)
        if run is None:
            raise CommandError(f"another cycle of {bot.name} is running, or its desk is taken")
        report = _as_mapping(bot, run)
        if options["json"]:
            self.stdout.write(json.dumps(report))
        else:
            self.stdout.write("\n".join(_lines(report)))


def _as_mapping(bot: models.Bot, run: services.Run) -> dict[str, Any]:
    record = run.record
    decision, verdict = record.decision, record.verdict
    return {
        "bot": str(bot.pk),
        "name": bot.name,
        "slot": record.slot,
        "outcome": record.outcome,
        "reason": record.reason or (decision.reason if decision is not None else ""),
        "trading_state": record.trading_state,
        "decision": None if decision is None else decision.outcome,
        "summary": "" if decision is None else decision.summary,
        "actions": [
            {"symbol": item.symbol, "action": item.action}
            for item in (() if decision is None else decision.items)
        ],
        "denials": [str(denial) for denial in (() if verdict is None else verdict.denials)],
        "orders": list(record.order_ids),
        "equity": None if record.equity is None else plain(record.equity),
        "currency": bot.currency,
        "stages": [{"stage": name, "ms": round(took, 3)} for name, took in run.stages],
        "total_ms": round(run.total_ms, 3),
    }


def _lines(report: dict[str, Any]) -> list[str]:
    lines = [f"{stage['ms']:>10.1f} ms  {stage['stage']}" for stage in report["stages"]]
    lines.append(f"{report['total_ms']:>10.1f} ms  in all")
    why = f": {report['reason']}" if report["reason"] else ""
    lines.append(f"{report['name']}: {report['outcome']}, {report['trading_state']}{why}")
    if report["summary"]:
        lines.append(report["summary"])
    lines += [f"wants {item['action']} {item['symbol']}" for item in report["actions"]]
    lines += [f"denied {denial}" for denial in report["denials"]]
    lines += [f"sent order {order_id}" for order_id in report["orders"]]
    if report["equity"] is not None:
        lines.append(f"equity {report['equity']} {report['currency']}")
    return lines
