"""Exits that a bot manages by itself, at its desk: what its rules say is due is done, and written down.

It runs on each beat, mark and cycle alike, before protection is made true: a stop that is moved here is
placed there. Nothing is done on a price that can't be trusted, or while the venue's state is unknown. The
trap avoided: a rung that is taken twice, or again after a crash. Its orders have derived ids and are asked for.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from bots.desk import Desk
from bots.domain.book import Book
from bots.domain.bot import client_order_id
from bots.domain.entries import ExitPlan, Notice, NoticeKind
from bots.domain.exits import (
    ExitRules,
    Holding,
    closer_stop,
    is_loosened,
    next_price,
    overdue_at,
    rung_due,
    span_words,
)
from bots.execution import begin_closing, exit_orders, write_and_send
from bots.observation import Observation, is_plausible
from market.domain.data import MarketSnapshot
from market.domain.enums import OrderPurpose
from market.domain.evolve import evolve
from market.domain.instruments import Instrument
from market.domain.numbers import plain
from market.domain.orders import Order
from market.domain.positions import Position
from risk.domain import OrderIntent, Requester

RUNG_ATTEMPTS = 3


def manage_exits(desk: Desk, seen: Observation) -> None:
    """Do what is due for every open position. Idempotent: done again at the same prices it does nothing."""
    if desk.bot.exits.is_off or not seen.venue_known:
        return
    for symbol in sorted(desk.ledger.book.positions):
        _manage(desk, symbol, seen)


def are_quiet(
    rules: ExitRules,
    book: Book,
    instruments: Mapping[str, Instrument],
    snapshot: MarketSnapshot,
) -> bool:
    """True when `manage_exits` would do nothing on this look at the market."""
    if rules.is_off:
        return True
    for symbol, position in book.positions.items():
        plan = book.plans.get(symbol)
        if plan is None or plan.is_closing:
            continue
        due = overdue_at(rules, position.opened_at)
        if due is not None and snapshot.as_of >= due:
            return False
        held = holding(position, plan, instruments[symbol])
        if held is None:
            continue
        if is_loosened(held):
            return False
        mark, price = trusted_mark(snapshot, symbol), next_price(rules, held)
        if mark is not None and price is not None and held.is_reached(price, mark):
            return False
    return True


def holding(position: Position, plan: ExitPlan, instrument: Instrument) -> Holding | None:
    """A position as its rules see it; None when it is flat."""
    entry = position.entry_price(instrument)
    if entry is None:
        return None
    return Holding(
        side=position.side,
        entry_price=entry,
        plan=plan,
        taker_fee=instrument.taker_fee,
        price_step=instrument.price_step,
    )


def trusted_mark(snapshot: MarketSnapshot, symbol: str) -> Decimal | None:
    """The mark price, or None for one on which nothing may be moved or taken."""
    item = snapshot.by_symbol.get(symbol)
    if item is None or item.unusable is not None or not is_plausible(item.quote):
        return None
    return None if item.quote is None else item.quote.mark


def _manage(desk: Desk, symbol: str, seen: Observation) -> None:
    if _find(desk, symbol) is None:
        return
    position = desk.ledger.book.positions[symbol]
    due = overdue_at(desk.bot.exits, position.opened_at)
    if due is not None and seen.now >= due:
        limit = span_words(desk.bot.exits.time_stop or seen.now - due)
        _tell(desk, symbol, seen.now, f"time stop: held for {limit}, it is being closed")
        begin_closing(desk, symbol, OrderPurpose.TIME_STOP)
        return
    _keep(desk, symbol, seen.now)
    mark = trusted_mark(seen.snapshot, symbol)
    if mark is None:
        return
    _climb(desk, symbol, mark, seen.now)
    _tighten(desk, symbol, mark, seen.now)


def _find(desk: Desk, symbol: str) -> Holding | None:
    """The position of a symbol while its rules have a say in it: open, ours, and not being closed."""
    book = desk.ledger.book
    position, plan = book.positions.get(symbol), book.plans.get(symbol)
    if position is None or plan is None or plan.is_closing:
        return None
    return holding(position, plan, desk.instruments[symbol])


def _keep(desk: Desk, symbol: str, now: datetime) -> None:
    """What these rules have moved is loosened by nobody, whatever limits allow a trader."""
    held = _find(desk, symbol)
    if held is None or not is_loosened(held):
        return
    plan = held.plan
    text = f"the stop goes back from {_price(plan.stop_price)} to {_price(plan.managed_stop_price)}"
    _tell(desk, symbol, now, f"{text}: what the bot has moved is not loosened")
    desk.ledger.set_plan(symbol, evolve(plan, stop_price=plan.managed_stop_price))


def _tighten(desk: Desk, symbol: str, mark: Decimal, now: datetime) -> None:
    held = _find(desk, symbol)
    moved = None if held is None else closer_stop(desk.bot.exits, held, mark)
    if held is None or moved is None:
        return
    price, rule = moved
    old = held.plan.stop_price
    start = "is set" if old is None else f"moves from {plain(old)}"
    _tell(desk, symbol, now, f"{rule}: the stop {start} to {plain(price)}, mark {plain(mark)}")
    plan = evolve(held.plan, stop_price=price, managed_stop_price=price)
    desk.ledger.set_plan(symbol, plan)


def _climb(desk: Desk, symbol: str, mark: Decimal, now: datetime) -> None:
    """Take the rungs that are due, nearest first; one that is on its way is waited for."""
    rules = desk.bot.exits
    while (held := _find(desk, symbol)) is not None and held.plan.rungs_taken < len(rules.ladder):
        number = held.plan.rungs_taken + 1
        sent = _orders(desk, symbol, number)
        if sent and sent[-1].filled_quantity:
            _pass(desk, symbol, number)
        elif (sent and sent[-1].is_open) or rung_due(rules, held, mark) != number:
            return
        elif len(sent) >= RUNG_ATTEMPTS:
            text = f"ladder: rung {number} was refused {len(sent)} times and is left"
            _tell(desk, symbol, now, text)
            _pass(desk, symbol, number)
        elif not _take(desk, symbol, number, mark, now):
            return


def _orders(desk: Desk, symbol: str, number: int) -> list[Order]:
    """The orders of a rung so far, one for each attempt: the first part of those that were split."""
    sent: list[Order] = []
    while len(sent) < RUNG_ATTEMPTS:
        leg = f"{symbol}:{OrderPurpose.LADDER}:1"
        origin = _origin(desk, symbol, number, len(sent) + 1)
        order = desk.ledger.find_order(client_order_id(desk.bot.id, origin, leg))
        if order is None:
            break
        sent.append(order)
    return sent


def _origin(desk: Desk, symbol: str, number: int, attempt: int) -> str:
    opened_at = desk.ledger.book.positions[symbol].opened_at
    return f"position:{symbol}:{opened_at}:rung:{number}:{attempt}"


def _take(desk: Desk, symbol: str, number: int, mark: Decimal, now: datetime) -> bool:
    """Close one rung's share; True when there is more to look at."""
    position, instrument = desk.ledger.book.positions[symbol], desk.instruments[symbol]
    rung = desk.bot.exits.ladder[number - 1]
    whole = instrument.round_quantity(abs(position.quantity))
    entered = desk.ledger.book.round_trips[symbol].entry_quantity
    quantity = min(instrument.round_quantity(entered * rung.fraction), whole)
    name = f"ladder: rung {number} of {len(desk.bot.exits.ladder)} at {plain(rung.at_r)} R"
    if quantity and instrument.is_dust(whole - quantity, mark):
        _tell(desk, symbol, now, f"{name} closes the rest, mark {plain(mark)}")
        begin_closing(desk, symbol, OrderPurpose.LADDER)
        return False
    if not quantity or instrument.is_dust(quantity, mark):
        _tell(desk, symbol, now, f"{name} is below the venue's minimum and is left")
        _pass(desk, symbol, number)
        return True
    _tell(desk, symbol, now, f"{name} closes {plain(quantity)}, mark {plain(mark)}")
    intent = OrderIntent(
        symbol=symbol,
        purpose=OrderPurpose.LADDER,
        side=position.side,
        quantity=quantity,
        leverage=position.leverage,
        reference_price=mark,
        requester=Requester.PROTECTION,
    )
    origin = _origin(desk, symbol, number, len(_orders(desk, symbol, number)) + 1)
    write_and_send(desk, tuple(exit_orders(intent, instrument, desk, origin, now)), now)
    sent = _orders(desk, symbol, number) if symbol in desk.ledger.book.positions else []
    return bool(sent and sent[-1].filled_quantity)


def _pass(desk: Desk, symbol: str, number: int) -> None:
    plan = desk.ledger.book.plans[symbol]
    desk.ledger.set_plan(symbol, evolve(plan, rungs_taken=number))


def _tell(desk: Desk, symbol: str, now: datetime, text: str) -> None:
    """The record of the bot's own act."""
    desk.ledger.notify(Notice(at=now, kind=NoticeKind.MANAGED_EXIT, symbol=symbol, text=text))


def _price(price: Decimal | None) -> str:
    return "none" if price is None else plain(price)
