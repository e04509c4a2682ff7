"""Where a process may die: each outward call and each commit, before and after, by name.

A point is named for what happens there and counted. A child is given one to die at, or to freeze at. The
trap avoided: a process frozen within a transaction, which holds its lock for as long as it sleeps.
"""

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

WRITES = ("INSERT", "UPDATE", "DELETE")
OURS = ("/bots/", "/market/venues/", "/llm/", "/risk/")
PLUMBING = frozenset({"_write", "_begin", "renew", "_renewed", "_attempt", "_commit", "_speak"})

INSIDE = " (inside)"

Point = tuple[str, int]
"""(name, how often it was passed before)."""


@dataclass(slots=True)
class Points:
    """The points that a process passes. At `end` it sends itself `signal`."""

    end: Point | None = None
    signal: int = signal.SIGKILL
    passed: list[Point] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)

    def reach(self, name: str, *, inside: bool = False) -> None:
        if inside or connection.in_atomic_block:
            name += INSIDE
        point = (name, self.seen[name])
        self.seen[name] += 1
        self.passed.append(point)
        if point == self.end:
            os.kill(os.getpid(), self.signal)


def is_inside(point: Point) -> bool:
    """True for a point within a transaction: whoever freezes there keeps the row locked."""
    return point[0].endswith(INSIDE)


class Pointed:
    """An outward port: each of its named calls is a point before and a point after."""

    def __init__(self, port: Any, names: tuple[str, ...], points: Points) -> None:
        self._port, self._names, self._points = port, names, points

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        return pointed(found, name, self._points) if name in self._names else found


def pointed(call: Callable[..., Any], name: str, points: Points) -> Callable[..., Any]:
    def between(*args: Any, **options: Any) -> Any:
        points.reach(f"before {name}")
        answer = call(*args, **options)
        points.reach(f"after {name}")
        return answer

    return between


@contextmanager
def commits(points: Points) -> Iterator[None]:
    """Every commit on this process's connection is a point: of a transaction, and of a single statement."""
    commit = BaseDatabaseWrapper.commit

    def told(self: BaseDatabaseWrapper) -> None:
        name = _caller()
        points.reach(f"before the commit of {name}", inside=True)  # Django's flag is down already
        commit(self)
        points.reach(f"after the commit of {name}")

    def statement(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if connection.in_atomic_block or not sql.lstrip().upper().startswith(WRITES):
            return execute(sql, params, many, context)
        name = _caller()
        points.reach(f"before the statement of {name}")
        answer = execute(sql, params, many, context)
        points.reach(f"after the statement of {name}")
        return answer

    BaseDatabaseWrapper.commit = told  # type: ignore[method-assign]
    try:
        with connection.execute_wrapper(statement):
            yield
    finally:
        BaseDatabaseWrapper.commit = commit  # type: ignore[method-assign]


def _caller() -> str:
    """Who writes: the first function of ours above that is more than plumbing."""
    frame = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        if any(part in code.co_filename for part in OURS) and "/tests/" not in code.co_filename:
            if code.co_name not in PLUMBING:
                return code.co_name
        frame = frame.f_back  # type: ignore[assignment]
    return "somebody"
