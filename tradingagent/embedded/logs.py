"""What a person sees on the terminal: warnings and worse, each once a minute; all of it when asked for.

It writes no file. The trap avoided: a venue that is down says so for each bot at each beat, and hides
everything else.
"""

import logging
import time
from collections import OrderedDict
from typing import Final

AGAIN_SECONDS: Final = 60.0
MOST_REMEMBERED: Final = 500
FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class OnceAMinute(logging.Filter):
    """Lets the same words pass once a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._said: OrderedDict[str, float] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        words, now = f"{record.name} {record.getMessage()}", time.monotonic()
        if now - self._said.get(words, now - AGAIN_SECONDS) < AGAIN_SECONDS:
            return False
        self._said[words] = now
        self._said.move_to_end(words)
        while len(self._said) > MOST_REMEMBERED:
            self._said.popitem(last=False)
        return True


def log_to_terminal(*, is_verbose: bool) -> None:
    """Send the logs of the process to its error stream."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(FORMAT, datefmt="%H:%M:%S"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    if is_verbose:
        root.setLevel(logging.INFO)
        return
    handler.addFilter(OnceAMinute())
    root.setLevel(logging.WARNING)
    logging.getLogger("django.request").setLevel(
        logging.ERROR
    )  # a page that is not there is no news
