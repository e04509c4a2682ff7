"""What a replay comes to: one JSON object for programs, a few lines and a curve for people, and the
whole record as a file. Numbers in the summary are JSON numbers; the file keeps every Decimal as text.
"""

import json
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from bots.domain.entries import Notice, NoticeKind
from bots.domain.exits import in_words
from bots.domain.records import CycleRecord
from bots.lab.runner import ReplayResult
from bots.metrics import activity_metrics, equity_metrics, trade_metrics
from market.domain.canonical import canonical_value, utc_text
from market.domain.data import CandleSeries, to_milliseconds
from market.domain.numbers import ONE
from market.venues.timeframes import timeframe_text

TIMINGS = ("seconds", "candles_per_second")
"""The only fields of a summary that differ between two runs of the same command."""


def summarise(result: ReplayResult) -> dict[str, Any]:
    """The summary of a replay. `trades` is a count; fractions are 0–1; money in settlement currency."""
    ledger, bot = result.ledger, result.setup.bot
    bars = result.setup.histories[0].bars
    _, scaled = ledger.equity_curve()
    equity = scaled / 1e8
    curve = equity_metrics(equity, bars.timeframe, opening=float(bot.capital))
    trades = trade_metrics(ledger.closed_trades)
    activity = activity_metrics(
        equity,
        bars_in_market=_bars_in_market(result),
        fill_notionals=_notionals(result),
        totals=ledger.book.totals,
    )
    denials = Counter(str(denial.code) for _, denial in ledger.denials)
    histories = result.setup.histories
    given = "simulated" if result.setup.is_simulated else "file"
    return {
        "trader": result.setup.trader.name,
        "market": "simulated" if result.setup.is_simulated else "recorded",
        "symbols": list(bot.symbols),
        "timeframe": timeframe_text(bot.timeframe),
        "interval": timeframe_text(bot.interval),
        "risk": result.setup.limits.name,
        "managed_exits": dict(in_words(bot.exits)),
        "currency": bot.currency,
        "from": utc_text(bars.opened(0)),
        "to": utc_text(bars.closed(len(bars) - 1)),
        "missing_bars": _missing_bars(bars),
        "funding_source": given if any(h.funding is not None for h in histories) else "none",
        "mark_source": given
        if any(h.mark_bars is not None for h in histories)
        else "trade candles",
        "trades": trades.count,
        "opening_equity": _number(bot.capital),
        "final_equity": _number(result.final_equity),
        "return_fraction": _number(result.final_equity / bot.capital - ONE),
        "realized_pnl": _number(ledger.book.totals.realized_pnl),
        "fees": _number(ledger.book.totals.fees),
        "funding": _number(ledger.book.totals.funding),
        "adjustments": _number(ledger.book.totals.adjustments),
        "llm_cost": _number(ledger.book.totals.llm_cost),
        "identity_error": _number(result.identity_error),
        "max_drawdown_fraction": curve.max_drawdown_fraction,
        "max_drawdown_seconds": curve.max_drawdown_duration.total_seconds(),
        "sharpe_ratio": curve.sharpe_ratio,
        "sortino_ratio": curve.sortino_ratio,
        "calmar_ratio": curve.calmar_ratio,
        "ratio_period_seconds": curve.period_seconds,
        "ratio_periods_per_year": curve.periods_per_year,
        "win_rate": trades.win_rate,
        "profit_factor": trades.profit_factor,
        "expectancy": _number(trades.expectancy),
        "time_in_market_fraction": activity.time_in_market_fraction,
        "turnover": activity.turnover,
        "exits": {group.name: group.count for group in trades.by_exit_reason},
        "denials": dict(sorted(denials.items())),
        "breakers": _breakers(ledger.notices),
        "closed_at_end": sum(trade.exit_reason == "END_OF_DATA" for trade in ledger.closed_trades),
        "candles": result.candles,
        "cycles_evaluated": result.cycles_evaluated,
        "bars_evaluated": result.bars_evaluated,
        "jump": result.setup.jump,
        "seconds": result.seconds,
        "candles_per_second": result.candles / result.seconds if result.seconds else None,
    }


def _breakers(notices: Sequence[Notice]) -> list[dict[str, str]]:
    """What tripped, and when: HARD_DRAWDOWN is the one after which nothing trades any more."""
    return [
        {"at": utc_text(notice.at), "code": notice.text}
        for notice in notices
        if notice.kind is NoticeKind.BREAKER_TRIPPED
    ]


def events(summary: dict[str, Any]) -> list[str]:
    """What people must not overlook in a curve: liquidations, and a halt that made the rest of it flat."""
    told = []
    if count := summary["exits"].get("LIQUIDATION"):
        told.append(f"liquidated ×{count}, fees of it {-summary['adjustments']:,.2f}")
    halts = [one["at"] for one in summary["breakers"] if one["code"] == "HARD_DRAWDOWN"]
    if halts:
        told.append(f"halted at {halts[0]} by HARD_DRAWDOWN: nothing traded after it")
    if summary["final_equity"] < 0:
        told.append("ended below zero: funding and liquidation fees took more than there was")
    return [f"{summary['trader']}: {text}" for text in told]


def _number(value: Decimal | None) -> float | int | None:
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)


def _missing_bars(bars: CandleSeries) -> int:
    """Bars that `--allow-gaps` let be absent between the first and the last."""
    span = bars.opened(len(bars) - 1) - bars.opened(0)
    return span // bars.timeframe + 1 - len(bars)


def _bars_in_market(result: ReplayResult) -> int:
    """Bars at whose close anything was open, read off the round trips."""
    at, _ = result.ledger.equity_curve()
    inside = np.zeros(len(at), dtype=bool)
    for trade in result.ledger.closed_trades:
        first = int(np.searchsorted(at, to_milliseconds(trade.opened_at), side="right"))
        last = int(np.searchsorted(at, to_milliseconds(trade.closed_at), side="right"))
        inside[first : last if trade.exit_reason != "END_OF_DATA" else len(at)] = True
    return int(inside.sum())


def _notionals(result: ReplayResult) -> list[Decimal]:
    instruments = {h.instrument.symbol: h.instrument for h in result.setup.histories}
    return [
        instruments[fill.symbol].notional(fill.quantity, fill.price) for fill in result.ledger.fills
    ]


def rows(result: ReplayResult) -> dict[str, object]:
    """Everything that happened, every Decimal as text: what `--out` writes."""
    ledger = result.ledger
    at, scaled = ledger.equity_curve()
    return {
        "closed_trades": canonical_value(ledger.closed_trades),
        "orders": canonical_value(list(ledger.orders.values())),
        "fills": canonical_value(ledger.fills),
        "ledger": canonical_value(ledger.entries),
        "denials": canonical_value([{"at": when, "denial": what} for when, what in ledger.denials]),
        "notices": canonical_value(ledger.notices),
        "decisions": [_decision_row(record) for record in ledger.cycles],
        "equity": {
            "milliseconds": at.tolist(),
            "hundred_millionths": scaled.tolist(),
        },
    }


def _decision_row(record: CycleRecord) -> dict[str, object]:
    """What was said in a cycle and what became of it; the prompt by its hash, the answers whole."""
    decision = record.decision
    row: dict[str, object] = {
        "at": record.started_at,
        "outcome": record.outcome,
        "trading_state": record.trading_state,
        "reason": record.reason,
        "orders": record.order_ids,
        "notes": record.plan.notes if record.plan is not None else (),
        "rulings": record.verdict.rulings if record.verdict is not None else (),
    }
    if decision is not None:
        row |= {
            "decision": decision.outcome,
            "summary": decision.summary,
            "items": decision.items,
            "void": decision.void,
            "said": decision.reason or "; ".join(decision.notes),
            "answers": [completion.text for completion in decision.completions],
            "prompts": [prompt.content_hash for prompt in decision.prompts],
        }
    return {name: canonical_value(value) for name, value in row.items()}


def check_writable(path: Path) -> None:
    """Raise OSError, before anything runs, where `write_report` could not put its file."""
    with tempfile.NamedTemporaryFile(dir=path.absolute().parent, prefix=f".{path.name}."):
        pass


def write_report(path: Path, summary: dict[str, Any], result: ReplayResult) -> None:
    """Write summary and rows as JSON, whole or not at all. Raises OSError."""
    text = json.dumps({"summary": summary, **rows(result)}, ensure_ascii=False, indent=1)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text + "\n")
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    """The process's file mode mask; it can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def table(summaries: list[dict[str, Any]]) -> str:
    """A few aligned lines for people: one replay a row."""
    heads = (
        "trader",
        "return",
        "final",
        "trades",
        "win rate",
        "max drawdown",
        "Sharpe",
        "fees",
        "funding",
        "denied",
    )
    lines = [heads] + [
        (
            str(summary["trader"]),
            _pct(summary["return_fraction"], signed=True),
            f"{summary['final_equity']:,.2f}",
            str(summary["trades"]),
            _pct(summary["win_rate"]),
            _pct(summary["max_drawdown_fraction"]),
            "–" if summary["sharpe_ratio"] is None else f"{summary['sharpe_ratio']:.2f}",
            f"{summary['fees']:,.2f}",
            f"{summary['funding']:,.2f}",
            str(sum(summary["denials"].values())),
        )
        for summary in summaries
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _pct(fraction: Any, *, signed: bool = False) -> str:
    if fraction is None:
        return "–"
    return f"{fraction * 100:{'+' if signed else ''}.2f}%"
