"""Which bot a person at a terminal means: an operator's look-up, over everybody's bots."""

from uuid import UUID

from bots import models

SHORTEST_PREFIX = 6
SHOWN = 5


class BotNotFound(LookupError):
    """No bot, or more than one, fits what was said; one sentence says which."""


def bot_named(text: str) -> models.Bot:
    """The one bot of this id, of this name, or whose id begins so (6 characters or more). Two queries at
    most. Raises BotNotFound."""
    wanted = text.strip()
    by_name = list(models.Bot.objects.filter(name=wanted)[: SHOWN + 1])
    found = by_name or list(_by_id(wanted))
    if len(found) == 1:
        return found[0]
    if not found:
        raise BotNotFound(f"there is no bot {text!r}: say its id, the start of it, or its name")
    fitting = ", ".join(str(bot.pk) for bot in found[:SHOWN])
    more = " and more" if len(found) > SHOWN else ""
    raise BotNotFound(f"{text!r} fits more than one bot: {fitting}{more}")


def _by_id(text: str) -> list[models.Bot]:
    """Bots whose ids lie between the prefix filled up with 0 and filled up with f."""
    digits = text.lower().replace("-", "")
    is_hex = all(digit in "0123456789abcdef" for digit in digits)
    if not (is_hex and SHORTEST_PREFIX <= len(digits) <= 32):
        return []
    first, last = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
    return list(models.Bot.objects.filter(pk__gte=first, pk__lte=last).order_by("pk")[: SHOWN + 1])
