"""A bot's page: what of it moves, as parts that are the same on the page, by polling and on the socket.

All parts are made of one look at the bot, so that its figures, positions and limits agree. Nothing here knows
who looks, or what time it is: ages and countdowns are counted by the page's script from the times given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.urls import reverse
from django.utils import timezone

from bots import models, queries
from bots.domain.bot import BotMode, BotStatus, thinking_seconds
from bots.domain.entries import ClosedTrade
from bots.forms import RULES
from bots.live.topics import Part, Topic, register
from bots.pages.chart_data import liquidation_of
from bots.pages.codes import DENIED
from bots.pages.exits import own_exits
from bots.pages.limits import limit_uses
from bots.pages.stories import feed
from bots.queries.activity import Activity, activity_of, next_tick
from bots.queries.feed import doings_of
from bots.queries.history import CycleLine
from bots.queries.holdings import HeldPosition, OrderLine
from bots.queries.standing import Standing, standing_of, tally_of
from bots.templatetags.figures import UNKNOWN, money, terms_that_add_up
from bots.templatetags.parts import away
from market.domain.enums import OrderPurpose, OrderStatus
from risk.domain import TradingState
from tradingagent.accounts.access import NotYours, visible

KIND = "bot"
LATEST = 8
"""Stories beside the charts; the tab has them all."""
LOOKED_BACK = 60
"""Cycles that these stories are made of: the same done again and again is one story."""
ROWS = 25
BOT_ROWS = ("owner", "risk_profile", "model_profile", "prompt_template", "exchange_account")
RESTING = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED, OrderStatus.TRIGGERED})


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPosition:
    """A position and what its row needs beside it. `liquidation` is on the tick; `liquidation_away` and
    `pnl_of_margin` are shares."""

    held: HeldPosition
    stop_rests: bool
    liquidation: Decimal | None
    liquidation_away: Decimal | None
    pnl_of_margin: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownOrder:
    """An order that may still fill: the price it waits for, and how far the market has to go there."""

    line: OrderLine
    name: str
    waits_for: Decimal | None
    is_away: Decimal | None
    rests: bool
    step: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownTrade:
    """A closed trade, its fees as what they took: realised + fees + funding + adjustments = net."""

    trade: ClosedTrade

    @property
    def fees(self) -> Decimal:
        return -self.trade.fees


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why a bot opens nothing, in words, and the codes beside them."""

    words: str
    code: str


def find(user: Any, key: str) -> models.Bot:
    """The user's bot of this id. One query. Raises NotYours."""
    try:
        bot_id = UUID(key)
    except ValueError as error:
        raise NotYours("there is no such bot") from error
    found = visible(models.Bot, user).select_related(*BOT_ROWS).filter(pk=bot_id).first()
    if found is None:
        raise NotYours("there is no such bot")
    return found


def moving(bot: models.Bot) -> dict[str, Any]:
    """What all parts of the page show."""
    standing = standing_of(bot)
    activity = activity_of(bot)
    resting = queries.orders_of(bot, open_only=True, limit=ROWS)
    stops = {
        line.order.symbol
        for line in resting.items
        if line.order.purpose is OrderPurpose.STOP and line.order.status in RESTING
    }
    doings = doings_of([bot.pk], cycles=LOOKED_BACK)
    asked = (cycle for _, cycle in doings.cycles if cycle.decision)
    last = next(asked, None)
    symbols = [held.symbol for held in standing.positions if not held.is_dust]
    limits = bot.risk_profile.limits()
    trades = queries.closed_trades_of(bot, limit=ROWS)
    next_at = next_tick(bot, timezone.now())
    tally = tally_of(bot)
    shown_terms = to_the_cent(terms(standing))
    return {
        "bot": bot,
        "standing": standing,
        "worth": standing.worth,
        "terms": shown_terms,
        "open_pnl": shown_terms[-1][1],
        "tally": tally,
        "holds": bool(standing.positions or tally.resting),
        "exposure": standing.exposure,
        "drawdown": -standing.drawdown,
        "limits": limit_uses(standing, limits),
        "limits_of": limits,
        "own_exits": own_exits(bot),
        "positions": tuple(_position(held, stops) for held in standing.positions),
        "orders": tuple(_order(line, standing) for line in resting.items),
        "orders_next": resting.next,
        "trades": tuple(ShownTrade(trade=trade) for trade in trades.items),
        "trades_next": trades.next,
        "stories": feed(doings, {bot.pk: symbols})[:LATEST],
        "last_decision": last,
        "last_took": None if last is None else took(last),
        "activity": activity,
        "troubles": troubles(standing),
        "is_stopped": is_stopped(bot, standing, activity),
        "next_at": next_at,
        "span": span_of(bot, activity, next_at),
        "interval": timedelta(seconds=bot.interval_seconds),
        "candle_length": length_text(timedelta(seconds=bot.timeframe_seconds)),
        "mind": mind_name(bot),
        "close_url": reverse("close_position", args=[bot.pk]),
        "chart_version": _version(bot, standing),
    }


def terms(standing: Standing) -> tuple[tuple[str, Decimal], ...]:
    """What the PnL is made of, each with its sign; what never happened is left out. The last is what is open."""
    state = standing.state
    named = (
        ("Realised", state.realized_pnl, True),
        ("Fees", -state.fees, True),
        ("Funding", state.funding, True),
        ("Adjustments", state.adjustments, False),
        ("Model", -state.llm_cost, standing.bot.model_profile_id is not None),
        ("Open", standing.worth.unrealized_pnl, True),
    )
    return tuple((name, value) for name, value, always in named if always or value)


def to_the_cent(terms: Sequence[tuple[str, Decimal]]) -> tuple[tuple[str, Decimal], ...]:
    """The terms as they are shown: what stands elsewhere on the page, too, stands there with the same cents."""
    cents = terms_that_add_up([value for _, value in terms])
    return tuple((name, value) for (name, _), value in zip(terms, cents, strict=True))


def troubles(standing: Standing) -> tuple[Trouble, ...]:
    """What the breakers found, worst first."""
    if standing.book.breakers.state is TradingState.ACTIVE:
        return ()
    reasons = sorted(standing.book.breakers.reasons, key=list(DENIED).index)
    return tuple(Trouble(words=DENIED[code], code=str(code)) for code in reasons)


def is_stopped(bot: models.Bot, standing: Standing, activity: Activity) -> bool:
    """True while a halt or a hard drawdown keeps the bot from everything but closing."""
    by_breakers = standing.book.breakers.state is TradingState.HALTED
    return bot.status != BotStatus.ARCHIVED and (bool(activity.halts) or by_breakers)


def span_of(
    bot: models.Bot, activity: Activity, next_at: datetime | None
) -> tuple[datetime, datetime] | None:
    """From when to when the bar runs: while a model is asked, until it must have answered; between
    decisions, until the next one. None where there is nothing to wait for."""
    if activity.running is not None:
        if bot.model_profile is None:
            return None
        began = activity.running.started_at
        limit = thinking_seconds(bot.model_profile.deadline_seconds, bot.interval_seconds)
        return began, began + timedelta(seconds=limit)
    if next_at is None:
        return None
    return next_at - timedelta(seconds=bot.interval_seconds), next_at


def _position(held: HeldPosition, stops: set[str]) -> ShownPosition:
    level = liquidation_of(held)
    distance = away(held.mark_price, level)
    staked = held.margin or held.entry_cost
    gained = held.unrealized_pnl
    return ShownPosition(
        held=held,
        stop_rests=held.symbol in stops,
        liquidation=level,
        liquidation_away=None if distance is None else abs(distance),
        pnl_of_margin=None if gained is None or staked <= 0 else gained / staked,
    )


_NAMES = {OrderPurpose.STOP: "stop", OrderPurpose.TARGET: "target", OrderPurpose.ENTRY: "entry"}


def _order(line: OrderLine, standing: Standing) -> ShownOrder:
    order = line.order
    waits_for = order.trigger_price or order.price
    mark = standing.prices.get(order.symbol)
    return ShownOrder(
        line=line,
        name=f"{order.side.capitalize()} {_NAMES.get(order.purpose, 'to close')}",
        waits_for=waits_for,
        is_away=None if mark is None else away(mark[0], waits_for),
        rests=order.status in RESTING,
        step=standing.step(order.symbol),
    )


def _version(bot: models.Bot, standing: Standing) -> str:
    """A text that changes with whatever a chart shows: bookings, and prices."""
    latest: datetime | None = max((at for _, at in standing.prices.values()), default=None)
    stamp = "" if latest is None else f"{latest:%Y%m%dT%H%M%S}"
    return f"{bot.event_sequence}-{standing.state.sequence}-{stamp}"


_MODES: Final[Mapping[BotMode, tuple[str, str]]] = {
    BotMode.PAPER: (
        "No money moves.",
        "Orders fill at a simulated venue, at the prices of {venue}.",
    ),
    BotMode.LIVE: ("Real money", "on {account} at {venue}, {capital} {currency} to begin with."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeWords:
    """What the banner of a page says of the money it is about. `kind`: paper or live."""

    kind: str
    title: str
    text: str


def mode_words(bot: models.Bot) -> ModeWords:
    """With whose money a bot trades, in words."""
    title, text = _MODES[BotMode(bot.mode)]
    return ModeWords(
        kind=bot.mode.lower(),
        title=title,
        text=text.format(
            venue="the simulated market" if bot.venue == "simulated" else bot.venue,
            account=bot.exchange_account,
            capital=money(bot.capital, 0),
            currency=bot.currency,
        ),
    )


def mind_name(bot: models.Bot) -> str:
    """A model profile's name; a rule's as people know it: EMA trend, Buy and hold."""
    if bot.model_profile is not None:
        return str(bot.model_profile.name)
    return rule_name(bot.trader)


def rule_name(trader: str) -> str:
    """A rule's name in words; anything else is itself."""
    return RULES[trader][0] if trader in RULES else trader


def took(cycle: CycleLine) -> str:
    """How long a cycle took, to a tenth of a second: 11.4 s; a dash while it runs."""
    if cycle.ended_at is None:
        return UNKNOWN
    return f"{(cycle.ended_at - cycle.started_at).total_seconds():.1f} s"


def length_text(length: timedelta) -> str:
    """How long a candle is: 3m, 1h, 4h, 1d."""
    minutes = length // timedelta(minutes=1)
    for unit, size in (("d", 1440), ("h", 60)):
        if not minutes % size:
            return f"{minutes // size}{unit}"
    return f"{minutes}m"


PARTS = (
    "state",
    "notices",
    "status",
    "stats",
    "decisions",
    "limits",
    "exits",
    "positions",
    "orders",
    "trades",
)


def register_topic() -> None:
    """Make the page's parts known. Once, when the app is ready."""
    register(
        Topic(
            kind=KIND,
            find=find,
            bots_of=lambda bot: (bot.pk,),
            parts={name: Part(template=f"bot.html#{name}", context=moving) for name in PARTS},
        )
    )
