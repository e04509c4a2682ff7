"""`manage.py create_arena`: traders beside each other under the same conditions, started if asked for."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from bots.lab import services
from bots.lab.baselines import BASELINES
from bots.management.doors import amount, find_user, named_row, refusals_as_errors, span
from llm.models import ModelProfile
from risk.models import RiskProfile
from tradingagent.accounts.services import COMMAND


class Command(BaseCommand):
    """A door: it reads arguments, calls the service, and prints."""

    help = (
        "Create an arena: models and baselines with the same capital, limits and snapshots. "
        "The last line printed is its id, alone. Nobody trades until it is started."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--owner", required=True, metavar="EMAIL", help="whose arena it is")
        parser.add_argument("--name", required=True, metavar="N", help="what it is called")
        parser.add_argument("--venue", default="simulated", help="simulated, binanceusdm, …")
        parser.add_argument(
            "--symbols",
            default=",".join(services.USUAL_SYMBOLS),
            help="as BTC/USDT:USDT,ETH/USDT:USDT",
        )
        parser.add_argument(
            "--model", action="append", default=[], metavar="PROFILE",
            help="the name of a model profile that takes part; again for each, and for repeats",
        )  # fmt: skip
        names = ", ".join(entry.trader for entry in BASELINES)
        parser.add_argument(
            "--baseline", action="append", metavar="TRADER", choices=[e.trader for e in BASELINES],
            help=f"a baseline that takes part; again for each (default: all: {names})",
        )  # fmt: skip
        parser.add_argument(
            "--interval", type=span, default="3m", metavar="T", help="between rounds (default 3m)"
        )
        parser.add_argument(
            "--timeframe", type=span, default=None, metavar="T", help="of its candles (default: as --interval)"
        )  # fmt: skip
        parser.add_argument(
            "--capital", type=amount, default=services.USUAL_CAPITAL, metavar="X",
            help=f"of each, in the settlement currency (default {services.USUAL_CAPITAL})",
        )  # fmt: skip
        parser.add_argument(
            "--risk",
            default="balanced",
            metavar="PROFILE",
            help="a risk profile (default balanced)",
        )
        parser.add_argument("--start", action="store_true", help="start all entrants at once")

    def handle(self, *_: Any, **options: Any) -> None:
        owner, interval = find_user(options["owner"]), options["interval"]
        timeframe = options["timeframe"] or interval
        wish = services.ArenaWish(
            owner=owner,
            name=options["name"],
            venue=options["venue"],
            symbols=tuple(one.strip() for one in options["symbols"].split(",") if one.strip()),
            capital=options["capital"],
            interval_seconds=int(interval.total_seconds()),
            timeframe_seconds=int(timeframe.total_seconds()),
            risk_profile=named_row(RiskProfile, owner, options["risk"]),
        )
        traders = options["baseline"] or [entry.trader for entry in BASELINES]
        entrants = [
            *(
                services.EntrantWish(model_profile=named_row(ModelProfile, owner, name))
                for name in options["model"]
            ),
            *(services.EntrantWish(trader=trader) for trader in traders),
        ]
        if options["start"] and len(entrants) < services.FEWEST_ENTRANTS:
            raise CommandError("a comparison needs two entrants to start")
        with refusals_as_errors():
            arena = services.create_arena(wish, by=COMMAND, entrants=entrants)
            if options["start"]:
                services.start_arena(arena.pk, by=COMMAND)
        for entrant in arena.entrants.order_by("place"):
            self.stdout.write(f"{entrant.place}. {entrant.label}")
        self.stdout.write(str(arena.pk))
