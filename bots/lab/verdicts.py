"""What an arena's numbers allow to be said, as one sentence and its reason. Pure.

No order by result is ever claimed here: for that a number needs its interval. The trap avoided: a sentence that
sounds like a result because there is nothing else to say.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bots.lab.queries import ArenaTable
from bots.templatetags.figures import count, duration, money

ENOUGH_TRADES: Final = 100
"""Closed trades of each that trades at all, below which luck explains any difference there can be."""
ENOUGH_TIME: Final = timedelta(days=14)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """The sentence, and why no more can be said."""

    lead: str
    why: str


def said_of(table: ArenaTable) -> Said:
    """What may be said of an arena as it stands."""
    arena = table.arena
    if arena.started_at is None:
        return Said(
            lead="Not started.",
            why=f"All entrants will start at one instant with {money(arena.capital, 0)} {arena.currency} each, "
            "and be shown one snapshot of the market in every round.",
        )
    ran = max(table.as_of - arena.started_at, timedelta(0))
    so_far = f"{_trades(table.trades)} in {duration(ran)}"
    if _fewest(table) < ENOUGH_TRADES or ran < ENOUGH_TIME:
        return Said(
            lead="Too few to tell.",
            why=f"The entrants have closed {so_far}. After so little, luck alone makes differences like "
            "these, so nobody is ranked: they stand in the order of joining.",
        )
    return Said(
        lead="Not told apart.",
        why=f"The entrants have closed {so_far}, but no interval has been put to these numbers, so none of them "
        "is called better than another: they stand in the order of joining.",
    )


def _fewest(table: ArenaTable) -> int:
    """Trades of the one that closed fewest, those left out that never trade."""
    return min((line.trades for line in table.lines if line.trades), default=0)


def _trades(number: int) -> str:
    return {0: "no trade", 1: "one trade"}.get(number, f"{count(number)} trades")
