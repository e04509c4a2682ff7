"""Everything a prompt shows, taken out of a view as plain data: text, whole numbers, lists, null.

Facts are what is stored beside a decision: their canonical JSON renders to the same bytes as they do.
Order is kept in lists, never in keys (canonical JSON sorts those). Sections that the template does not
show are not computed. `reading` is not shown: it is what the parser needs to read the answer again.
"""

from datetime import timedelta
from decimal import Decimal

from llm.domain import AccountView, ClosedTradeView, DecisionView, DenialView, PositionView
from llm.prompts import outside
from llm.prompts.figures import decimal_text, money, percent, price, prices_apart
from llm.prompts.market_facts import Fact, instrument_facts, timeframe_label
from llm.prompts.template import PromptTemplate
from market.domain.canonical import utc_text
from market.domain.numbers import plain

_MINUTE = timedelta(minutes=1)


def prompt_facts(
    view: DecisionView, template: PromptTemplate, *, token_budget: int | None = None
) -> dict[str, object]:
    """The facts of one moment for one template. `token_budget` is the model's, None for no limit.

    Raises TemplateError when the template names an indicator that there is not.
    """
    shown = template.sections
    ticks = {item.symbol: item.instrument.price_step for item in view.market.instruments}
    facts: dict[str, object] = {
        "template": {"name": template.name, "version": template.version, "hash": template.hash},
        "token_budget": token_budget,
        "reading": _reading(view),
    }
    if "clock" in shown:
        facts["clock"] = _clock(view)
    if "instruments" in shown:
        usable = [item for item in view.market.instruments if item.unusable is None]
        facts["instruments"] = [instrument_facts(item, template.settings) for item in usable]
        facts["unusable"] = [
            [outside.name(item.symbol), outside.line(item.unusable)]
            for item in view.market.instruments
            if item.unusable is not None
        ]
    if "account" in shown:
        facts["account"] = _account(view.account)
    if "positions" in shown:
        facts["positions"] = [_position(item, view, ticks) for item in view.positions]
    if "closed_trades" in shown:
        facts["closed_trades"] = [_closed_trade(item, ticks) for item in view.closed_trades]
    if "denials" in shown:
        facts["denials"] = [_denial(item) for item in view.denials]
    if "limits" in shown:
        facts["limits"] = [
            [outside.line(sentence), outside.line(value)] for sentence, value in view.limits
        ]
    if "owner_words" in shown:
        facts["owner_words"] = list(outside.owner_lines(view.owner_words))
    if "emergency" in shown:
        facts["emergency"] = outside.line(view.emergency or "")
    return facts


def _reading(view: DecisionView) -> Fact:
    """What an answer is read against: instruments it may speak of, what is held, exact equity."""
    symbols = {item.symbol for item in view.market.instruments if item.unusable is None}
    symbols |= {position.symbol for position in view.positions}
    return {
        "symbols": sorted(symbols),
        "held": [[position.symbol, position.side.value] for position in view.positions],
        "equity": plain(view.account.equity),
        "close_or_keep": view.emergency is not None,
    }


def _clock(view: DecisionView) -> Fact:
    timeframes = {item.candles.timeframe for item in view.market.instruments}
    return {
        "now": utc_text(view.market.as_of),
        "minutes": (view.market.as_of - view.started_at) // _MINUTE,
        "invocation": view.invocation,
        "timeframes": [timeframe_label(timeframe) for timeframe in sorted(timeframes)],
    }


def _account(account: AccountView) -> Fact:
    return {
        "currency": outside.name(account.currency),
        "opening_equity": money(account.opening_equity),
        "cash": money(account.cash),
        "available": money(account.available),
        "equity": money(account.equity),
        "total_return": percent(account.total_return_fraction),
        "sharpe_ratio": decimal_text(account.sharpe_ratio),
        "fees_paid": money(account.fees_paid),
        "funding": money(account.funding),
        "llm_cost": money(account.llm_cost),
    }


def _position(position: PositionView, view: DecisionView, ticks: dict[str, Decimal]) -> Fact:
    tick = ticks.get(position.symbol)
    entry, liquidation, mark = prices_apart(
        (position.entry_price, position.liquidation_price, position.mark_price), tick
    )
    return {
        "symbol": outside.name(position.symbol),
        "side": position.side.value,
        "quantity": plain(position.quantity),
        "entry": entry,
        "mark": mark,
        "liquidation": liquidation,
        "unrealized_pnl": money(position.unrealized_pnl),
        "leverage": decimal_text(position.leverage),
        "margin": money(position.margin),
        "stop_loss": price(position.stop_loss, tick),
        "take_profit": price(position.take_profit, tick),
        "invalidation": outside.line(position.invalidation_condition),
        # a market shown to several may be seconds older than what was opened just now
        "minutes_held": max((view.market.as_of - position.opened_at) // _MINUTE, 0),
    }


def _closed_trade(trade: ClosedTradeView, ticks: dict[str, Decimal]) -> Fact:
    tick = ticks.get(trade.symbol)
    entry, left = prices_apart((trade.entry_price, trade.exit_price), tick)
    return {
        "symbol": outside.name(trade.symbol),
        "side": trade.side.value,
        "entry": entry,
        "exit": left,
        "net_pnl": money(trade.net_pnl),
        "reason": outside.line(trade.exit_reason),
        "closed_at": utc_text(trade.closed_at),
        "minutes_held": (trade.closed_at - trade.opened_at) // _MINUTE,
    }


def _denial(denial: DenialView) -> Fact:
    return {
        "at": utc_text(denial.at),
        "symbol": outside.name(denial.symbol),
        "code": outside.name(denial.code),
        "detail": outside.line(denial.detail),
    }
