"""The exits that a bot manages by itself as arguments of a command: of a bot, and of a replay."""

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError

from bots.domain.exits import ExitRules, InvalidExits, Rung, ladder_from
from bots.management.doors import amount, share, span


def add_exit_arguments(parser: ArgumentParser) -> None:
    """The rules of `ExitRules` as options, all off."""
    group = parser.add_argument_group(
        "managed exits", "what it does between two decisions; all off"
    )
    group.add_argument(
        "--trailing-stop", type=share, metavar="SHARE",
        help="the stop follows the mark price at this distance: 1.5%% or 0.015",
    )  # fmt: skip
    group.add_argument(
        "--trailing-from", type=amount, metavar="R",
        help="from a profit of so many R on (R: from the entry to its first stop)",
    )  # fmt: skip
    group.add_argument(
        "--break-even", type=amount, metavar="R", help="the stop moves to break-even at so many R"
    )
    group.add_argument(
        "--ladder", type=_ladder, default=(), metavar="R:SHARE,…",
        help="partial profits: 1:50%%,2:25%% closes half at 1 R and a quarter at 2 R",
    )  # fmt: skip
    group.add_argument(
        "--time-stop", type=span, metavar="T", help="closes what was held so long, as 4h"
    )


def exits_from(options: Mapping[str, Any]) -> ExitRules:
    """The rules that were named. Raises CommandError for some that make no sense."""
    try:
        return ExitRules(
            trailing_fraction=options["trailing_stop"],
            trailing_from_r=options["trailing_from"],
            break_even_at_r=options["break_even"],
            ladder=options["ladder"],
            time_stop=options["time_stop"],
        )
    except InvalidExits as error:
        raise CommandError(str(error)) from None


def _ladder(text: str) -> tuple[Rung, ...]:
    try:
        return ladder_from(text)
    except InvalidExits as error:
        raise ArgumentTypeError(str(error)) from None
