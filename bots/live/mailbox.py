"""What waits to be sent to one socket: the newest of each part, never a queue.

A socket that can't keep up skips states and ends with the present one. Used in the server's loop only.
"""

import asyncio
import json
from collections.abc import Mapping
from functools import cached_property


class Update:
    """Parts that changed, as HTML by the id of their roots; made into text once for all sockets."""

    def __init__(self, parts: Mapping[str, str]) -> None:
        self.parts = parts

    @cached_property
    def text(self) -> str:
        """The message as it travels."""
        return json.dumps({"type": "parts", "parts": dict(self.parts)})

    def then(self, later: "Update") -> "Update":
        """Both, of each part the later one."""
        return Update({**self.parts, **later.parts})


class Mailbox:
    """The post of one socket: at most one update, and the code with which it shall end."""

    def __init__(self) -> None:
        self.end_code: int | None = None
        self._update: Update | None = None
        self._is_pinged = False
        self._has_news = asyncio.Event()

    def offer(self, update: Update) -> None:
        """Send this next, with what still waits."""
        self._update = update if self._update is None else self._update.then(update)
        self._has_news.set()

    def end(self, code: int) -> None:
        """Close the socket."""
        self.end_code = code
        self._has_news.set()

    def ping(self) -> None:
        """The page asks whether anybody is there."""
        self._is_pinged = True
        self._has_news.set()

    async def wait(self, seconds: float) -> None:
        """Wait for news, but no longer than this."""
        try:
            await asyncio.wait_for(self._has_news.wait(), max(0.0, seconds))
        except TimeoutError:
            return
        self._has_news.clear()

    def take(self) -> Update | None:
        """What waits, once."""
        update, self._update = self._update, None
        return update

    def take_ping(self) -> bool:
        """Whether the page has asked, once."""
        is_pinged, self._is_pinged = self._is_pinged, False
        return is_pinged
