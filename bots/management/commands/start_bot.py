"""`manage.py start_bot`: let a bot decide and open from now on."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from bots import services
from bots.management.doors import BOT_HELP, find_bot, refusals_as_errors
from tradingagent.accounts.services import COMMAND


class Command(BaseCommand):
    """A door: it reads arguments, calls the service, and prints."""

    help = "Start a bot: it decides at once, then at every interval, while workers run."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("bot", metavar="BOT", help=BOT_HELP)

    def handle(self, *_: Any, **options: Any) -> None:
        bot = find_bot(options["bot"])
        with refusals_as_errors():
            started = services.start_bot(bot.pk, by=COMMAND)
        halted = ", but it is halted and opens nothing until resumed" if started.is_halted else ""
        self.stdout.write(f"{started.name}: {started.status}{halted}")
