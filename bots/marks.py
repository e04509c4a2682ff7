"""Which bots a mark may only value, and how hundreds of them are written at once.

A quiet bot is one for which nothing has happened: no news at its venue, every order's fate known, stops
where they belong, no exit of its own due, no breaker that trips, clears or turns its day. It is valued from
its stored book without taking its desk. The trap avoided: a peak of its equity that nobody writes down; what
the breakers must remember is written at once, the rest once a minute.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F

from bots import leases, models, rows
from bots.domain.book import Book
from bots.domain.bot import BotConfig
from bots.domain.stored_book import book_from, book_text
from bots.exits import are_quiet
from bots.observation import account_of, beat_of, equity_of
from bots.protection import is_settled
from bots.recent import Recent
from bots.reconciliation import UNRESOLVED
from market.domain.data import MarketSnapshot
from market.domain.evolve import evolve
from market.domain.instruments import Instrument
from market.domain.orders import Order
from risk.domain import BreakerState, Limits

logger = logging.getLogger(__name__)

CHUNK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Valued:
    """A quiet bot's next state: its book with the breakers' new memory, its equity, whether a point is due."""

    bot_id: UUID
    fence: int
    sequence: int
    opened_at: datetime
    book: Book
    recent: Recent
    has_point: bool


def value_quietly(
    bot: models.Bot,
    config: BotConfig,
    orders: Mapping[str, Order],
    seen: MarketSnapshot,
    instruments: Mapping[str, Instrument],
    limits: Limits,
    every: timedelta,
) -> tuple[bool, Valued | None]:
    """(True, what to write or None) for a quiet bot, (False, None) for one whose desk must be taken."""
    book = book_from(bot.state.book, orders)
    if bot.desk_until is not None:
        return False, None  # somebody held the desk: what was read may be half of what they did
    if any(order.status in UNRESOLVED for order in orders.values()):
        return False, None
    if not (is_settled(book, instruments) and are_quiet(config.exits, book, instruments, seen)):
        return False, None
    account = account_of(book, instruments, seen)
    equity = equity_of(account)
    result = beat_of(config, limits, book.breakers, seen, account, seen.as_of, may_ask=False)
    if equity is None or result.tripped or result.cleared or result.flatten:
        return False, None
    recent = Recent.from_text(bot.state.recent)
    if config.local_day(seen.as_of) > recent.day:
        return False, None
    is_due = recent.point_at is None or seen.as_of - recent.point_at >= every
    if not is_due and _remembers_the_same(result.state, book.breakers):
        return True, None
    return True, Valued(
        bot_id=bot.pk,
        fence=bot.fence,
        sequence=bot.event_sequence,
        opened_at=bot.state.opened_at,
        book=evolve(book, breakers=result.state),
        recent=recent.with_equity(seen.as_of, equity, is_point=is_due),
        has_point=is_due,
    )


def write_valued(valued: Sequence[Valued]) -> int:
    """Write the new states and equity points of quiet bots; how many. One that somebody holds, or has
    written since it was read, is left to them. One that can't be written keeps none of the others back."""
    written = 0
    for start in range(0, len(valued), CHUNK):
        chunk = valued[start : start + CHUNK]
        try:
            written += _write_chunk(chunk)
        except Exception:
            logger.exception("%d marks could not be written together: one by one", len(chunk))
            written += sum(_write_alone(one) for one in chunk)
    return written


def _write_alone(one: Valued) -> int:
    try:
        return _write_chunk([one])
    except Exception:
        logger.exception("the mark of %s could not be written", one.bot_id)
        return 0


def _write_chunk(chunk: Sequence[Valued]) -> int:
    """One transaction, under the locks of the bots' rows: the desk is nobody's and stays so. The fence is
    raised all the same, for who left the desk for a model call must read again."""
    by_id = {one.bot_id: one for one in chunk}
    with transaction.atomic():
        free = models.Bot.objects.select_for_update(skip_locked=True, no_key=True).filter(
            leases.is_free(), pk__in=by_id
        )
        mine = [
            by_id[pk]
            for pk, fence, sequence in free.order_by("pk").values_list(
                "pk", "fence", "event_sequence"
            )
            if (fence, sequence) == (by_id[pk].fence, by_id[pk].sequence)  # as it was read
        ]
        models.Bot.objects.filter(pk__in=[one.bot_id for one in mine]).update(fence=F("fence") + 1)
        _store(mine)
    return len(mine)


def _store(mine: Iterable[Valued]) -> None:
    states, points = [], []
    for one in mine:
        equity_at = one.recent.equity_at or one.opened_at
        states.append(
            models.BotState(
                bot_id=one.bot_id,
                opened_at=one.opened_at,
                book=book_text(one.book),
                recent=one.recent.text(),
                equity=one.recent.equity,
                equity_at=equity_at,
                **rows.state_columns(one.book),
            )
        )
        if one.has_point:
            points.append(
                models.EquityPoint(bot_id=one.bot_id, at=equity_at, equity=one.recent.equity)
            )
    if states:
        models.BotState.objects.bulk_create(
            states,
            update_conflicts=True,
            unique_fields=["bot"],
            update_fields=["book", "recent", "equity", "equity_at", *_BREAKER_COLUMNS],
        )
    if points:
        models.EquityPoint.objects.bulk_create(
            points, update_conflicts=True, unique_fields=["bot", "at"], update_fields=["equity"]
        )


_BREAKER_COLUMNS = ("peak_nav", "day_open_nav", "trading_state", "loss_streak")


def _remembers_the_same(after: BreakerState, before: BreakerState) -> bool:
    """True when only the last NAV moved: that may wait for the next minute."""
    return evolve(after, last_nav=before.last_nav) == before
