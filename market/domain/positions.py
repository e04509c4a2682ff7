"""Positions: signed quantity and entry cost, folded from fills; margin, liquidation and funding.

The average price is derived, never stored. A partial close releases `quantize(entry_cost × q/Q)`, so
that realized + unrealized adds up exactly. Isolated, linear contracts; spot is the same arithmetic
with no margin, and fees taken in base coins reduce the quantity.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from market.domain.enums import OrderSide, PositionSide
from market.domain.instruments import Instrument, MarginTier
from market.domain.numbers import ONE, ZERO, ceil_to_tick, floor_to_tick, quantize_cash
from market.domain.orders import Fill


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """What is held of one instrument. `quantity` is signed, in contracts; `entry_cost` ≥ 0 in settlement
    currency; `margin` is the isolated margin behind it (0 on spot)."""

    symbol: str
    quantity: Decimal = ZERO
    entry_cost: Decimal = ZERO
    margin: Decimal = ZERO
    leverage: Decimal = ONE
    opened_at: datetime | None = None

    @property
    def is_flat(self) -> bool:
        return self.quantity == 0

    @property
    def side(self) -> PositionSide:
        if self.quantity > 0:
            return PositionSide.LONG
        return PositionSide.SHORT if self.quantity < 0 else PositionSide.FLAT

    def entry_price(self, instrument: Instrument) -> Decimal | None:
        """Mean entry price, or None when flat."""
        if self.quantity == 0:
            return None
        return self.entry_cost / (abs(self.quantity) * instrument.contract_size)

    def unrealized_pnl(self, mark: Decimal, instrument: Instrument) -> Decimal:
        """side × (|q| × contract_size × mark − entry cost), quantised to 1e-8."""
        if self.quantity == 0:
            return ZERO
        value = self.quantity * instrument.contract_size * mark
        return quantize_cash(
            value - self.entry_cost if self.quantity > 0 else value + self.entry_cost
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionChange:
    """What a fill did: the new position, money won or lost on what was closed, and how much was closed."""

    position: Position
    realized_pnl: Decimal
    closed_quantity: Decimal


class FlipInOneFill(ValueError):
    """A fill larger than the position it closes must be split first (see `split_fill`)."""


def signed_quantity(fill: Fill) -> Decimal:
    return fill.quantity if fill.side is OrderSide.BUY else -fill.quantity


def split_fill(position: Position, fill: Fill) -> tuple[Fill, ...]:
    """A fill that flips becomes a close and an open; the fee is shared by quantity, exactly.

    Returns one fill unchanged when it does not flip. The opening half's trade id gains `:open`.
    """
    held, traded = position.quantity, signed_quantity(fill)
    if held == 0 or (held > 0) == (traded > 0) or abs(traded) <= abs(held):
        return (fill,)
    closing = abs(held)
    closing_fee = quantize_cash(fill.fee * closing / fill.quantity)
    return (
        replace(fill, quantity=closing, fee=closing_fee),
        replace(
            fill,
            venue_trade_id=f"{fill.venue_trade_id}:open",
            quantity=fill.quantity - closing,
            fee=fill.fee - closing_fee,
        ),
    )


def pays_fee_in_base(fill: Fill, instrument: Instrument) -> bool:
    return instrument.is_spot and fill.fee_currency == instrument.base


def fee_value(fill: Fill, instrument: Instrument) -> Decimal:
    """The fee in the settlement currency, a base-coin fee at the fill's own price. Raises ValueError for a
    third currency, whose price this fill does not know."""
    if fill.fee_currency == instrument.settle:
        return quantize_cash(fill.fee)
    if pays_fee_in_base(fill, instrument):
        return quantize_cash(fill.fee * instrument.contract_size * fill.price)
    if fill.fee == 0:
        return ZERO
    raise ValueError(f"a fee in {fill.fee_currency} on {fill.symbol} needs a price to be valued")


def apply_fill(
    position: Position, fill: Fill, instrument: Instrument, *, leverage: Decimal | None = None
) -> PositionChange:
    """Fold one fill into a position. Raises FlipInOneFill when it would cross zero, ValueError for
    another symbol or a quantity or price that is not above zero.

    `leverage` is that of a position which this fill opens; an open position keeps its own. A fee taken
    in the base coin (spot) is taken out of what was bought, at the fill's price: the ledger books its
    value as a fee.
    """
    if fill.symbol != position.symbol:
        raise ValueError(f"a fill of {fill.symbol} does not belong to {position.symbol}")
    if fill.quantity <= 0 or fill.price <= 0:
        raise ValueError(f"fill {fill.venue_trade_id}: quantity and price must be above zero")
    traded, held = signed_quantity(fill), position.quantity
    cost = quantize_cash(fill.quantity * instrument.contract_size * fill.price)
    if held == 0 or (held > 0) == (traded > 0):
        in_force = position.leverage if held or leverage is None else leverage
        return _increase(position, fill, instrument, traded, cost, in_force)
    closed = abs(traded)
    if closed > abs(held):
        raise FlipInOneFill(f"{position.symbol}: a fill of {closed} against {abs(held)} held")
    if closed == abs(held):
        released = position.entry_cost
        after = Position(symbol=position.symbol, leverage=position.leverage)
    else:
        released = quantize_cash(position.entry_cost * closed / abs(held))
        after = Position(
            symbol=position.symbol,
            quantity=held + traded,
            entry_cost=position.entry_cost - released,
            margin=position.margin - quantize_cash(position.margin * closed / abs(held)),
            leverage=position.leverage,
            opened_at=position.opened_at,
        )
    realized = cost - released if held > 0 else released - cost
    return PositionChange(position=after, realized_pnl=realized, closed_quantity=closed)


def _increase(
    position: Position,
    fill: Fill,
    instrument: Instrument,
    traded: Decimal,
    cost: Decimal,
    leverage: Decimal,
) -> PositionChange:
    if instrument.is_spot:
        margin = ZERO
        if pays_fee_in_base(fill, instrument):
            traded -= fill.fee
            cost -= fee_value(fill, instrument)
    else:
        margin = quantize_cash(cost / leverage)
    after = Position(
        symbol=position.symbol,
        quantity=position.quantity + traded,
        entry_cost=position.entry_cost + cost,
        margin=position.margin + margin,
        leverage=leverage,
        opened_at=position.opened_at if position.quantity else fill.at,
    )
    return PositionChange(position=after, realized_pnl=ZERO, closed_quantity=ZERO)


def liquidation_price(position: Position, instrument: Instrument) -> Decimal | None:
    """The mark price at which isolated margin no longer covers maintenance, tiers included.

    Long (C − M − k) ÷ (q (1 − r)), short (C + M + k) ÷ (q (1 + r)); q = |quantity| × contract_size, C the
    entry cost, M the margin, r and k the rate and deduction of the tier that holds *at that price*.
    None when flat, on spot, or when a long has more margin than it can lose.
    """
    if position.quantity == 0 or instrument.is_spot:
        return None
    size = abs(position.quantity) * instrument.contract_size
    if position.quantity > 0:
        return _long_liquidation(
            position.entry_cost - position.margin, size, instrument.margin_tiers
        )
    return _short_liquidation(position.entry_cost + position.margin, size, instrument.margin_tiers)


def _long_liquidation(
    unmargined: Decimal, size: Decimal, tiers: tuple[MarginTier, ...]
) -> Decimal | None:
    """The highest price at which equity ≤ maintenance: tiers from the top, each good for notionals above
    the cap of the one below it. Where deductions leave a gap at a cap, the cap's own price."""
    if unmargined <= 0:
        return None
    for place in range(len(tiers) - 1, -1, -1):
        tier = tiers[place]
        price = (unmargined - tier.deduction) / (size * (1 - tier.maintenance_rate))
        floor = tiers[place - 1].notional_cap if place else ZERO
        if floor is None or price * size > floor:
            cap = tier.notional_cap if place < len(tiers) - 1 else None
            return price if cap is None or price * size <= cap else cap / size
    return None


def _short_liquidation(
    margined: Decimal, size: Decimal, tiers: tuple[MarginTier, ...]
) -> Decimal | None:
    """The lowest price at which equity ≤ maintenance: tiers from the bottom."""
    floor = ZERO
    for place, tier in enumerate(tiers):
        price = (margined + tier.deduction) / (size * (1 + tier.maintenance_rate))
        cap = tier.notional_cap if place < len(tiers) - 1 else None
        if cap is None or price * size <= cap:
            return price if price * size >= floor else floor / size
        floor = cap
    return None


def bankruptcy_price(position: Position, instrument: Instrument) -> Decimal | None:
    """Where the margin is gone: long (C − M) ÷ q, short (C + M) ÷ q, rounded to the tick so that the
    loss never exceeds the margin. None when flat or on spot."""
    if position.quantity == 0 or instrument.is_spot:
        return None
    size = abs(position.quantity) * instrument.contract_size
    if position.quantity > 0:
        price = ceil_to_tick((position.entry_cost - position.margin) / size, instrument.price_step)
        return max(price, instrument.price_step)
    return floor_to_tick((position.entry_cost + position.margin) / size, instrument.price_step)


def maintenance_margin(position: Position, mark: Decimal, instrument: Instrument) -> Decimal:
    """notional × rate − deduction of its tier, never below zero; 0 on spot."""
    if position.quantity == 0 or instrument.is_spot:
        return ZERO
    notional = instrument.notional(position.quantity, mark)
    tier = instrument.tier(notional)
    return max(ZERO, quantize_cash(notional * tier.maintenance_rate - tier.deduction))


def is_liquidated(position: Position, mark: Decimal, instrument: Instrument) -> bool:
    """True when `mark` is at or past the liquidation price."""
    price = liquidation_price(position, instrument)
    if price is None:
        return False
    return mark <= price if position.quantity > 0 else mark >= price


def funding_amount(
    position: Position, mark: Decimal, rate: Decimal, instrument: Instrument
) -> Decimal:
    """−side × quantity × contract_size × mark × rate: a long pays when the rate is above zero."""
    if position.quantity == 0 or instrument.is_spot:
        return ZERO
    return quantize_cash(-position.quantity * instrument.contract_size * mark * rate)
