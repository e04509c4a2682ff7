"""What the commands of the desk share: how a person names a bot or a user, and how a refusal is said.

It decides nothing. A command's exit code is 0 when it was done, 1 when it was refused or found a fault.
"""

import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from django.core.management.base import CommandError
from django.db.models import F, Model

from bots import models, queries, services
from bots.models import ActionKind, ActionStatus
from bots.refusals import REFUSALS
from market.domain.numbers import to_decimal
from tradingagent.accounts.access import visible
from tradingagent.accounts.models import User

BOT_HELP = "its id, the start of it (6 characters or more), or its name"
Row = TypeVar("Row", bound=Model)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@contextmanager
def refusals_as_errors() -> Iterator[None]:
    """A refusal ends the command with its one sentence."""
    try:
        yield
    except (*REFUSALS, queries.BotNotFound) as refusal:
        raise CommandError(str(refusal)) from refusal


def find_bot(text: str) -> models.Bot:
    """The bot that a person means. Raises CommandError."""
    try:
        return queries.bot_named(text)
    except queries.BotNotFound as missing:
        raise CommandError(str(missing)) from missing


def find_user(email: str) -> User:
    """The user of this e-mail, in any spelling. Raises CommandError."""
    try:
        return User.objects.get_by_natural_key(email)
    except User.DoesNotExist:
        raise CommandError(f"there is no user {email!r}") from None


def named_row(model: type[Row], owner: User, name: str) -> Row:
    """The owner's row of this name, or the shared one. Raises CommandError."""
    rows = visible(model, owner).filter(name=name)
    found = rows.order_by(F("owner").asc(nulls_last=True)).first()
    if found is None:
        names = ", ".join(sorted({row.name for row in visible(model, owner)})) or "none"  # type: ignore[attr-defined]
        raise CommandError(f"there is no {model._meta.verbose_name} {name!r}: {names}")
    return found


# --- one bot, a user's, or all ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whom an act covers: one bot, a user's bots, or (neither) all there are."""

    bot: models.Bot | None = None
    user: User | None = None

    @property
    def bot_id(self) -> UUID | None:
        return None if self.bot is None else self.bot.pk

    def __str__(self) -> str:
        if self.bot is not None:
            return self.bot.name
        return "all bots" if self.user is None else f"the bots of {self.user.email}"


def add_scope(parser: ArgumentParser, *, users: bool) -> None:
    """The arguments that `scope_of` reads."""
    parser.add_argument("bot", nargs="?", metavar="BOT", help=BOT_HELP)
    if users:
        parser.add_argument("--user", metavar="EMAIL", help="all bots of a user")
    parser.add_argument("--all", action="store_true", help="all bots there are")


def scope_of(options: dict[str, Any]) -> Scope:
    """Whom a person named. Raises CommandError unless it was exactly one."""
    bot, email, everyone = options["bot"], options.get("user"), options["all"]
    if sum((bot is not None, email is not None, everyone)) != 1:
        users = "--user EMAIL, " if "user" in options else ""
        raise CommandError(f"name one of: a BOT, {users}--all")
    return Scope(
        bot=None if bot is None else find_bot(bot), user=None if email is None else find_user(email)
    )


# --- what was asked is done here ---------------------------------------------------------------------


def perform_asked(bot_ids: Iterable[UUID]) -> list[models.ManualAction]:
    """Do the flattens that these bots were just asked for, in this process: a worker of another one would
    hear of them only later when there is no common broker. One that a worker has taken meanwhile is left
    to it. The rows, as they then stand."""
    asked = models.ManualAction.objects.filter(
        bot_id__in=list(bot_ids), kind=ActionKind.FLATTEN, status=ActionStatus.PENDING
    )
    ids = list(asked.values_list("pk", flat=True))
    for action_id in ids:
        services.perform_action(action_id)
    return list(
        models.ManualAction.objects.filter(pk__in=ids).select_related("bot").order_by("bot__name")
    )


def as_mapping(action: models.ManualAction) -> dict[str, Any]:
    """An action for a report in JSON."""
    return {
        "bot": str(action.bot_id),
        "action": str(action.pk),
        "status": action.status,
        "result": action.result,
    }


def in_words(action: models.ManualAction) -> str:
    """What became of a flatten, as one line."""
    if "error" in action.result:
        goes_on = (
            "" if action.status == ActionStatus.FAILED else "; it is tried again in the background"
        )
        return f"{action.bot.name}: {action.result['error']}{goes_on}"
    if "left" not in action.result:
        return f"{action.bot.name}: its desk is busy, it is being closed in the background"
    if action.result["is_flat"]:
        return f"{action.bot.name}: flat"
    left = [f"{held} {symbol}" for symbol, held in action.result["left"].items()]
    left += [f"order {order_id}" for order_id in action.result["entries_left"]]
    why = f" ({action.result['reason']})" if action.result["reason"] else ""
    return f"{action.bot.name}: not flat yet{why}, every mark goes on closing: {', '.join(left)}"


def check_done(actions: Iterable[models.ManualAction]) -> None:
    """Raise CommandError when one of them is not flat now."""
    left = [action.bot.name for action in actions if not action.result.get("is_flat")]
    if left:
        raise CommandError(f"not flat yet: {', '.join(left)}")


# --- values ------------------------------------------------------------------------------------------


def amount(text: str) -> Decimal:
    """An argument that is a number."""
    try:
        return to_decimal(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def share(text: str) -> Decimal:
    """A share as 1.5% or 0.015."""
    number = amount(text.strip().removesuffix("%"))
    return number / 100 if text.strip().endswith("%") else number


def span(text: str) -> timedelta:
    """An argument like 3m, 1h or 90s; plain digits are seconds."""
    found = re.fullmatch(r"([1-9]\d{0,6})([smhd]?)", text)
    if found is None:
        raise ArgumentTypeError(f"{text!r} is no length of time like 3m or 1h")
    return timedelta(**{_UNITS[found[2] or "s"]: int(found[1])})


def parameter(text: str) -> tuple[str, str]:
    """An argument like name=value."""
    name, is_there, value = text.partition("=")
    if not (name and is_there):
        raise ArgumentTypeError(f"{text!r} is not like name=value")
    return name, value
