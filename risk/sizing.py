"""Sizes: how many contracts a wish comes to, and where its stop and target lie. One place, so that plan, veto,
pages and tests mean the same.

quantity = equity × risk_fraction ÷ (|entry − stop| + both taker fees + slippage allowance), each per
contract. Rounding is the instrument's, always down. Sizing never invents a size that was not stated,
and it holds nothing to a limit: that is the veto's, which records what it took away.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_DOWN, Decimal

from market.domain.data import Quote
from market.domain.enums import OrderPurpose, PositionSide
from market.domain.instruments import Instrument
from market.domain.numbers import (
    BASIS_POINT,
    CASH_QUANTUM,
    ONE,
    ZERO,
    ceil_to_tick,
    floor_to_tick,
    plain,
)
from risk.domain import Limits, OrderIntent, Requester, RiskContext


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryWish:
    """An entry as it was wished for. `risk_fraction` is the part of equity lost if the stop is hit,
    `notional` is in settlement currency; both given → the smaller. No leverage means 1."""

    symbol: str
    side: PositionSide
    risk_fraction: Decimal | None = None
    notional: Decimal | None = None
    leverage: Decimal | None = None
    stop_price: Decimal | None = None
    target_price: Decimal | None = None
    confidence: Decimal | None = None
    requester: Requester = Requester.TRADER


def taker_fees(instrument: Instrument, entry: Decimal, exit_price: Decimal) -> Decimal:
    """Both taker fees of a round trip, per base unit: rate × (entry + exit)."""
    return instrument.taker_fee * (entry + exit_price)


def unit_risk(
    instrument: Instrument, entry: Decimal, stop: Decimal, slippage_bps: Decimal | None = None
) -> Decimal:
    """Money lost per contract when the stop is hit: |entry − stop| + both taker fees + the slippage
    allowance, which is the widest entry slippage that the limits permit (none: 0)."""
    slippage = ZERO if slippage_bps is None else entry * slippage_bps * BASIS_POINT
    loss = abs(entry - stop) + taker_fees(instrument, entry, stop) + slippage
    return loss * instrument.contract_size


def quantity_for_risk(
    instrument: Instrument,
    *,
    equity: Decimal,
    risk_fraction: Decimal,
    entry: Decimal,
    stop: Decimal,
    slippage_bps: Decimal | None = None,
) -> Decimal | None:
    """Contracts, not yet rounded, that lose risk_fraction × equity at the stop. None when nothing is at
    risk per contract, so that no quantity follows."""
    risk = unit_risk(instrument, entry, stop, slippage_bps)
    return equity * risk_fraction / risk if risk > 0 else None


def quantity_for_margin(
    instrument: Instrument,
    *,
    cash: Decimal,
    leverage: Decimal,
    entry: Decimal,
    side: PositionSide,
    slippage_bps: Decimal | None = None,
) -> Decimal:
    """Contracts, not yet rounded, that `cash` carries at this leverage: it pays the initial margin (price ÷
    leverage) and the taker fee of each, at the dearest fill that the slippage allowance lets a long have.

    quantity = cash ÷ (contract_size × price × (1 ÷ leverage + taker_fee)), as the veto reckons
    AVAILABLE_MARGIN. 0 without cash. Raises ValueError for a leverage or an entry that is not above zero.
    """
    if leverage <= 0 or entry <= 0:
        raise ValueError(f"a leverage of {leverage} at {entry} carries nothing")
    if cash <= 0:
        return ZERO
    slippage = slippage_bps or ZERO if side is PositionSide.LONG else ZERO
    notional = instrument.contract_size * entry * (ONE + slippage * BASIS_POINT)
    return cash / (notional / leverage + notional * instrument.taker_fee)


def quantity_for_notional(instrument: Instrument, *, notional: Decimal, price: Decimal) -> Decimal:
    """Contracts, not yet rounded, worth `notional` at `price`."""
    return notional / (instrument.contract_size * price)


# --- Stops and targets -----------------------------------------------------------------------------


class ImpossiblePrice(ValueError):
    """A stop or target that would lie at zero or below; one sentence says how it came to that."""


def stop_by_fraction(
    instrument: Instrument, side: PositionSide, *, entry: Decimal, fraction: Decimal
) -> Decimal:
    """The stop that lies `fraction` (0–1) of the entry price from it: entry × (1 − side × fraction), on the
    nearest tick. Raises ImpossiblePrice."""
    return _on_tick(instrument, entry - side.sign * fraction * entry)


def target_by_fraction(
    instrument: Instrument, side: PositionSide, *, entry: Decimal, fraction: Decimal
) -> Decimal:
    """The target that lies `fraction` of the entry price from it: entry × (1 + side × fraction), on the
    nearest tick. Raises ImpossiblePrice."""
    return _on_tick(instrument, entry + side.sign * fraction * entry)


def stop_by_atr(
    instrument: Instrument, side: PositionSide, *, entry: Decimal, atr: Decimal, multiple: Decimal
) -> Decimal:
    """The stop that lies so many average true ranges from the entry: entry − side × multiple × ATR, on the
    nearest tick (J. Welles Wilder, New Concepts in Technical Trading Systems, 1978). `atr` in price units.
    Raises ImpossiblePrice."""
    return _on_tick(instrument, entry - side.sign * multiple * atr)


def target_by_atr(
    instrument: Instrument, side: PositionSide, *, entry: Decimal, atr: Decimal, multiple: Decimal
) -> Decimal:
    """The target that lies so many average true ranges from the entry: entry + side × multiple × ATR, on the
    nearest tick. Raises ImpossiblePrice."""
    return _on_tick(instrument, entry + side.sign * multiple * atr)


def target_by_ratio(
    instrument: Instrument, side: PositionSide, *, entry: Decimal, stop: Decimal, ratio: Decimal
) -> Decimal:
    """The nearest target, on the tick, whose reward is at least `ratio` times what is risked at `stop`, both
    taker fees of each way out counted: the limit `min_reward_risk` solved for the target.

    side × (target − entry) − fee × (entry + target) = ratio × (side × (entry − stop) + fee × (entry + stop)),
    so target = (entry × (side + fee) + ratio × risk) ÷ (side − fee). Raises ImpossiblePrice, ValueError for a
    stop on the wrong side of the entry.
    """
    sign, fee = side.sign, instrument.taker_fee
    if sign * (entry - stop) <= 0:
        raise ValueError("the stop is on the wrong side of the entry, so no reward follows from it")
    risk = sign * (entry - stop) + taker_fees(instrument, entry, stop)
    target = (entry * (sign + fee) + ratio * risk) / (sign - fee)
    away = ceil_to_tick if sign > 0 else floor_to_tick
    return _above_zero(away(target, instrument.price_step))


def _on_tick(instrument: Instrument, price: Decimal) -> Decimal:
    return _above_zero(instrument.round_price(price))


def _above_zero(price: Decimal) -> Decimal:
    if price <= 0:
        raise ImpossiblePrice(f"that far from the entry the price would be {plain(price)}")
    return price


# --- A wish ----------------------------------------------------------------------------------------


def _unrounded(
    wish: EntryWish,
    instrument: Instrument,
    equity: Decimal,
    entry: Decimal,
    slippage_bps: Decimal | None,
) -> Decimal | None:
    given = [size for size in (wish.risk_fraction, wish.notional) if size is not None]
    numbers = given if wish.stop_price is None else [*given, wish.stop_price]
    if entry <= 0 or equity <= 0 or not given or not all(n.is_finite() and n > 0 for n in numbers):
        return None
    sizes: list[Decimal | None] = []
    if wish.risk_fraction is not None and (stop := wish.stop_price) is not None:
        sizes.append(
            quantity_for_risk(
                instrument,
                equity=equity,
                risk_fraction=wish.risk_fraction,
                entry=entry,
                stop=stop,
                slippage_bps=slippage_bps,
            )
        )
    if wish.notional is not None:
        sizes.append(quantity_for_notional(instrument, notional=wish.notional, price=entry))
    return min((size for size in sizes if size is not None), default=None)


def expected_fill(quote: Quote, side: PositionSide) -> Decimal:
    """The price an entry expects: the best on the other side of the book."""
    return quote.ask if side is PositionSide.LONG else quote.bid


def raw_leverage(limits: Limits) -> Decimal:
    """Profile raw: the smallest whole leverage that carries `size`, never under 1."""
    return max(ONE, limits.size.to_integral_value(ROUND_CEILING))


def raw_quote_quantity(equity: Decimal, limits: Limits) -> Decimal:
    """Profile raw: the money an entry may spend, fee included: size × equity, to 1e-8 down."""
    return max(ZERO, (limits.size * equity).quantize(CASH_QUANTUM, ROUND_DOWN))


def size_entry(wish: EntryWish, context: RiskContext, limits: Limits) -> OrderIntent:
    """A wish as an intent at the fresh quote; it refuses nothing.

    What has no size gets quantity 0, and what is under one step keeps its unrounded quantity, so that
    the veto denies them with NO_SIZE and MIN_SIZE. Without a quote the reference price is 0: STALE.
    """
    quote = context.quotes.get(wish.symbol)
    instrument = context.instruments.get(wish.symbol)
    entry = ZERO if quote is None else expected_fill(quote, wish.side)
    quantity, quote_quantity, leverage = ZERO, None, wish.leverage or ONE
    if limits.raw:
        quote_quantity = raw_quote_quantity(context.equity, limits)
        leverage = raw_leverage(limits)
    elif instrument is not None:
        wanted = (
            _unrounded(wish, instrument, context.equity, entry, limits.max_slippage_bps) or ZERO
        )
        quantity = instrument.round_quantity(wanted) or wanted
    return OrderIntent(
        symbol=wish.symbol,
        purpose=OrderPurpose.ENTRY,
        side=wish.side,
        quantity=quantity,
        quote_quantity=quote_quantity,
        leverage=leverage,
        reference_price=entry,
        stop_price=wish.stop_price,
        target_price=wish.target_price,
        confidence=wish.confidence,
        requester=wish.requester,
    )
