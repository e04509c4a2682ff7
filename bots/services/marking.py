"""The fast beat: one task per shard values, reconciles and protects every bot that has something at stake.

One snapshot per venue serves all its bots. A quiet one is only valued (`bots.marks`); the desk of any
other is taken for a full mark, and left alone when somebody else holds it.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db.models import Exists, OuterRef

from bots import marks, models, rows, runtime, wake
from bots.cycle import mark
from bots.domain.bot import BotStatus
from bots.enqueue import enqueue
from bots.ports import LeaseLost
from bots.services.day_losses import stop_lost_days
from market.domain.canonical import utc_text
from market.domain.data import MarketSnapshot
from market.domain.instruments import Instrument
from market.domain.orders import Order
from market.errors import VenueUnavailable
from market.services import note_prices
from risk.domain import Code

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Marked:
    """How many bots a mark looked at, found quiet, wrote, marked in full, and could not."""

    looked_at: int = 0
    quiet: int = 0
    written: int = 0
    marked: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class _Market:
    """What was fetched for all bots of a venue."""

    snapshot: MarketSnapshot
    instruments: Mapping[str, Instrument]

    def for_symbols(self, symbols: Sequence[str]) -> MarketSnapshot:
        found = tuple(self.snapshot.by_symbol[symbol] for symbol in symbols)
        return MarketSnapshot(
            as_of=self.snapshot.as_of, instruments=found, source=self.snapshot.source
        )


def mark_shard(shard: int = 0, of: int = 1) -> Marked:
    """Mark every bot of a shard that holds something or has an order whose life has not ended, whatever
    its status. One bot's defect or silent venue does not touch the others."""
    done = Marked()
    valued: list[marks.Valued] = []
    bots = _at_stake(shard, of)
    orders = _living_orders([bot.pk for bot in bots])
    is_news = False
    for venue_bots in _by_venue(bots):
        market = _look(venue_bots)
        if market is not None:
            is_news |= note_prices(venue_bots[0].venue, market.snapshot)
        for bot in venue_bots:
            done.looked_at += 1
            try:
                _mark_one(bot, orders.get(bot.pk, {}), market, valued, done)
            except LeaseLost:
                logger.info("mark of %s: another holder took the desk", bot.pk)
            except Exception:
                done.failed += 1
                logger.exception("mark of %s failed", bot.pk)
    done.written = marks.write_valued(valued)
    _stop_lost_days(bots)
    if is_news:  # once, after everything: quiet marks tell no event
        wake.after_commit()
    return done


def _stop_lost_days(bots: Sequence[models.Bot]) -> None:
    try:
        stop_lost_days({bot.owner_id for bot in bots})
    except Exception:  # it is no bot's mark; the next one looks again
        logger.exception("whether the day of %d bots is lost could not be told", len(bots))


def _at_stake(shard: int, of: int) -> list[models.Bot]:
    keys = [key for key in range(models.SHARD_KEYS) if key % of == shard]
    held = models.Position.objects.filter(bot=OuterRef("pk"), is_dust=False)
    living = models.Order.objects.filter(bot=OuterRef("pk"), status__in=models.LIVING_STATUSES)
    return list(
        models.Bot.objects.filter(Exists(held) | Exists(living), shard_key__in=keys)
        .select_related("state", *runtime.DESK_ROWS)
        .defer("state__day_navs")
        .order_by("venue", "timeframe_seconds", "pk")
    )


def _living_orders(bot_ids: Sequence[UUID]) -> Mapping[UUID, dict[str, Order]]:
    found: dict[UUID, dict[str, Order]] = defaultdict(dict)
    living = models.Order.objects.filter(bot_id__in=bot_ids, status__in=models.LIVING_STATUSES)
    for row in living.order_by("created_at", "pk"):
        found[row.bot_id][row.client_order_id] = rows.order_from(row)
    return found


def _by_venue(bots: Sequence[models.Bot]) -> Iterator[list[models.Bot]]:
    grouped: dict[tuple[str, int], list[models.Bot]] = defaultdict(list)
    for bot in bots:
        grouped[bot.venue, bot.timeframe_seconds].append(bot)
    return iter(grouped.values())


def _look(bots: Sequence[models.Bot]) -> _Market | None:
    """The market of all symbols of these bots; None when it can't be read."""
    symbols = sorted({symbol for bot in bots for symbol in bot.symbols})
    try:
        feed = runtime.open_feed(bots[0])
        known = runtime.listed(bots[0].venue, symbols, feed)
        snapshot = feed.snapshot(list(known), runtime.clock().now())
    except VenueUnavailable as silence:
        logger.warning("mark of %d bots: %s", len(bots), silence)
        return None
    except Exception:  # a defect of one venue's feed leaves the bots of the others their marks
        logger.exception("mark of %d bots at %s: its feed failed", len(bots), bots[0].venue)
        return None
    return _Market(snapshot, known)


def _mark_one(
    bot: models.Bot,
    orders: dict[str, Order],
    market: _Market | None,
    valued: list[marks.Valued],
    done: Marked,
) -> None:
    if market is None:
        return  # its stops rest at the venue; the next beat looks again
    missing = [symbol for symbol in bot.symbols if symbol not in market.instruments]
    if missing:
        done.failed += 1
        logger.error("mark of %s: %s does not list %s", bot.pk, bot.venue, ", ".join(missing))
        return
    seen = market.for_symbols(bot.symbols)
    instruments = {symbol: market.instruments[symbol] for symbol in bot.symbols}
    is_quiet, value = marks.value_quietly(
        bot,
        runtime.config_of(bot),
        orders,
        seen,
        instruments,
        bot.risk_profile.limits(),
        runtime.EQUITY_EVERY,
    )
    if is_quiet and runtime.peeks_quietly(bot, instruments, seen):
        done.quiet += 1
        if value is not None:
            valued.append(value)
        return
    _mark_fully(bot, seen, done)


def _mark_fully(bot: models.Bot, seen: MarketSnapshot, done: Marked) -> None:
    running = runtime.open_desk(
        bot,
        patience=timedelta(0),
        equity_every=runtime.EQUITY_EVERY,
        snapshot=seen,
        decides=False,
    )
    observed = mark(running.desk)
    if observed is None:
        return
    running.finish()
    done.marked += 1
    is_active = bot.status == BotStatus.ACTIVE
    if is_active and Code.SOFT_DRAWDOWN in observed.breakers.tripped:  # asks close or keep at once
        enqueue("bots.run_cycle", bot_id=str(bot.pk), request_id=f"drawdown:{utc_text(seen.as_of)}")
