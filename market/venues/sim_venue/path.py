"""How prices touch what rests: one walk over a leg of a path, nearest touch first.

A leg goes from one price to another, for trades and for the mark. Along it each trigger, limit and
liquidation price is met at a distance from the leg's start in its own series; equal distances go to
liquidation, then what fired before, stops, targets, limits, then the order of submission. After each
touch everything is asked again: a fill may bring stops alive, close the position or move its
liquidation price.

Limits fill at their own price when a leg reaches them, at the leg's price when it starts past them.
A trigger on LAST fills at its trigger; one on MARK at the trade price of that instant, which inside a
bar is not recorded: the trigger price, kept within the bar's low and high.
"""

from dataclasses import dataclass
from decimal import Decimal

from market.domain.enums import Liquidity, OrderSide, OrderStatus, OrderType, TriggerBasis
from market.domain.numbers import ZERO
from market.domain.orders import Order
from market.venues.sim_venue.draft import Draft
from market.venues.sim_venue.funding import liquidate
from market.venues.sim_venue.matching import execute, triggered
from market.venues.sim_venue.state import AT_THE_ENGINE, SimOrder, Stage
from market.venues.sim_venue.tape import Tape


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """A piece of the path. A point (from = to) is an instant: the open of a bar, or a quote, where
    limits meet bid, ask or book instead. `low` and `high` bound the trades of the bar."""

    trade_from: Decimal
    trade_to: Decimal
    mark_from: Decimal
    mark_to: Decimal
    low: Decimal
    high: Decimal
    is_quote: bool = False

    @property
    def is_point(self) -> bool:
        return self.trade_from == self.trade_to and self.mark_from == self.mark_to


def point(trade: Decimal, mark: Decimal, *, is_quote: bool = False) -> Leg:
    """A leg that is one instant."""
    return Leg(
        trade_from=trade, trade_to=trade, mark_from=mark, mark_to=mark, low=trade, high=trade, is_quote=is_quote
    )  # fmt: skip


Touch = tuple[Decimal, int, int, SimOrder | None, Decimal]
"""(distance, rank, place, order or None for liquidation, price of the series that was touched)."""

_LIQUIDATION, _FIRED, _STOP, _TARGET, _LIMIT = range(5)


def is_falling(order: Order) -> bool:
    """True for a trigger or limit that a falling price meets: sell stops, buy targets, buy limits."""
    return (order.side is OrderSide.SELL) == (order.order_type is OrderType.STOP_MARKET)


def would_fire(order: Order, price: Decimal) -> bool:
    """True when a conditional order's trigger is already met at a price."""
    if order.trigger_price is None:
        return False
    return price <= order.trigger_price if is_falling(order) else price >= order.trigger_price


def walk_leg(draft: Draft, tape: Tape, leg: Leg, *, young: bool = False) -> bool:
    """Let everything that the leg touches happen, in its order. `young`: only orders and positions that
    came alive after the bar opened (the leg is then the bar's close); otherwise only the others.
    Returns True when anything happened."""
    progress, done = ZERO, set[str]()
    while True:
        touch = _nearest(draft, tape, leg, progress, done, young=young)
        if touch is None:
            return progress > 0 or bool(done)
        progress = touch[0]
        held = touch[3]
        if held is None:
            done.add("")
            liquidate(draft, tape)
        else:
            done.add(held.order.client_order_id)
            _meet(draft, tape, leg, held, touch[4])


def _nearest(
    draft: Draft, tape: Tape, leg: Leg, progress: Decimal, done: set[str], *, young: bool
) -> Touch | None:
    symbol, opened_at = tape.instrument.symbol, tape.opened_at
    best: Touch | None = None
    liquidation = draft.liquidation_prices.get(symbol)
    if liquidation is not None and (draft.changed_at(symbol) > opened_at) == young:
        falls = draft.quantity(symbol) > 0
        met = _met(liquidation, falls, leg.mark_from, leg.mark_to, progress)
        if met is not None:
            best = (abs(met - leg.mark_from), _LIQUIDATION, 0, None, met)
    for place, held in enumerate(draft.orders.values()):
        if (
            held.order.symbol != symbol
            or held.stage not in AT_THE_ENGINE
            or (held.since > opened_at) != young
            or held.order.client_order_id in done
        ):
            continue
        touch = _touch(held, place, tape, leg, progress)
        if touch is not None and (best is None or touch[:3] < best[:3]):
            best = touch
    return best


def _touch(held: SimOrder, place: int, tape: Tape, leg: Leg, progress: Decimal) -> Touch | None:
    """Where the leg meets a resting order, or None."""
    order = held.order
    if held.stage is Stage.TRIGGERED:
        if leg.is_point and not tape.is_silent:
            return (ZERO, _FIRED, place, held, leg.trade_to)
        return None
    if order.order_type is OrderType.LIMIT:
        met = None if order.price is None else _limit_met(held, order.price, tape, leg, progress)
        return None if met is None else (abs(met - leg.trade_from), _LIMIT, place, held, met)
    if order.trigger_price is None:
        return None
    on_mark = order.trigger_basis is TriggerBasis.MARK
    start, end = (leg.mark_from, leg.mark_to) if on_mark else (leg.trade_from, leg.trade_to)
    met = _met(order.trigger_price, is_falling(order), start, end, progress)
    if met is None:
        return None
    rank = _STOP if order.order_type is OrderType.STOP_MARKET else _TARGET
    return (abs(met - start), rank, place, held, met)


def _limit_met(
    held: SimOrder, price: Decimal, tape: Tape, leg: Leg, progress: Decimal
) -> Decimal | None:
    """The price at which a resting limit fills. A quote fills it at its own price, never better."""
    side = held.order.side
    if not tape.maker_offers(side, price):
        return None
    if leg.is_quote:
        return price
    return _met(price, side is OrderSide.BUY, leg.trade_from, leg.trade_to, progress)


def _met(
    level: Decimal, falls: bool, start: Decimal, end: Decimal, progress: Decimal
) -> Decimal | None:
    """The price at which a leg, `progress` already behind it, meets a level; None when it never does."""
    if end < start:
        here = max(end, start - progress)
    else:
        here = min(end, start + progress)
    if falls:
        if here <= level:
            return here
        return level if end <= level else None
    if here >= level:
        return here
    return level if end >= level else None


def _meet(draft: Draft, tape: Tape, leg: Leg, held: SimOrder, price: Decimal) -> None:
    """Fill a limit, or fire a trigger and fill it; without volume a trigger fires and waits."""
    order = held.order
    if order.order_type is OrderType.LIMIT:
        execute(draft, held, tape, tape.maker_offers(order.side, price), Liquidity.MAKER)
        return
    if leg.is_point:
        price = leg.trade_to
    elif order.trigger_basis is TriggerBasis.MARK:
        price = min(max(price, leg.low), leg.high)
    offers = tape.offers(order.side, price)
    if not offers and held.stage is not Stage.TRIGGERED:
        held = triggered(held)
        draft.put(held)
        draft.tell(held, tape.at, OrderStatus.TRIGGERED)
    elif offers:
        execute(draft, held, tape, offers, Liquidity.TAKER)
