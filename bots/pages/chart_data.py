"""What the scripts of a bot's charts draw, as JSON's own types: the only place where prices become floats.

Times are milliseconds since 1970. A float keeps 15 digits, so no price loses any that it has. The words beside
a chart say the same for who can't see it.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from bots.queries.charts import CandleChart, FillMark
from bots.queries.holdings import HeldPosition
from bots.templatetags.figures import price, quantity
from market.domain.data import Candle, to_milliseconds
from market.domain.enums import FillReason, OrderPurpose, PositionSide
from market.domain.numbers import plain, round_to_tick

_DIGITS = 5
"""Significant digits of a price on an axis, at least."""

_WHY = {
    OrderPurpose.ENTRY: "",
    OrderPurpose.REDUCE: "reduced",
    OrderPurpose.CLOSE: "closed",
    OrderPurpose.STOP: "stop",
    OrderPurpose.TARGET: "target",
    OrderPurpose.LADDER: "took profit",
    OrderPurpose.TIME_STOP: "time stop",
}


def candle_json(
    chart: CandleChart, fills: Iterable[FillMark], held: HeldPosition | None
) -> dict[str, Any]:
    """A chart of candles: [opened, open, high, low, close, volume] oldest first, the fills among them and the
    levels of what is held. `open`: the last candle still moves."""
    step = chart.price_step
    last = chart.candles[-1] if chart.candles else None
    return {
        "symbol": chart.symbol,
        "seconds": int(chart.timeframe.total_seconds()),
        "candles": [_candle(one) for one in chart.candles],
        "open": last is not None and not last.is_closed,
        "decimals": _decimals(None if last is None else last.close, step),
        "fills": [_fill(one, step) for one in fills],
        "levels": [] if held is None else _levels(held),
        "problem": chart.problem,
    }


def equity_json(
    points: Iterable[tuple[datetime, Decimal]], now: tuple[datetime, Decimal] | None
) -> dict[str, Any]:
    """A curve: [when, equity] oldest first; `now` is what the bot is worth at the latest prices."""
    return {
        "points": [[to_milliseconds(at), float(equity)] for at, equity in points],
        "now": None if now is None else [to_milliseconds(now[0]), float(now[1])],
    }


def _candle(one: Candle) -> list[float]:
    figures = (one.open, one.high, one.low, one.close, one.volume)
    return [to_milliseconds(one.opened_at), *(float(figure) for figure in figures)]


def _fill(fill: FillMark, step: Decimal | None) -> dict[str, Any]:
    return {
        "id": fill.id,
        "at": to_milliseconds(fill.at),
        "side": fill.side.lower(),
        "price": float(fill.price),
        "text": f"{_verb(fill)} {quantity(fill.quantity)} at {price(fill.price, step)}",
    }


def _verb(fill: FillMark) -> str:
    if fill.reason is not FillReason.ORDER:
        return fill.reason.lower().replace("_", " ")
    why = "" if fill.purpose is None else _WHY[fill.purpose]
    return f"{why}, {fill.side.lower()}" if why else fill.side.lower()


def _levels(held: HeldPosition) -> list[dict[str, Any]]:
    side = "long" if held.side is PositionSide.LONG else "short"
    named = (
        ("entry", held.entry_price, f"{side} from"),
        ("stop", held.stop_price, "stop"),
        ("target", held.target_price, "target"),
        ("liq", liquidation_of(held), "liquidation"),
    )
    return [
        {"kind": kind, "price": float(value), "text": f"{words} {price(value, held.price_step)}"}
        for kind, value, words in named
        if value is not None
    ]


def liquidation_of(held: HeldPosition) -> Decimal | None:
    """Where a position is liquidated, on its tick: an estimate needs no more digits than a price has."""
    level, step = held.liquidation_price, held.price_step
    return level if level is None or step is None else round_to_tick(level, step)


def _decimals(value: Decimal | None, step: Decimal | None) -> int:
    """Digits behind the point: those of the price step, and enough for five significant ones."""
    of_step = len(plain(step).partition(".")[2]) if step else 0
    return of_step if not value else max(of_step, _DIGITS - 1 - value.adjusted(), 0)
