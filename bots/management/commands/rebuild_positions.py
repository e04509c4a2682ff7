"""`manage.py rebuild_positions`: fold every book again from its rows and see that nothing differs."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from bots import models, queries
from bots.management.doors import BOT_HELP, find_bot, refusals_as_errors


class Command(BaseCommand):
    """A door: it reads arguments, asks, and prints. It repairs nothing: a book that differs from its rows
    is a defect, and to write over it would destroy what shows which."""

    help = (
        "Compare positions, balances and totals with the fills and entries they are made of. Exit code 1, and"
        " the differences, when there are any."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("bot", nargs="?", metavar="BOT", help=f"{BOT_HELP} (default: all)")
        parser.add_argument("--check", action="store_true", help="compare, and change nothing")
        parser.add_argument("--json", action="store_true", help="report as JSON")

    def handle(self, *_: Any, **options: Any) -> None:
        if not options["check"]:
            raise CommandError(
                "say --check: books are compared, never written over, because a difference is a defect"
                " whose traces are needed"
            )
        bots = (
            list(models.Bot.objects.order_by("name"))
            if options["bot"] is None
            else [find_bot(options["bot"])]
        )
        with refusals_as_errors():
            found = {bot: queries.book_differences(bot.pk) for bot in bots}
        if options["json"]:
            self.stdout.write(
                json.dumps({str(bot.pk): list(differs) for bot, differs in found.items()})
            )
        else:
            for bot, differs in found.items():
                for one in differs or ["no difference"]:
                    self.stdout.write(f"{bot.name}: {one}")
        wrong = [bot.name for bot, differs in found.items() if differs]
        if wrong:
            raise CommandError(f"{len(wrong)} of {len(found)} differ: {', '.join(wrong)}")
