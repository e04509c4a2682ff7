"""`manage.py flatten`: cancel a bot's entries and close its positions, now."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from bots import queries, services
from bots.management.doors import (
    add_scope,
    as_mapping,
    check_done,
    in_words,
    perform_asked,
    refusals_as_errors,
    scope_of,
)
from tradingagent.accounts.services import COMMAND


class Command(BaseCommand):
    """A door: it reads arguments, calls the services, and prints."""

    help = (
        "Close everything of a bot, or of all bots that hold something. It does not stop them from opening"
        " again: pause or halt does. Exit code 1 when something is still open."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_scope(parser, users=False)
        parser.add_argument("--json", action="store_true", help="report as JSON")

    def handle(self, *_: Any, **options: Any) -> None:
        scope = scope_of(options)
        ids = queries.exposed_bots() if scope.bot is None else (scope.bot.pk,)
        with refusals_as_errors():
            for bot_id in ids:
                services.flatten_bot(bot_id, by=COMMAND)
        done = perform_asked(ids)
        if options["json"]:
            self.stdout.write(json.dumps([as_mapping(action) for action in done]))
        elif not done:
            self.stdout.write("nothing is held or resting")
        else:
            self.stdout.write("\n".join(in_words(action) for action in done))
        check_done(done)
