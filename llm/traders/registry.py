"""Baselines by name, built from text parameters (`--trader ema_trend --param fast=10`).

Traders over a model are not here: they need a ChatModel, which only the wiring may choose.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from decimal import Decimal

from llm.ports import SignalTrader
from llm.traders.baseline import TradedSides
from llm.traders.ema_trend import EmaTrend
from llm.traders.rsi_mean_reversion import RsiMeanReversion
from llm.traders.seeded_random import SeededRandom
from llm.traders.simple import BuyAndHold, Flat
from market.domain.numbers import to_decimal

_TRADERS: dict[str, type[BuyAndHold | EmaTrend | Flat | RsiMeanReversion | SeededRandom]] = {
    trader.NAME: trader for trader in (BuyAndHold, EmaTrend, Flat, RsiMeanReversion, SeededRandom)
}


class TraderConfigurationError(ValueError):
    """No such trader, no such parameter, or a value it can't take; one sentence says which."""


def trader_names() -> tuple[str, ...]:
    """The baselines, in name order."""
    return tuple(sorted(_TRADERS))


def trader_parameters(name: str) -> Mapping[str, object]:
    """The parameters of a trader and their defaults. Raises TraderConfigurationError."""
    return {field.name: field.default for field in fields(_known(name))}


def build_trader(name: str, params: Mapping[str, str] | None = None) -> SignalTrader:
    """Build a baseline. Raises TraderConfigurationError."""
    trader = _known(name)
    types = {field.name: field.type for field in fields(trader)}
    values: dict[str, object] = {}
    for key, text in (params or {}).items():
        if key not in types:
            raise TraderConfigurationError(
                f"{name} has no parameter {key!r}; it has {', '.join(types)}"
            )
        try:
            values[key] = _CONVERT[types[key]](text.strip())
        except ValueError as error:
            raise TraderConfigurationError(f"{name}: {key}: {error}") from None
    try:
        return trader(**values)  # type: ignore[arg-type]
    except ValueError as error:
        raise TraderConfigurationError(f"{name}: {error}") from None


def _known(name: str) -> type[BuyAndHold | EmaTrend | Flat | RsiMeanReversion | SeededRandom]:
    try:
        return _TRADERS[name]
    except KeyError:
        raise TraderConfigurationError(
            f"no trader {name!r}; there are {', '.join(trader_names())}"
        ) from None


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number") from None


def _optional(text: str) -> Decimal | None:
    return None if text.lower() in ("", "none") else to_decimal(text)


def _sides(text: str) -> TradedSides:
    try:
        return TradedSides(text.lower())
    except ValueError:
        raise ValueError(f"{text!r} is not one of long, short, both") from None


_CONVERT: dict[object, Callable[[str], object]] = {
    int: _whole,
    Decimal: to_decimal,
    Decimal | None: _optional,
    TradedSides: _sides,
}
