"""`manage.py create_bot`: a new bot in DRAFT, its books opened."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from bots import services
from bots.domain.bot import BotMode
from bots.management.doors import (
    amount,
    find_user,
    named_row,
    parameter,
    refusals_as_errors,
    span,
)
from bots.management.exit_arguments import add_exit_arguments, exits_from
from llm.models import ModelProfile
from llm.traders.registry import trader_names
from risk.models import RiskProfile
from tradingagent.accounts.services import COMMAND


class Command(BaseCommand):
    """A door: it reads arguments, calls the service, and prints."""

    help = (
        "Create a bot. The last line printed is its id, alone. It does nothing until it is started."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--owner", required=True, metavar="EMAIL", help="whose bot it is")
        parser.add_argument("--mode", required=True, choices=[mode.lower() for mode in BotMode])
        parser.add_argument("--venue", required=True, help="simulated, binanceusdm, …")
        parser.add_argument("--symbols", required=True, help="as BTC/USDT:USDT,ETH/USDT:USDT")
        mind = parser.add_mutually_exclusive_group(required=True)
        mind.add_argument("--trader", help=f"a baseline: {', '.join(trader_names())}")
        mind.add_argument("--model", metavar="PROFILE", help="the name of a model profile")
        parser.add_argument(
            "--param", type=parameter, action="append", default=[], metavar="K=V",
            help="a parameter of the baseline; again for each",
        )  # fmt: skip
        parser.add_argument(
            "--interval", type=int, required=True, metavar="SECONDS", help="between decisions"
        )
        parser.add_argument(
            "--timeframe", type=span, default="3m", metavar="T", help="of its candles (default 3m)"
        )
        parser.add_argument(
            "--capital", type=amount, required=True, metavar="X", help="in the settlement currency"
        )
        parser.add_argument(
            "--risk", required=True, metavar="PROFILE", help="a risk profile's name"
        )
        parser.add_argument("--name", default="", metavar="N", help="default: what it does")
        add_exit_arguments(parser)

    def handle(self, *_: Any, **options: Any) -> None:
        owner, model = find_user(options["owner"]), options["model"]
        wish = services.BotWish(
            owner=owner,
            mode=BotMode(options["mode"].upper()),
            venue=options["venue"],
            symbols=tuple(one.strip() for one in options["symbols"].split(",") if one.strip()),
            capital=options["capital"],
            risk_profile=named_row(RiskProfile, owner, options["risk"]),
            trader=options["trader"] or "",
            params=dict(options["param"]),
            model_profile=None if model is None else named_row(ModelProfile, owner, model),
            interval_seconds=options["interval"],
            timeframe_seconds=int(options["timeframe"].total_seconds()),
            exits=exits_from(options),
            name=options["name"],
        )
        with refusals_as_errors():
            bot = services.create_bot(wish, by=COMMAND)
        self.stdout.write(f"{bot.name}: {bot.status}, {bot.capital} {bot.currency} at {bot.venue}")
        self.stdout.write(str(bot.pk))
