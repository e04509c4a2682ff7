"""A part of the process that lives in a thread of its own, and how its death is told.

It restarts nothing: a part that died takes the process with it, and whoever runs that starts it again. The
trap avoided: a thread that ends with an exception is a line on the terminal and nothing else, while the rest
of the process goes on as if it were whole.
"""

import logging
from threading import Thread
from typing import ClassVar, Protocol

from django.db import connections

logger = logging.getLogger(__name__)


class Part(Protocol):
    """What a supervisor knows of a part. `name` begins a sentence: "the scheduler"."""

    name: str

    def start(self) -> None:
        """Begin; returns at once."""
        ...

    def is_ready(self) -> bool:
        """Whether it does its work by now."""
        ...

    def death(self) -> str | None:
        """What died, as a sentence; None while all of it lives."""
        ...

    def turns(self) -> int | None:
        """How often it has gone round; None for a part that may rightly stand still."""
        ...

    def stop(self) -> None:
        """Ask it to end; returns at once."""
        ...

    def is_done(self) -> bool:
        """Whether nothing of it runs any more."""
        ...


class ThreadPart:
    """A part that is one thread, which gives its database connections back when it ends."""

    name: str
    may_stand_still: ClassVar[bool] = True

    def __init__(self, name: str) -> None:
        self.name = name
        self.error: BaseException | None = None
        self.is_asked_to_stop = False
        self.turns_taken = 0
        self.thread = Thread(target=self._live, name=name, daemon=True)

    def run(self) -> None:
        """Its whole life, in its own thread."""
        raise NotImplementedError

    def start(self) -> None:
        self.thread.start()

    def is_ready(self) -> bool:
        return self.thread.is_alive()

    def turns(self) -> int | None:
        return None if self.may_stand_still else self.turns_taken

    def stop(self) -> None:
        self.is_asked_to_stop = True

    def is_done(self) -> bool:
        return not self.thread.is_alive()

    def death(self) -> str | None:
        if self.thread.is_alive() or self.thread.ident is None:
            return None
        if self.error is None:
            return f"{self.name} ended by itself"
        return f"{self.name} died ({type(self.error).__name__}: {self.error})"

    def _live(self) -> None:
        try:
            self.run()
        except BaseException as error:
            self.error = error
            if not self.is_asked_to_stop:
                logger.exception("%s died", self.name)
        finally:
            connections.close_all()
