"""What an entry is judged by: the wish, fresh prices, and the book it would join.

The book counts what may still happen: positions less this reply's approved closes, entries of ours that
rest or are in flight, and the entries that this reply has already been allowed. An unknown mark is
never guessed: `book_of` raises, and nothing is opened.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from market.domain.account import MissingMark, locked
from market.domain.data import Quote
from market.domain.enums import PositionSide
from market.domain.instruments import Instrument
from market.domain.numbers import BASIS_POINT, ZERO, plain
from risk.domain import Code, Denial, Limits, OrderIntent, RestingEntry, RiskContext
from risk.sizing import taker_fees

ALT: Final = "ALT"
GROUPS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("BTC", "XBT", "WBTC"), "BTC"),
    **dict.fromkeys(("ETH", "WETH", "STETH"), "ETH"),
    **dict.fromkeys(
        ("ADA", "AVAX", "BCH", "BNB", "DOGE", "DOT", "LINK", "LTC", "SOL", "TON", "TRX", "XRP"),
        "MAJOR",
    ),
}
"""Base asset → group of assets that move together. Unlisted bases are ALT."""
_LARGEST_EXPONENT: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Stake:
    """One part of the book: a position, a resting entry, or an entry approved a moment ago.

    `quantity` (contracts) and `notional` (at mark) are signed; `cost` is the entry notional, `margin`
    the initial margin.
    """

    symbol: str
    group: str
    quantity: Decimal
    notional: Decimal
    cost: Decimal
    margin: Decimal
    is_dust: bool = False
    is_new: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An entry before anything is measured."""

    intent: OrderIntent
    context: RiskContext
    limits: Limits

    def deny(self, code: Code, **context: Decimal | int | str) -> Denial:
        return deny(self.intent.symbol, code, **context)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry under review. `price` is the expected fill, never better than the best price on our
    side of the book; `sign` is +1 long, −1 short; `cash` is what nothing else holds or has been
    promised; `held` is the signed quantity of its symbol as the account has it now, `on_symbol` the
    contracts of it that are held, resting or approved, whichever way."""

    intent: OrderIntent
    context: RiskContext
    limits: Limits
    instrument: Instrument
    quote: Quote
    mark: Decimal
    price: Decimal
    sign: int
    group: str
    held: Decimal
    on_symbol: Decimal
    book: tuple[Stake, ...]
    cash: Decimal

    def deny(self, code: Code, **context: Decimal | int | str) -> Denial:
        return deny(self.intent.symbol, code, **context)


def deny(symbol: str, code: Code, **context: Decimal | int | str) -> Denial:
    """A denial with its numbers as plain text."""
    shown = {
        name: plain(value) if isinstance(value, Decimal) else str(value)
        for name, value in context.items()
    }
    return Denial(symbol=symbol, code=code, context=shown)


def is_sound(value: Decimal) -> bool:
    """Finite, and of a size that 28 digits can reckon with."""
    return value.is_finite() and -_LARGEST_EXPONENT <= value.adjusted() <= _LARGEST_EXPONENT


def group_of(instrument: Instrument, overrides: Mapping[str, str]) -> str:
    """The group of an instrument's base: the owner's table first, then ours, else ALT."""
    return overrides.get(instrument.base) or GROUPS.get(instrument.base, ALT)


def instrument_of(context: RiskContext, symbol: str) -> Instrument:
    """Raises LookupError when nobody knows the instrument."""
    found = context.instruments.get(symbol)
    return context.account.instruments[symbol] if found is None else found


def mark_of(context: RiskContext, symbol: str) -> Decimal:
    """The freshest mark: the quote's, else the account's. Raises MissingMark without one above zero."""
    quote = context.quotes.get(symbol)
    mark = context.account.marks.get(symbol) if quote is None else quote.mark
    if mark is None or mark <= 0:
        raise MissingMark(f"no mark price for {symbol}")
    return mark


def position_quantity(context: RiskContext, symbol: str) -> Decimal:
    """The signed quantity held now, in contracts; what is dust on spot counts as flat."""
    position = context.account.positions.get(symbol)
    if position is None or not position.quantity:
        return ZERO
    instrument = instrument_of(context, symbol)
    if instrument.is_spot and instrument.is_dust(position.quantity, mark_of(context, symbol)):
        return ZERO
    return position.quantity


def entry_margin(instrument: Instrument, price: Decimal, leverage: Decimal) -> Decimal:
    """Initial margin per contract."""
    return price * instrument.contract_size / leverage


def entry_fee(instrument: Instrument, price: Decimal) -> Decimal:
    """Taker fee per contract, paid from cash when it fills."""
    return price * instrument.contract_size * instrument.taker_fee


def fill_price(intent: OrderIntent, quote: Quote) -> Decimal:
    """The expected fill: the reference price, but never better than the best on our side of the book."""
    if intent.side is PositionSide.LONG:
        return max(intent.reference_price, quote.ask)
    return min(intent.reference_price, quote.bid)


def worst_fill(price: Decimal, sign: int, limits: Limits) -> Decimal:
    """The dearest price at which an entry may fill: a long's limit stands slippage above."""
    cap = limits.max_slippage_bps
    return price if cap is None or sign < 0 else price * (1 + cap * BASIS_POINT)


def entry_cash(instrument: Instrument, worst: Decimal, leverage: Decimal) -> Decimal:
    """What a contract takes from cash at its worst fill: initial margin and the taker fee."""
    return entry_margin(instrument, worst, leverage) + entry_fee(instrument, worst)


def book_of(context: RiskContext, remaining: Mapping[str, Decimal]) -> tuple[Stake, ...]:
    """Positions (`remaining` of each, after this reply's closes) and resting entries. Raises LookupError
    when an instrument or a mark is not known: what the book is worth is unknown then."""
    held = (_held(context, symbol, left) for symbol, left in remaining.items() if left)
    return (*held, *(_resting(context, entry) for entry in context.resting_entries))


def _held(context: RiskContext, symbol: str, left: Decimal) -> Stake:
    instrument, mark = instrument_of(context, symbol), mark_of(context, symbol)
    position = context.account.positions[symbol]
    cost, margin = position.entry_cost, locked(position, instrument)
    if left != position.quantity:
        cost, margin = cost * left / position.quantity, margin * left / position.quantity
    return Stake(
        symbol=symbol,
        group=group_of(instrument, context.groups),
        quantity=left,
        notional=left * instrument.contract_size * mark,
        cost=cost,
        margin=margin,
        is_dust=instrument.is_spot and instrument.is_dust(left, mark),
    )


def _resting(context: RiskContext, resting: RestingEntry) -> Stake:
    instrument, mark = instrument_of(context, resting.symbol), mark_of(context, resting.symbol)
    signed = resting.quantity * resting.side.sign
    cost = instrument.notional(resting.quantity, resting.price or mark)
    return Stake(
        symbol=resting.symbol,
        group=group_of(instrument, context.groups),
        quantity=signed,
        notional=signed * instrument.contract_size * mark,
        cost=cost,
        margin=cost / resting.leverage,
    )


def cash_of(context: RiskContext, remaining: Mapping[str, Decimal]) -> Decimal:
    """Available cash less what resting entries will need (margin and fee), and with what this reply's
    closes set free: their margin, less the loss at mark and the fee. A gain is not counted: it is not
    there yet. Raises LookupError."""
    cash = context.account.available
    for resting in context.resting_entries:
        instrument = instrument_of(context, resting.symbol)
        price = resting.price or mark_of(context, resting.symbol)
        needed = entry_margin(instrument, price, resting.leverage) + entry_fee(instrument, price)
        cash -= resting.quantity * needed
    for symbol, left in remaining.items():
        position = context.account.positions[symbol]
        if left != position.quantity:
            instrument, mark = instrument_of(context, symbol), mark_of(context, symbol)
            part = 1 - left / position.quantity
            pnl = min(ZERO, position.unrealized_pnl(mark, instrument))
            fee = abs(position.quantity) * entry_fee(instrument, mark)
            cash += part * (locked(position, instrument) + pnl - fee)
    return cash


def reward_risk(entry: Entry, stop: Decimal, target: Decimal) -> tuple[Decimal, Decimal]:
    """(reward, risk) per base unit: target − p − costs and p − stop + costs, mirrored for a short; the
    costs are both taker fees of that way out."""
    price, instrument = entry.price, entry.instrument
    reward = entry.sign * (target - price) - taker_fees(instrument, price, target)
    risk = entry.sign * (price - stop) + taker_fees(instrument, price, stop)
    return reward, risk
