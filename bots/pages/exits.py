"""What a bot's page says of the exits that it manages by itself: the rules, and what they did last."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bots import models, queries, rows
from bots.domain.bot import BotStatus
from bots.domain.exits import in_words
from bots.pages.wishes import base_of

SHOWN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnExits:
    """The rules in force as (sentence, value), and the last acts by them as (when, asset, what), the latest first."""

    rules: Sequence[tuple[str, str]]
    acts: Sequence[tuple[datetime, str, str]]
    may_change: bool


def may_change_exits(bot: models.Bot) -> bool:
    """An arena's bots differ in how they decide alone, and what is archived stays as it was."""
    return bot.cohort is None and bot.status != BotStatus.ARCHIVED


def own_exits(bot: models.Bot) -> OwnExits:
    """The exits of a bot. One query where it has rules, none where it has not."""
    rules = in_words(rows.exits_of(bot))
    acts = queries.own_acts(bot, SHOWN) if rules else ()
    return OwnExits(
        rules=rules,
        acts=[(at, base_of(symbol), text) for at, symbol, text in acts],
        may_change=may_change_exits(bot),
    )
