"""`manage.py halt`: the kill switch. Nothing that opens leaves until a person resumes."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from bots import services
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
        "Halt a bot, a user's bots or all: in force when this returns. Exits and protection go on. It names"
        " the entries that had left before."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_scope(parser, users=True)
        parser.add_argument("--reason", required=True, help="why; everybody it concerns reads it")
        parser.add_argument("--flatten", action="store_true", help="close their positions, too")
        parser.add_argument("--json", action="store_true", help="report as JSON")

    def handle(self, *_: Any, **options: Any) -> None:
        scope = scope_of(options)
        with refusals_as_errors():
            halted = services.halt(
                by=COMMAND,
                reason=options["reason"],
                bot_id=scope.bot_id,
                user=scope.user,
                flatten=options["flatten"],
            )
        done = perform_asked(halted.bots) if options["flatten"] else []
        if options["json"]:
            self.stdout.write(json.dumps(_as_mapping(halted, done)))
        else:
            count = len(halted.bots)
            self.stdout.write(f"{scope}: halted ({count} bot{'' if count == 1 else 's'})")
            for order_id in halted.in_flight:
                self.stdout.write(f"had left before, its fate is being asked for: order {order_id}")
            for action in done:
                self.stdout.write(in_words(action))
        check_done(done)


def _as_mapping(halted: services.Halted, done: list[Any]) -> dict[str, Any]:
    return {
        "halt": halted.halt.pk,
        "bots": [str(bot_id) for bot_id in halted.bots],
        "in_flight": list(halted.in_flight),
        "flattened": [as_mapping(action) for action in done],
    }
