"""The one place that knows paper from live: a bot's row becomes a desk with its five ports.

Everything else works through the ports. It starts nothing and keeps only what a process may share:
its clock, and a scripted model that must not begin again at every decision.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import DatabaseError

from bots import models, rows
from bots.account_check import AccountCheck
from bots.desk import OWN, Desk
from bots.domain.bot import BotConfig, BotMode, thinking_seconds
from bots.domain.exits import in_words
from bots.ledger import ORDER_RECHECK, DjangoLedger, no_objection
from bots.looks import CohortWindow
from bots.timing import Stages, Timed
from llm.domain import Decision, DecisionOutcome, DecisionView, StopRequirement
from llm.ports import Trader
from llm.prompts.template import TemplateError
from llm.services import (
    Allowance,
    ProviderNotAvailable,
    allowances_of,
    made_of,
    record_calls,
    trader_for,
)
from llm.traders.registry import TraderConfigurationError, build_trader
from llm.traders.simple import Flat
from market.domain.data import MarketSnapshot
from market.domain.instruments import Instrument
from market.instrument_rows import instrument_of
from market.models import Instrument as InstrumentRow
from market.ports import Broker, Clock, MarketFeed
from market.services import note_prices, open_sim_account
from market.venues.charts import ChartCandles, longer
from market.venues.clocks import SystemClock
from market.venues.feeds import SIMULATED, LiveFeed, feed_for, remember, venue_names
from market.venues.paper_broker import PaperBroker
from market.venues.paper_records import settings_of
from market.venues.sim_venue.settings import SimSettings
from risk.profiles import describe
from tradingagent.accounts.outward import before_speaking_outward

logger = logging.getLogger(__name__)

PATIENCE = timedelta(seconds=2)
"""How long a cycle, a flatten or a manual order waits for the desk; a mark goes away at once."""
EQUITY_EVERY = timedelta(minutes=1)
NOTED_EVERY = timedelta(seconds=10)
"""A quick cycle keeps the prices of one look, one whose model thinks long those of the second too."""
PAPER_SLIPPAGE_BPS = Decimal(1)
RULE_SECONDS = 0.0
"""A rule decides at once; a model has its profile's deadline, and less than the bot's interval."""

_CLOCK = SystemClock()


class CannotTrade(Exception):
    """This bot can't be run as it stands; one sentence says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A desk put together, with the row it was made from and the times its stages took."""

    bot: models.Bot
    desk: Desk
    ledger: DjangoLedger
    broker: Broker
    stages: Stages

    def finish(self) -> None:
        """Let the venue know that its last answers are booked, where it would tell them again."""
        if isinstance(self.broker, PaperBroker):
            self.broker.acknowledge()


def load_bot(bot_id: UUID) -> models.Bot:
    """A bot with everything that its desk is made from. Raises Bot.DoesNotExist."""
    return models.Bot.objects.select_related(*DESK_ROWS).get(pk=bot_id)


DESK_ROWS = (
    "owner", "risk_profile", "model_profile__provider_key", "model_profile__owner",
    "model_profile__fallback__provider_key", "model_profile__fallback__owner", "prompt_template",
    "sim_account", "exchange_account",
)  # fmt: skip


def config_of(bot: models.Bot) -> BotConfig:
    """The bot as the cycle knows it."""
    return rows.config_of(bot, bot.owner.time_zone)


def clock() -> Clock:
    """The process's clock."""
    return _CLOCK


def venues() -> tuple[str, ...]:
    """Every venue that a bot can see, the simulated market first."""
    return venue_names()


def simulated_symbols() -> tuple[str, ...]:
    """What the simulated market trades, in name order."""
    listed = feed_for(SIMULATED, timedelta(minutes=1)).instruments()
    return tuple(instrument.symbol for instrument in listed)


def open_feed(bot: models.Bot) -> LiveFeed:
    """What the bot sees of its venue. Raises ValueError for a venue nobody knows."""
    return feed_of(bot.venue, timedelta(seconds=bot.timeframe_seconds))


def feed_of(venue: str, timeframe: timedelta) -> LiveFeed:
    """What can be seen of a venue, in candles of this length. Raises ValueError for one that nobody knows."""
    return feed_for(venue, timeframe)


def instruments_of(bot: models.Bot, feed: MarketFeed) -> dict[str, Instrument]:
    """The bot's instruments by symbol. Raises CannotTrade for one that nobody knows there,
    VenueUnavailable."""
    known = listed(bot.venue, bot.symbols, feed)
    missing = [symbol for symbol in bot.symbols if symbol not in known]
    if missing:
        raise CannotTrade(f"{bot.venue} does not list {', '.join(missing)}")
    return known


def listed(venue: str, symbols: Sequence[str], feed: MarketFeed) -> dict[str, Instrument]:
    """The instruments of these symbols: what the venue lists and, SUSPENDED, what it listed once, which may
    still be held. What nobody knows is left out. Raises VenueUnavailable."""
    known = _among(symbols, feed)
    gone = [symbol for symbol in symbols if symbol not in known]
    if not gone:
        return known
    noted = InstrumentRow.objects.filter(venue=venue, symbol__in=gone)
    remember(venue, [instrument_of(row) for row in noted])
    return _among(symbols, feed)


def _among(symbols: Sequence[str], feed: MarketFeed) -> dict[str, Instrument]:
    told = {instrument.symbol: instrument for instrument in feed.instruments()}
    return {symbol: told[symbol] for symbol in symbols if symbol in told}


def open_desk(
    bot: models.Bot,
    *,
    patience: timedelta = PATIENCE,
    equity_every: timedelta = timedelta(0),
    snapshot: MarketSnapshot | None = None,
    decides: bool = True,
    recheck: ORDER_RECHECK = no_objection,
) -> Running:
    """Put a bot's desk together. `snapshot`: the market as just fetched for many bots; the desk is then taken
    only while the bot is as it was read, or what somebody did meanwhile would meet a market from before it.
    `decides` False: for marks and closes, which need no trader, whatever is wrong with it. `recheck`: asked, with
    the owner's limits, at each claim that opens. Raises CannotTrade."""
    feed = open_feed(bot)
    instruments = instruments_of(bot, feed)
    config, stages = config_of(bot), Stages()
    broker = open_broker(bot, instruments)
    limits = bot.risk_profile.limits()
    account_check = AccountCheck(
        bot.owner_id,
        {one.symbol: (one.base, one.contract_size) for one in instruments.values()},
        clock(),
    )
    ledger = DjangoLedger(
        config,
        instruments,
        patience=patience,
        model_seconds=_thinking_seconds(bot),
        equity_every=equity_every,
        may_trade=_may_trade(bot),
        recheck=lambda orders: recheck(orders) or account_check(orders),
        told_version=bot.told_version,
        as_read=None if snapshot is None else (bot.fence, bot.event_sequence),
    )
    desk = Desk(
        bot=config,
        clock=clock(),
        feed=_Noted(Timed(feed, _FEED, stages), bot.venue)
        if snapshot is None
        else Timed(_Shown(feed, snapshot), _FEED, stages),
        trader=Timed(_decider(bot) if decides else NOBODY, _TRADER, stages),
        broker=Timed(broker, _BROKER, stages, first=ledger.stay),
        ledger=Timed(ledger, _LEDGER, stages),
        limits=limits,
        instruments=instruments,
        described_limits=(*describe(limits), *in_words(config.exits)),
        window=OWN
        if bot.cohort is None
        else Timed(CohortWindow(bot.cohort), {"show": "look together"}, stages),
    )
    return Running(bot=bot, desk=desk, ledger=ledger, broker=broker, stages=stages)


def check_mode(bot: models.Bot) -> None:
    """Raise CannotTrade for a mode in which this bot may not trade, or can't yet."""
    if bot.mode == BotMode.LIVE:
        raise CannotTrade("trading with real money is not built yet: use a paper bot")


def open_account(bot: models.Bot) -> None:
    """Give a new bot the account of its mode. Inside the transaction that saves the bot."""
    if bot.mode == BotMode.PAPER:
        settings_of_paper = SimSettings(slippage_bps=PAPER_SLIPPAGE_BPS, execute_on_quotes=True)
        bot.sim_account = open_sim_account(bot.currency, bot.capital, settings_of_paper)


def open_broker(bot: models.Bot, instruments: dict[str, Instrument]) -> Broker:
    """Where the bot's orders go. Raises CannotTrade."""
    match BotMode(bot.mode):
        case BotMode.PAPER if bot.sim_account is not None:
            return paper_broker(bot, instruments)
        case _:
            check_mode(bot)
            raise CannotTrade(f"{bot.name} has no account to trade on")


def paper_broker(bot: models.Bot, instruments: dict[str, Instrument]) -> PaperBroker:
    """The simulated venue of a bot that has an account there."""
    account = bot.sim_account
    if account is None:
        raise CannotTrade(f"{bot.name} has no simulated account")
    return PaperBroker(account.pk, instruments.values(), settings_of(account.settings), row=account)


def peeks_quietly(
    bot: models.Bot, instruments: dict[str, Instrument], seen: MarketSnapshot
) -> bool:
    """True when nothing has happened at the venue that the ledger should hear of. A real venue has to be
    asked, by whoever holds the desk."""
    match BotMode(bot.mode):
        case BotMode.PAPER:
            return not paper_broker(bot, instruments).peek(seen)
        case BotMode.LIVE:
            return False


def _may_trade(bot: models.Bot) -> Any:
    match BotMode(bot.mode):
        case BotMode.PAPER:
            return lambda: True
        case BotMode.LIVE:
            return lambda: bool(settings.ALLOW_LIVE_TRADING)


def bar_is_closed(bot: models.Bot, due_at: datetime) -> bool:
    """True when the feed shows the candle that closed at `due_at`."""
    return open_feed(bot).is_bar_closed(bot.symbols, due_at)


def chart_candles(bot: models.Bot, symbol: str, timeframe: timedelta) -> ChartCandles:
    """The candles of one instrument as the bot's venue shows them now, in a multiple of its own timeframe.
    For pages. Raises ValueError for a symbol the venue does not have or a timeframe that is no multiple,
    VenueUnavailable."""
    now = clock().now()
    return longer(open_feed(bot).candles(symbol, now), timeframe, now)


# --- traders --------------------------------------------------------------------------------------

NOBODY: Final = Flat()
"""Stands where a trader stands at a desk that asks none."""


def _decider(bot: models.Bot) -> Trader:
    """The bot's trader; one that can't be had is a recorded hold at every decision."""
    try:
        return _trader(bot)
    except (ProviderNotAvailable, TemplateError, TraderConfigurationError) as error:
        return Unavailable(bot.trader or str(bot.model_profile), str(error))


class Unavailable:
    """A trader that can't be had, and says why."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        self.stop = StopRequirement.REQUIRED

    def decide(self, view: DecisionView) -> Decision:
        del view
        return Decision(trader=self.name, outcome=DecisionOutcome.UNAVAILABLE, reason=self.reason)


_models: dict[UUID, tuple[object, Trader]] = {}
_MODELS_KEPT = 2000


def _trader(bot: models.Bot) -> Trader:
    if bot.model_profile is None:
        return build_trader(bot.trader, bot.trader_params)
    most = bot.risk_profile.max_llm_cost_per_day
    makes = (
        made_of(bot.model_profile), bot.prompt_template_id, bot.owner_words,
        most, bot.name, bot.owner.time_zone, bot.interval_seconds,
    )  # fmt: skip
    known = _models.get(bot.id)
    if known is None or known[0] != makes:
        if len(_models) > _MODELS_KEPT:
            _models.clear()
        trader = trader_for(
            bot.model_profile,
            bot.prompt_template,
            bot.owner_words,
            allowances=partial(_allowances, bot.id, bot.name, bot.owner_id, most),
            today=partial(_today, bot.owner.time_zone),
            deadline=timedelta(seconds=_thinking_seconds(bot)),
        )
        known = _models[bot.id] = (makes, trader)
    return BilledTrader(known[1], bot)


EVERYBODY: Final = "everybody"
"""The cost center of the operator's budget over all users."""


def cost_center(bot_id: UUID) -> str:
    """What the calls of a bot are booked under."""
    return f"bot:{bot_id}"


def _allowances(
    bot_id: UUID, name: str, owner_id: int, most: Decimal | None
) -> tuple[Allowance, ...]:
    """What a request of this bot is paid from: its own budget, no more than its limits allow, its owner's, and the
    operator's over all users, where there is one."""
    own, whole, everybody = allowances_of(
        {
            cost_center(bot_id): name,
            f"user:{owner_id}": "All bots together",
            EVERYBODY: "All users together",
        }
    )
    if most is not None:
        money = most if own.money_per_day is None else min(most, own.money_per_day)
        own = replace(own, money_per_day=money)
    if (everybody.money_per_day, everybody.calls_per_day) == (None, None):
        return own, whole
    return own, whole, replace(everybody, is_told=False, day=clock().now().date())


def _today(time_zone: str) -> date:
    """The owner's day, in which budgets count."""
    return clock().now().astimezone(ZoneInfo(time_zone)).date()


def _thinking_seconds(bot: models.Bot) -> float:
    if bot.model_profile is None:
        return RULE_SECONDS
    return thinking_seconds(bot.model_profile.deadline_seconds, bot.interval_seconds)


class BilledTrader:
    """A model as a trader: asked with no transaction open and no connection held; its calls are recorded."""

    def __init__(self, trader: Trader, bot: models.Bot) -> None:
        self._trader = trader
        self._bot = bot

    @property
    def name(self) -> str:
        return self._trader.name

    @property
    def stop(self) -> StopRequirement:
        return self._trader.stop

    def decide(self, view: DecisionView) -> Decision:
        before_speaking_outward()
        decision = self._trader.decide(view)
        try:
            record_calls(
                cost_center(self._bot.id), decision, self._bot.model_profile, clock().now()
            )
        except (DatabaseError, ValueError):  # the bill comes next, and must not be lost for this
            logger.exception("the calls of %s could not be recorded", self._bot.id)
        return decision


class _Noted:
    """A feed whose prices are kept for pages: those of its first look, and of one long after that."""

    def __init__(self, feed: Any, venue: str) -> None:
        self._feed = feed
        self._venue = venue
        self._noted_at: datetime | None = None

    def instruments(self) -> Any:
        return self._feed.instruments()

    def snapshot(self, symbols: Any, now: datetime) -> MarketSnapshot:
        seen: MarketSnapshot = self._feed.snapshot(symbols, now)
        if self._noted_at is None or seen.as_of - self._noted_at >= NOTED_EVERY:
            self._noted_at = seen.as_of
            note_prices(self._venue, seen)
        return seen


class _Shown:
    """A feed that shows the snapshot which was fetched for many."""

    def __init__(self, feed: MarketFeed, snapshot: MarketSnapshot) -> None:
        self._feed = feed
        self._snapshot = snapshot

    def instruments(self) -> Any:
        return self._feed.instruments()

    def snapshot(self, symbols: Any, now: datetime) -> MarketSnapshot:
        del symbols, now
        return self._snapshot


_FEED = {"snapshot": "market"}
_TRADER = {"decide": "decide"}
_BROKER = {"sync": "sync", "submit": "submit", "lookup": "look up", "cancel": "cancel"}
_LEDGER = {
    "open_cycle": "open the cycle", "take_desk": "take the desk", "release_desk": "release the desk",
    "apply": "book", "write_orders": "write orders", "claim": "claim", "close_cycle": "close the cycle",
}  # fmt: skip
