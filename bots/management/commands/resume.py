"""`manage.py resume`: end a halt, as the person who answers for it."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from bots import services
from bots.management.doors import add_scope, refusals_as_errors, scope_of
from tradingagent.accounts.services import COMMAND


class Command(BaseCommand):
    """A door: it reads arguments, calls the service, and prints."""

    help = (
        "End the halts of exactly this scope: a bot stays halted while a wider halt covers it. Resuming one"
        " bot also lets it trade again after its hard drawdown."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_scope(parser, users=True)
        parser.add_argument("--reason", default="", help="why now; kept in the audit trail")

    def handle(self, *_: Any, **options: Any) -> None:
        scope = scope_of(options)
        with refusals_as_errors():
            ended = services.resume(
                by=COMMAND, bot_id=scope.bot_id, user=scope.user, reason=options["reason"]
            )
        for halt in ended:
            self.stdout.write(f"{scope}: ended the {halt} ({halt.reason})")
        if not ended:
            self.stdout.write(f"{scope}: its breakers are released")
