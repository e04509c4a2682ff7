"""One decision whole: its row, its record, the orders it led to with their fills, and its neighbours.

`recheck` computes it anew from its record and tells what comes out otherwise today (promise P6). It reads; the
trap avoided is a record looked at through today's rules, so the page shows what is stored and nothing else.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Prefetch, Q

from bots import models, rows
from bots.queries.history import CycleLine, cycle_line, cycle_record
from bots.queries.holdings import FillLine, fill_line
from bots.rerun import Difference, differences
from llm.domain import Prompt
from llm.models import PromptTemplate
from llm.prompts import TemplateError, render, render_facts
from market.domain.canonical import canonical_bytes
from market.domain.orders import Order
from market.models import Instrument


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """An order of the decision and its fills, oldest first."""

    order: Order
    submitted_at: datetime | None
    fills: tuple[FillLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionDetail:
    """`record`: the audit record in JSON's own types, None while it runs and of one that was abandoned.
    `earlier` and `later`: the decisions before and after it. `steps`: price steps by symbol, where known."""

    cycle: CycleLine
    record: dict[str, Any] | None
    orders: tuple[Executed, ...]
    earlier: UUID | None
    later: UUID | None
    steps: dict[str, Decimal]


def decision_of(cycle: models.TradingCycle) -> DecisionDetail:
    """Everything about one decision; `cycle` with its bot. Six queries at most."""
    fills = models.Fill.objects.order_by("at", "pk").select_related("order")
    orders = models.Order.objects.filter(cycle=cycle).prefetch_related(
        Prefetch("fills", queryset=fills)
    )
    executed = tuple(
        Executed(
            order=rows.order_from(row),
            submitted_at=row.submitted_at,
            fills=tuple(fill_line(fill) for fill in row.fills.all()),
        )
        for row in orders.order_by("created_at", "pk")
    )
    record = cycle_record(cycle)
    symbols = {*cycle.bot.symbols, *(one.order.symbol for one in executed)}
    listed = Instrument.objects.filter(venue=cycle.bot.venue, symbol__in=symbols)
    return DecisionDetail(
        cycle=cycle_line(cycle),
        record=record,
        orders=executed,
        earlier=_neighbour(cycle, "-started_at", "lt"),
        later=_neighbour(cycle, "started_at", "gt"),
        steps=dict(listed.values_list("symbol", "price_step")),
    )


def recheck(record: dict[str, Any]) -> tuple[Difference, ...]:
    """Where a decision comes out otherwise today, in prompt, parse, plan or verdict; empty when all is
    identical. One query where its template is not a built-in one. Raises ValueError for a record that
    can't be recomputed, with the reason."""
    try:
        return differences(canonical_bytes(record), _rendered)
    except TemplateError as error:
        raise ValueError(str(error)) from error
    except (KeyError, TypeError, ArithmeticError) as error:
        raise ValueError(f"this record can't be read today: {error}") from error


def _rendered(facts: Any) -> Prompt:
    """Facts rendered with the very template they were made for: its content counts, not its name."""
    stored = PromptTemplate.objects.filter(content_hash=facts["template"]["hash"]).first()
    return render_facts(facts) if stored is None else render(facts, stored.to_domain())


def _neighbour(cycle: models.TradingCycle, order: str, way: str) -> UUID | None:
    """The decision of the same bot that comes next in an order of time."""
    found = models.TradingCycle.objects.filter(bot=cycle.bot_id).exclude(decision="")
    beyond = Q(**{f"started_at__{way}": cycle.started_at}) | Q(
        **{"started_at": cycle.started_at, f"pk__{way}": cycle.pk}
    )
    sign = "-" if order.startswith("-") else ""
    # The last condition is what the index is read by; the first only cuts the instant itself.
    near = Q(**{f"started_at__{way}e": cycle.started_at})
    return (
        found.filter(beyond, near).order_by(order, f"{sign}pk").values_list("pk", flat=True).first()
    )
