"""How bots stand, for the rules that look at it: a fixed number of queries, however many bots and rules.

It decides nothing. A measure that can't be taken (no price was ever seen) is left out.
"""

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import OuterRef, Subquery

from bots import models
from bots.alerts.domain import AlertKind
from bots.alerts.models import AlertRule
from bots.alerts.timing import day_of, midnight_of
from bots.domain.bot import BotStatus
from bots.domain.entries import EntryKind
from bots.domain.records import CycleOutcome
from bots.domain.stored_book import StoredBookError
from bots.queries.open_positions import AtStake, OpenPosition, at_stake
from bots.queries.worth import Prices, Stand, stands_of
from market.domain.numbers import ZERO
from market.queries import latest_prices

logger = logging.getLogger(__name__)
DECIDED = (CycleOutcome.DECIDED, CycleOutcome.HALTED)
"""A bot that is halted says so at every cycle: it is not silent."""
HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One measure of a bot: of an instrument, or (`of` empty) of the whole bot."""

    kind: AlertKind
    value: Decimal
    of: str = ""


Readings = Mapping[UUID, Sequence[Reading]]


def readings_of(bots: Collection[UUID], rules: Collection[AlertRule], now: datetime) -> Readings:
    """The measures of these bots that the rules look at. At most ten queries."""
    kinds = {AlertKind(rule.kind) for rule in rules}
    found: dict[UUID, list[Reading]] = defaultdict(list)
    if not bots or not kinds:
        return found
    rows = models.Bot.objects.filter(pk__in=bots, state__isnull=False)
    stands, prices = stands_of(rows.select_related("owner"))
    _of_worth(stands, found)
    if kinds & {AlertKind.LIQUIDATION_DISTANCE, AlertKind.NAKED_POSITION}:
        _of_positions(stands, prices, found)
    if AlertKind.FUNDING in kinds:
        _of_funding(stands, now, found)
    if AlertKind.PRICE in kinds:
        _of_prices(stands, {rule.symbol for rule in rules if rule.symbol}, found)
    if AlertKind.BOT_SILENT in kinds:
        _of_silence(stands, now, found)
    return found


def _of_worth(stands: Sequence[Stand], found: dict[UUID, list[Reading]]) -> None:
    for stand in stands:
        state, equity = stand.bot.state, stand.worth.equity
        paid_in = state.deposits - state.withdrawals
        peak = max(state.peak_nav, equity)
        drawdown = (1 - equity / peak) * HUNDRED if peak > 0 else ZERO
        found[stand.bot.pk] += [
            Reading(kind=AlertKind.PNL, value=equity - paid_in),
            Reading(kind=AlertKind.DRAWDOWN, value=drawdown),
        ]


def _of_positions(
    stands: Sequence[Stand], prices: Prices, found: dict[UUID, list[Reading]]
) -> None:
    required = {stand.bot.pk for stand in stands if stand.bot.risk_profile.stop_required}
    for one in _at_stake(stands, prices):
        held = one.held
        if held.liquidation_price is not None and held.mark_price:
            distance = abs(held.mark_price - held.liquidation_price) / held.mark_price * HUNDRED
            found[one.bot_id].append(
                Reading(kind=AlertKind.LIQUIDATION_DISTANCE, value=distance, of=held.symbol)
            )
        wants_stop = held.stop_price is not None or one.bot_id in required
        if wants_stop and not one.stop_rests and not held.is_closing:
            found[one.bot_id].append(
                Reading(kind=AlertKind.NAKED_POSITION, value=Decimal(1), of=held.symbol)
            )


def _at_stake(stands: Sequence[Stand], prices: Prices) -> tuple[OpenPosition, ...]:
    """All positions; where a stored book can't be read, those of the other bots."""
    try:
        return at_stake(stands, prices).positions
    except StoredBookError:
        logger.warning("a stored book can't be read: positions are measured bot by bot")
    found = AtStake()
    for stand in stands:
        try:
            more = at_stake([stand], prices).positions
        except StoredBookError:
            continue
        found = AtStake(positions=found.positions + more)
    return found.positions


def _of_funding(stands: Sequence[Stand], now: datetime, found: dict[UUID, list[Reading]]) -> None:
    since = {}
    for stand in stands:
        zone = stand.bot.owner.time_zone
        since[stand.bot.pk] = midnight_of(day_of(now, zone), zone)
    if not since:
        return
    paid: dict[UUID, Decimal] = defaultdict(lambda: ZERO)
    entries = models.LedgerEntry.objects.filter(
        bot__in=since, kind=EntryKind.FUNDING, at__gte=min(since.values())
    )
    for bot_id, at, amount in entries.values_list("bot_id", "at", "amount"):
        if at >= since[bot_id]:
            paid[bot_id] -= amount
    for bot_id in since:
        found[bot_id].append(Reading(kind=AlertKind.FUNDING, value=paid[bot_id]))


def _of_prices(
    stands: Sequence[Stand], symbols: Collection[str], found: dict[UUID, list[Reading]]
) -> None:
    traded = [
        (stand.bot, symbol) for stand in stands for symbol in stand.bot.symbols if symbol in symbols
    ]
    seen = latest_prices((bot.venue, symbol) for bot, symbol in traded)
    for bot, symbol in traded:
        price = seen.get((bot.venue, symbol))
        if price is not None:
            found[bot.pk].append(Reading(kind=AlertKind.PRICE, value=price.mark_price, of=symbol))


def _of_silence(stands: Sequence[Stand], now: datetime, found: dict[UUID, list[Reading]]) -> None:
    ended = models.TradingCycle.objects.filter(bot=OuterRef("pk"), outcome__in=DECIDED)
    active = models.Bot.objects.filter(
        pk__in=[stand.bot.pk for stand in stands], status=BotStatus.ACTIVE
    ).annotate(decided_at=Subquery(ended.order_by("-started_at").values("started_at")[:1]))
    rows = active.values_list(
        "pk", "interval_seconds", "started_at", "decided_at", "alert_cursor__awake_at"
    )
    for bot_id, interval, *instants in rows:
        known = [instant for instant in instants if instant is not None]
        if known:
            cycles = int((now - max(known)).total_seconds() // interval)
            found[bot_id].append(Reading(kind=AlertKind.BOT_SILENT, value=Decimal(max(cycles, 0))))
