"""What a message says. Pure: plain sentences, numbers that can be read, a link to the right page.

No address of any kind but our own link may stand in a message: what came from a venue or a model's host is
cut and its links are taken out.
"""

import re
from datetime import datetime
from decimal import Decimal
from typing import Final

from bots.alerts.domain import KINDS, AlertKind, Direction, Severity
from market.domain.numbers import plain

MOST_TITLE: Final = 120
MOST_TEXT: Final = 1200
_ADDRESS: Final = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://\S+", re.IGNORECASE)
_MARKS: Final = {Severity.INFO: "", Severity.WARNING: "Warning: ", Severity.CRITICAL: "Critical: "}


def clean(text: str, most: int = MOST_TEXT) -> str:
    """One line without addresses and control characters, cut where it is too long."""
    letters = (letter if letter.isprintable() else " " for letter in text)
    shown = " ".join(_ADDRESS.sub("(an address)", "".join(letters)).split())
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def title_of(kind: AlertKind, severity: Severity, bot: str) -> str:
    """What stands in the subject and in the inbox."""
    name = KINDS[kind].name
    said = f"{bot}: {name}" if bot else f"{name[:1].upper()}{name[1:]}"
    return clean(f"{_MARKS[severity]}{said}", MOST_TITLE)


def unmarked(title: str, severity: Severity) -> str:
    """A title without the word for its severity."""
    return title.removeprefix(_MARKS[severity])


def more_of(more: int, since: datetime) -> str:
    """The sentence of what was counted beside the one that is told; empty for none."""
    if more <= 0:
        return ""
    return f"And {more:,} more like it since {since:%H:%M} UTC."


def message_of(text: str, more: int, since: datetime, link: str) -> str:
    """The whole text of a message."""
    return "\n".join(part for part in (clean(text), more_of(more, since), link) if part)


def link_to(site: str, path: str) -> str:
    """Where a message leads: a path of ours under the site's address."""
    return f"{site.rstrip('/')}/{path.lstrip('/')}" if path else ""


def measured(
    kind: AlertKind, value: Decimal, threshold: Decimal, direction: Direction, of: str, unit: str
) -> str:
    """The sentence of a measure that passed its level. `of`: the instrument, empty for the whole bot."""
    side = "above" if direction is Direction.ABOVE else "below"
    now, level = figure(value), figure(threshold)
    match kind:
        case AlertKind.DRAWDOWN:
            return f"Equity is {now}% below its peak; the level is {level}%."
        case AlertKind.PNL:
            return f"Profit and loss is {now} {unit}; the level is {side} {level}."
        case AlertKind.PRICE:
            return f"{of} is at {now}; the level is {side} {level}."
        case AlertKind.FUNDING:
            return f"Funding paid today is {now} {unit}; the level is {level}."
        case AlertKind.LIQUIDATION_DISTANCE:
            return f"{of} is {now}% from its liquidation price; the level is {level}%."
        case AlertKind.BOT_SILENT:
            return f"No decision for {now} cycles; the level is {level}."
        case _:
            return f"{of} has had no stop at the venue for two looks in a row."


def figure(value: Decimal) -> str:
    """A number with thousands apart and no more than six significant digits."""
    if not value:
        return "0"
    places = max(0, 5 - value.adjusted())
    rounded = value if value.as_tuple().exponent >= -places else round(value, places)  # type: ignore[operator]
    whole, _, decimals = plain(rounded).partition(".")
    shown = f"{int(whole):,}"
    if whole.startswith("-") and not shown.startswith("-"):
        shown = f"-{shown}"
    return f"{shown}.{decimals}" if decimals else shown
