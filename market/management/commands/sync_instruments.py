"""`manage.py sync_instruments`: remember what a venue lists now, and say what changed."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from market.errors import VenueUnavailable
from market.services import sync_instruments

SHOWN = 20


class Command(BaseCommand):
    """A door: it reads arguments, calls the service, and prints."""

    help = "Ask a venue for its instruments; what it no longer lists is suspended, never deleted."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--venue", required=True, help="binanceusdm, …")
        parser.add_argument("--json", action="store_true", help="report as JSON")

    def handle(self, *_: Any, **options: Any) -> None:
        venue = options["venue"]
        try:
            changes = sync_instruments(venue)
        except (ValueError, VenueUnavailable) as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps({"venue": venue, **asdict(changes)}))
            return
        for word in ("added", "changed", "delisted"):
            symbols: tuple[str, ...] = getattr(changes, word)
            rest = f" and {len(symbols) - SHOWN} more" if len(symbols) > SHOWN else ""
            names = f": {', '.join(symbols[:SHOWN])}{rest}" if symbols else ""
            self.stdout.write(f"{venue}: {len(symbols)} {word}{names}")
        self.stdout.write(f"{venue}: {changes.same} as before")
