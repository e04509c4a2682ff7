"""`manage.py doctor`: what works and what does not, one line each."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from bots.queries.health import Level, findings

MARKS: Final = {Level.FINE: "✓", Level.LOOK: "!", Level.BROKEN: "✗"}


class Command(BaseCommand):
    """A door: it asks, and prints. What it finds broken it leaves as it is."""

    help = (
        "Look at settings, database, broker, keys, clock, bots, cycles, orders, schedule and venues. ✓ works,"
        " ! may need a person, ✗ does not work: then the exit code is 1."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="report as JSON")

    def handle(self, *_: Any, **options: Any) -> None:
        found = []
        for one in findings():
            found.append(one)
            if not options["json"]:
                self.stdout.write(f"{MARKS[one.level]} {one.about}: {one.text}")
        if options["json"]:
            self.stdout.write(json.dumps([asdict(one) for one in found], ensure_ascii=False))
        broken = sum(one.level is Level.BROKEN for one in found)
        if broken:
            raise CommandError(f"{broken} of {len(found)} findings: something does not work")
