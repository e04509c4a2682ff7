"""Who may ask a host now: the rates of a key over all workers, and a breaker while its host is down.

Rates are counted in Redis where there is one, else in this process, by the `limits` library. The trap avoided:
a request that can never pass (more tokens than a minute has) and waits all the same.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Final

from limits import RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import SlidingWindowCounterRateLimiter

from llm.errors import ModelTimedOut, ModelUnavailable

IN_A_ROW: Final = 5
"""So many failures of a host one after the other, and nobody asks it for a while."""
DOWN_FOR: Final = timedelta(minutes=1)
REFUSED_FOR: Final = timedelta(minutes=5)
"""A key that was refused, or has no credit: it is tried again after this."""
LONGEST_LOOK: Final = timedelta(seconds=1)
IN_PROCESS: Final = "memory://"


class _PerMinute(RateLimitItemPerMinute):
    """So many of a minute, counted under the key alone: two profiles with one key share the count, whatever
    number each of them has."""

    def key_for(self, *identifiers: bytes | str | int | float) -> str:
        return "/".join((self.namespace, *map(str, identifiers)))


@cache
def limiter_at(address: str) -> SlidingWindowCounterRateLimiter:
    """The counters behind a URL: of Redis, or of this process."""
    return SlidingWindowCounterRateLimiter(storage_from_string(address, wrap_exceptions=True))


@dataclass(slots=True)
class _State:
    failures: int = 0
    closed_until: float | None = None
    why: str = ""


@dataclass(slots=True)
class Breakers:
    """What became of the last requests of each key, in this process."""

    monotonic: Callable[[], float] = time.monotonic
    _states: dict[str, _State] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self, key: str) -> None:
        """Raise ModelUnavailable while nobody may ask. When the time is over, one may: the others wait for
        what becomes of it, and as long again if nothing is heard of it."""
        with self._lock:
            state, now = self._states.get(key), self.monotonic()
            if state is None or state.closed_until is None:
                return
            if now < state.closed_until:
                raise ModelUnavailable(f"not asked, it failed lately: {state.why}")
            state.closed_until = now + DOWN_FOR.total_seconds()

    def leave(self, key: str) -> None:
        """Whoever was let through asks nobody after all: the next one may."""
        with self._lock:
            state = self._states.get(key)
            if state is not None and state.closed_until is not None:
                state.closed_until = min(state.closed_until, self.monotonic())

    def report(self, key: str, failure: Exception | None) -> None:
        """Count how a request ended."""
        with self._lock:
            if failure is None:
                self._states.pop(key, None)
                return
            state = self._states.setdefault(key, _State())
            about_key = isinstance(failure, ModelUnavailable) and failure.is_about_key
            if not about_key and not _is_the_hosts(failure):
                state.failures = 0  # it answered: the request was wrong, not the host
                state.closed_until = None
                return
            state.failures += 1
            if about_key or state.failures >= IN_A_ROW:
                pause = REFUSED_FOR if about_key else DOWN_FOR
                state.closed_until = self.monotonic() + pause.total_seconds()
                state.why = str(failure)


def _is_the_hosts(failure: Exception) -> bool:
    return isinstance(failure, ModelTimedOut) or (
        isinstance(failure, ModelUnavailable) and failure.is_temporary
    )


BREAKERS: Final = Breakers()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyGate:
    """The gate of one key. `key` identifies it and is not the key itself. None: no such limit."""

    key: str
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    counters: str = IN_PROCESS
    breakers: Breakers = field(default_factory=lambda: BREAKERS)
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic

    def enter(self, tokens: int, patience: timedelta) -> None:
        """Wait for a place among the key's requests of a minute. Raises ModelUnavailable."""
        most = self.tokens_per_minute
        if most is not None and tokens > most:
            raise ModelUnavailable(
                f"one request may take {tokens:,} tokens, and the key has {most:,} a minute"
            )
        self.breakers.check(self.key)
        try:
            self._wait(tokens, patience)
        except ModelUnavailable:
            self.leave()
            raise

    def leave(self) -> None:
        self.breakers.leave(self.key)

    def _wait(self, tokens: int, patience: timedelta) -> None:
        ends = self.monotonic() + patience.total_seconds()
        try:
            while not self._has_entered(tokens):
                left = ends - self.monotonic()
                if left <= 0:
                    raise ModelUnavailable(
                        "no place among the key's requests of this minute in time"
                    )
                self.sleep(min(left, LONGEST_LOOK.total_seconds()))
        except StorageError:  # its words hold the address of the counters, and their password
            raise ModelUnavailable("the counts of the key's requests can't be read") from None

    def report(self, failure: Exception | None) -> None:
        self.breakers.report(self.key, failure)

    def _has_entered(self, tokens: int) -> bool:
        limiter = limiter_at(self.counters)
        wanted = [
            (_PerMinute(most, namespace="llm"), f"{self.key}/{name}", cost)
            for name, most, cost in (
                ("requests", self.requests_per_minute, 1),
                ("tokens", self.tokens_per_minute, tokens),
            )
            if most is not None
        ]
        if not all(limiter.test(item, name, cost=cost) for item, name, cost in wanted):
            return False
        return all(limiter.hit(item, name, cost=cost) for item, name, cost in wanted)
