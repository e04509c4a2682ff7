"""What may have changed since pages were rendered last: a few queries, however many topics are watched.

It reads only what tells that something changed, never what is shown. The trap avoided: a look per topic, which
makes an idle page cost as much as a busy one.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import Count, Max

from bots import models
from bots.live.topics import Sign, SignsOf
from market.models import LatestPrice

_OF_A_BOT = (
    "pk", "event_sequence", "status", "is_halted", "told_version", "state__sequence", "state__equity_at",
    "venue", "symbols",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A sign for every bot that exists, one for each owner's set of bots, and those that topics asked for."""

    bots: Mapping[UUID, Sign]
    owners: Mapping[int, Sign]
    others: Mapping[SignsOf, Mapping[int, Sign]] = field(default_factory=dict)

    def sign_of(self, bots: Iterable[UUID], owner: int, signs_of: SignsOf | None = None) -> Sign:
        """The sign of a page that shows these bots, and what `signs_of` looks at, to this owner."""
        other = None if signs_of is None else self.others[signs_of].get(owner)
        return self.owners.get(owner), tuple(self.bots.get(bot) for bot in bots), other


def look(
    bots: Collection[UUID],
    owners: Collection[int],
    asked: Mapping[SignsOf, Collection[int]] | None = None,
) -> Seen:
    """See what there is of these bots and of the sets of bots that these users own: four queries; and of
    what topics ask for of their users, one query each."""
    rows = list(models.Bot.objects.filter(pk__in=bots).values_list(*_OF_A_BOT))
    running = models.TradingCycle.objects.filter(bot__in=bots, status=models.CycleStatus.RUNNING)
    cycles = dict(running.values_list("bot_id", "pk"))
    prices = _priced_at({(row[-2], symbol) for row in rows for symbol in row[-1]})
    return Seen(
        bots={
            pk: (*told, cycles.get(pk), *(prices.get((venue, symbol)) for symbol in symbols))
            for pk, *told, venue, symbols in rows
        },
        owners={
            owner: (count, newest)
            for owner, count, newest in models.Bot.objects.filter(owner__in=owners)
            .values_list("owner")
            .annotate(Count("pk"), Max("created_at"))
        },
        others={signs_of: signs_of(users) for signs_of, users in (asked or {}).items()},
    )


def _priced_at(pairs: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], Any]:
    found = LatestPrice.objects.filter(
        venue__in={venue for venue, _ in pairs}, symbol__in={symbol for _, symbol in pairs}
    ).values_list("venue", "symbol", "at")
    return {(venue, symbol): at for venue, symbol, at in found}
