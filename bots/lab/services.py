"""Every write on an arena: it is made, entrants join, all start at one instant, all stop.

The conditions come from the arena alone, so no door can give an entrant another capital, venue or profile.
The trap avoided: an entrant that joins after the start has run another race; it is refused.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from uuid import UUID, uuid4

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from bots import services as desk
from bots.domain.bot import BotMode, BotStatus
from bots.lab.baselines import BASELINES, BY_TRADER
from bots.lab.models import Arena, Entrant
from bots.models import Bot
from llm.models import ModelProfile, PromptTemplate
from market.domain.numbers import plain
from risk.models import RiskProfile
from tradingagent.accounts.models import User
from tradingagent.accounts.services import audit

MOST_ENTRANTS: Final = 50
FEWEST_ENTRANTS: Final = 2
USUAL_SYMBOLS: Final = ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")
USUAL_CAPITAL: Final = Decimal(10_000)


class ArenaRefused(ValueError):
    """The arena can't be made, joined, started or stopped as asked; one sentence says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArenaWish:
    """What is asked of a new arena. Intervals in seconds, capital of each entrant in the settlement
    currency of the symbols. Simulated money always."""

    owner: User
    name: str
    venue: str
    symbols: tuple[str, ...]
    risk_profile: RiskProfile
    capital: Decimal = USUAL_CAPITAL
    interval_seconds: int = 180
    timeframe_seconds: int = 180


@dataclass(frozen=True, slots=True, kw_only=True)
class EntrantWish:
    """Who shall join: either a `trader` (a baseline's name; its stated parameters unless `params` says
    others) or a `model_profile`. `label`: how tables and charts call it, by default after its mind."""

    trader: str = ""
    params: dict[str, str] | None = None
    model_profile: ModelProfile | None = None
    prompt_template: PromptTemplate | None = None
    owner_words: str = ""
    label: str = ""


def create_arena(wish: ArenaWish, *, by: User | str, entrants: Sequence[EntrantWish] = ()) -> Arena:
    """Make an arena that has not started, with these entrants in this order: all of it or nothing. Raises
    ArenaRefused; VenueUnavailable when the venue can't say what it lists."""
    arena = Arena(
        id=uuid4(),
        owner=wish.owner,
        name=wish.name.strip(),
        venue=wish.venue,
        symbols=sorted(set(wish.symbols)),
        capital=wish.capital,
        interval_seconds=wish.interval_seconds,
        timeframe_seconds=wish.timeframe_seconds,
        risk_profile=wish.risk_profile,
        cohort=uuid4(),
    )
    if not arena.name:
        raise ArenaRefused("an arena needs a name")
    if Arena.objects.filter(owner=arena.owner, name=arena.name).exists():
        raise ArenaRefused(f"there is an arena {arena.name!r} already")
    arena.currency = _conditions(arena).currency
    try:
        arena.clean_fields(exclude=["owner", "risk_profile"])
    except ValidationError as error:
        name, messages = next(iter(error.message_dict.items()))
        raise ArenaRefused(f"{name}: {messages[0]}") from None
    joining = _joining(arena, entrants, [])
    with transaction.atomic():
        arena.save(force_insert=True)
        audit(by, "create_arena", arena, after=_told(arena))
        _join(arena, joining, 1, by)
    return arena


def add_entrant(arena_id: UUID, wish: EntrantWish, *, by: User | str) -> Entrant:
    """Let somebody join an arena that has not started. Raises ArenaRefused, VenueUnavailable."""
    arena = Arena.objects.select_related("owner", "risk_profile").get(pk=arena_id)
    _check_open(arena)
    joining = _joining(arena, [wish], _labels(arena))
    with transaction.atomic():
        arena = Arena.objects.select_for_update().get(pk=arena_id)
        _check_open(arena)
        there = list(arena.entrants.all())
        [label] = (entrant.label for entrant in joining)
        if label in {entrant.label for entrant in there}:
            raise ArenaRefused(f"{label!r} has joined {arena.name} already")
        [entrant] = _join(arena, joining, max((one.place for one in there), default=0) + 1, by)
    return entrant


def start_arena(arena_id: UUID, *, by: User | str) -> Arena:
    """Let all entrants decide from now on: at the first start from one instant, after a stop where they
    were. Raises ArenaRefused, NotNow."""
    with transaction.atomic():
        arena = Arena.objects.select_for_update().get(pk=arena_id)
        if arena.is_running:
            raise ArenaRefused(f"{arena.name} is running already")
        bots = _bots(arena)
        if len(bots) < FEWEST_ENTRANTS:
            raise ArenaRefused(
                f"{arena.name} has {_counted(len(bots), 'entrant')}: a comparison needs two"
            )
        waiting = [bot.pk for bot in bots if bot.status in (BotStatus.DRAFT, BotStatus.PAUSED)]
        at = desk.start_together(waiting, by=by)
        arena.started_at, arena.stopped_at = arena.started_at or at, None
        arena.save(update_fields=["started_at", "stopped_at"])
        audit(by, "start_arena", arena, after={"entrants": len(waiting)})
    return arena


def stop_arena(arena_id: UUID, *, by: User | str) -> Arena:
    """Pause all entrants: none opens anything any more, what they hold stays protected. Raises
    ArenaRefused."""
    with transaction.atomic():
        arena = Arena.objects.select_for_update().get(pk=arena_id)
        if not arena.is_running:
            raise ArenaRefused(f"{arena.name} is not running")
        active = [bot.pk for bot in _bots(arena) if bot.status == BotStatus.ACTIVE]
        desk.pause_together(active, by=by)
        arena.stopped_at = timezone.now()
        arena.save(update_fields=["stopped_at"])
        audit(by, "stop_arena", arena, after={"entrants": len(active)})
    return arena


def create_baseline_arena(
    owner: User,
    *,
    by: User | str,
    name: str = "Baselines",
    venue: str = "simulated",
    symbols: Sequence[str] = USUAL_SYMBOLS,
    capital: Decimal = USUAL_CAPITAL,
    interval_seconds: int = 60,
    timeframe_seconds: int = 60,
    risk_profile: RiskProfile | None = None,
    models: Iterable[ModelProfile] = (),
) -> Arena:
    """Make an arena of all stated baselines, and before them these models. No `risk_profile`: the shared
    `balanced`. Raises as `create_arena`."""
    wish = ArenaWish(
        owner=owner,
        name=name,
        venue=venue,
        symbols=tuple(symbols),
        capital=capital,
        interval_seconds=interval_seconds,
        timeframe_seconds=timeframe_seconds,
        risk_profile=risk_profile or RiskProfile.objects.get(owner=None, name="balanced"),
    )
    entrants = [
        *(EntrantWish(model_profile=profile) for profile in models),
        *(EntrantWish(trader=entry.trader) for entry in BASELINES),
    ]
    return create_arena(wish, by=by, entrants=entrants)


# --- joining ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Joining:
    """An entrant that was checked and is not stored yet."""

    label: str
    is_baseline: bool
    new: desk.NewBot


def _joining(arena: Arena, wishes: Sequence[EntrantWish], labels: Sequence[str]) -> list[_Joining]:
    """Check who shall join, beside those that have these labels. Asks the venue. Raises ArenaRefused."""
    if len(labels) + len(wishes) > MOST_ENTRANTS:
        raise ArenaRefused(f"an arena holds {MOST_ENTRANTS} entrants at most")
    taken, names = set(labels), set[str]()
    found = []
    for wish in wishes:
        label = _label(wish, taken)
        new = _prepared(arena, wish, desk.free_name(arena.owner, label, names))
        taken.add(label)
        names.add(new.bot.name)
        found.append(_Joining(label=label, is_baseline=bool(wish.trader), new=new))
    return found


def _join(arena: Arena, joining: Sequence[_Joining], place: int, by: User | str) -> list[Entrant]:
    """Store entrants from this place on, in the caller's transaction."""
    return [
        Entrant.objects.create(
            arena=arena,
            bot=desk.store_bot(one.new, by=by),
            place=number,
            label=one.label,
            is_baseline=one.is_baseline,
        )
        for number, one in enumerate(joining, start=place)
    ]


def _prepared(arena: Arena, wish: EntrantWish, name: str) -> desk.NewBot:
    """The bot of an entrant under the arena's conditions. Raises ArenaRefused with the desk's sentence."""
    params = wish.params
    if params is None:
        entry = BY_TRADER.get(wish.trader)
        params = {} if entry is None else entry.params
    try:
        return desk.prepare_bot(
            desk.BotWish(
                owner=arena.owner,
                mode=BotMode.PAPER,
                venue=arena.venue,
                symbols=tuple(arena.symbols),
                capital=arena.capital,
                risk_profile=arena.risk_profile,
                trader=wish.trader,
                params=params,
                model_profile=wish.model_profile,
                prompt_template=wish.prompt_template,
                owner_words=wish.owner_words,
                interval_seconds=arena.interval_seconds,
                timeframe_seconds=arena.timeframe_seconds,
                name=name,
                cohort=arena.cohort,
            )
        )
    except desk.BotRefused as refusal:
        raise ArenaRefused(str(refusal)) from None


def _conditions(arena: Arena) -> Bot:
    """The conditions of an arena, tried on a bot that never trades. Raises ArenaRefused."""
    name = desk.free_name(arena.owner, "conditions")
    return _prepared(arena, EntrantWish(trader="flat"), name).bot


def _label(wish: EntrantWish, taken: Iterable[str]) -> str:
    """What an entrant is called. Raises ArenaRefused for a label that is taken; one made here gets a
    number then."""
    if given := wish.label.strip():
        if given in taken:
            raise ArenaRefused(f"two entrants can't both be called {given!r}")
        return given
    entry = BY_TRADER.get(wish.trader)
    made = (
        entry.label if entry else (wish.model_profile.name if wish.model_profile else wish.trader)
    )
    made = made[:50] or "entrant"
    numbered = (f"{made} {number}" for number in range(2, MOST_ENTRANTS + 2))
    return next(label for label in (made, *numbered) if label not in taken)


# --- inside ----------------------------------------------------------------------------------------


def _check_open(arena: Arena) -> None:
    if arena.started_at is not None:
        raise ArenaRefused(
            f"{arena.name} has started: entrants join before the start, so that all run from one instant"
        )


def _labels(arena: Arena) -> list[str]:
    return list(arena.entrants.values_list("label", flat=True))


def _bots(arena: Arena) -> list[Bot]:
    """The arena's bots in the order in which they are locked."""
    return list(Bot.objects.filter(entrant__arena=arena).order_by("pk"))


def _counted(number: int, word: str) -> str:
    return {0: f"no {word}", 1: f"one {word}"}.get(number, f"{number} {word}s")


def _told(arena: Arena) -> dict[str, Any]:
    return {
        "name": arena.name,
        "venue": arena.venue,
        "symbols": arena.symbols,
        "capital": plain(arena.capital),
        "interval_seconds": arena.interval_seconds,
        "timeframe_seconds": arena.timeframe_seconds,
        "risk_profile": arena.risk_profile.name,
    }
