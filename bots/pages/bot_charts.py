"""The two charts of a bot's page as links, addresses and words: what they draw their scripts fetch.

The words come from what is stored, so that a page never waits for a venue.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.urls import reverse
from django.utils.http import urlencode

from bots import models
from bots.pages.bot import length_text
from bots.pages.chart_data import liquidation_of
from bots.queries.charts import chart_lengths
from bots.queries.holdings import HeldPosition
from bots.queries.standing import Standing
from bots.templatetags.figures import price, quantity
from market.domain.enums import PositionSide

SPANS: Final[Mapping[str, timedelta | None]] = {
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
    "7d": timedelta(days=7),
    "all": None,
}
"""How far back a chart of equity reaches; None: to the start."""
RANGES: Final = {"1h": "1H", "1d": "1D", "7d": "7D", "all": "All"}
RANGE: Final = "1d"
KEPT = ("tab", "symbol", "length", "range")
"""What a link of the page keeps of the address that it stands on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of a few, as a link."""

    key: str
    name: str
    href: str
    is_current: bool


def chart_context(
    bot: models.Bot, standing: Standing, address: Mapping[str, Any]
) -> dict[str, Any]:
    """What the charts of this address show. Raises LookupError for a symbol, a length or a range that the
    bot has no chart of. No query."""
    symbols = tuple(dict.fromkeys((*bot.symbols, *(one.symbol for one in standing.positions))))
    symbol = address.get("symbol") or _first(bot, standing)
    lengths = {length_text(one): one for one in chart_lengths(bot)}
    length = address.get("length") or next(iter(lengths))
    chosen = address.get("range") or RANGE
    if symbol not in symbols or length not in lengths or chosen not in RANGES:
        raise LookupError("there is no such chart")
    seconds = lengths[length] // timedelta(seconds=1)
    drawn = {"symbol": symbol, "timeframe": seconds}
    return {
        "symbol": symbol,
        "symbols": choices(
            address, "symbol", {one: _short(one, symbols) for one in symbols}, symbol
        ),
        "length": lengths[length],
        "lengths": choices(address, "length", {one: one for one in lengths}, length),
        "range": chosen,
        "ranges": choices(address, "range", RANGES, chosen),
        "candles_url": f"{reverse('bot_candles', args=[bot.pk])}?{urlencode(drawn)}",
        "equity_url": f"{reverse('bot_equity', args=[bot.pk])}?{urlencode({'range': chosen})}",
        "price_words": price_words(symbol, length, standing),
        "bases": listed([_short(one, symbols) for one in bot.symbols]),
    }


def choices(
    address: Mapping[str, Any], name: str, named: Mapping[str, str], current: str
) -> tuple[Choice, ...]:
    """Links that change one part of the address and keep the others."""
    kept = {key: address[key] for key in KEPT if address.get(key)}
    return tuple(
        Choice(
            key=key,
            name=shown,
            href=f"?{urlencode({**kept, name: key})}",
            is_current=key == current,
        )
        for key, shown in named.items()
    )


def price_words(symbol: str, length: str, standing: Standing) -> str:
    """What the chart of prices shows, as sentences."""
    words = [f"{symbol} in candles of {length}."]
    seen = standing.prices.get(symbol)
    if seen is not None:
        words.append(f"Its mark price is {price(seen[0], standing.step(symbol))}.")
    held = next((one for one in standing.positions if one.symbol == symbol), None)
    words.append("Nothing of it is held." if held is None else _held_words(held))
    return " ".join(words)


def listed(names: list[str]) -> str:
    """BTC; BTC and ETH; BTC, ETH and SOL."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _held_words(held: HeldPosition) -> str:
    side = "Long" if held.side is PositionSide.LONG else "Short"
    step = held.price_step
    levels = [
        f"{name} {price(value, step)}"
        for name, value in (
            ("stop", held.stop_price),
            ("target", held.target_price),
            ("liquidation", liquidation_of(held)),
        )
        if value is not None
    ]
    with_levels = f" with {listed(levels)}" if levels else ""
    return f"{side} {quantity(held.quantity)} from {price(held.entry_price, step)}{with_levels}."


def _first(bot: models.Bot, standing: Standing) -> str:
    """What is held, else the first of what is traded."""
    held = next((one.symbol for one in standing.positions if not one.is_dust), None)
    return held or str(bot.symbols[0])


def _short(symbol: str, among: tuple[str, ...]) -> str:
    """BTC of BTC/USDT:USDT, unless another one has that base."""
    base = symbol.partition("/")[0]
    return base if sum(one.partition("/")[0] == base for one in among) == 1 else symbol
