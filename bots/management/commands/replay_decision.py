"""`manage.py replay_decision`: a recorded decision made again, offline, and compared to the byte."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from bots import queries

SHOWN = 20
DIFFERS = 1


class Command(BaseCommand):
    """A door: it reads arguments, asks, and prints."""

    help = (
        "Render the prompt of a recorded decision again, read its answer again, plan and judge it again, all from"
        " its record alone, and say whether that is identical or what differs. Exit code 1 when something does."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "decision", metavar="ID", help="its id, or the start of it (6 characters or more)"
        )
        parser.add_argument("--json", action="store_true", help="report as JSON")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            cycle = queries.decision_named(options["decision"])
            record = queries.cycle_record(cycle)
            if record is None:
                raise CommandError(f"nothing was recorded of {cycle.pk}: it runs, or was given up")
            found = queries.recheck(record)
        except (LookupError, ValueError) as error:
            raise CommandError(str(error)) from None
        report = {
            "decision": str(cycle.pk),
            "bot": str(cycle.bot_id),
            "engine": record.get("engine", 1),
            "identical": not found,
            "differences": [asdict(one) for one in found],
        }
        if options["json"]:
            self.stdout.write(json.dumps(report, ensure_ascii=False))
        elif not found:
            self.stdout.write(
                f"{cycle.bot.name}, {cycle.started_at:%Y-%m-%d %H:%M:%S} UTC: identical"
            )
        else:
            self.stdout.write("\n".join(str(one) for one in found[:SHOWN]))
            if len(found) > SHOWN:
                self.stdout.write(f"and {len(found) - SHOWN} more")
        if found:
            raise SystemExit(DIFFERS)
