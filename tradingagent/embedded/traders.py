"""The demo's traders: an arena of the baselines for each venue it was run at, made once and then left alone.

What its owner paused stays paused. The trap avoided: a second arena because the first one could not be found,
so each has a name of its own, which the database keeps unique.
"""

from collections.abc import Iterator, Sequence

from django.db.models import Count

from bots.domain.bot import BotStatus
from bots.lab import services as lab
from bots.lab.models import Arena
from bots.models import Bot
from llm.models import ModelProfile
from market.errors import VenueUnavailable
from market.services import usual_symbols
from tradingagent.accounts.models import User
from tradingagent.accounts.services import COMMAND
from tradingagent.embedded.first_run import Say
from tradingagent.embedded.venue import SIMULATED, place


def arena_at(venue: str, owner: User, models: Sequence[ModelProfile], say: Say) -> Arena:
    """The running arena of this venue, with these models where it is only made now; one of the simulated market
    where the venue turns out not to say what is needed. Raises ArenaRefused."""
    try:
        return _arena(venue, owner, models, say)
    except (VenueUnavailable, lab.ArenaRefused) as error:
        if venue == SIMULATED:
            raise
        say(f"{error}: trading on the simulated market instead.")
        return _arena(SIMULATED, owner, models, say)


def in_words(arena: Arena) -> Iterator[str]:
    """What is traded, a line each: this arena, and what else was started before."""
    coins = ", ".join(symbol.split("/")[0] for symbol in arena.symbols)
    count = arena.entrants.count()
    state = "" if arena.is_running else ", stopped as you left them"
    yield (
        f"{count} traders {place(arena.venue)}{state}: {coins}, "
        f"{arena.capital.normalize():,f} {arena.currency} of paper money each"
    )
    others = Bot.objects.filter(status=BotStatus.ACTIVE).exclude(entrant__arena=arena)
    for row in others.values("venue").annotate(count=Count("pk")).order_by("venue"):
        bots = "1 bot" if row["count"] == 1 else f"{row['count']} bots"
        yield f"and {bots} {place(row['venue'])}, started before"


def _arena(venue: str, owner: User, models: Sequence[ModelProfile], say: Say) -> Arena:
    name = "Baselines" if venue == SIMULATED else f"Baselines at {venue}"
    arena = Arena.objects.filter(owner=owner, name=name).first()
    if arena is None:
        say(f"Making the first traders {place(venue)} …")
        arena = lab.create_baseline_arena(
            owner, by=COMMAND, name=name, venue=venue, symbols=usual_symbols(venue), models=models
        )
    entered = set(arena.entrants.values_list("bot__model_profile", flat=True))
    late = [profile.name for profile in models if profile.pk not in entered]
    if late:
        say(f"{', '.join(late)}: {name} has started without; enter it in a new arena.")
    return arena if arena.started_at else lab.start_arena(arena.pk, by=COMMAND)
