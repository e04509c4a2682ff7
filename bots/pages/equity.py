"""Curves of several bots beside each other: each as its return since the first of them shown, or all together.

Sampled at equal steps (`queries.curves`), the last value at the latest prices. Rules are the yardstick and
all grey; models have a colour each. The trap avoided: a jump in the sum where a bot was added; what was paid
in counts from the start, so the line moves by what was won and lost alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.urls import reverse
from django.utils.http import urlencode

from bots import queries
from bots.domain.bot import BotStatus
from bots.pages.dashboard import Dashboard
from bots.queries import BotLine, Portfolio
from market.domain.data import to_milliseconds
from market.domain.numbers import ZERO

RANGES: Final[Mapping[str, tuple[str, timedelta | None]]] = {
    "1d": ("1D", timedelta(days=1)),
    "7d": ("7D", timedelta(days=7)),
    "30d": ("30D", timedelta(days=30)),
    "all": ("All", None),
}
RANGE: Final = "1d"
EACH, TOGETHER = "each", "all"
OF: Final = {TOGETHER: "Together", EACH: "Each bot"}
COLOURS: Final = 6
ROWS: Final = 49
LEAST: Final = timedelta(minutes=2)
"""Curves of bots that have just begun are drawn over this long."""

Values = tuple[Decimal | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One curve. `colour`: 1 to 6, 0 for a rule and for more models than there are colours."""

    name: str
    colour: int
    values: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Curves at common instants. `unit`: a currency, or "" for returns as fractions."""

    at: tuple[datetime, ...]
    lines: tuple[Line, ...]
    unit: str
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of a few, as a link."""

    name: str
    href: str
    is_current: bool


# --- What is drawn ---------------------------------------------------------------------------------


def lines_of(subject: Dashboard, asked: Mapping[str, str], now: datetime) -> Lines:
    """The curves that an address asks for: `range`, and `of` each or all. Five queries. Raises LookupError
    for a user without bots, and for an address that no link of ours has."""
    portfolio = queries.portfolio(subject.user)
    bots = _chosen(portfolio, subject)
    name = asked.get("range", RANGE)
    of = asked.get("of") or usual(bots)
    if not bots or name not in RANGES or of not in OF:
        raise LookupError("there is no such curve")
    opened = min(line.opened_at for line in bots)
    span = RANGES[name][1]
    start = opened if span is None else max(opened, now - span)
    found = queries.curves_of([line.id for line in bots], min(start, now - LEAST), now)
    held = [(line, (*found.values[line.id][:-1], line.equity)) for line in bots]
    currency = bots[0].currency
    if of == TOGETHER:
        total = Line(name="All bots", colour=1, values=tuple(_sum(held)))
        return Lines(at=found.at, lines=(total,), unit=currency, currency=currency)
    begun = [one for one in held if one[0].status is not BotStatus.DRAFT] or held
    return Lines(at=found.at, lines=tuple(_returns(begun, start)), unit="", currency=currency)


def usual(bots: Sequence[BotLine]) -> str:
    """What is shown unless asked: each bot where models stand beside others, else the sum."""
    return EACH if len(bots) > 1 and any(line.asks_model for line in bots) else TOGETHER


def _chosen(portfolio: Portfolio, subject: Dashboard) -> list[BotLine]:
    first = next(iter(queries.by_rank(portfolio.totals)), None)
    money = subject.money or (first and first.money)
    return [line for line in portfolio.bots if line.money == money]


def _sum(held: Sequence[tuple[BotLine, Values]]) -> Iterator[Decimal]:
    """What was paid in, and what all have won or lost by each instant."""
    paid_in = sum((line.paid_in for line, _ in held), ZERO)
    steps = zip(*(values for _, values in held), strict=True)
    for step in steps:
        yield paid_in + sum(
            (
                value - line.paid_in
                for (line, _), value in zip(held, step, strict=True)
                if value is not None
            ),
            ZERO,
        )


def _returns(held: Sequence[tuple[BotLine, Values]], start: datetime) -> Iterator[Line]:
    """Each bot against its first value in sight, or what was paid in where it began in sight; models first,
    in name order."""
    colour = 0
    for line, values in sorted(held, key=lambda one: (not one[0].asks_model, one[0].name)):
        colour += line.asks_model
        seen = next((value for value in values if value), None)
        first = line.paid_in if line.opened_at >= start and line.paid_in > 0 else seen
        yield Line(
            name=line.name,
            colour=colour if line.asks_model and colour <= COLOURS else 0,
            values=tuple(
                None if value is None or first is None else value / first - 1 for value in values
            ),
        )


# --- As a page, JSON or a table shows it -----------------------------------------------------------


def chart_context(asked: Mapping[str, str], bots: Sequence[BotLine]) -> dict[str, Any]:
    """The card of the chart: its links, and where its numbers are."""
    kept = {name: asked[name] for name in ("money", "range", "of") if name in asked}
    chosen, of = kept.get("range", RANGE), kept.get("of") or usual(bots)
    query = urlencode({**kept, "range": chosen, "of": of})
    return {
        "ranges": tuple(
            _choices(kept, "range", {key: name for key, (name, _) in RANGES.items()}, chosen)
        ),
        "ofs": tuple(_choices(kept, "of", OF, of)) if len(bots) > 1 else (),
        "curve_is_sum": of == TOGETHER,
        "curves_url": f"{reverse('dashboard_equity')}?{query}",
        "curves_table_url": f"{reverse('equity_table')}?{query}",
    }


def _choices(
    kept: Mapping[str, str], name: str, choices: Mapping[str, str], chosen: str
) -> Iterator[Choice]:
    for key, text in choices.items():
        yield Choice(name=text, href=f"?{urlencode({**kept, name: key})}", is_current=key == chosen)


def as_json(found: Lines) -> dict[str, Any]:
    """The curves in JSON's own types: instants in milliseconds, returns in percent."""
    scale = Decimal(1) if found.unit else Decimal(100)
    return {
        "at": [to_milliseconds(at) for at in found.at],
        "unit": found.unit or "%",
        "series": [
            {
                "name": line.name,
                "colour": line.colour,
                "values": [
                    None if value is None else float(round(value * scale, 4))
                    for value in line.values
                ],
            }
            for line in found.lines
        ],
    }


def as_table(found: Lines, asked: Mapping[str, str]) -> dict[str, Any]:
    """The curves as rows, the newest first, every step or so that no more than `ROWS` are left."""
    rows = list(
        zip(found.at, zip(*(line.values for line in found.lines), strict=True), strict=True)
    )
    every = -(-len(rows) // ROWS)
    back = {name: asked[name] for name in ("money", "range", "of") if name in asked}
    return {
        "names": [line.name for line in found.lines],
        "rows": rows[::-1][::every],
        "unit": found.unit,
        "currency": found.currency,
        "back": f"{reverse('dashboard')}?{urlencode(back)}",
    }
