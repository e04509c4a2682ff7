"""`manage.py rotate_keys`: seal every stored secret under the first of ENCRYPTION_KEYS."""

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tradingagent.accounts.secrets import KeysUnusable
from tradingagent.accounts.services import COMMAND, Rotation, rotate_keys


class Command(BaseCommand):
    help = (
        "Seal every stored secret under the first of ENCRYPTION_KEYS. Put the new key first and "
        "restart every process before; remove the old key after. Can be run again at any time."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON list of columns")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            done = rotate_keys(by=COMMAND)
        except KeysUnusable as error:
            raise CommandError(str(error)) from None
        if options["json"]:
            self.stdout.write(json.dumps([asdict(one) for one in done]))
        else:
            for one in done:
                self.stdout.write(_sentence(one))
        unreadable = sum(one.unreadable for one in done)
        if unreadable:
            raise CommandError(
                f"{unreadable} stored secrets are opened by no key of ENCRYPTION_KEYS: "
                "add the key that they were encrypted with"
            )


def _sentence(one: Rotation) -> str:
    return (
        f"{one.column}: {one.rotated} sealed anew, {one.current} were so already, "
        f"{one.unreadable} opened by no key"
    )
