"""An arena's page: what of it moves, as parts that are the same on the page, by polling and on the socket."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.urls import reverse

from bots import queries as desk
from bots.lab import queries
from bots.lab.models import Arena
from bots.lab.queries import ArenaTable, EntrantLine, Race
from bots.lab.verdicts import said_of
from bots.live.topics import Part, Topic, register
from bots.pages.stories import Story, feed
from market.domain.data import to_milliseconds
from tradingagent.accounts.access import NotYours

KIND: Final = "arena"
CYCLES: Final = 120
STORIES: Final = 7
QUIET_STORIES: Final = 2
"""Entrants that just hold, shown among the stories, at most."""
ROWS: Final = 49


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownStory:
    """A story, who did it, and where it leads."""

    story: Story
    line: EntrantLine
    href: str


def find(user: Any, key: str) -> Arena:
    """One of the user's arenas by its id. One query. Raises NotYours."""
    try:
        return queries.arena_of(user, UUID(key))
    except ValueError:
        raise NotYours("there is no such arena") from None


def moving(arena: Arena) -> dict[str, Any]:
    """What all parts of the page show. Twelve queries."""
    table = queries.table_of(arena)
    return {
        "arena": arena,
        "table": table,
        "said": said_of(table),
        "stories": _stories(table),
        "chart_version": f"{table.as_of:%Y%m%dT%H%M%S}-{table.rounds}",
    }


def _stories(table: ArenaTable) -> tuple[ShownStory, ...]:
    """What happened last: every act, and of those who just hold the latest few."""
    lines = {line.bot_id: line for line in table.lines}
    holding = {line.bot_id: line.holds for line in table.lines}
    latest: set[UUID] = set()
    shown: list[ShownStory] = []
    quiet = 0
    for story in feed(desk.doings_of(list(lines), CYCLES), holding):
        is_latest = story.bot_id not in latest
        latest.add(story.bot_id)
        if story.is_quiet:
            quiet += 1
            if not is_latest or quiet > QUIET_STORIES:
                continue
        to = (
            reverse("bot", args=[story.bot_id])
            if story.cycle_id is None
            else reverse("decision", args=[story.bot_id, story.cycle_id])
        )
        shown.append(ShownStory(story=story, line=lines[story.bot_id], href=to))
    return tuple(shown[:STORIES])


# --- the curves as JSON and as a table ----------------------------------------------------------------


def as_json(race: Race) -> dict[str, Any]:
    """The curves in JSON's own types: instants in milliseconds, returns in percent."""
    return {
        "at": [to_milliseconds(at) for at in race.at],
        "unit": "%",
        "series": [
            {
                "name": curve.line.label,
                "colour": curve.line.colour,
                "dash": curve.line.dash,
                "values": [float(round(value * 100, 4)) for value in curve.values],
            }
            for curve in race.curves
        ],
    }


def as_table(race: Race) -> dict[str, Any]:
    """The curves as rows, the newest first, no more than `ROWS`."""
    rows = list(
        zip(race.at, zip(*(curve.values for curve in race.curves), strict=True), strict=True)
    )
    return {
        "names": [curve.line.label for curve in race.curves],
        "rows": rows[::-1][:: max(1, -(-len(rows) // ROWS))],
    }


PARTS: Final = ("state", "verdict", "feed", "table")


def register_topic() -> None:
    """Make the parts known. Once, when the app is ready."""
    register(
        Topic(
            kind=KIND,
            find=find,
            bots_of=queries.bots_in,
            parts={name: Part(template=f"arena.html#{name}", context=moving) for name in PARTS},
        )
    )
