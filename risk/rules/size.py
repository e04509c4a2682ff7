"""How large an entry may be: leverage, budgets per order, the venue's minimum, the way to liquidation.

A limit on size is a `Budget`: what may be used, what is used already, and what one contract uses. The
same budget clamps a quantity and, at the end, checks the result.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from market.domain.account import Account
from market.domain.instruments import Instrument
from market.domain.numbers import ONE, ZERO
from market.domain.positions import Position
from risk.domain import Code, Denial, Limits
from risk.rules.entry import Entry, deny, entry_margin, worst_fill
from risk.sizing import taker_fees, unit_risk


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """used + quantity × unit ≤ cap. With `is_signed` the sum may not fall under −cap either."""

    code: Code
    cap: Decimal
    used: Decimal
    unit: Decimal
    is_signed: bool = False

    def holds(self, quantity: Decimal) -> bool:
        total = self.used + quantity * self.unit
        return total <= self.cap and not (self.is_signed and total < -self.cap)

    def largest(self, instrument: Instrument) -> Decimal:
        """The largest quantity on the step within the budget, 0 when there is no room."""
        room = self.cap - self.used
        if room <= 0 or self.unit <= 0:
            return ZERO
        return instrument.round_quantity(room / self.unit)


def max_quantity(entry: Entry) -> Budget | None:
    """Contracts of one order are at most what the venue takes, at market too."""
    instrument = entry.instrument
    caps = [c for c in (instrument.max_quantity, instrument.max_market_quantity) if c is not None]
    if not caps:
        return None
    return Budget(code=Code.MAX_QUANTITY, cap=min(caps), used=ZERO, unit=ONE)


def position_notional(entry: Entry) -> Budget | None:
    """Σ|quantity × contract size × mark| on the symbol ≤ fraction × equity."""
    fraction = entry.limits.max_position_notional_fraction
    if fraction is None:
        return None
    symbol = entry.intent.symbol
    return Budget(
        code=Code.POSITION_NOTIONAL,
        cap=fraction * entry.context.equity,
        used=sum((abs(s.notional) for s in entry.book if s.symbol == symbol), ZERO),
        unit=entry.instrument.contract_size * entry.mark,
    )


def risk_per_trade(entry: Entry, leverage: Decimal) -> Budget | None:
    """Money lost from here when the stop is hit, costs and what is held of the symbol included, ≤
    fraction × equity; without a stop the whole margin is at risk."""
    fraction = entry.limits.risk_per_trade_fraction
    if fraction is None:
        return None
    unit = risk_of_one(entry, leverage)
    return Budget(
        code=Code.RISK_PER_TRADE,
        cap=fraction * entry.context.equity,
        used=entry.on_symbol * unit,
        unit=unit,
    )


def risk_of_one(entry: Entry, leverage: Decimal) -> Decimal:
    """Money at risk per contract: to the stop, or without one its margin and both taker fees."""
    price, instrument, stop = entry.price, entry.instrument, entry.intent.stop_price
    if stop is not None:
        return unit_risk(instrument, price, stop, entry.limits.max_slippage_bps)
    fees = taker_fees(instrument, price, price) * instrument.contract_size
    worst = worst_fill(price, entry.sign, entry.limits)
    return entry_margin(instrument, worst, leverage) + fees


SIZE_BUDGETS: Final = (max_quantity, position_notional)
RISK_BUDGETS: Final = (risk_per_trade,)


def max_leverage(entry: Entry, quantity: Decimal) -> Decimal:
    """Leverage ≤ min(profile, instrument, margin tier of the whole position)."""
    notional = entry.instrument.notional(quantity + entry.on_symbol, max(entry.price, entry.mark))
    return leverage_allowed(entry.instrument, entry.limits.max_leverage, notional)


def leverage_allowed(instrument: Instrument, profile: Decimal | None, notional: Decimal) -> Decimal:
    """The smallest of what profile, instrument and the tier of this notional allow."""
    tier = instrument.tier(notional).max_leverage if instrument.margin_tiers else None
    caps = (instrument.max_leverage, profile, tier)
    return min(cap for cap in caps if cap is not None)


def minimum_size(entry: Entry, quantity: Decimal) -> Denial | None:
    """What is left after rounding and clamps is at least the venue's minimum quantity and notional."""
    instrument = entry.instrument
    notional = instrument.notional(quantity, min(entry.price, entry.mark))
    if quantity > 0 and quantity >= instrument.min_quantity and notional >= instrument.min_notional:
        return None
    return entry.deny(
        Code.MIN_SIZE,
        wanted=entry.intent.quantity,
        allowed=quantity,
        min_quantity=instrument.min_quantity,
        min_notional=instrument.min_notional,
    )


def stop_inside_liquidation(entry: Entry, quantity: Decimal, leverage: Decimal) -> Denial | None:
    """The stop uses at most the allowed fraction of the way from entry to the estimated liquidation
    price of the whole position, and lies before it in any case."""
    stop = entry.intent.stop_price
    if stop is None or entry.limits.raw:
        return None
    position = position_after(entry, quantity, leverage)
    return stop_before_liquidation(
        position, stop, entry.instrument, entry.limits, entry.context.account
    )


def position_after(entry: Entry, quantity: Decimal, leverage: Decimal) -> Position:
    """The position as it would be with the entry, and all others on its symbol, filled as expected."""
    cost = quantity * entry.instrument.contract_size * entry.price
    signed, margin = quantity * entry.sign, cost / leverage
    for stake in entry.book:
        if stake.symbol == entry.intent.symbol:
            signed, cost, margin = signed + stake.quantity, cost + stake.cost, margin + stake.margin
    return Position(
        symbol=entry.intent.symbol,
        quantity=signed,
        entry_cost=cost,
        margin=margin,
        leverage=leverage,
    )


def stop_before_liquidation(
    position: Position, stop: Decimal, instrument: Instrument, limits: Limits, account: Account
) -> Denial | None:
    """Entry − stop ≤ fraction × (entry − liquidation price), mirrored for a short; none set: the stop
    just has to lie before the liquidation price."""
    liquidation = account.liquidation_price(position, instrument)
    entry_price = position.entry_price(instrument)
    if liquidation is None or entry_price is None:
        return None
    fraction = limits.stop_to_liquidation_fraction
    sign = 1 if position.quantity > 0 else -1
    used, way = sign * (entry_price - stop), sign * (entry_price - liquidation)
    if used < way and (fraction is None or used <= fraction * way):
        return None
    return deny(
        position.symbol, Code.STOP_PAST_LIQUIDATION, stop=stop,
        liquidation=instrument.round_price(liquidation),
        allowed_fraction="1" if fraction is None else fraction,
    )  # fmt: skip
