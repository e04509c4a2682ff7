"""What a profile would let through: one entry on the market as it is now, from an account that holds nothing.

It is sized and judged by the functions of the cycle itself. Nothing is asked of a model, stored or sent. What depends
on the day (windows aside) or on other positions is not in it: no entries today, nothing held, no stop just hit.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from bots import runtime
from bots.services.probing import Sight, market_of
from market.domain.account import Account
from market.domain.instruments import Instrument
from market.domain.numbers import ZERO, quantize_cash
from market.domain.positions import Position, liquidation_price
from risk.domain import Clamp, Denial, Limits, OrderIntent, RiskContext, TradingState
from risk.engine import review
from risk.sizing import EntryWish, size_entry, taker_fees, unit_risk


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """An entry in numbers. `at_stop`: what is lost there, fees and the slippage allowance included."""

    quantity: Decimal
    notional: Decimal
    leverage: Decimal
    margin: Decimal
    liquidation: Decimal | None
    at_stop: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """An entry as it was wished for, and what the limits make of it: `allowed` None where `denial` says why."""

    instrument: Instrument
    entry: Decimal
    mark: Decimal
    as_of: datetime
    wanted: Sized
    allowed: Sized | None
    clamps: tuple[Clamp, ...]
    denial: Denial | None
    reward_risk: Decimal | None


def what_if(
    limits: Limits, wish: EntryWish, sight: Sight, capital: Decimal, time_zone: str
) -> WhatIf:
    """Size and judge one entry. Raises CannotTrade for what is not listed or has no price now,
    VenueUnavailable, ValueError for a venue nobody knows."""
    market = market_of(sight, (wish.symbol,))
    seen = market.by_symbol[wish.symbol]
    if seen.quote is None:
        raise runtime.CannotTrade(f"{wish.symbol} has no price now")
    context = RiskContext(
        now=market.as_of,
        state=TradingState.ACTIVE,
        account=Account(
            cash=capital,
            positions={},
            instruments={wish.symbol: seen.instrument},
            marks={wish.symbol: seen.quote.mark},
        ),
        equity=capital,
        quotes={wish.symbol: seen.quote},
        prompt_marks={wish.symbol: seen.quote.mark},
        instruments={wish.symbol: seen.instrument},
        unusable={wish.symbol: seen.unusable} if seen.unusable else {},
        next_funding={wish.symbol: seen.next_funding_at} if seen.next_funding_at else {},
        time_zone=time_zone,
    )
    intent = size_entry(wish, context, limits)
    [ruling] = review([intent], context, limits).rulings
    approved = ruling.approved
    return WhatIf(
        instrument=seen.instrument,
        entry=intent.reference_price,
        mark=seen.quote.mark,
        as_of=market.as_of,
        wanted=_sized(intent, seen.instrument, limits),
        allowed=_sized(approved, seen.instrument, limits)
        if isinstance(approved, OrderIntent)
        else None,
        clamps=ruling.clamps,
        denial=ruling.denial,
        reward_risk=_reward_risk(wish, seen.instrument, intent.reference_price),
    )


def _sized(intent: OrderIntent, instrument: Instrument, limits: Limits) -> Sized:
    entry, stop = intent.reference_price, intent.stop_price
    notional = quantize_cash(intent.quantity * instrument.contract_size * entry)
    margin = quantize_cash(notional / intent.leverage)
    position = Position(
        symbol=intent.symbol,
        quantity=intent.quantity * intent.side.sign,
        entry_cost=notional,
        margin=margin,
        leverage=intent.leverage,
    )
    liquidation = liquidation_price(position, instrument)
    at_stop = None
    if stop is not None:
        at_stop = intent.quantity * unit_risk(instrument, entry, stop, limits.max_slippage_bps)
    return Sized(
        quantity=intent.quantity,
        notional=notional,
        leverage=intent.leverage,
        margin=margin,
        liquidation=None if liquidation is None else instrument.round_price(liquidation),
        at_stop=at_stop,
    )


def _reward_risk(wish: EntryWish, instrument: Instrument, price: Decimal) -> Decimal | None:
    """As the limit reckons it, from the expected fill after fees; None without a stop, a target, or a risk."""
    stop, target = wish.stop_price, wish.target_price
    if stop is None or target is None:
        return None
    reward = wish.side.sign * (target - price) - taker_fees(instrument, price, target)
    risk = wish.side.sign * (price - stop) + taker_fees(instrument, price, stop)
    return reward / risk if risk > ZERO else None
