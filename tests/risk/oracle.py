"""What every verdict must satisfy, written from docs/risk-rules.md, not from the veto: it imports none of its rules.

It shares no measure with the veto: exact fractions instead of Decimals, sums over the finished account
instead of budgets, and a margin balance instead of a liquidation price. It returns the broken rules as
text, so that an empty list means: every approved order satisfies every limit.
"""

from collections.abc import Iterator
from fractions import Fraction as F
from typing import Any
from zoneinfo import ZoneInfo

from market.domain.account import Account
from market.domain.data import Quote
from market.domain.enums import InstrumentStatus, OrderPurpose, PositionSide
from market.domain.instruments import Instrument
from risk.domain import (
    HeldProtection,
    Intent,
    Limits,
    OrderIntent,
    ProtectionIntent,
    RiskContext,
    TradingState,
    Verdict,
)

Part = dict[str, Any]
BPS = F(1, 10_000)
FAMILY = {"BTC": "BTC", "ETH": "ETH", "SOL": "MAJOR", "XRP": "MAJOR"}


def broken(verdict: Verdict, context: RiskContext, limits: Limits) -> list[str]:
    """The rules that the approved orders of a verdict break."""
    return [*_shape(verdict), *_World(context, limits).judge(verdict)]


def _shape(verdict: Verdict) -> Iterator[str]:
    for ruling in verdict.rulings:
        if (ruling.approved is None) == (ruling.denial is None):
            yield f"neither approved nor denied, or both: {ruling}"
    ranks = [_rank(ruling.approved) for ruling in verdict.rulings if ruling.approved is not None]
    if ranks != sorted(ranks):
        yield "closes come first, then protection, then entries"


def _rank(intent: Intent) -> int:
    if isinstance(intent, ProtectionIntent):
        return 1
    return 2 if intent.purpose is OrderPurpose.ENTRY else 0


class _World:
    """The account as it will be, item by item, in exact fractions."""

    def __init__(self, context: RiskContext, limits: Limits) -> None:
        self.context, self.limits = context, limits
        account: Account = context.account
        self.equity = F(context.equity)
        self.parts: list[Part] = []
        self.left = {s: F(p.quantity) for s, p in account.positions.items()}
        self.realized = F(0)
        self.new_symbols: list[str] = []
        for resting in context.resting_entries:
            price = F(resting.price) or self.mark(resting.symbol)
            self.add(resting.symbol, resting.side, F(resting.quantity), price, F(resting.leverage))

    def instrument(self, symbol: str) -> Instrument:
        return self.context.account.instruments[symbol]

    def mark(self, symbol: str) -> F:
        return F(self.context.quotes[symbol].mark)

    def fee(self, symbol: str) -> F:
        return F(self.instrument(symbol).taker_fee)

    def size(self, symbol: str) -> F:
        return F(self.instrument(symbol).contract_size)

    def add(self, symbol: str, side: PositionSide, quantity: F, price: F, leverage: F) -> None:
        cost = quantity * self.size(symbol) * price
        self.parts.append(
            {
                "symbol": symbol,
                "quantity": side.sign * quantity,
                "cost": cost,
                "margin": cost / leverage,
                "fee": cost * self.fee(symbol),
            }
        )

    # --- Totals of the account as it will be

    def everything(self) -> list[Part]:
        held = []
        for symbol, quantity in self.left.items():
            position = self.context.account.positions[symbol]
            share = quantity / F(position.quantity)
            locked = position.entry_cost if self.instrument(symbol).is_spot else position.margin
            held.append(
                {
                    "symbol": symbol,
                    "quantity": quantity,
                    "cost": F(position.entry_cost) * share,
                    "margin": F(locked) * share,
                    "fee": F(0),
                }
            )
        return [part for part in [*held, *self.parts] if part["quantity"]]

    def notional(self, part: Part) -> F:
        return part["quantity"] * self.size(part["symbol"]) * self.mark(part["symbol"])

    def family(self, symbol: str) -> str:
        base = self.instrument(symbol).base
        return self.context.groups.get(base) or FAMILY.get(base, "ALT")

    # --- Judging

    def judge(self, verdict: Verdict) -> Iterator[str]:
        for ruling in verdict.rulings:
            approved = ruling.approved
            if ruling.denial is not None and _rank(ruling.intent) == 0:
                yield from self.kept_in(ruling.intent, ruling.denial.code)
            if isinstance(approved, ProtectionIntent):
                yield from self.change(approved)
            elif approved is not None and approved.purpose is OrderPurpose.ENTRY:
                yield from self.entry(approved)
            elif approved is not None:
                yield from self.leave(approved)

    def leave(self, order: OrderIntent) -> Iterator[str]:
        left = self.left.get(order.symbol, F(0))
        signed = order.side.sign * F(order.quantity)
        if signed * left <= 0 or abs(signed) > abs(left):
            yield f"{order.symbol}: leaves {signed} of {left}"
        position = self.context.account.positions[order.symbol]
        entry = F(position.entry_cost) / (abs(F(position.quantity)) * self.size(order.symbol))
        mark = self.mark(order.symbol)
        self.realized += signed * self.size(order.symbol) * (mark - entry)
        self.realized -= abs(signed) * self.size(order.symbol) * mark * self.fee(order.symbol)
        self.left[order.symbol] = left - signed

    def kept_in(self, order: Intent, code: str) -> Iterator[str]:
        """A close that was denied: there was nothing to close, or a trader's own came too soon."""
        assert isinstance(order, OrderIntent)
        left = self.left.get(order.symbol, F(0))
        if not order.quantity.is_finite() or order.side.sign * left <= 0 or order.quantity <= 0:
            return
        if min(abs(left), F(order.quantity)) < F(self.instrument(order.symbol).quantity_step):
            return
        if code != "MIN_HOLD" or not self.is_too_soon(order):
            yield f"{order.symbol}: a close was blocked by {code}"

    def is_too_soon(self, order: OrderIntent) -> bool:
        context, symbol = self.context, order.symbol
        held = context.protection.get(symbol, HeldProtection())
        opened = held.opened_at or context.account.positions[symbol].opened_at
        stop, atr = held.stop_price, context.atr.get(symbol)
        if opened is None or stop is None or atr is None:
            return False
        return (
            order.requester == "TRADER"
            and context.state is TradingState.ACTIVE
            and context.now < opened + self.limits.min_hold
            and abs(self.mark(symbol) - F(stop)) > F(atr)
        )

    def calendar(self, symbol: str) -> Iterator[str]:
        """Windows of whole days and of minutes in a day, and the time around a payment of funding."""
        local = self.context.now.astimezone(ZoneInfo(self.context.time_zone))
        for window in self.limits.no_trade_windows:
            days, _, times = window.partition(" ")
            begin, _, end = (times or "00:00-24:00").partition("-")
            is_today = days == "daily" or f"{local:%a}".lower() in days.split(",")
            if is_today and begin <= f"{local:%H:%M}" < end:
                yield f"{symbol}: opened in the window {window}"
        due, near = self.context.next_funding.get(symbol), self.limits.no_trade_around_funding
        if near and due is not None and due - self.context.now <= near:
            yield f"{symbol}: opened {due - self.context.now} before funding"

    def change(self, change: ProtectionIntent) -> Iterator[str]:
        position = self.context.account.positions[change.symbol]
        side = 1 if position.quantity > 0 else -1
        mark = self.mark(change.symbol)
        if change.stop_price is not None:
            stop, old = F(change.stop_price), self.context.protection.get(change.symbol)
            if side * (mark - stop) <= 0:
                yield f"{change.symbol}: moved stop {stop} would fire at {mark}"
            if old and old.stop_price is not None and not self.limits.stop_may_widen:
                if side * (stop - F(old.stop_price)) < 0:
                    yield f"{change.symbol}: stop widened"
            part = {"quantity": F(position.quantity), "cost": F(position.entry_cost),
                    "margin": F(position.margin)}  # fmt: skip
            yield from self.liquidation(change.symbol, part, stop)
        if change.target_price is not None and side * (F(change.target_price) - mark) <= 0:
            yield f"{change.symbol}: moved target would fire"

    def entry(self, order: OrderIntent) -> Iterator[str]:
        limits, context, symbol = self.limits, self.context, order.symbol
        instrument, quote, side = self.instrument(symbol), context.quotes[symbol], order.side.sign
        size, fee, mark = self.size(symbol), self.fee(symbol), self.mark(symbol)
        touch = F(quote.ask if side > 0 else quote.bid)
        price = F(order.reference_price)
        price = max(price, touch) if side > 0 else min(price, touch)
        quantity, leverage = F(order.quantity), F(order.leverage)
        if order.quote_quantity is not None:
            quantity = F(order.quote_quantity) / ((1 + fee) * size * price)
        before = [part for part in self.everything() if part["symbol"] == symbol]
        held = context.account.positions.get(symbol)
        yield from self.facts(order, quote, instrument, quantity, price)
        is_flat = not before or self.is_dust(symbol)
        if any(part["quantity"] * side < 0 for part in before) or (
            held and F(held.quantity) * side < 0 and not self.is_dust(symbol)
        ):
            yield f"{symbol}: flips"
        self.add(symbol, order.side, quantity, price, leverage)
        self.new_symbols.append(symbol)
        yield from self.cash()
        if limits.raw:
            return
        if order.quote_quantity is not None:
            yield f"{symbol}: sized in money"
        if not is_flat and not limits.allow_adding:
            yield f"{symbol}: adds"
        yield from self.wish(order, quote, price, fee)
        yield from self.calendar(symbol)
        stop = None if order.stop_price is None else F(order.stop_price)
        whole = {
            name: sum((part[name] for part in [*before, self.parts[-1]]), F(0))
            for name in ("quantity", "cost", "margin")
        }
        if stop is not None:
            yield from self.liquidation(symbol, whole, stop)
        yield from self.risk(order, price, whole["quantity"])
        yield from self.leverage(order, max(price, mark), whole["quantity"])
        yield from self.totals(symbol)

    def risk(self, order: OrderIntent, price: F, contracts: F) -> Iterator[str]:
        limits, symbol, fee = self.limits, order.symbol, self.fee(order.symbol)
        fraction = limits.risk_per_trade_fraction
        if fraction is None:
            return
        lost = self.parts[-1]["margin"]
        if order.stop_price is not None:
            stop, slip = F(order.stop_price), price * F(limits.max_slippage_bps or 0) * BPS
            each = abs(price - stop) + fee * (price + stop) + slip
            lost = abs(contracts) * self.size(symbol) * each
        if lost > F(fraction) * self.equity:
            yield f"{symbol}: risk per trade"

    def leverage(self, order: OrderIntent, price: F, contracts: F) -> Iterator[str]:
        symbol, instrument = order.symbol, self.instrument(order.symbol)
        top = [instrument.max_leverage, self.limits.max_leverage]
        if instrument.margin_tiers:
            worth = abs(contracts) * self.size(symbol) * price
            top.append(self.tier_of(instrument, worth).max_leverage)
        if any(cap is not None and F(order.leverage) > F(cap) for cap in top):
            yield f"{symbol}: leverage {order.leverage}"
        held = self.context.account.positions.get(symbol)
        if held and not instrument.is_spot and order.leverage != held.leverage:
            yield f"{symbol}: the leverage of an open position changes"

    def facts(
        self, order: OrderIntent, quote: Quote, instrument: Instrument, quantity: F, price: F
    ) -> Iterator[str]:
        context, symbol = self.context, order.symbol
        if context.state is not TradingState.ACTIVE or self.equity <= 0:
            yield f"{symbol}: opened in state {context.state} with equity {self.equity}"
        if symbol in context.unusable or instrument.status is not InstrumentStatus.TRADING:
            yield f"{symbol}: unusable"
        if any(r.is_unresolved and r.symbol == symbol for r in context.resting_entries):
            yield f"{symbol}: an earlier order is unresolved"
        if order.side is PositionSide.SHORT and instrument.is_spot:
            yield f"{symbol}: shorts spot"
        worth = quantity * self.size(symbol) * price
        if quantity < F(instrument.min_quantity) or worth < F(instrument.min_notional):
            yield f"{symbol}: {quantity} is under the minimum"
        caps = (instrument.max_quantity, instrument.max_market_quantity)
        if any(cap is not None and quantity > F(cap) for cap in caps):
            yield f"{symbol}: {quantity} is over the maximum"
        if order.quote_quantity is None and quantity % F(instrument.quantity_step):
            yield f"{symbol}: {quantity} is off the step"
        for trigger in (order.stop_price, order.target_price):
            if trigger is not None and F(trigger) % F(instrument.price_step):
                yield f"{symbol}: trigger off the tick"

    def wish(self, order: OrderIntent, quote: Quote, price: F, fee: F) -> Iterator[str]:
        limits, context, symbol, side = self.limits, self.context, order.symbol, order.side.sign
        mark = F(quote.mark)
        if limits.allowed_symbols is not None and symbol not in limits.allowed_symbols:
            yield f"{symbol}: not allowed"
        if side < 0 and not limits.allow_shorts:
            yield f"{symbol}: short"
        age = F((context.now - quote.at).total_seconds())
        if limits.max_price_age_seconds is not None and age > limits.max_price_age_seconds:
            yield f"{symbol}: stale"
        yield from self.triggers(order, mark, price, fee)
        yield from self.distances(order, quote, price)

    def distances(self, order: OrderIntent, quote: Quote, price: F) -> Iterator[str]:
        limits, symbol, side = self.limits, order.symbol, order.side.sign
        bid, ask, mark = F(quote.bid), F(quote.ask), F(quote.mark)
        if limits.max_price_drift_bps is not None:
            seen = F(self.context.prompt_marks[symbol])
            if abs(mark - seen) / seen > F(limits.max_price_drift_bps) * BPS:
                yield f"{symbol}: price moved"
        if limits.max_spread_bps is not None:
            if (ask - bid) / ((ask + bid) / 2) > F(limits.max_spread_bps) * BPS:
                yield f"{symbol}: spread"
        best = ask if side > 0 else bid
        if limits.max_slippage_bps is not None:
            if side * (price - best) / best > F(limits.max_slippage_bps) * BPS:
                yield f"{symbol}: slippage"

    def triggers(self, order: OrderIntent, mark: F, price: F, fee: F) -> Iterator[str]:
        limits, context, symbol, side = self.limits, self.context, order.symbol, order.side.sign
        needed = limits.min_confidence
        if needed is not None and F(order.confidence or 0) < F(needed):
            yield f"{symbol}: confidence"
        stopped = context.tempo.stopped_at.get(symbol)
        if stopped is not None and context.now < stopped + limits.cooldown_after_stop:
            yield f"{symbol}: cooldown"
        if order.stop_price is None:
            if limits.stop_required:
                yield f"{symbol}: no stop"
        elif side * (mark - F(order.stop_price)) <= 0:
            yield f"{symbol}: stop on the wrong side"
        if order.target_price is not None and side * (F(order.target_price) - mark) <= 0:
            yield f"{symbol}: target on the wrong side"
        if limits.min_reward_risk is not None:
            stop, target = F(order.stop_price or 0), F(order.target_price or 0)
            reward = side * (target - price) - fee * (price + target)
            risk = side * (price - stop) + fee * (price + stop)
            if not (stop and target and risk > 0) or reward / risk < F(limits.min_reward_risk):
                yield f"{symbol}: reward to risk"

    def totals(self, symbol: str) -> Iterator[str]:
        limits, equity = self.limits, self.equity
        parts = self.everything()
        worth = [(part["symbol"], self.notional(part)) for part in parts]
        family = self.family(symbol)
        kin = sum((value for name, value in worth if self.family(name) == family), F(0))
        here = sum((abs(value) for name, value in worth if name == symbol), F(0))
        net = sum((value for _, value in worth), F(0))
        gross = sum((abs(value) for _, value in worth), F(0))
        margin = sum((part["margin"] for part in parts), F(0))
        for cap, amount, name in (
            (limits.max_position_notional_fraction, here, "position"),
            (limits.max_gross_exposure, gross, "gross"),
            (limits.max_net_exposure, abs(net), "net"),
            (limits.max_correlated_exposure, abs(kin), "correlated"),
            (limits.max_margin_used_fraction, margin, "margin"),
        ):
            if cap is not None and amount > F(cap) * equity:
                yield f"{symbol}: {name} {amount / equity} > {cap}"
        symbols = {p["symbol"] for p in parts if not self.is_dust(p["symbol"])}
        opened, tempo = len(self.new_symbols), self.context.tempo
        for top, count, name in (
            (limits.max_open_positions, len(symbols), "positions"),
            (limits.max_trades_per_day, tempo.entries_today + opened, "trades a day"),
            (limits.max_opens_per_cycle, tempo.opens_this_cycle + opened, "opens a cycle"),
        ):
            if top is not None and count > top:
                yield f"{symbol}: {name} {count} > {top}"

    def cash(self) -> Iterator[str]:
        parts = self.everything()
        needed = sum((part["margin"] + part["fee"] for part in parts), F(0))
        if needed > F(self.context.account.cash) + self.realized:
            yield f"needs {needed} of {self.context.account.cash} + {self.realized}"

    def is_dust(self, symbol: str) -> bool:
        """Spot that can't be sold counts as flat: what the reply's own closes leave of it."""
        left = self.left.get(symbol)
        instrument = self.instrument(symbol)
        others = any(part["symbol"] == symbol for part in self.parts)
        if others or left is None or not instrument.is_spot:
            return False
        worth = left * self.size(symbol) * self.mark(symbol)
        return left < F(instrument.min_quantity) or worth < F(instrument.min_notional)

    # --- Liquidation as a balance: margin + PnL against maintenance

    @staticmethod
    def tier_of(instrument: Instrument, notional: F) -> Any:
        for tier in instrument.margin_tiers:
            if tier.notional_cap is None or notional <= F(tier.notional_cap):
                return tier
        return instrument.margin_tiers[-1]

    def balance(self, instrument: Instrument, part: Part, price: F) -> F:
        """Margin + PnL − maintenance at a price: liquidated at or below 0."""
        side = 1 if part["quantity"] > 0 else -1
        notional = abs(part["quantity"]) * F(instrument.contract_size) * price
        tier = self.tier_of(instrument, notional)
        maintenance = notional * F(tier.maintenance_rate) - F(tier.deduction)
        return part["margin"] + side * (notional - part["cost"]) - maintenance

    def liquidation(self, symbol: str, part: Part, stop: F) -> Iterator[str]:
        instrument = self.instrument(symbol)
        if instrument.is_spot or self.limits.raw:
            return
        side = 1 if part["quantity"] > 0 else -1
        entry = part["cost"] / (abs(part["quantity"]) * F(instrument.contract_size))
        if part["margin"] >= part["cost"] and side > 0:
            return  # a long that can't lose more than its margin
        if self.balance(instrument, part, stop) <= 0 or side * (entry - stop) < 0 <= (
            -self.balance(instrument, part, entry)
        ):
            yield f"{symbol}: stop {stop} past liquidation"
        fraction = self.limits.stop_to_liquidation_fraction
        if fraction is not None and side * (entry - stop) > 0:
            reach = entry - (entry - stop) / F(fraction)
            if self.balance(instrument, part, reach) < 0:
                yield f"{symbol}: stop {stop} too near liquidation"
