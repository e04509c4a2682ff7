"""`manage.py demo`: the whole system in one process, with a user and traders to look at."""

from argparse import ArgumentParser
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from bots.lab.services import ArenaRefused
from tradingagent.embedded import first_run, process, traders
from tradingagent.embedded.banner import banner
from tradingagent.embedded.keys import model_profiles
from tradingagent.embedded.lock import AlreadyRunning, RunningLock
from tradingagent.embedded.logs import log_to_terminal
from tradingagent.embedded.server import PortTaken, address_of, listen
from tradingagent.embedded.signals import Stopped, StopSignals
from tradingagent.embedded.venue import SIMULATED, VenueRefused, chosen_venue


class Command(BaseCommand):
    """A door: it reads arguments, has everything prepared and run, and says how it went."""

    help = (
        "Run everything in this process: pages, workers, scheduler, and paper traders on the simulated market"
        " or at the public prices of a real one. Ctrl-C ends it in order, with exit code 0; started again it"
        " goes on where it was."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--venue", default=SIMULATED, help=f"where prices come from (default {SIMULATED})"
        )
        parser.add_argument(
            "--host", default="127.0.0.1", help="default 127.0.0.1: this machine only"
        )
        parser.add_argument(
            "--port",
            type=int,
            default=settings.PORT,
            help="default: PORT, or 8000; 0 takes a free one",
        )
        parser.add_argument("--verbose", action="store_true", help="log every task and request")

    def handle(self, *_: Any, **options: Any) -> None:
        log_to_terminal(is_verbose=options["verbose"])
        died = None
        try:
            with StopSignals() as signals:
                died = self._run(signals, options)
        except Stopped:
            pass
        except (AlreadyRunning, PortTaken, VenueRefused, ArenaRefused) as refusal:
            raise CommandError(str(refusal)) from None
        except DatabaseError as error:
            raise CommandError(f"the database can't be used: {error}".splitlines()[0]) from None
        if died is not None:
            with suppress(OSError):
                self.stderr.write(
                    self.style.ERROR(f"{died}: everything was ended. Start it again.")
                )
        else:
            self.say("Stopped.")
        process.leave(0 if died is None else 1)

    def _run(self, signals: StopSignals, options: dict[str, Any]) -> str | None:
        def begin(step: str) -> None:
            signals.check()
            self.say(step)

        try:
            lock = RunningLock(settings.LOCAL_DIR)
        except OSError as error:
            raise CommandError(
                f"{settings.LOCAL_DIR} can't be used ({error.strerror}): make it writable, or set LOCAL_DIR"
            ) from None
        listening = listen(options["host"], options["port"])
        address = address_of(listening)
        lock.tell(address)
        venue = chosen_venue(options["venue"], begin)
        first_run.bring_database_up_to_date(begin)
        login = first_run.demo_login(settings.LOCAL_DIR)
        models = model_profiles(login.user)
        arena = traders.arena_at(venue, login.user, models, begin)
        begin("Starting …")

        def on_ready() -> None:
            text = banner(
                address=address,
                login=login,
                trading=[*traders.in_words(arena)],
                folder=settings.LOCAL_DIR,
            )
            self.say(text)

        return process.serve(listening, signals, on_ready)

    def say(self, text: str) -> None:
        """One line, at once: whoever waits wants to see that something goes on. A terminal that was closed is
        no reason not to."""
        with suppress(OSError):
            self.stdout.write(text)
            self.stdout.flush()
