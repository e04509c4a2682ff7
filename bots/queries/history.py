"""What one bot did: its cycles, their whole records, and what was told of it."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from bots import models, stored_record
from bots.domain.events import EventKind
from bots.domain.records import CycleOutcome
from bots.queries.paging import LARGEST_PAGE, PAGE, Page, by_time
from risk.domain import TradingState


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleLine:
    """A cycle as its columns tell it; `cycle_record` has the rest. `outcome` is None while it runs and
    of one that was abandoned. `decision`: how the decision came about, empty where none was asked for.
    `actions`: symbol, action, confidence (0–1 as text) of each item, leverage, stop, target, fraction (of a
    reduce) where they were said, and `approved` (whether anything of it was) where it was judged; `denials`:
    symbol, code, context; `clamps`: symbol, code, before, after.
    `equity` in the bot's currency, `llm_cost` in US dollars (None: unknown)."""

    id: UUID
    slot: str
    status: str
    outcome: CycleOutcome | None
    reason: str
    trading_state: TradingState | None
    started_at: datetime
    ended_at: datetime | None
    trader: str
    decision: str
    summary: str
    actions: tuple[dict[str, Any], ...]
    denials: tuple[dict[str, Any], ...]
    clamps: tuple[dict[str, Any], ...]
    order_ids: tuple[str, ...]
    equity: Decimal | None
    llm_cost: Decimal | None
    profile: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLine:
    """Something that was told of a bot. Sequences of a bot have no holes."""

    sequence: int
    at: datetime
    kind: EventKind
    payload: dict[str, Any]


def cycles_of(bot: models.Bot, *, after: str = "", limit: int = PAGE) -> Page[CycleLine]:
    """The bot's cycles, the latest first. One query. Raises ValueError for an `after` that no page gave."""
    found = models.TradingCycle.objects.filter(bot=bot).defer("record")
    return by_time(found, "started_at", after, limit, cycle_line)


def decisions_of(bot: models.Bot, *, after: str = "", limit: int = PAGE) -> Page[CycleLine]:
    """Those of the bot's cycles in which a trader was asked. As `cycles_of`."""
    found = models.TradingCycle.objects.filter(bot=bot).exclude(decision="").defer("record")
    return by_time(found, "started_at", after, limit, cycle_line)


def cycle_record(cycle: models.TradingCycle) -> dict[str, Any] | None:
    """The whole audit record of a cycle in JSON's own types: amounts as text, instants in UTC, snapshots
    as their hashes. None while it runs, and of one that was abandoned. At most one query. Raises
    LookupError when a part of it is missing."""
    return None if cycle.record is None else stored_record.unpack(bytes(cycle.record))


def events_after(
    bot: models.Bot, sequence: int, limit: int = LARGEST_PAGE
) -> tuple[EventLine, ...]:
    """What was told of the bot after a sequence number (0: from the first), oldest first. One query."""
    found = models.Event.objects.filter(bot=bot, sequence__gt=sequence).order_by("sequence")
    return tuple(
        EventLine(sequence=row.sequence, at=row.at, kind=EventKind(row.kind), payload=row.payload)
        for row in found[: max(1, min(limit, LARGEST_PAGE))]
    )


def cycle_line(row: models.TradingCycle) -> CycleLine:
    """A cycle's row as lists show it."""
    return CycleLine(
        id=row.pk,
        slot=row.slot,
        status=row.status,
        outcome=None if row.outcome is None else CycleOutcome(row.outcome),
        reason=row.reason,
        trading_state=None if row.trading_state is None else TradingState(row.trading_state),
        started_at=row.started_at,
        ended_at=row.ended_at,
        trader=row.trader,
        decision=row.decision,
        summary=row.summary,
        actions=tuple(row.actions),
        denials=tuple(row.denials),
        clamps=tuple(row.clamps),
        order_ids=tuple(row.order_ids),
        equity=row.equity,
        llm_cost=row.llm_cost,
        profile=row.profile,
    )
