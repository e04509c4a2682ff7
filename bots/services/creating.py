"""A bot is made, or told otherwise. Everything is checked before anything is written."""

import itertools
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from django.core.exceptions import ValidationError
from django.db import transaction

from bots import events, models, rows, runtime
from bots.books import open_books
from bots.domain.bot import BotMode, BotStatus, Schedule
from bots.domain.events import EventKind
from bots.domain.exits import ExitRules, InvalidExits, in_words
from bots.domain.slots import default_schedule
from bots.schedule import schedule_bot
from llm.domain import StopRequirement
from llm.models import ModelProfile, PromptTemplate
from llm.traders.registry import TraderConfigurationError, build_trader
from market.domain.enums import InstrumentStatus
from market.domain.instruments import Instrument
from market.domain.numbers import plain
from market.errors import VenueUnavailable
from market.services import note_instruments
from risk.domain import Limits
from risk.models import RiskProfile
from tradingagent.accounts.access import NotYours, require
from tradingagent.accounts.models import User
from tradingagent.accounts.services import audit

SHORTEST_INTERVAL = 5


class BotRefused(ValueError):
    """The bot can't be made, or told, as asked; one sentence says why. `about`: the field of the wish that it
    is about, "" where it is about the whole."""

    def __init__(self, sentence: str, about: str = "") -> None:
        super().__init__(sentence)
        self.about = about


@dataclass(frozen=True, slots=True, kw_only=True)
class BotWish:
    """What is asked of a new bot. Intervals in seconds, capital in the settlement currency. Either a
    `trader` (a baseline's name) or a `model_profile`; no `schedule`: the usual one of its interval.
    `cohort`: of bots that start together, decide at one instant and see one snapshot."""

    owner: User
    mode: BotMode
    venue: str
    symbols: tuple[str, ...]
    capital: Decimal
    risk_profile: RiskProfile
    trader: str = ""
    params: dict[str, str] = field(default_factory=dict)
    model_profile: ModelProfile | None = None
    prompt_template: PromptTemplate | None = None
    owner_words: str = ""
    interval_seconds: int = 180
    timeframe_seconds: int = 180
    schedule: Schedule | None = None
    charge_llm_cost: bool = True
    exits: ExitRules = field(default_factory=ExitRules)
    name: str = ""
    cohort: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBot:
    """A bot that was checked and is not stored yet, with the instruments that it will trade."""

    bot: models.Bot
    traded: Sequence[Instrument]


def create_bot(wish: BotWish, *, by: User | str) -> models.Bot:
    """Make a bot in DRAFT with its books opened. Raises BotRefused; VenueUnavailable when the venue can't
    say what it lists."""
    new = prepare_bot(wish)
    with transaction.atomic():
        return store_bot(new, by=by)


def prepare_bot(wish: BotWish) -> NewBot:
    """The bot that a wish comes to, checked. Asks the venue, so outside any transaction. Raises as
    `create_bot`."""
    bot = _bot_of(wish)
    traded = _checked(bot)
    bot.currency = traded[0].settle
    return NewBot(bot=bot, traded=traded)


def check_wish(wish: BotWish) -> None:
    """Check all of a wish that no venue has to be asked about. Raises BotRefused."""
    _check_alone(_bot_of(wish))


def _bot_of(wish: BotWish) -> models.Bot:
    """The bot of a wish with its usual name and schedule, not stored. Raises BotRefused."""
    bot = models.Bot(
        id=uuid4(),
        owner=wish.owner,
        name=wish.name,
        mode=wish.mode,
        venue=wish.venue,
        symbols=sorted(set(wish.symbols)),
        capital=wish.capital,
        trader=wish.trader,
        trader_params=wish.params,
        model_profile=wish.model_profile,
        prompt_template=wish.prompt_template,
        owner_words=wish.owner_words,
        risk_profile=wish.risk_profile,
        interval_seconds=wish.interval_seconds,
        timeframe_seconds=wish.timeframe_seconds,
        charge_llm_cost=wish.charge_llm_cost,
        cohort=wish.cohort,
        **rows.exit_columns(wish.exits),
    )
    bot.shard_key = bot.id.int % models.SHARD_KEYS
    bot.schedule = _schedule(bot, wish.schedule)
    bot.name = bot.name or free_name(bot.owner, _usual_name(bot))
    return bot


def store_bot(new: NewBot, *, by: User | str) -> models.Bot:
    """Store a bot with its account, its opened books and its audit row, in the caller's transaction."""
    bot = new.bot
    note_instruments(bot.venue, new.traded, runtime.clock().now())
    runtime.open_account(bot)
    bot.save(force_insert=True)
    open_books(runtime.config_of(bot), runtime.clock().now())
    audit(by, "create_bot", bot, after=_told(bot))
    _emit(bot, "created")
    return bot


_MAY_CHANGE = frozenset(
    {
        "name", "symbols", "trader", "trader_params", "model_profile", "prompt_template", "owner_words",
        "risk_profile", "interval_seconds", "timeframe_seconds", "schedule", "charge_llm_cost",
        "trailing_fraction", "trailing_from_r", "break_even_at_r", "ladder", "time_stop",
    }
)  # fmt: skip
_MAY_CHANGE_BESIDE_OTHERS = frozenset({"name"})
"""Of a bot in a cohort: whatever else it were told, it would be no comparison any more."""


def update_bot(bot_id: UUID, changes: dict[str, Any], *, by: User | str) -> models.Bot:
    """Tell a bot otherwise; it does so from its next cycle. Raises BotRefused for what can't be changed,
    makes no sense, or would leave a position behind."""
    unknown = sorted(set(changes) - _MAY_CHANGE)
    if unknown:
        raise BotRefused(f"{unknown[0]} of a bot can't be changed")
    bot = runtime.load_bot(bot_id)
    if bot.status == BotStatus.ARCHIVED:
        raise BotRefused(f"{bot.name} is archived")
    if bot.cohort is not None and not _MAY_CHANGE_BESIDE_OTHERS.issuperset(changes):
        raise BotRefused(
            f"{bot.name} runs beside others as it was entered: only its name may change"
        )
    before = _told(bot)
    for name, value in changes.items():
        setattr(bot, name, sorted(set(value)) if name == "symbols" else value)
    bot.schedule = _schedule(bot, changes.get("schedule"))
    traded = _checked(bot)
    if traded[0].settle != bot.currency:
        raise BotRefused(f"{bot.name} keeps its books in {bot.currency}: one currency each bot")
    with transaction.atomic():
        locked = models.Bot.objects.select_for_update(no_key=True).get(pk=bot.pk)
        if locked.status == BotStatus.ARCHIVED:
            raise BotRefused(f"{bot.name} is archived")
        if locked.told_version != bot.told_version:  # what was checked is no bot that there is
            raise BotRefused(f"{bot.name} was told otherwise meanwhile: look at it and try again")
        _check_nothing_left(bot)
        for name in (*changes, "schedule"):
            setattr(locked, name, getattr(bot, name))
        note_instruments(bot.venue, traded, runtime.clock().now())
        locked.told_version += 1  # a decision under way may open nothing any more
        locked.save(update_fields=[*changes, "schedule", "told_version"])
        if locked.status == BotStatus.ACTIVE:
            schedule_bot(locked)
        audit(by, "update_bot", locked, before=before, after=_told(locked))
        _emit(locked, "updated")
    return locked


def manage_exits_of(bot_id: UUID, exits: ExitRules, *, by: User | str) -> models.Bot:
    """Let a bot manage its exits by these rules, from its next beat on. Raises as `update_bot`."""
    return update_bot(bot_id, rows.exit_columns(exits), by=by)


def _check_nothing_left(bot: models.Bot) -> None:
    """Raise BotRefused when something is held or rests in a symbol that the bot would have no more."""
    held = models.Position.objects.filter(bot=bot).exclude(symbol__in=bot.symbols)
    living = models.Order.objects.filter(bot=bot, status__in=models.LIVING_STATUSES)
    left = {*held.values_list("symbol", flat=True)}
    left |= {*living.exclude(symbol__in=bot.symbols).values_list("symbol", flat=True)}
    if left:
        raise BotRefused(f"{', '.join(sorted(left))} is still held or resting: close it first")


# --- what makes sense -----------------------------------------------------------------------------


def _checked(bot: models.Bot) -> list[Instrument]:
    """Check a bot as a whole; what it trades. Raises BotRefused, VenueUnavailable."""
    _check_alone(bot)
    traded = _instruments(bot)
    currencies = {instrument.settle for instrument in traded}
    if len(currencies) > 1:
        named = ", ".join(sorted(currencies))
        raise BotRefused(f"one settlement currency each bot, not {named}", "symbols")
    return traded


def _check_alone(bot: models.Bot) -> None:
    """What can be checked without the venue. Raises BotRefused."""
    try:
        runtime.check_mode(bot)
    except runtime.CannotTrade as error:
        raise BotRefused(str(error), "mode") from None
    if not bot.symbols:
        raise BotRefused("a bot needs at least one symbol", "symbols")
    if bot.capital <= 0:
        raise BotRefused(f"the capital must be above zero, not {plain(bot.capital)}", "capital")
    for about in ("risk_profile", "model_profile", "prompt_template"):
        row = getattr(bot, about)
        try:
            if row is not None:
                require(bot.owner, row, "view")
        except NotYours as error:
            raise BotRefused(str(error), about) from None
    _check_trader(bot, bot.risk_profile.limits())
    try:
        rows.exits_of(bot)
    except InvalidExits as error:
        raise BotRefused(str(error), error.about) from None
    try:
        bot.clean_fields(exclude=["sim_account", "currency", "shard_key"])
    except ValidationError as error:
        name, messages = next(iter(error.message_dict.items()))
        raise BotRefused(f"{name}: {messages[0]}", name) from None
    same = models.Bot.objects.filter(owner=bot.owner, name=bot.name).exclude(pk=bot.pk)
    if same.exists():
        raise BotRefused(f"there is a bot {bot.name!r} already", "name")


def _schedule(bot: models.Bot, wanted: Schedule | None) -> Schedule:
    """When a bot of that interval and timeframe decides: as wanted, or as is usual. Raises BotRefused for
    what makes no sense."""
    if bot.interval_seconds < SHORTEST_INTERVAL:
        raise BotRefused(f"the interval is at least {SHORTEST_INTERVAL} s", "interval_seconds")
    if bot.timeframe_seconds < 60 or bot.timeframe_seconds % 60:
        raise BotRefused("the timeframe is in whole minutes", "timeframe_seconds")
    usual = default_schedule(bot.interval_seconds, bot.timeframe_seconds)
    if wanted is Schedule.BAR_CLOSE and usual is not wanted:
        text = "decisions on the close of bars need an interval of whole timeframes"
        raise BotRefused(text, "interval_seconds")
    return wanted or usual


def _instruments(bot: models.Bot) -> list[Instrument]:
    try:
        feed = runtime.open_feed(bot)
    except ValueError as error:
        about = "timeframe_seconds" if bot.venue in runtime.venues() else "venue"
        raise BotRefused(str(error), about) from None
    try:
        found = list(runtime.instruments_of(bot, feed).values())
    except VenueUnavailable:
        raise
    except (ValueError, runtime.CannotTrade) as error:
        raise BotRefused(str(error), "symbols") from None
    for instrument in found:
        if instrument.status is not InstrumentStatus.TRADING:
            text = f"{instrument.symbol} is {instrument.status} at {bot.venue}"
            raise BotRefused(text, "symbols")
    return found


def _check_trader(bot: models.Bot, limits: Limits) -> None:
    if bool(bot.trader) == (bot.model_profile is not None):
        raise BotRefused("name a trader or a model, and not both", "trader")
    if not bot.trader:
        if bot.trader_params:
            raise BotRefused("parameters belong to a trader, not to a model", "params")
        return
    try:
        trader = build_trader(bot.trader, bot.trader_params)
    except TraderConfigurationError as error:
        raise BotRefused(str(error), "params") from None
    if limits.stop_required and trader.stop is StopRequirement.NONE and trader.name != "flat":
        raise BotRefused(
            f"{trader.name} names no stop and the profile {limits.name} requires one: give it one "
            "(--param stop_atr=3 --param reward=2), or use the profile raw",
            "params",
        )


def free_name(owner: User, base: str, taken: Container[str] = ()) -> str:
    """A name for a bot that its owner has not given yet: `base`, with a number where that is taken (among
    the owner's bots, or among `taken`)."""
    given = set(models.Bot.objects.filter(owner=owner).values_list("name", flat=True))
    names = itertools.chain([base], (f"{base} {n}" for n in itertools.count(2)))
    return next(name for name in names if name not in given and name not in taken)


def _usual_name(bot: models.Bot) -> str:
    """A name from what the bot does."""
    mind = bot.trader or (bot.model_profile.name if bot.model_profile else "bot")
    return f"{mind} on {', '.join(symbol.split('/')[0] for symbol in bot.symbols)}"[:70]


def _told(bot: models.Bot) -> dict[str, Any]:
    return {
        "name": bot.name, "mode": bot.mode, "venue": bot.venue, "symbols": bot.symbols,
        "trader": bot.trader, "params": bot.trader_params,
        "model_profile": bot.model_profile and bot.model_profile.name,
        "risk_profile": bot.risk_profile.name, "interval_seconds": bot.interval_seconds,
        "timeframe_seconds": bot.timeframe_seconds, "capital": plain(bot.capital),
        "exits": dict(in_words(rows.exits_of(bot))),
    }  # fmt: skip


def _emit(bot: models.Bot, act: str) -> None:
    events.emit(bot.pk, [(runtime.clock().now(), EventKind.BOT, {"act": act})])
