"""`manage.py download_candles`: a venue's past candles into the database, only those that are missing."""

import json
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from market.errors import VenueUnavailable
from market.services import download_candles


class Command(BaseCommand):
    """A door: it reads arguments, calls the service, and prints."""

    help = (
        "Download the closed candles of a span that are not stored yet. Each part is stored as it"
        " comes, so a run that was stopped is simply run again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--venue", required=True, help="binanceusdm, …")
        parser.add_argument("--symbol", required=True, help="as BTC/USDT:USDT or BTC/USDT")
        parser.add_argument("--timeframe", required=True, help="1m, 3m, 1h …")
        parser.add_argument(
            "--from",
            dest="start",
            type=_instant,
            required=True,
            metavar="WHEN",
            help="2022-01-01 or 2022-01-01T08:00 (UTC unless it states a zone)",
        )
        parser.add_argument(
            "--to",
            dest="end",
            type=_instant,
            metavar="WHEN",
            help="up to, not including (default: now)",
        )
        parser.add_argument("--mark", action="store_true", help="candles of the mark price")
        parser.add_argument("--json", action="store_true", help="report as JSON")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            with tqdm(desc=options["symbol"], unit=" candles", disable=None, leave=False) as bar:

                def show(done: int, total: int) -> None:
                    bar.total = total
                    bar.update(done - bar.n)

                stored = download_candles(
                    options["venue"],
                    options["symbol"],
                    options["timeframe"],
                    options["start"],
                    options["end"],
                    is_mark=options["mark"],
                    progress=show,
                )
        except (ValueError, VenueUnavailable) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError("stopped; run the same again to go on", returncode=130) from None
        names = ("venue", "symbol", "timeframe")
        if options["json"]:
            told = {name: options[name] for name in names}
            self.stdout.write(json.dumps({**told, "added": stored.added, "same": stored.same}))
        else:
            words = " ".join(options[name] for name in names)
            self.stdout.write(f"{words}: {stored.added:,} added, {stored.same:,} there already")


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no date like 2022-01-01") from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
