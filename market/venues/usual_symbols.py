"""Which of a venue's instruments somebody gets who names none: the large coins, in one currency. Pure."""

from collections.abc import Iterable
from typing import Final

from market.domain.enums import InstrumentStatus
from market.domain.instruments import Instrument

BASES: Final = ("BTC", "ETH", "SOL")
CURRENCIES: Final = ("USDT", "USDC", "USD")
"""The one in which most of the bases are traded, the first of equals."""


def usual_symbols(listed: Iterable[Instrument]) -> tuple[str, ...]:
    """Symbols of the usual bases in the order of BASES, all settled in one currency, perpetuals before spot;
    empty where nothing of it is traded."""
    found: dict[tuple[bool, str], dict[str, str]] = {}
    for one in listed:
        if one.base in BASES and one.settle in CURRENCIES and one.quote == one.settle:
            if one.status is InstrumentStatus.TRADING:
                found.setdefault((one.is_spot, one.settle), {})[one.base] = one.symbol
    if not found:
        return ()
    best = min(found, key=lambda way: (-len(found[way]), way[0], CURRENCIES.index(way[1])))
    return tuple(found[best][base] for base in BASES if base in found[best])
