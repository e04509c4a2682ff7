"""What a profile would let through: one entry on the market as it is now, of an account that holds nothing or of a bot.

It is sized and judged by the functions of the cycle itself, on prices that were just read: without one, or on one
that may not be traded on, nothing is reckoned. Nothing is asked of a model, booked, stored or sent.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from bots import models, rows, runtime
from bots.account_check import AccountCheck
from bots.domain.bot import BotStatus
from bots.domain.stored_book import book_from
from bots.observation import (
    Observation,
    account_of,
    atr_of,
    beat_of,
    context_of,
    equity_of,
)
from bots.services.probing import Sight, market_of
from market.domain.account import Account
from market.domain.data import InstrumentSnapshot, MarketSnapshot
from market.domain.enums import OrderPurpose, OrderSide, OrderType, PositionSide
from market.domain.instruments import Instrument
from market.domain.numbers import ONE, ZERO, quantize_cash
from market.domain.orders import Order
from market.domain.positions import Position
from risk.domain import Clamp, Denial, Limits, OrderIntent, RiskContext, TradingState
from risk.objections import objections
from risk.sizing import (
    EntryWish,
    expected_fill,
    quantity_for_margin,
    size_entry,
    stop_by_atr,
    stop_by_fraction,
    taker_fees,
    target_by_atr,
    target_by_fraction,
    target_by_ratio,
    unit_risk,
)
from tradingagent.accounts.models import User


class ExitBy(StrEnum):
    """How a stop or a target is stated: as a price, as a share (0–1) of the entry price away from it, in average true
    ranges away from it, or (a target) as the reward for 1 of risk."""

    PRICE = "PRICE"
    FRACTION = "FRACTION"
    ATR = "ATR"
    RATIO = "RATIO"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitAt:
    """A stop or a target as it is stated. `value` above zero, in the unit of `by`."""

    by: ExitBy
    value: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryAsked:
    """An entry that somebody asks about. `risk_fraction`: the part of equity lost if the stop is hit."""

    symbol: str
    side: PositionSide
    risk_fraction: Decimal
    leverage: Decimal
    stop: ExitAt
    target: ExitAt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Whose entry it would be: a bot's, as it stands now, or that of an account with `capital` and nothing else.
    `sight`: where that account trades, and the candles whose ATR counts."""

    user: User
    sight: Sight
    capital: Decimal = ZERO
    bot: models.Bot | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """An entry in numbers, money in the settlement currency. `at_stop`: what is lost there, fees and the slippage
    allowance included, which is 1 R; `at_target`: what is won there after fees, None without a target; `fees`: both
    taker fees when the stop is hit. `liquidation`: of the whole position, our estimate, and how far the mark is from
    it as a share of the mark; None where it can't be liquidated. `carried`: contracts that the free cash carries."""

    quantity: Decimal
    notional: Decimal
    leverage: Decimal
    margin: Decimal
    carried: Decimal
    at_stop: Decimal
    at_target: Decimal | None
    fees: Decimal
    liquidation: Decimal | None
    liquidation_away: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """An entry as it was wished for, and what the limits make of it: `allowed` None where `denial` says why; `besides`
    is what else would deny it. `atr`: of the closed candles, where it was asked for."""

    instrument: Instrument
    equity: Decimal
    entry: Decimal
    stop: Decimal
    target: Decimal | None
    mark: Decimal
    priced_at: datetime
    wanted: Sized
    allowed: Sized | None
    clamps: tuple[Clamp, ...]
    denial: Denial | None
    besides: tuple[Denial, ...]
    reward_risk: Decimal | None
    atr: Decimal | None


def what_if(limits: Limits, asked: EntryAsked, holder: Holder) -> WhatIf:
    """Size and judge one entry. Raises CannotTrade for what is not listed, has no price, or a price that may not be
    traded on; VenueUnavailable; ValueError for a venue nobody knows, or a stop or target that can't be."""
    context, seen = _context(limits, asked.symbol, holder)
    quote = context.quotes[asked.symbol]
    instrument = seen.instrument
    entry = expected_fill(quote, asked.side)
    atr = _atr(asked, seen, holder)
    stop = _stop(asked, instrument, entry, atr)
    target = _target(asked, instrument, entry, stop, atr)
    wish = EntryWish(
        symbol=asked.symbol,
        side=asked.side,
        risk_fraction=asked.risk_fraction,
        leverage=asked.leverage,
        stop_price=stop,
        target_price=target,
        confidence=ONE,
    )
    intent = size_entry(wish, context, limits)
    ruling, besides = objections(intent, context, limits)
    approved, denial = ruling.approved, ruling.denial
    over_all = _over_all_bots(approved or intent, instrument, quote.at, holder.user)
    if over_all is not None:
        approved, denial, besides = (
            (None, over_all, ()) if denial is None else (None, denial, (*besides, over_all))
        )
    return WhatIf(
        instrument=instrument,
        equity=context.equity,
        entry=entry,
        stop=stop,
        target=target,
        mark=quote.mark,
        priced_at=quote.at,
        wanted=_sized(intent, stop, context, limits),
        allowed=_sized(approved, stop, context, limits)
        if isinstance(approved, OrderIntent) and approved.purpose is OrderPurpose.ENTRY
        else None,
        clamps=ruling.clamps,
        denial=denial,
        besides=besides,
        reward_risk=None if target is None else _reward_risk(intent, instrument, stop, target),
        atr=atr,
    )


# --- who holds what --------------------------------------------------------------------------------


def _context(limits: Limits, symbol: str, holder: Holder) -> tuple[RiskContext, InstrumentSnapshot]:
    """What the entry is judged in, and the instrument as it is seen. Its symbol has a quote there."""
    bot = None if holder.bot is None else runtime.load_bot(holder.bot.pk)
    if bot is None:
        market = market_of(holder.sight, (symbol,))
    elif symbol in bot.symbols:
        market = market_of(replace(holder.sight, venue=bot.venue), bot.symbols)
    else:
        raise runtime.CannotTrade(f"{bot.name} trades {', '.join(bot.symbols)} and nothing else")
    seen = market.by_symbol[symbol]
    if seen.quote is None:
        raise runtime.CannotTrade(f"{symbol} has no price now, so nothing is reckoned")
    if seen.unusable is not None:
        raise runtime.CannotTrade(
            f"{symbol} can't be opened on now, so nothing is reckoned: {seen.unusable}"
        )
    if bot is None:
        return _nothing_held(market, holder), seen
    return _as_it_stands(bot, limits, market), seen


def _nothing_held(market: MarketSnapshot, holder: Holder) -> RiskContext:
    [seen] = market.instruments
    symbol, marks = (
        seen.symbol,
        {one.symbol: one.quote.mark for one in market.instruments if one.quote},
    )
    instruments = {symbol: seen.instrument}
    return RiskContext(
        now=market.as_of,
        state=TradingState.ACTIVE,
        account=Account(cash=holder.capital, positions={}, instruments=instruments, marks=marks),
        equity=holder.capital,
        quotes={} if seen.quote is None else {symbol: seen.quote},
        prompt_marks=marks,
        instruments=instruments,
        next_funding={symbol: seen.next_funding_at} if seen.next_funding_at else {},
        time_zone=holder.user.time_zone,
    )


def _as_it_stands(bot: models.Bot, limits: Limits, market: MarketSnapshot) -> RiskContext:
    """The bot's account as booked, valued at these prices. Nothing is reconciled, and its desk is left alone."""
    living = models.Order.objects.filter(bot=bot, status__in=models.LIVING_STATUSES)
    orders = {row.client_order_id: rows.order_from(row) for row in living}
    config, book = runtime.config_of(bot), book_from(bot.state.book, orders)
    instruments = {one.symbol: one.instrument for one in market.instruments}
    account = account_of(book, instruments, market)
    seen = Observation(
        now=market.as_of,
        snapshot=market,
        account=account,
        equity=equity_of(account),
        venue_known=True,
        breakers=beat_of(
            config, limits, book.breakers, market, account, market.as_of, may_ask=False
        ),
    )
    return context_of(
        config,
        book,
        seen,
        market,
        instruments=instruments,
        limits=limits,
        groups={},
        may_open=bot.status == BotStatus.ACTIVE and not bot.is_halted,
    )


def _over_all_bots(
    intent: object, instrument: Instrument, now: datetime, user: User
) -> Denial | None:
    """What the limits over all bots of the user say to it."""
    if not isinstance(intent, OrderIntent):
        return None
    entry = Order(
        client_order_id="asked",
        symbol=intent.symbol,
        side=OrderSide.BUY if intent.side is PositionSide.LONG else OrderSide.SELL,
        order_type=OrderType.LIMIT,
        purpose=OrderPurpose.ENTRY,
        quantity=intent.quantity,
        price=intent.reference_price,
        leverage=intent.leverage,
        created_at=now,
    )
    bases = {intent.symbol: (instrument.base, instrument.contract_size)}
    return AccountCheck(user.pk, bases, runtime.clock()).ask(entry)


# --- stop and target -------------------------------------------------------------------------------


def _atr(asked: EntryAsked, seen: InstrumentSnapshot, holder: Holder) -> Decimal | None:
    """The ATR, where a stop or a target is stated in it. Raises CannotTrade while there are too few candles."""
    if ExitBy.ATR not in (asked.stop.by, asked.target and asked.target.by):
        return None
    found = atr_of(seen)
    if found is None or found <= 0:
        minutes = int(holder.sight.timeframe.total_seconds() // 60)
        raise runtime.CannotTrade(
            f"there are too few closed candles of {minutes} min for an ATR of {asked.symbol}"
        )
    return found


def _stop(
    asked: EntryAsked, instrument: Instrument, entry: Decimal, atr: Decimal | None
) -> Decimal:
    value, side = asked.stop.value, asked.side
    if asked.stop.by is ExitBy.FRACTION:
        return stop_by_fraction(instrument, side, entry=entry, fraction=value)
    if asked.stop.by is ExitBy.ATR and atr is not None:
        return stop_by_atr(instrument, side, entry=entry, atr=atr, multiple=value)
    return instrument.round_price(value)


def _target(
    asked: EntryAsked, instrument: Instrument, entry: Decimal, stop: Decimal, atr: Decimal | None
) -> Decimal | None:
    if asked.target is None:
        return None
    value, side = asked.target.value, asked.side
    if asked.target.by is ExitBy.FRACTION:
        return target_by_fraction(instrument, side, entry=entry, fraction=value)
    if asked.target.by is ExitBy.ATR and atr is not None:
        return target_by_atr(instrument, side, entry=entry, atr=atr, multiple=value)
    if asked.target.by is ExitBy.RATIO:
        return target_by_ratio(instrument, side, entry=entry, stop=stop, ratio=value)
    return instrument.round_price(value)


# --- in numbers ------------------------------------------------------------------------------------


def _sized(intent: OrderIntent, stop: Decimal, context: RiskContext, limits: Limits) -> Sized:
    instrument = context.instruments[intent.symbol]
    entry, contracts = intent.reference_price, intent.quantity * instrument.contract_size
    notional, target = quantize_cash(contracts * entry), intent.target_price
    liquidation = _liquidation(intent, notional, context)
    mark = context.quotes[intent.symbol].mark
    return Sized(
        quantity=intent.quantity,
        notional=notional,
        leverage=intent.leverage,
        margin=quantize_cash(notional / intent.leverage),
        carried=instrument.round_quantity(
            quantity_for_margin(
                instrument,
                cash=context.account.available,
                leverage=intent.leverage,
                entry=entry,
                side=intent.side,
                slippage_bps=limits.max_slippage_bps,
            )
        ),
        at_stop=intent.quantity * unit_risk(instrument, entry, stop, limits.max_slippage_bps),
        at_target=None
        if target is None
        else contracts
        * (intent.side.sign * (target - entry) - taker_fees(instrument, entry, target)),
        fees=contracts * taker_fees(instrument, entry, stop),
        liquidation=liquidation,
        liquidation_away=None if liquidation is None else abs(liquidation - mark) / mark,
    )


def _liquidation(intent: OrderIntent, notional: Decimal, context: RiskContext) -> Decimal | None:
    """Of the position with this entry filled as expected, and what is held on its side."""
    instrument = context.instruments[intent.symbol]
    held = context.account.positions.get(intent.symbol)
    if held is None or held.side is not intent.side:
        held = Position(symbol=intent.symbol)
    position = Position(
        symbol=intent.symbol,
        quantity=held.quantity + intent.quantity * intent.side.sign,
        entry_cost=held.entry_cost + notional,
        margin=held.margin + quantize_cash(notional / intent.leverage),
        leverage=intent.leverage,
    )
    found = context.account.liquidation_price(position, instrument)
    return None if found is None else instrument.round_price(found)


def _reward_risk(
    intent: OrderIntent, instrument: Instrument, stop: Decimal, target: Decimal
) -> Decimal | None:
    """As the limit reckons it, from the expected fill after fees; None where nothing is at risk."""
    price, sign = intent.reference_price, intent.side.sign
    reward = sign * (target - price) - taker_fees(instrument, price, target)
    risk = sign * (price - stop) + taker_fees(instrument, price, stop)
    return reward / risk if risk > ZERO else None
