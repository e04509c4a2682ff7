"""The last prices seen of instruments, kept for pages: never for a decision.

One statement per snapshot, which only ever moves a price forward in time: of two processes that looked at
once, the later look stays, whichever writes last. The trap avoided: a quote that must not be traded on, shown
to a person as the price.
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Context, Decimal
from typing import Any

from django.db import connection

from market.domain.data import MarketSnapshot
from market.fields import SQLITE_DIGITS
from market.models import LatestPrice

COLUMNS = ("venue", "symbol", "mark_price", "last_price", "at")
_WIDE = Context(prec=40)
_KEPT = Context(prec=SQLITE_DIGITS)
_SMALLEST = Decimal("1e-12")


def store_prices(venue: str, snapshot: MarketSnapshot) -> int:
    """Keep the snapshot's usable prices that are newer than those kept; how many. One statement, or none
    when no price is usable. Raises DatabaseError."""
    rows = list(_rows(venue, snapshot))
    if not rows:
        return 0
    quote = connection.ops.quote_name
    fields: list[Any] = [LatestPrice._meta.get_field(name) for name in COLUMNS]
    table, columns = quote(LatestPrice._meta.db_table), ", ".join(map(quote, COLUMNS))
    one = f"({', '.join(['%s'] * len(COLUMNS))})"
    moved = ", ".join(f"{quote(name)} = excluded.{quote(name)}" for name in COLUMNS[2:])
    statement = (  # names of ours alone; every value is a parameter
        f"INSERT INTO {table} ({columns}) VALUES {', '.join([one] * len(rows))}"  # noqa: S608 # nosec B608
        f" ON CONFLICT ({quote('venue')}, {quote('symbol')}) DO UPDATE SET {moved}"
        f" WHERE {table}.{quote('at')} < excluded.{quote('at')}"
    )
    values = [
        field.get_db_prep_save(value, connection)
        for row in rows
        for field, value in zip(fields, row, strict=True)
    ]
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.rowcount)


def _rows(
    venue: str, snapshot: MarketSnapshot
) -> Iterator[tuple[str, str, Decimal, Decimal, datetime]]:
    """What may be shown, as the database keeps it; in name order, so that no two writers wait in a circle."""
    for item in sorted(snapshot.instruments, key=lambda item: item.symbol):
        quote = item.quote
        if quote is None or item.unusable is not None:
            continue
        if not (quote.mark.is_finite() and quote.last.is_finite()):
            continue
        mark, last = _kept(quote.mark), _kept(quote.last)
        if mark > 0 and last > 0:
            # A venue whose clock runs ahead must not make a price that no later one can replace.
            yield venue, item.symbol, mark, last, min(quote.at, snapshot.as_of)


def _kept(price: Decimal) -> Decimal:
    return _KEPT.plus(price.quantize(_SMALLEST, context=_WIDE))
