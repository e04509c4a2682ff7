"""The veto: wanted orders in, allowed orders out. Pure; the same inputs give the same verdict.

Closes and reduces come first and no opening limit may touch them; then changes of protection; then
entries, each against the book with everything approved before it. A limit on size clamps, every other
limit denies. Clamping goes from what leverage does not move (size, exposure) to what it does (risk,
margin, cash), so each step only shrinks; at the end every budget is checked once more and what fails
is denied. A bad item never voids its neighbours: what can't be computed is denied on its own.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Decimal
from functools import cached_property, partial
from typing import Final

from market.domain.enums import OrderPurpose, RejectCode
from market.domain.instruments import Instrument
from market.domain.numbers import CASH_QUANTUM, ONE, ZERO
from risk.domain import (
    Clamp,
    Code,
    Denial,
    HeldProtection,
    Intent,
    Limits,
    OrderIntent,
    ProtectionIntent,
    RiskContext,
    Ruling,
    Verdict,
)
from risk.rules import order, portfolio, size, tempo
from risk.rules.entry import (
    Case,
    Entry,
    Stake,
    book_of,
    cash_of,
    deny,
    entry_cash,
    fill_price,
    group_of,
    instrument_of,
    is_sound,
    mark_of,
    position_quantity,
    worst_fill,
)
from risk.rules.gates import GATES, numbers_sound
from risk.rules.protection import STOP_RULES, TARGET_RULES, Change, ChangeRule
from risk.rules.size import Budget, leverage_allowed
from risk.sizing import raw_leverage

ENTRY_RULES: Final[tuple[Callable[[Entry], Denial | None], ...]] = (
    *order.POSITION_RULES,
    *tempo.TEMPO_RULES,
    portfolio.max_positions,
    *order.PRICE_RULES,
)
SIZE_RULES: Final = (*size.SIZE_BUDGETS, *portfolio.EXPOSURE_BUDGETS)
MONEY_RULES: Final = (*size.RISK_BUDGETS, *portfolio.MARGIN_BUDGETS)
NO_PROTECTION: Final = HeldProtection()


@dataclass(frozen=True, kw_only=True)
class _Ground:
    """The account under this reply's entries: what its closes leave of each position (signed), and
    what rests. Read only when an entry needs it, and once."""

    context: RiskContext
    remaining: Mapping[str, Decimal]

    @cached_property
    def book(self) -> tuple[Stake, ...]:
        return book_of(self.context, self.remaining)

    @cached_property
    def cash(self) -> Decimal:
        return cash_of(self.context, self.remaining)


def review(intents: Sequence[Intent], context: RiskContext, limits: Limits) -> Verdict:
    """Judge every intent; rulings come back in the order in which they must be sent."""
    exits: list[OrderIntent] = []
    changes: list[ProtectionIntent] = []
    entries: list[OrderIntent] = []
    for intent in intents:
        if isinstance(intent, ProtectionIntent):
            changes.append(intent)
        elif intent.purpose is OrderPurpose.ENTRY and not _turns(intent, context, limits):
            entries.append(intent)
        else:
            exits.append(intent)
    rulings: list[Ruling] = []
    positions = context.account.positions.items()
    remaining = {symbol: held.quantity for symbol, held in positions if held.quantity}
    for leaving in exits:
        ruling = _safely(leaving, partial(_exit, leaving, context, limits, remaining))
        rulings.append(ruling)
        if isinstance(gone := ruling.approved, OrderIntent):
            remaining[gone.symbol] -= gone.side.sign * gone.quantity
    rulings += [_safely(moved, partial(_change, moved, context, limits)) for moved in changes]
    if entries:
        rulings += _entries(entries, _Ground(context=context, remaining=remaining), limits)
    return Verdict(rulings=tuple(rulings))


def _safely(intent: Intent, judge: Callable[[], Ruling]) -> Ruling:
    """What can't be computed is denied: unknown prices as STALE, impossible numbers as INVALID."""
    try:
        return judge()
    except LookupError as error:
        return _denied(intent, deny(intent.symbol, Code.STALE, reason=f"unknown: {error}"))
    except ArithmeticError as error:
        return _denied(intent, deny(intent.symbol, Code.INVALID, reason=type(error).__name__))


def _denied(intent: Intent, denial: Denial, clamps: Iterable[Clamp] = ()) -> Ruling:
    return Ruling(intent=intent, approved=None, clamps=tuple(clamps), denial=denial)


# --- Closes and reduces ----------------------------------------------------------------------------


def _turns(intent: OrderIntent, context: RiskContext, limits: Limits) -> bool:
    """An entry against a position, where flips are allowed, is its close; it opens in the next cycle.
    One whose numbers make no sense is no wish to close either."""
    held = context.account.positions.get(intent.symbol)
    if not limits.allow_flips or held is None or held.quantity * intent.side.sign >= 0:
        return False
    return numbers_sound(Case(intent=intent, context=context, limits=limits)) is None


def _exit(
    intent: OrderIntent, context: RiskContext, limits: Limits, remaining: Mapping[str, Decimal]
) -> Ruling:
    """Reduce-only: at most what is held on that side. Only minimum hold and the step may refuse."""
    left = remaining.get(intent.symbol, ZERO)
    wanted, clamps = intent, []
    if intent.purpose is OrderPurpose.ENTRY:
        position = context.account.positions[intent.symbol]
        clamps.append(Clamp(code=Code.FLIP, before=intent.quantity, after=ZERO))
        wanted = OrderIntent(
            symbol=intent.symbol,
            purpose=OrderPurpose.CLOSE,
            side=position.side,
            quantity=abs(left),
            leverage=position.leverage,
            reference_price=intent.reference_price,
            requester=intent.requester,
        )
    if not is_sound(wanted.quantity):
        return _denied(intent, deny(intent.symbol, Code.INVALID, quantity=str(wanted.quantity)))
    denial = tempo.min_hold(wanted, context, limits)
    if left * wanted.side.sign <= 0:
        denial = deny(intent.symbol, Code.NOTHING_HELD, side=wanted.side, held=left)
    elif wanted.quantity <= 0:
        denial = deny(intent.symbol, Code.NO_SIZE, quantity=wanted.quantity)
    if denial is not None:
        return _denied(intent, denial)
    quantity = min(wanted.quantity, abs(left))
    if quantity != wanted.quantity:
        clamps.append(Clamp(code=Code.REDUCE_ONLY, before=wanted.quantity, after=quantity))
    sendable = _on_step(quantity, intent.symbol, context)
    if sendable <= 0:
        return _denied(intent, deny(intent.symbol, Code.MIN_SIZE, wanted=wanted.quantity), clamps)
    approved = wanted if sendable == wanted.quantity else replace(wanted, quantity=sendable)
    return Ruling(intent=intent, approved=approved, clamps=tuple(clamps))


def _on_step(quantity: Decimal, symbol: str, context: RiskContext) -> Decimal:
    """Down to the step. An instrument that nobody knows any more is no reason to keep a position."""
    try:
        return instrument_of(context, symbol).round_quantity(quantity)
    except LookupError:
        return quantity


# --- Changes of protection -------------------------------------------------------------------------


def _change(intent: ProtectionIntent, context: RiskContext, limits: Limits) -> Ruling:
    """Stop and target are judged apart: a refused one leaves the old one resting, the other may move."""
    position = context.account.positions.get(intent.symbol)
    if position is None or not position.quantity:
        return _denied(intent, deny(intent.symbol, Code.NOTHING_HELD))
    instrument = instrument_of(context, intent.symbol)
    change = partial(
        Change,
        position=position,
        instrument=instrument,
        mark=mark_of(context, intent.symbol),
        resting=context.protection.get(intent.symbol, NO_PROTECTION),
        limits=limits,
        account=context.account,
    )
    stop, no_stop = _trigger(intent.stop_price, instrument, change, STOP_RULES)
    target, no_target = _trigger(intent.target_price, instrument, change, TARGET_RULES)
    refused = tuple(denial for denial in (no_stop, no_target) if denial is not None)
    if refused and stop is None and target is None:
        return Ruling(intent=intent, approved=None, denial=refused[0], refused_parts=refused[1:])
    approved = replace(intent, stop_price=stop, target_price=target)
    return Ruling(
        intent=intent,
        approved=intent if approved == intent else approved,
        refused_parts=refused,
    )


def _trigger(
    price: Decimal | None,
    instrument: Instrument,
    change: Callable[..., Change],
    rules: Sequence[ChangeRule],
) -> tuple[Decimal | None, Denial | None]:
    """A trigger price on the tick, or None and why it was refused."""
    if price is None:
        return None, None
    judged = change(price=price)
    if not is_sound(price) or price <= 0:
        return None, judged.deny(Code.INVALID, price=str(price))
    judged = replace(judged, price=_on_tick(price, instrument))
    denial = next((found for rule in rules if (found := rule(judged)) is not None), None)
    return (judged.price, None) if denial is None else (None, denial)


def _on_tick(price: Decimal, instrument: Instrument) -> Decimal:
    if price % instrument.price_step == 0:
        return price
    return max(instrument.price_step, instrument.round_price(price))


# --- Entries ---------------------------------------------------------------------------------------


def _entries(wanted: Sequence[OrderIntent], ground: _Ground, limits: Limits) -> list[Ruling]:
    """Judge entries in the given order, each on top of those approved before it."""
    rulings: list[Ruling] = []
    opened: tuple[Stake, ...] = ()
    spent = ZERO
    for intent in wanted:
        if rulings and isinstance(before := rulings[-1].approved, OrderIntent):
            stake, cost = _opened(before, ground.context, limits)
            opened, spent = (*opened, stake), spent + cost
        rulings.append(_safely(intent, partial(_entry, intent, ground, opened, spent, limits)))
    return rulings


def _entry(
    intent: OrderIntent, ground: _Ground, opened: tuple[Stake, ...], spent: Decimal, limits: Limits
) -> Ruling:
    case = Case(intent=intent, context=ground.context, limits=limits)
    for gate in GATES:
        denial = gate(case)
        if denial is not None:
            return _denied(intent, denial)
    if limits.raw and intent.quote_quantity is not None:
        entry = _measured(case, opened, ground.cash - spent)
        return _fit_money(entry, intent, intent.quote_quantity)
    entry = _measured(case, (*ground.book, *opened), ground.cash - spent)
    for rule in ENTRY_RULES:
        denial = rule(entry)
        if denial is not None:
            return _denied(intent, denial)
    return _fit(entry, intent)


def _measured(case: Case, book: tuple[Stake, ...], cash: Decimal) -> Entry:
    """The case with prices and prices on the tick; an addition keeps the stop and target that rest."""
    context, intent = case.context, case.intent
    symbol, sign = intent.symbol, intent.side.sign
    instrument, quote = context.instruments[symbol], context.quotes[symbol]
    held = position_quantity(context, symbol)
    resting = context.protection.get(symbol, NO_PROTECTION) if held else intent
    stop, target = resting.stop_price, resting.target_price
    stop = None if stop is None else _on_tick(stop, instrument)
    target = None if target is None else _on_tick(target, instrument)
    if stop != intent.stop_price or target != intent.target_price:
        intent = replace(intent, stop_price=stop, target_price=target)
    return Entry(
        intent=intent,
        context=context,
        limits=case.limits,
        instrument=instrument,
        quote=quote,
        mark=quote.mark,
        price=fill_price(intent, quote),
        sign=sign,
        group=group_of(instrument, context.groups),
        held=held,
        on_symbol=sum((abs(s.quantity) for s in book if s.symbol == symbol), ZERO),
        book=book,
        cash=cash,
    )


def _opened(intent: OrderIntent, context: RiskContext, limits: Limits) -> tuple[Stake, Decimal]:
    """An approved entry as a part of the book, and the cash it takes: margin and fee at its worst fill."""
    instrument, quote = context.instruments[intent.symbol], context.quotes[intent.symbol]
    price, sign, quantity = fill_price(intent, quote), intent.side.sign, intent.quantity
    if intent.quote_quantity is not None:
        quantity = _contracts(intent.quote_quantity, instrument, price)
    cost = quantity * instrument.contract_size * price
    stake = Stake(
        symbol=intent.symbol,
        group=group_of(instrument, context.groups),
        quantity=quantity * sign,
        notional=quantity * sign * instrument.contract_size * quote.mark,
        cost=cost,
        margin=cost / intent.leverage,
        is_new=True,
    )
    worst = worst_fill(price, sign, limits)
    return stake, quantity * entry_cash(instrument, worst, intent.leverage)


def _contracts(money: Decimal, instrument: Instrument, price: Decimal) -> Decimal:
    """Contracts, not rounded, that `money` buys, the taker fee included."""
    return money / ((ONE + instrument.taker_fee) * instrument.contract_size * price)


def _fit(entry: Entry, asked: OrderIntent) -> Ruling:
    """Clamp leverage and quantity to every budget at once; deny what is too small or still too large."""
    wanted = asked.quantity
    if asked.quote_quantity is not None:
        wanted = _contracts(asked.quote_quantity, entry.instrument, entry.price)
    if wanted <= 0:
        return _denied(asked, entry.deny(Code.NO_SIZE, quantity=wanted))
    clamps: list[Clamp] = []
    exposure = [found for rule in SIZE_RULES if (found := rule(entry)) is not None]
    quantity = _squeeze(entry, exposure, entry.instrument.round_quantity(wanted), clamps)
    if isinstance(quantity, Denial):
        return _denied(asked, quantity, clamps)
    leverage = _leverage(entry, quantity, clamps)
    if isinstance(leverage, Denial):
        return _denied(asked, leverage, clamps)
    money = [found for rule in MONEY_RULES if (found := rule(entry, leverage)) is not None]
    quantity = _squeeze(entry, money, quantity, clamps)
    if isinstance(quantity, Denial):
        return _denied(asked, quantity, clamps)
    denial = size.stop_inside_liquidation(entry, quantity, leverage) or _recheck(
        entry, [*exposure, *money], quantity, leverage
    )
    if denial is not None:
        return _denied(asked, denial, clamps)
    approved = entry.intent
    if (quantity, leverage, None) != (asked.quantity, asked.leverage, asked.quote_quantity):
        approved = replace(approved, quantity=quantity, leverage=leverage, quote_quantity=None)
    return Ruling(intent=asked, approved=approved, clamps=tuple(clamps))


def _squeeze(
    entry: Entry, budgets: Sequence[Budget], quantity: Decimal, clamps: list[Clamp]
) -> Decimal | Denial:
    """Hold a quantity to each budget in turn, noting what each took. No room at all is that budget's
    denial; less than the venue's minimum is MIN_SIZE."""
    for budget in budgets:
        if budget.holds(quantity):
            continue
        largest = budget.largest(entry.instrument)
        if budget.used >= budget.cap or largest >= quantity:
            wanted = budget.used + quantity * budget.unit
            return entry.deny(budget.code, wanted=wanted, allowed=budget.cap)
        clamps.append(Clamp(code=budget.code, before=quantity, after=largest))
        quantity = largest
    return size.minimum_size(entry, quantity) or quantity


def _leverage(entry: Entry, quantity: Decimal, clamps: list[Clamp]) -> Decimal | Denial:
    """The wanted leverage held to what is allowed; an addition has the leverage of what is held."""
    wanted, allowed = entry.intent.leverage, size.max_leverage(entry, quantity)
    leverage = min(wanted, allowed)
    if entry.held and not entry.instrument.is_spot:
        leverage = entry.context.account.positions[entry.intent.symbol].leverage
        if leverage > allowed:
            return entry.deny(Code.MAX_LEVERAGE, wanted=leverage, allowed=allowed)
    if leverage != wanted:
        clamps.append(Clamp(code=Code.MAX_LEVERAGE, before=wanted, after=leverage))
    return leverage


def _recheck(
    entry: Entry, budgets: Sequence[Budget], quantity: Decimal, leverage: Decimal
) -> Denial | None:
    """Every budget and the leverage hold for what would be sent: fail closed if one does not."""
    for budget in budgets:
        if not budget.holds(quantity):
            used = budget.used + quantity * budget.unit
            return entry.deny(budget.code, wanted=used, allowed=budget.cap)
    allowed = size.max_leverage(entry, quantity)
    if leverage > allowed:
        return entry.deny(Code.MAX_LEVERAGE, wanted=leverage, allowed=allowed)
    return None


def _fit_money(entry: Entry, asked: OrderIntent, wanted: Decimal) -> Ruling:
    """Profile raw: money spent at market, held to cash; leverage carries `size`. The venue's filters
    are checked at the reference price, since the fill decides the quantity."""
    instrument, fee = entry.instrument, entry.instrument.taker_fee
    denial = order.no_flip(entry)
    if denial is None and wanted <= 0:
        denial = entry.deny(Code.NO_SIZE, quote_quantity=wanted)
    if denial is not None:
        return _denied(asked, denial)
    carries = raw_leverage(entry.limits)
    leverage = leverage_allowed(instrument, carries, wanted)
    clamps = []
    if leverage < carries and leverage != asked.leverage:
        clamps.append(Clamp(code=Code.MAX_LEVERAGE, before=carries, after=leverage))
    room, unit = entry.cash * leverage * (ONE + fee), ONE + leverage * fee
    money = wanted
    if wanted * unit > room:  # notional ÷ leverage + fee ≤ cash, notional = money ÷ (1 + fee)
        money = max(ZERO, (room / unit).quantize(CASH_QUANTUM, ROUND_DOWN))
        clamps.append(Clamp(code=Code.AVAILABLE_MARGIN, before=wanted, after=money))
    if money == 0:
        denial = entry.deny(Code.AVAILABLE_MARGIN, wanted=wanted, available=entry.cash)
        return _denied(asked, denial, clamps)
    quantity = instrument.round_quantity(_contracts(money, instrument, entry.price))
    if instrument.quantity_refusal(quantity, is_market=True) is RejectCode.MAX_QUANTITY:
        return _denied(asked, entry.deny(Code.MAX_QUANTITY, wanted=quantity), clamps)
    denial = size.minimum_size(entry, quantity)
    if denial is not None:
        return _denied(asked, denial, clamps)
    approved = entry.intent
    if (money, leverage) != (asked.quote_quantity, asked.leverage):
        approved = replace(approved, quote_quantity=money, leverage=leverage)
    return Ruling(intent=asked, approved=approved, clamps=tuple(clamps))
