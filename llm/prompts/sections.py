"""Facts into text, one function for each section. Only strings are joined here; nothing is computed.

Facts come as they were stored, so this reads them by name and never by the order of their keys.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm.prompts.figures import NOT_AVAILABLE
from llm.prompts.outside import OWNER_FENCE

Facts = Mapping[str, Any]

NONE = "none"
LEFT_OUT = "left out to fit the model's budget"
_HOW_TO_READ = (
    "All series run oldest → newest: the last value is the newest. Indicators use closed bars only."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What of a prompt is left out to fit a budget. Never the clock, positions or limits."""

    series: int | None = None
    context_series: bool = False
    closed_trades: bool = False
    denials: bool = False
    context: bool = False


def clock(facts: Facts, _cut: Cut) -> str:
    told = facts["clock"]
    return (
        f"It is {told['now']}. {told['minutes']} minutes since the start; "
        f"invocation number {told['invocation']}."
    )


def instruments(facts: Facts, cut: Cut) -> str:
    blocks = [_HOW_TO_READ]
    blocks += [_instrument(item, cut) for item in facts["instruments"]]
    blocks += [
        f"## {symbol}\nNot usable now, so it can't be entered: {_quoted(reason)}"
        for symbol, reason in facts["unusable"]
    ]
    if len(blocks) == 1:
        blocks.append("No instrument in sight.")
    return "\n\n".join(blocks)


def _instrument(item: Facts, cut: Cut) -> str:
    timeframe = item["timeframe"]
    funding = item["funding_rate"]
    if item["next_funding_at"] is not None:
        funding += f" (next {item['next_funding_at']})"
    prices = f"Mark price {item['mark']}; bid {item['bid']}; ask {item['ask']}"
    lines = [
        f"## {item['symbol']}",
        f"{prices}; funding rate {funding}; open interest {item['open_interest']}",
        f"At the last closed {timeframe} bar (closed {item['closed_at'] or NOT_AVAILABLE}): "
        + _pairs(item["now"]),
    ]
    if cut.series != 0:
        lines.append(f"{timeframe} series, closed bars, oldest → newest:")
        lines += _series(item["series"], cut.series)
    if (bar := item["unfinished"]) is not None:
        lines.append(
            f"UNFINISHED {timeframe} bar since {bar['opened_at']} (still moving, in no indicator): "
            f"open {bar['open']}, high {bar['high']}, low {bar['low']}, last {bar['last']}, "
            f"volume so far {bar['volume']}"
        )
    lines += _context(item["context"], cut)
    return "\n".join(lines)


def _context(context: Facts | None, cut: Cut) -> list[str]:
    if cut.context:
        return []
    if context is None:
        return [f"Longer context: {NOT_AVAILABLE}"]
    lines = [
        f"{context['timeframe']} context, closed bars (last closed {context['closed_at']}): "
        + _versus(context["now"])
        + f"; volume {context['volume']} vs average {context['average_volume']} "
        f"of {context['average_bars']} bars"
    ]
    if not cut.context_series:
        lines.append(f"{context['timeframe']} series, oldest → newest:")
        lines += _series(context["series"], None)
    return lines


def _pairs(pairs: Sequence[Sequence[str]]) -> str:
    return ", ".join([f"{label} {value}" for label, value in pairs]) or NOT_AVAILABLE


def _versus(pairs: Sequence[Sequence[str]]) -> str:
    """Pairs of one kind beside each other: `EMA20 1 vs EMA50 2; ATR3 3 vs ATR14 4`."""
    groups: dict[str, list[str]] = {}
    for label, value in pairs:
        groups.setdefault(label.rstrip("0123456789/"), []).append(f"{label} {value}")
    return "; ".join(" vs ".join(group) for group in groups.values())


def _series(series: Sequence[Sequence[Any]], length: int | None) -> list[str]:
    lines: list[str] = []
    for label, values in series:
        shown = values if length is None else values[-length:]
        lines.append(f"  {label}: [{', '.join(shown)}]" if shown else f"  {label}: {NOT_AVAILABLE}")
    return lines


def account(facts: Facts, _cut: Cut) -> str:
    told = facts["account"]
    currency = told["currency"]
    return (
        f"Equity {told['equity']} {currency} (started with {told['opening_equity']}); "
        f"cash {told['cash']}, available {told['available']}\n"
        f"Total return {told['total_return']}; Sharpe ratio {told['sharpe_ratio']}\n"
        f"Fees paid {told['fees_paid']}; funding net {told['funding']} (below zero: paid); "
        f"model cost {told['llm_cost']}"
    )


def positions(facts: Facts, _cut: Cut) -> str:
    return "\n".join([_position(item) for item in facts["positions"]]) or NONE


def _position(item: Facts) -> str:
    plan = f"stop {item['stop_loss']}, target {item['take_profit']}"
    if item["invalidation"]:
        plan += f", invalid if {_quoted(item['invalidation'])}"
    return (
        f"- {item['symbol']} {item['side']} {item['quantity']}: entry {item['entry']}, "
        f"mark {item['mark']}, liquidation {item['liquidation']}, "
        f"unrealized PnL {item['unrealized_pnl']}, leverage {item['leverage']}, "
        f"margin {item['margin']}, held {item['minutes_held']} minutes\n  Exit plan: {plan}"
    )


def closed_trades(facts: Facts, cut: Cut) -> str:
    if cut.closed_trades:
        return LEFT_OUT
    return (
        "\n".join(
            f"- {item['closed_at']} {item['symbol']} {item['side']}: entry {item['entry']}, "
            f"exit {item['exit']}, net PnL {item['net_pnl']}, held {item['minutes_held']} minutes, "
            f"closed by {_quoted(item['reason'])}"
            for item in facts["closed_trades"]
        )
        or NONE
    )


def denials(facts: Facts, cut: Cut) -> str:
    if cut.denials:
        return LEFT_OUT
    return (
        "\n".join(
            f"- {item['at']} {item['symbol']} {item['code']}: {_quoted(item['detail'])}"
            for item in facts["denials"]
        )
        or NONE
    )


def limits(facts: Facts, _cut: Cut) -> str:
    return "\n".join(f"- {sentence}: {value}" for sentence, value in facts["limits"]) or NONE


def owner_words(facts: Facts, _cut: Cut) -> str:
    lines = facts["owner_words"]
    if not lines:
        return NONE
    opening, closing = OWNER_FENCE
    return "\n".join([opening, *(f"| {line}" for line in lines), closing])


def emergency(facts: Facts, _cut: Cut) -> str:
    return f"Reason: {_quoted(facts['emergency'])}"


def _quoted(text: str) -> str:
    """Text from outside between quotes that it can't close."""
    return '"' + text.replace('"', "'") + '"'


SECTION: Mapping[str, Callable[[Facts, Cut], str]] = {
    "clock": clock,
    "instruments": instruments,
    "account": account,
    "positions": positions,
    "closed_trades": closed_trades,
    "denials": denials,
    "limits": limits,
    "owner_words": owner_words,
    "emergency": emergency,
}
