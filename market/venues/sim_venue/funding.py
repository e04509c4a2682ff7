"""What the venue takes and gives by itself: funding on positions, and their liquidation.

Funding is paid on the quantity held just before T, from the wallet, once per (symbol, T). Liquidation
closes the whole position at its bankruptcy price whatever the tape says (the venue takes it over, so it
needs no volume); its fee is an Adjustment. What the position loses is never more than margin + fee.
"""

from bisect import bisect_left
from collections.abc import Sequence
from decimal import Decimal

from market.domain.data import from_milliseconds
from market.domain.enums import FillReason, Liquidity, OrderSide
from market.domain.numbers import ZERO, quantize_cash
from market.domain.orders import Adjustment, FundingPayment, OrderReport
from market.domain.positions import Position, bankruptcy_price, funding_amount
from market.venues.sim_venue.draft import Draft
from market.venues.sim_venue.matching import clear_if_flat
from market.venues.sim_venue.moments import FundingDue
from market.venues.sim_venue.state import Change
from market.venues.sim_venue.tape import Tape


def quantity_before(changes: Sequence[Change], at: int) -> Decimal:
    """The signed quantity held just before an instant: a change at that very instant comes after it."""
    index = bisect_left(changes, at, key=lambda change: change[0])
    return changes[index - 1][1] if index else ZERO


def book_funding(draft: Draft, dues: Sequence[FundingDue]) -> None:
    """Book every settled rate that has not been booked, oldest first per symbol."""
    for due in dues:
        if due.at <= draft.funding_until.get(due.symbol, -1):
            continue
        draft.funding_until = {**draft.funding_until, due.symbol: due.at}
        quantity = quantity_before(draft.changes.get(due.symbol, ()), due.at)
        if not quantity:
            continue
        amount = funding_amount(
            Position(symbol=due.symbol, quantity=quantity),
            due.mark,
            due.rate,
            draft.instruments[due.symbol],
        )
        draft.cash += amount
        draft.reports.append(
            FundingPayment(
                at=from_milliseconds(due.at),
                symbol=due.symbol,
                amount=amount,
                rate=due.rate,
                mark_price=due.mark,
            )
        )


def liquidate(draft: Draft, tape: Tape) -> None:
    """Close the whole position at its bankruptcy price and book the liquidation fee."""
    instrument = tape.instrument
    position = draft.positions[instrument.symbol]
    price = bankruptcy_price(position, instrument)
    if price is None:
        raise ValueError(f"{instrument.symbol} can't be liquidated")
    quantity = abs(position.quantity)
    fill = draft.trade(
        instrument,
        client_order_id=None,
        side=OrderSide.SELL if position.quantity > 0 else OrderSide.BUY,
        quantity=quantity,
        price=price,
        rate=ZERO,
        liquidity=Liquidity.TAKER,
        at=tape.at,
        since=tape.since,
        reason=FillReason.LIQUIDATION,
    )
    fee = quantize_cash(instrument.notional(quantity, price) * instrument.liquidation_fee)
    fee = max(ZERO, min(fee, draft.cash))  # nobody can be charged more than is left
    if fee:  # told before the fill, so that it belongs to the trade that it ends
        draft.cash -= fee
        draft.reports.append(
            Adjustment(
                at=tape.at,
                symbol=instrument.symbol,
                amount=-fee,
                kind="LIQUIDATION_FEE",
                key=f"liquidation:{fill.venue_trade_id}",
            )
        )
    draft.reports.append(
        OrderReport(at=tape.at, symbol=instrument.symbol, client_order_id=None, fill=fill)
    )
    clear_if_flat(draft, tape, price)
