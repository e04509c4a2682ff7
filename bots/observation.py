"""Steps 2–4 of the cycle: see the market, reconcile with the venue, value the account, run the breakers.

Reconciling comes first and is the recovery path as well: whatever happened while nobody looked is
booked here. When the venue's state or a held position's price is unknown, the observation says so and
nothing may be opened on it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from bots.desk import Desk
from bots.domain.book import Book
from bots.domain.bot import BotConfig
from bots.domain.entries import Notice, NoticeKind
from bots.reconciliation import resolve_orders
from market.domain.account import Account, MissingMark
from market.domain.data import InstrumentSnapshot, MarketSnapshot, Quote
from market.domain.enums import OrderPurpose, OrderStatus, OrderType, PositionSide, TimeInForce
from market.domain.evolve import evolve
from market.domain.instruments import Instrument
from market.domain.numbers import ZERO
from market.domain.orders import Order, VenueReport
from market.errors import VenueUnavailable
from market.indicators import book as indicator_book
from risk import breakers
from risk.domain import (
    BreakerInput,
    BreakerResult,
    BreakerState,
    Code,
    HeldProtection,
    Limits,
    RestingEntry,
    RiskContext,
    Tempo,
    TradingState,
)

PLAUSIBLE_MARK_DISTANCE = Decimal("0.03")
"""A mark further than this from the last trade never flattens anything, and moves no stop."""
ATR_PERIOD = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What is known at `now`. `equity` is None when a held position has no price."""

    now: datetime
    snapshot: MarketSnapshot
    account: Account
    equity: Decimal | None
    venue_known: bool
    breakers: BreakerResult

    @property
    def state(self) -> TradingState:
        return self.breakers.state.state

    @property
    def quotes(self) -> Mapping[str, Quote]:
        return {
            item.symbol: item.quote for item in self.snapshot.instruments if item.quote is not None
        }

    @property
    def has_usable_instrument(self) -> bool:
        return any(item.unusable is None for item in self.snapshot.instruments)


def observe(desk: Desk, now: datetime, *, may_ask: bool = True) -> Observation:
    """Look, reconcile, value, and let the breakers judge. Raises VenueUnavailable when there is no market
    data at all; a broker that can't be read makes an observation with `venue_known` False. `may_ask`: a
    trader will be asked next, so close-or-keep may be put to it."""
    snapshot = desk.feed.snapshot(desk.bot.symbols, now)
    venue_known = True
    reports: Sequence[VenueReport] = ()
    try:
        reports = desk.broker.sync(snapshot)
        resolve_orders(desk, now)  # first: what they filled came before what was reported now
    except VenueUnavailable:
        venue_known = False
    if reports:
        desk.ledger.apply(reports, desk.instruments)
    account = account_at(desk, snapshot)
    equity = equity_of(account)
    result = _beat(desk, snapshot, account, now, may_ask=may_ask)
    return Observation(
        now=now,
        snapshot=snapshot,
        account=account,
        equity=equity,
        venue_known=venue_known,
        breakers=result,
    )


def account_at(desk: Desk, snapshot: MarketSnapshot) -> Account:
    """The booked account valued at the snapshot's marks."""
    return account_of(desk.ledger.book, desk.instruments, snapshot)


def account_of(
    book: Book, instruments: Mapping[str, Instrument], snapshot: MarketSnapshot
) -> Account:
    """A book valued at a snapshot's marks."""
    return Account(
        cash=book.cash,
        positions=book.positions,
        dust=book.dust,
        instruments=instruments,
        marks={
            item.symbol: item.quote.mark for item in snapshot.instruments if item.quote is not None
        },
    )


def revalued(desk: Desk, seen: Observation) -> Observation:
    """The same instant after something was booked: same prices, the account as it now stands."""
    book, account = desk.ledger.book, seen.account
    if book.cash == account.cash and book.positions is account.positions:
        return seen
    account = account_at(desk, seen.snapshot)
    return evolve(seen, account=account, equity=equity_of(account))


def as_shown(desk: Desk, seen: Observation, slot: str) -> tuple[Observation, str]:
    """The observation as the trader is shown it, and what there is to note of that: the market through the
    desk's window, the account as booked, valued at the prices shown. Nothing is reconciled on it."""
    snapshot, note = desk.window.show(slot, seen.snapshot)
    if snapshot is seen.snapshot:
        return seen, note
    account = account_at(desk, snapshot)
    return evolve(seen, snapshot=snapshot, account=account, equity=equity_of(account)), note


def equity_of(account: Account) -> Decimal | None:
    """Equity, or None when something is held that has no price."""
    try:
        return account.equity
    except MissingMark:
        return None


def beat_of(
    bot: BotConfig,
    limits: Limits,
    state: BreakerState,
    snapshot: MarketSnapshot,
    account: Account,
    now: datetime,
    *,
    may_ask: bool,
) -> BreakerResult:
    """One beat of the breakers on what is seen and held. Pure."""
    equity = equity_of(account)
    given = BreakerInput(
        now=now,
        local_day=bot.local_day(now),
        nav=state.last_nav if equity is None else equity,
        is_flat=not account.positions,
        is_plausible=equity is not None and _marks_are_plausible(snapshot, account),
        is_stale=equity is None or all(item.unusable is not None for item in snapshot.instruments),
        quoted_at=_quoted_at(snapshot, account),
        may_ask=may_ask,
    )
    return breakers.beat(state, given, limits)


def _quoted_at(snapshot: MarketSnapshot, account: Account) -> datetime | None:
    """When the newest price of what is held was told; None while nothing is held. The newest, so that one
    instrument that seldom trades does not hold up what the others say."""
    seen = (snapshot.by_symbol.get(symbol) for symbol in account.positions)
    return max((one.quote.at for one in seen if one and one.quote), default=None)


def _beat(
    desk: Desk, snapshot: MarketSnapshot, account: Account, now: datetime, *, may_ask: bool
) -> BreakerResult:
    state = desk.ledger.book.breakers
    result = beat_of(desk.bot, desk.limits, state, snapshot, account, now, may_ask=may_ask)
    desk.ledger.set_breakers(result.state)
    for kind, codes in (
        (NoticeKind.BREAKER_TRIPPED, result.tripped),
        (NoticeKind.BREAKER_CLEARED, result.cleared),
    ):
        for code in codes:
            desk.ledger.notify(Notice(at=now, kind=kind, symbol="", text=str(code)))
    return result


def _marks_are_plausible(snapshot: MarketSnapshot, account: Account) -> bool:
    return all(
        symbol in snapshot.by_symbol and is_plausible(snapshot.by_symbol[symbol].quote)
        for symbol in account.positions
    )


def is_plausible(quote: Quote | None) -> bool:
    """True for a mark that the last trade bears out."""
    if quote is None or quote.mark <= 0 or quote.last <= 0:
        return False
    return abs(quote.mark - quote.last) <= PLAUSIBLE_MARK_DISTANCE * quote.last


def risk_context(desk: Desk, seen: Observation, prompt_snapshot: MarketSnapshot) -> RiskContext:
    """What the veto judges in: the account and quotes of `seen`, and the marks that the trader saw."""
    return context_of(
        desk.bot,
        desk.ledger.book,
        seen,
        prompt_snapshot,
        instruments=desk.instruments,
        limits=desk.limits,
        groups=desk.groups,
        may_open=desk.ledger.may_open(),
    )


def context_of(
    bot: BotConfig,
    book: Book,
    seen: Observation,
    prompt_snapshot: MarketSnapshot,
    *,
    instruments: Mapping[str, Instrument],
    limits: Limits,
    groups: Mapping[str, str],
    may_open: bool,
) -> RiskContext:
    """The same of a book that nobody has taken a desk for. Pure."""
    state, reason = _effective_state(seen, may_open=may_open)
    return RiskContext(
        now=seen.now,
        state=state,
        state_reason=reason,
        account=seen.account,
        equity=ZERO if seen.equity is None else seen.equity,
        quotes=seen.quotes,
        prompt_marks={
            item.symbol: item.quote.mark
            for item in prompt_snapshot.instruments
            if item.quote is not None
        },
        instruments=instruments,
        resting_entries=_resting_entries(book),
        protection=_held_protection(book),
        unusable=_unusable(book, seen.snapshot),
        tempo=Tempo(
            entries_today=book.entries_today if book.day >= bot.local_day(seen.now) else 0,
            stopped_at=book.stopped_at,
        ),
        groups=groups,
        atr=_atr(limits, seen.snapshot),
        next_funding={
            item.symbol: item.next_funding_at
            for item in seen.snapshot.instruments
            if item.next_funding_at is not None
        },
        time_zone=bot.time_zone,
    )


def _effective_state(seen: Observation, *, may_open: bool) -> tuple[TradingState, Code | None]:
    """The breakers' state, held to REDUCING when something else forbids opening. Fail closed."""
    state = seen.breakers.state
    if state.state is not TradingState.ACTIVE:
        return state.state, min(state.reasons, default=None)
    if not seen.venue_known:
        return TradingState.REDUCING, Code.VENUE_UNKNOWN
    if seen.equity is None:
        return TradingState.REDUCING, Code.STALE_DATA
    if not may_open:
        return TradingState.REDUCING, Code.BOT_NOT_ACTIVE
    return TradingState.ACTIVE, None


def _resting_entries(book: Book) -> tuple[RestingEntry, ...]:
    """Entries that may still fill: they count as exposure."""
    orders = book.open_orders
    if not orders:
        return ()
    return tuple(
        RestingEntry(
            symbol=order.symbol,
            side=PositionSide.LONG if order.side.sign > 0 else PositionSide.SHORT,
            quantity=order.remaining_quantity,
            price=order.price or ZERO,
            leverage=order.leverage,
            is_unresolved=not _rests(order),
        )
        for order in orders.values()
        if order.purpose is OrderPurpose.ENTRY and order.is_open
    )


def _rests(order: Order) -> bool:
    """True for a limit order waiting in the book; anything else is under way, and its fate unknown yet."""
    return (
        order.order_type is OrderType.LIMIT
        and order.time_in_force is TimeInForce.GTC
        and order.status in (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED)
    )


def _held_protection(book: Book) -> Mapping[str, HeldProtection]:
    """What rests for each open position now."""
    held = {}
    for symbol, position in book.positions.items():
        plan = book.plans.get(symbol)
        held[symbol] = HeldProtection(
            stop_price=plan.stop_price if plan else None,
            target_price=plan.target_price if plan else None,
            opened_at=position.opened_at,
        )
    return held


def _unusable(book: Book, snapshot: MarketSnapshot) -> Mapping[str, str]:
    reasons = {
        item.symbol: item.unusable for item in snapshot.instruments if item.unusable is not None
    }
    for order in book.open_orders.values():
        if order.purpose.is_protection and order.parent_id not in book.open_orders:
            if order.symbol not in book.positions:
                reasons.setdefault(order.symbol, "an order of an earlier position still rests")
    return reasons


def _atr(limits: Limits, snapshot: MarketSnapshot) -> Mapping[str, Decimal]:
    """ATR(14) per symbol, read only where a rule needs it."""
    if not limits.min_hold:
        return {}
    found = ((item.symbol, atr_of(item)) for item in snapshot.instruments)
    return {symbol: value for symbol, value in found if value is not None}


def atr_of(seen: InstrumentSnapshot) -> Decimal | None:
    """ATR(14) of the closed candles in sight, in price units; None while they are too few."""
    value = indicator_book(seen.candles).last("atr", ATR_PERIOD)
    return Decimal(str(value)) if value == value else None  # NaN: not warmed up
