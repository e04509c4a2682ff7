"""`manage.py reset`: delete what the demo keeps, after a question."""

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from tradingagent.embedded import reset
from tradingagent.embedded.lock import AlreadyRunning, RunningLock


class Command(BaseCommand):
    """A door: it asks a person, and has it done."""

    help = (
        "Delete the database in .local with its keys and the demo's password, so that the next start is the"
        " first one. Asks before; without a terminal it wants CONFIRM=yes. Refuses while the demo runs, and for"
        " a database that lies elsewhere."
    )
    requires_system_checks = ()

    def handle(self, *_: Any, **__: Any) -> None:
        try:
            reset.check_is_ours()
            lock = RunningLock(settings.LOCAL_DIR)
        except (reset.ResetRefused, AlreadyRunning) as refusal:
            raise CommandError(str(refusal)) from None
        try:
            self._reset()
        finally:
            lock.release()

    def _reset(self) -> None:
        there_is = reset.there_is()
        if not there_is:
            self.stdout.write(f"There is nothing to delete in {settings.LOCAL_DIR}.")
            return
        self.stdout.write(
            f"This deletes from {settings.LOCAL_DIR}: {there_is}. It can't be undone."
        )
        if not self._is_confirmed():
            raise CommandError("nothing was deleted")
        reset.delete_all()
        self.stdout.write("Deleted. The next `make run` starts anew.")

    def _is_confirmed(self) -> bool:
        if os.environ.get("CONFIRM") == "yes":
            return True
        if not sys.stdin.isatty():
            raise CommandError("nobody is there to be asked: say CONFIRM=yes")
        self.stdout.write('Type "yes" to go on: ', ending="")
        self.stdout.flush()
        return sys.stdin.readline().strip() == "yes"
