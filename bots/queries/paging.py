"""Pages by key: each begins after the last row of the one before, so page 10,000 costs what page 1 does.

The trap avoided: OFFSET, which reads all that it skips and shows a row twice when new ones arrive.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet

Item = TypeVar("Item")
Row = TypeVar("Row", bound=Model)

PAGE = 50
LARGEST_PAGE = 500
_SEPARATOR = "~"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """Some of many, newest first. `next`: what to pass as `after` for those that follow; empty on the
    last page."""

    items: tuple[Item, ...]
    next: str = ""


def by_number(
    rows: QuerySet[Row], column: str, after: str, limit: int, show: Callable[[Row], Item]
) -> Page[Item]:
    """A page of rows by a number that is unique among them, the largest first. Raises ValueError for an
    `after` that no page gave."""
    if after:
        rows = rows.filter(**{f"{column}__lt": _number(after)})
    limit = _within(limit)
    found = list(rows.order_by(f"-{column}")[: limit + 1])
    last = str(getattr(found[limit - 1], column)) if len(found) > limit else ""
    return Page(items=tuple(show(row) for row in found[:limit]), next=last)


def by_time(
    rows: QuerySet[Row], column: str, after: str, limit: int, show: Callable[[Row], Item]
) -> Page[Item]:
    """A page of rows by an instant, then by primary key, the latest first. Raises ValueError for an
    `after` that no page gave."""
    if after:
        at, key = _instant_and_key(after, rows.model._meta.pk)
        earlier = Q(**{f"{column}__lt": at}) | Q(**{column: at, "pk__lt": key})
        # The first condition is what an index is read by; the second only cuts the instant itself.
        rows = rows.filter(earlier, **{f"{column}__lte": at})
    limit = _within(limit)
    found = list(rows.order_by(f"-{column}", "-pk")[: limit + 1])
    last = ""
    if len(found) > limit:
        row = found[limit - 1]
        last = f"{getattr(row, column).isoformat()}{_SEPARATOR}{row.pk}"
    return Page(items=tuple(show(row) for row in found[:limit]), next=last)


def _within(limit: int) -> int:
    return max(1, min(limit, LARGEST_PAGE))


def _number(after: str) -> int:
    if not (after.isascii() and after.isdigit() and len(after) < 19):
        raise ValueError(f"{after!r} is no place to go on from")
    return int(after)


def _instant_and_key(after: str, key_field: Any) -> tuple[datetime, Any]:
    text, _, key = after.partition(_SEPARATOR)
    try:
        at, known = datetime.fromisoformat(text), key_field.to_python(key)
    except (ValueError, ValidationError):
        at, known = None, None
    if at is None or at.tzinfo is None or not known:
        raise ValueError(f"{after!r} is no place to go on from")
    return at, known
