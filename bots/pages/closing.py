"""What is asked before one position is closed by hand: how much, and what of its gain or loss becomes real."""

from django.urls import reverse

from bots import models, queries
from bots.pages.questions import Button, Question
from bots.pages.wishes import base_of
from bots.queries import HeldPosition
from bots.queries.standing import standing_of
from bots.templatetags.figures import money, quantity, signed_money
from market.domain.numbers import ZERO


def ask_close(bot: models.Bot, symbol: str) -> Question:
    """Close this position of a bot? Also for one that is not there any more: then it says so."""
    held = next((one for one in standing_of(bot).positions if one.symbol == symbol), None)
    rests = [
        line for line in queries.orders_of(bot, open_only=True).items if line.order.symbol == symbol
    ]
    facts = _facts(bot, held, symbol) if held is not None else [f"Nothing is held of {symbol} now."]
    if held is not None and rests:
        facts.append("Its stop and target are cancelled once it is flat.")
    return Question(
        title=f"Close {base_of(symbol)} of {bot.name}?",
        facts=(*facts, "The bot goes on deciding afterwards, and may open it again."),
        action=reverse("close_position", args=[bot.pk]),
        buttons=(Button(text=f"Close {base_of(symbol)}", icon="flat", kind="danger sure"),),
        stay="Keep it",
        stay_href=reverse("bot", args=[bot.pk]),
        hidden={"symbol": symbol},
    )


_WORD = {True: "profit", False: "loss"}


def _facts(bot: models.Bot, held: HeldPosition, symbol: str) -> list[str]:
    what = f"{quantity(held.quantity)} {base_of(symbol)} {held.side.lower()}"
    worth = f"{money(held.notional)} {bot.currency}"
    facts = [f"Closes {what}, worth about {worth}, at market and reduce-only."]
    gained = held.unrealized_pnl
    if gained is not None:
        open_pnl = f"{signed_money(gained)} {bot.currency} of open {_WORD[gained >= ZERO]}"
        facts.append(f"About {open_pnl} becomes real, less the fee.")
    return facts
