"""The books of a bot's page, one at a time: what is held and ordered, what ended, every movement of cash.

Older rows are pages by key; only the first page of a book moves. The trap avoided: reading all books to show
one of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.utils import timezone

from bots import models, queries
from bots.domain.entries import ClosedTrade, EntryKind, LedgerEntry
from bots.pages.bot import ROWS, ShownTrade
from bots.pages.bot_charts import SPANS, choices
from bots.pages.stories import feed
from bots.queries.activity import halts_of
from bots.queries.calibration import calibration_of
from bots.queries.charts import candles_of
from bots.queries.feed import Doings, orders_in
from bots.queries.holdings import ended_between
from bots.queries.standing import Standing

NAMES: Final[Mapping[str, str]] = {
    "positions": "Positions",
    "orders": "Orders",
    "trades": "Closed trades",
    "decisions": "Decisions",
    "fills": "Fills",
    "ledger": "Ledger",
    "candles": "Candles",
    "equity": "Equity",
    "halts": "Halts",
}
TABS: Final = tuple(NAMES)
CANDLES = 60
POINTS = 60

ENTRY_NAMES: Final[Mapping[EntryKind, str]] = {
    EntryKind.DEPOSIT: "Paid in",
    EntryKind.WITHDRAWAL: "Taken out",
    EntryKind.REALIZED_PNL: "Realised",
    EntryKind.FEE: "Fee",
    EntryKind.FUNDING: "Funding",
    EntryKind.ADJUSTMENT: "Adjustment",
    EntryKind.LLM_COST: "Model",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A book that was asked for: of which bot, beside what else of its page, after which row."""

    bot: models.Bot
    page: Mapping[str, Any]
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownTab:
    """A tab as a link; `count` None: not counted."""

    key: str
    name: str
    href: str
    is_current: bool
    count: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownEntry:
    """A movement of cash, in words."""

    entry: LedgerEntry
    name: str


def book_context(
    bot: models.Bot, page: Mapping[str, Any], tab: str, address: Mapping[str, Any]
) -> dict[str, Any]:
    """The tabs, and what the open one shows; `page`: what the page shows else. Raises LookupError for a tab
    that there is not, ValueError for an `after` that no page gave."""
    if tab not in NAMES:
        raise LookupError(f"there is no tab {tab}")
    counts = {
        "positions": len(page["positions"]),
        "orders": page["tally"].resting,
        "trades": page["tally"].trades,
    }
    asked = Asked(bot=bot, page=page, after=address.get("after", ""))
    shown = BOOKS[tab](asked) if tab in BOOKS else {}
    tabs = tuple(
        ShownTab(
            key=one.key,
            name=one.name,
            href=one.href,
            is_current=one.is_current,
            count=counts.get(one.key),
        )
        for one in choices(address, "tab", NAMES, tab)
    )
    return {"tab": tab, "tabs": tabs, "is_first": not asked.after, **shown}


def _trades(asked: Asked) -> dict[str, Any]:
    if not asked.after:  # the first page moves
        asks_model = asked.bot.model_profile_id is not None
        return {"calibration": calibration_of(asked.bot)} if asks_model else {}
    page = queries.closed_trades_of(asked.bot, after=asked.after, limit=ROWS)
    rows = tuple(ShownTrade(trade=trade) for trade in page.items)
    return {"rows": rows, "page_next": page.next}


def _decisions(asked: Asked) -> dict[str, Any]:
    page = queries.cycles_of(asked.bot, after=asked.after, limit=ROWS)
    ended = [cycle for cycle in page.items if cycle.status != models.CycleStatus.RUNNING]
    orders = orders_in(cycle.id for cycle in ended if cycle.order_ids)
    trades = _ended_beside(asked, ended[-1].started_at) if ended else ()
    bot_id = asked.bot.pk
    doings = Doings(
        cycles=tuple((bot_id, cycle) for cycle in ended),
        orders=orders,
        trades=tuple((bot_id, trade) for trade in reversed(trades)),
        complete_since=ended[-1].started_at if ended and page.next else None,
    )
    return {"page_stories": feed(doings), "page_next": page.next}


def _ended_beside(asked: Asked, start: datetime) -> tuple[ClosedTrade, ...]:
    """The trades that ended in the time of a page: from its oldest cycle up to where the newer page begins,
    whose key tells its oldest one."""
    at, _, _ = asked.after.partition("~")
    until = datetime.fromisoformat(at) - timedelta(microseconds=1) if at else timezone.now()
    return ended_between(asked.bot, start, until)


def _fills(asked: Asked) -> dict[str, Any]:
    page = queries.fills_of(asked.bot, after=asked.after, limit=ROWS)
    return {"rows": page.items, "page_next": page.next}


def _ledger(asked: Asked) -> dict[str, Any]:
    page = queries.ledger_of(asked.bot, after=asked.after, limit=ROWS)
    rows = tuple(ShownEntry(entry=entry, name=ENTRY_NAMES[entry.kind]) for entry in page.items)
    return {"rows": rows, "page_next": page.next, "cash_terms": cash_terms(asked.page["standing"])}


def cash_terms(standing: Standing) -> tuple[tuple[str, Decimal], ...]:
    """What cash is made of, each with its sign; what never happened is left out."""
    state = standing.state
    named = (
        ("Paid in", state.deposits),
        ("Taken out", -state.withdrawals),
        ("Realised", state.realized_pnl),
        ("Fees", -state.fees),
        ("Funding", state.funding),
        ("Adjustments", state.adjustments),
        ("Model", -state.llm_cost),
    )
    return tuple((name, value) for name, value in named if value)


def _candles(asked: Asked) -> dict[str, Any]:
    chart = candles_of(asked.bot, asked.page["symbol"], asked.page["length"], count=CANDLES)
    return {"chart": chart, "chart_rows": chart.candles[::-1]}


def _equity(asked: Asked) -> dict[str, Any]:
    span = SPANS[asked.page["range"]]
    start = None if span is None else timezone.now() - span
    points = queries.equity_of(asked.bot, start, points=POINTS).points
    return {"rows": points[::-1]}


def _halts(asked: Asked) -> dict[str, Any]:
    return {"rows": halts_of(asked.bot)}


BOOKS: Final[Mapping[str, Callable[[Asked], dict[str, Any]]]] = {
    "trades": _trades,
    "decisions": _decisions,
    "fills": _fills,
    "ledger": _ledger,
    "candles": _candles,
    "equity": _equity,
    "halts": _halts,
}
