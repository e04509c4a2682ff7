"""`manage.py load_candles`: recorded candles, and funding rates, from files into the database."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from market.candle_rows import Stored
from market.domain.canonical import utc_text
from market.services import CandleFile, Loaded, load_candle_file


class Command(BaseCommand):
    """A door: it reads arguments, calls the service, and prints."""

    help = (
        "Load candles from a CSV, Parquet or feather file. The file is checked as a whole before anything"
        " is written; what is there already is skipped, so a run that was stopped is simply run again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="candles as CSV, Parquet or feather")
        parser.add_argument("--venue", required=True, help="whose candles: binanceusdm, …")
        parser.add_argument("--symbol", required=True, help="as BTC/USDT:USDT or BTC/USDT")
        parser.add_argument("--timeframe", required=True, help="of the file: 1m, 3m, 1h …")
        parser.add_argument(
            "--timestamp",
            choices=("open", "close"),
            default="open",
            help="what the file's times mean (default open)",
        )
        parser.add_argument(
            "--mark", action="store_true", help="these are candles of the mark price"
        )
        parser.add_argument("--allow-gaps", action="store_true", help="accept missing candles")
        parser.add_argument("--funding", type=Path, metavar="FILE", help="settled funding rates")
        parser.add_argument(
            "--funding-tz",
            metavar="±HH:MM",
            help="the zone of the funding file's times (default +00:00)",
        )
        parser.add_argument(
            "--replace",
            action="store_true",
            help="put what the files say in place of what is stored and differs",
        )
        parser.add_argument("--json", action="store_true", help="report as JSON")

    def handle(self, *_: Any, **options: Any) -> None:
        file = CandleFile(
            path=options["file"],
            venue=options["venue"],
            symbol=options["symbol"],
            timeframe=options["timeframe"],
            timestamp=options["timestamp"],
            is_mark=options["mark"],
            allow_gaps=options["allow_gaps"],
            funding=options["funding"],
            funding_zone=options["funding_tz"],
        )
        try:
            with tqdm(desc=file.symbol, unit=" candles", disable=None, leave=False) as bar:

                def show(done: int, total: int) -> None:
                    bar.total = total
                    bar.update(done - bar.n)

                loaded = load_candle_file(file, replace=options["replace"], progress=show)
        except ValueError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError("stopped; run the same again to go on", returncode=130) from None
        self._report(file, loaded, as_json=options["json"])

    def _report(self, file: CandleFile, loaded: Loaded, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(_as_mapping(file, loaded)))
            return
        span = f"{utc_text(loaded.first)} to {utc_text(loaded.last)}"
        price = "mark price candles" if file.is_mark else "candles"
        self.stdout.write(
            f"{file.symbol} {file.timeframe}, {price} of {span}: {_words(loaded.candles)}"
        )
        if loaded.funding is not None:
            self.stdout.write(f"{file.symbol}, funding rates: {_words(loaded.funding)}")


def _words(stored: Stored) -> str:
    words = f"{stored.added:,} added, {stored.same:,} there already"
    return f"{words}, {stored.replaced:,} replaced" if stored.replaced else words


def _as_mapping(file: CandleFile, loaded: Loaded) -> dict[str, Any]:
    return {
        "venue": file.venue,
        "symbol": file.symbol,
        "timeframe": file.timeframe,
        "is_mark": file.is_mark,
        "first": utc_text(loaded.first),
        "last": utc_text(loaded.last),
        "candles": _counts(loaded.candles),
        "funding": None if loaded.funding is None else _counts(loaded.funding),
    }


def _counts(stored: Stored) -> dict[str, int]:
    return {"added": stored.added, "same": stored.same, "replaced": stored.replaced}
