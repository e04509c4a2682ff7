"""Rules of pace: entries per day and per cycle, the pause after a stop, the minimum hold.

Closes count in none of them. Minimum hold is the only rule that may deny a close at all, and only a
trader's own, in an ACTIVE bot, away from its stop.
"""

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from risk.domain import (
    Code,
    Denial,
    Limits,
    OrderIntent,
    Requester,
    RiskContext,
    TradingState,
)
from risk.rules.entry import Entry, deny
from risk.windows import nearest, open_window


def trades_per_day(entry: Entry) -> Denial | None:
    """Entries of the owner's local day, this one included, are at most N."""
    allowed = entry.limits.max_trades_per_day
    if allowed is None:
        return None
    wanted = entry.context.tempo.entries_today + _opened_now(entry) + 1
    return (
        None
        if wanted <= allowed
        else entry.deny(Code.TRADES_PER_DAY, wanted=wanted, allowed=allowed)
    )


def opens_per_cycle(entry: Entry) -> Denial | None:
    """Entries of this cycle, this one included, are at most N."""
    allowed = entry.limits.max_opens_per_cycle
    if allowed is None:
        return None
    wanted = entry.context.tempo.opens_this_cycle + _opened_now(entry) + 1
    return (
        None
        if wanted <= allowed
        else entry.deny(Code.OPENS_PER_CYCLE, wanted=wanted, allowed=allowed)
    )


def cooldown(entry: Entry) -> Denial | None:
    """No entry on a symbol before its last stop + the cooldown."""
    stopped_at = entry.context.tempo.stopped_at.get(entry.intent.symbol)
    if stopped_at is None or not entry.limits.cooldown_after_stop:
        return None
    until = stopped_at + entry.limits.cooldown_after_stop
    if entry.context.now >= until:
        return None
    return entry.deny(Code.COOLDOWN, until=until.isoformat())


def no_trade_window(entry: Entry) -> Denial | None:
    """No entry in a window of the owner's calendar, nor so near to a payment of funding."""
    context, limits = entry.context, entry.limits
    if limits.no_trade_windows:
        local = context.now.astimezone(ZoneInfo(context.time_zone))
        window = open_window(limits.no_trade_windows, local)
        if window is not None:
            return entry.deny(Code.NO_TRADE_WINDOW, window=window)
    due = context.next_funding.get(entry.intent.symbol)
    if due is None or not limits.no_trade_around_funding:
        return None
    away = nearest(context.now, due, entry.instrument.funding_interval)
    if away > limits.no_trade_around_funding:
        return None
    return entry.deny(Code.NO_TRADE_WINDOW, window="funding")


def _opened_now(entry: Entry) -> int:
    return sum(stake.is_new for stake in entry.book)


TEMPO_RULES: Final = (trades_per_day, opens_per_cycle, cooldown, no_trade_window)


def min_hold(intent: OrderIntent, context: RiskContext, limits: Limits) -> Denial | None:
    """A trader's own close waits until opened + the minimum hold, but not in a bot that is REDUCING or
    HALTED, nor within 1 ATR of the stop."""
    if not limits.min_hold or intent.requester is not Requester.TRADER:
        return None
    if context.state is not TradingState.ACTIVE or _may_be_urgent(intent.symbol, context):
        return None
    opened_at = _opened_at(intent.symbol, context)
    if opened_at is None or context.now >= opened_at + limits.min_hold:
        return None
    return deny(intent.symbol, Code.MIN_HOLD, until=(opened_at + limits.min_hold).isoformat())


def _opened_at(symbol: str, context: RiskContext) -> datetime | None:
    held, position = context.protection.get(symbol), context.account.positions.get(symbol)
    if held is not None and held.opened_at is not None:
        return held.opened_at
    return None if position is None else position.opened_at


def _may_be_urgent(symbol: str, context: RiskContext) -> bool:
    """Within 1 ATR of the stop; an unknown stop, mark or ATR counts as that: a close errs on the safe side."""
    held, atr = context.protection.get(symbol), context.atr.get(symbol)
    quote = context.quotes.get(symbol)
    mark = context.account.marks.get(symbol) if quote is None else quote.mark
    if held is None or held.stop_price is None or atr is None or mark is None:
        return True
    return abs(mark - held.stop_price) <= atr
