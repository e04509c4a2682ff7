"""`manage.py pause_bot`: open nothing any more; positions stay protected, or are closed."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from bots import services
from bots.management.doors import (
    BOT_HELP,
    check_done,
    find_bot,
    in_words,
    perform_asked,
    refusals_as_errors,
)
from tradingagent.accounts.services import COMMAND


class Command(BaseCommand):
    """A door: it reads arguments, calls the services, and prints."""

    help = "Pause a bot: it opens nothing any more. Its positions stay protected, or are closed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("bot", metavar="BOT", help=BOT_HELP)
        parser.add_argument("--flatten", action="store_true", help="close its positions now")

    def handle(self, *_: Any, **options: Any) -> None:
        bot = find_bot(options["bot"])
        with refusals_as_errors():
            paused = services.pause_bot(bot.pk, by=COMMAND, flatten=options["flatten"])
        self.stdout.write(f"{paused.name}: {paused.status}")
        done = perform_asked([bot.pk]) if options["flatten"] else []
        for action in done:
            self.stdout.write(in_words(action))
        check_done(done)
