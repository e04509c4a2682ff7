"""Which bot or decision a person at a terminal means: an operator's look-up, over everybody's."""

from typing import TypeVar
from uuid import UUID

from django.db.models import Model

from bots import models

Row = TypeVar("Row", bound=Model)

SHORTEST_PREFIX = 6
SHOWN = 5


class BotNotFound(LookupError):
    """No bot, or more than one, fits what was said; one sentence says which."""


class DecisionNotFound(LookupError):
    """No decision, or more than one, fits what was said; one sentence says which."""


def bot_named(text: str) -> models.Bot:
    """The one bot of this id, of this name, or whose id begins so (6 characters or more). Two queries at
    most. Raises BotNotFound."""
    wanted = text.strip()
    by_name = list(models.Bot.objects.filter(name=wanted)[: SHOWN + 1])
    found = by_name or _by_id(models.Bot, wanted)
    if len(found) == 1:
        return found[0]
    if not found:
        raise BotNotFound(f"there is no bot {text!r}: say its id, the start of it, or its name")
    raise BotNotFound(f"{text!r} fits more than one bot: {_listed(found)}")


def decision_named(text: str) -> models.TradingCycle:
    """The one decision of this id, or whose id begins so (6 characters or more), with its bot. Raises
    DecisionNotFound."""
    found = _by_id(models.TradingCycle, text.strip())
    if len(found) == 1:
        return models.TradingCycle.objects.select_related("bot").get(pk=found[0].pk)
    if not found:
        raise DecisionNotFound(f"there is no decision {text!r}: say its id, or the start of it")
    raise DecisionNotFound(f"{text!r} fits more than one decision: {_listed(found)}")


def _by_id(model: type[Row], text: str) -> list[Row]:
    """Rows whose ids lie between the prefix filled up with 0 and filled up with f."""
    digits = text.lower().replace("-", "")
    is_hex = all(digit in "0123456789abcdef" for digit in digits)
    if not (is_hex and SHORTEST_PREFIX <= len(digits) <= 32):
        return []
    first, last = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
    rows = model._default_manager.filter(pk__gte=first, pk__lte=last)
    return list(rows.order_by("pk")[: SHOWN + 1])


def _listed(rows: list[Row]) -> str:
    more = " and more" if len(rows) > SHOWN else ""
    return f"{', '.join(str(row.pk) for row in rows[:SHOWN])}{more}"
