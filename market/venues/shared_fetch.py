"""One fetch for everybody who wants the same thing at the same time, and a short memory of its result.

Per process, in memory, bounded. It doesn't know what is fetched and starts no thread: the first who
asks fetches, the others wait for him. The trap avoided: a failure that is remembered for as long as a
success keeps a venue dark after it came back; a failure lives for a second.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Any, TypeVar

from market.errors import VenueUnavailable

Result = TypeVar("Result")

FAILURE_SECONDS = 1.0
WAIT_SECONDS = 60.0


class _Entry:
    """A fetch under way or done; `ends` is when its result is forgotten."""

    __slots__ = ("ends", "future")

    def __init__(self) -> None:
        self.future: Future[Any] = Future()
        self.ends = float("inf")


class SharedFetch:
    """A single-flight cache. At most `most` results are kept, those used last.

    `monotonic` is the time in seconds by which results age.
    """

    def __init__(
        self, *, most: int = 8192, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._monotonic = monotonic
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(
        self,
        key: Hashable,
        fetch: Callable[[], Result],
        *,
        seconds: float | Callable[[Result], float],
    ) -> Result:
        """Return what somebody fetched under this key less than `seconds` ago (of which a function may
        judge by the result), or fetch it.

        Raises what the fetch raised; those who waited get a VenueUnavailable of their own for it, or
        when the fetch takes longer than a minute.
        """
        with self._lock:
            known = self._entries.get(key)
            if known is None or known.ends <= self._monotonic():
                known, entry = None, _Entry()
                self._entries[key] = entry
            self._entries.move_to_end(key)
            self._forget_oldest()
        if known is not None:
            result: Result = _waited(known.future)
            return result
        return self._fetched(entry, fetch, seconds)

    def _fetched(
        self,
        entry: _Entry,
        fetch: Callable[[], Result],
        seconds: float | Callable[[Result], float],
    ) -> Result:
        try:
            result = fetch()
            life = seconds(result) if callable(seconds) else seconds
        except BaseException as error:
            entry.ends = self._monotonic() + FAILURE_SECONDS
            entry.future.set_exception(error)
            raise
        entry.ends = self._monotonic() + life
        entry.future.set_result(result)
        return result

    def _forget_oldest(self) -> None:
        for key in list(self._entries)[: max(0, len(self._entries) - self._most)]:
            if self._entries[key].future.done():
                del self._entries[key]


def _waited(future: "Future[Any]") -> Any:
    try:
        return future.result(timeout=WAIT_SECONDS)
    except TimeoutError as error:
        raise VenueUnavailable("another request for the same data does not end") from error
    except VenueUnavailable as error:
        raise VenueUnavailable(*error.args) from error
