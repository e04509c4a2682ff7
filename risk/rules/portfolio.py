"""Rules of the whole book: positions, gross, net and correlated exposure, margin and cash.

Everything is measured at mark, ÷ equity, and includes what rests, what is in flight and what this reply
has already been allowed. Sums are compared as limit × equity, so nothing is lost in a division.
"""

from decimal import Decimal
from typing import Final

from market.domain.numbers import ZERO
from risk.domain import Code, Denial
from risk.rules.entry import Entry, entry_cash, entry_margin, worst_fill
from risk.rules.size import Budget


def max_positions(entry: Entry) -> Denial | None:
    """Symbols held, resting or just approved, this one included, are at most N; dust counts as flat."""
    allowed = entry.limits.max_open_positions
    if allowed is None:
        return None
    symbols = {stake.symbol for stake in entry.book if stake.quantity and not stake.is_dust}
    count = len(symbols | {entry.intent.symbol})
    return (
        None if count <= allowed else entry.deny(Code.MAX_POSITIONS, wanted=count, allowed=allowed)
    )


def gross_exposure(entry: Entry) -> Budget | None:
    """Σ|quantity × contract size × mark| ≤ multiple × equity."""
    multiple = entry.limits.max_gross_exposure
    if multiple is None:
        return None
    return Budget(
        code=Code.GROSS_EXPOSURE,
        cap=multiple * entry.context.equity,
        used=sum((abs(stake.notional) for stake in entry.book), ZERO),
        unit=entry.instrument.contract_size * entry.mark,
    )


def net_exposure(entry: Entry) -> Budget | None:
    """|Σ side × quantity × contract size × mark| ≤ multiple × equity."""
    multiple = entry.limits.max_net_exposure
    if multiple is None:
        return None
    return Budget(
        code=Code.NET_EXPOSURE,
        cap=multiple * entry.context.equity,
        used=entry.sign * sum((stake.notional for stake in entry.book), ZERO),
        unit=entry.instrument.contract_size * entry.mark,
        is_signed=True,
    )


def correlated_exposure(entry: Entry) -> Budget | None:
    """|Σ side × notional| over the bases that share this one's group ≤ multiple × equity."""
    multiple = entry.limits.max_correlated_exposure
    if multiple is None:
        return None
    group = entry.group
    return Budget(
        code=Code.CORRELATED_EXPOSURE,
        cap=multiple * entry.context.equity,
        used=entry.sign * sum((s.notional for s in entry.book if s.group == group), ZERO),
        unit=entry.instrument.contract_size * entry.mark,
        is_signed=True,
    )


def margin_used(entry: Entry, leverage: Decimal) -> Budget | None:
    """Initial margin of positions and entries ≤ fraction × equity."""
    fraction = entry.limits.max_margin_used_fraction
    if fraction is None:
        return None
    return Budget(
        code=Code.MARGIN_USED,
        cap=fraction * entry.context.equity,
        used=sum((stake.margin for stake in entry.book), ZERO),
        unit=entry_margin(entry.instrument, entry.price, leverage),
    )


def available_margin(entry: Entry, leverage: Decimal) -> Budget | None:
    """Initial margin at the dearest fill allowed, and the taker fee, ≤ the cash nothing else holds."""
    worst = worst_fill(entry.price, entry.sign, entry.limits)
    unit = entry_cash(entry.instrument, worst, leverage)
    return Budget(code=Code.AVAILABLE_MARGIN, cap=entry.cash, used=ZERO, unit=unit)


EXPOSURE_BUDGETS: Final = (gross_exposure, net_exposure, correlated_exposure)
MARGIN_BUDGETS: Final = (margin_used, available_margin)
