"""A bar, or a quote, as the venue lives through it. The order of events is the contract:

1. Funding due at or before the bar's open, on the quantity held just before it; each (symbol, T) once.
2. At the open, for what was there before: liquidation if the mark opens at or past it, at the
   bankruptcy price; triggers that fired without volume; stops, then targets, then limits that the open
   has passed, all at the open.
3. Orders that arrive at this open, in the order of submission per symbol, symbols in name order, at the
   open. Attached protection comes alive with the fill, and fires at once if the open is past it.
4. The path inside the bar: the adverse extreme first for the position (low for a long, high for a
   short), then the favourable one; nearest to the start of the leg first. With nothing held the extreme
   that a resting entry would profit from comes first, so that no entry profits from a path it may not
   have had. If something filled inside the bar, the way from the second extreme to the close is walked
   too, for what came alive on the way.

A bar of volume 0 fills nothing, but triggers fire (TRIGGERED, filled at the open of the next bar that
has volume), market orders wait, IOC orders expire, and liquidation happens: the venue takes the position
over. A bar without prices above zero is no bar at all. A bar that had already opened when an order or a
position came to be (quotes, paper) is for them its close only.
"""

from market.domain.data import to_milliseconds
from market.domain.enums import OrderSide
from market.domain.numbers import ZERO
from market.venues.sim_venue.draft import Draft
from market.venues.sim_venue.funding import book_funding
from market.venues.sim_venue.matching import enter
from market.venues.sim_venue.moments import BarMoment, QuoteMoment
from market.venues.sim_venue.path import Leg, point, walk_leg
from market.venues.sim_venue.state import Stage
from market.venues.sim_venue.tape import BarTape, QuoteTape


def run_bar(draft: Draft, moment: BarMoment) -> None:
    """Live through one bar of every symbol that has one."""
    if moment.funding:
        book_funding(draft, moment.funding)
    busy = draft.busy_symbols()
    tapes = [
        BarTape(draft.instruments[symbol], moment, bar, draft.settings)
        for symbol, bar in moment.bars.items()
        if symbol in busy and bar.is_priced
    ]
    for tape in tapes:
        if draft.is_touchable(tape.instrument.symbol):
            _open(draft, tape)
    for tape in tapes:
        if _arrivals(draft, tape, moment) and draft.is_touchable(tape.instrument.symbol):
            _open(draft, tape)
    for tape in tapes:
        if draft.is_touchable(tape.instrument.symbol):
            tape.at = moment.last_instant
            _inside(draft, tape)
    draft.processed_until = {
        **draft.processed_until,
        **dict.fromkeys(moment.bars, moment.closes_at),
    }


def run_quotes(draft: Draft, moment: QuoteMoment) -> None:
    """Live through one instant of quotes: what it touches, then what arrives, then what that touches."""
    for symbol in sorted(draft.busy_symbols().intersection(moment.quotes)):
        quote = moment.quotes[symbol]
        tape = QuoteTape(
            draft.instruments[symbol], moment.at, quote, moment.books.get(symbol), draft.settings
        )
        meet_quote(draft, tape)
        arrived = False
        for held in tuple(draft.orders.values()):
            if (
                held.stage is Stage.SENT
                and held.order.symbol == symbol
                and held.since <= moment.at
                and held.order.client_order_id in draft.orders
            ):
                enter(draft, held, tape, quote.last)
                arrived = True
        if arrived:
            meet_quote(draft, tape)


def meet_quote(draft: Draft, tape: QuoteTape) -> None:
    """Everything at rest meets the quote."""
    quote = tape.quote
    walk_leg(draft, tape, point(quote.last, quote.mark, is_quote=True))


def _open(draft: Draft, tape: BarTape) -> None:
    walk_leg(draft, tape, point(tape.bar.open, tape.bar.mark_open))


def _arrivals(draft: Draft, tape: BarTape, moment: BarMoment) -> bool:
    """Orders that this bar's open executes: those that arrive before it closes; on paper, where bars are
    walked after their time, those that had arrived when it opened."""
    if draft.settings.execute_on_quotes:
        arrived_until = moment.opened_at
    else:
        arrived_until = moment.closes_at - 1
    symbol, open_price = tape.instrument.symbol, tape.bar.open
    arrived = False
    for held in tuple(draft.orders.values()):
        if (
            held.stage is Stage.SENT
            and held.order.symbol == symbol
            and held.since <= arrived_until
            and held.order.client_order_id in draft.orders
        ):
            enter(draft, held, tape, open_price)
            arrived = True
    return arrived


def _inside(draft: Draft, tape: BarTape) -> None:
    bar = tape.bar
    open_price, close, low, high = bar.open, bar.close, bar.low, bar.high
    mark_open, mark_close, mark_low, mark_high = (
        bar.mark_open,
        bar.mark_close,
        bar.mark_low,
        bar.mark_high,
    )
    down_first = _goes_down_first(draft, tape.instrument.symbol)
    first, second = (
        ((low, mark_low), (high, mark_high)) if down_first else ((high, mark_high), (low, mark_low))
    )
    stops = [(open_price, mark_open), first, second, (close, mark_close)]
    happened = False
    for number in range(3):
        if number == 2 and not happened:
            break
        (trade_from, mark_from), (trade_to, mark_to) = stops[number], stops[number + 1]
        leg = Leg(
            trade_from=trade_from,
            trade_to=trade_to,
            mark_from=mark_from,
            mark_to=mark_to,
            low=low,
            high=high,
        )
        happened = walk_leg(draft, tape, leg) or happened
    if draft.settings.execute_on_quotes:
        tape.since = max(tape.since, to_milliseconds(tape.at))
        walk_leg(draft, tape, point(close, mark_close), young=True)


def _goes_down_first(draft: Draft, symbol: str) -> bool:
    quantity = draft.quantity(symbol)
    if quantity != ZERO:
        return quantity > 0
    for held in draft.orders.values():
        if held.order.symbol == symbol and held.stage is Stage.RESTING:
            return held.order.side is OrderSide.SELL
    return True
