"""Step 5's input: all that the trader is told, put together from the snapshot and the ledger."""

from decimal import Decimal

from bots.desk import Desk
from bots.domain.book import Book
from bots.domain.entries import ClosedTrade
from bots.observation import Observation
from llm.domain import AccountView, ClosedTradeView, DecisionView, DenialView, PositionView
from market.domain.numbers import ZERO
from market.domain.positions import Position

RECENT_TRADES = 5
RECENT_DENIALS = 5


def brief(desk: Desk, seen: Observation) -> DecisionView:
    """Everything the decision may rest on. Raises nothing; an unknown equity shows as the last known one."""
    ledger = desk.ledger
    book = ledger.book
    equity = seen.equity if seen.equity is not None else book.breakers.last_nav
    emergency = seen.breakers.ask_emergency
    return DecisionView(
        market=seen.snapshot,
        account=_account(desk, book, seen, equity),
        positions=tuple(
            _position(desk, book, position, seen) for position in seen.account.open_positions
        ),
        closed_trades=tuple(_closed_trade(trade) for trade in ledger.recent_trades(RECENT_TRADES)),
        last_trades=tuple(_closed_trade(trade) for trade in book.last_trades.values()),
        denials=tuple(
            DenialView(at=at, symbol=denial.symbol, code=denial.code, detail=str(denial))
            for at, denial in ledger.recent_denials(RECENT_DENIALS)
        ),
        limits=desk.described_limits,
        started_at=ledger.started_at(),
        invocation=ledger.cycles_run(),
        owner_words=desk.bot.owner_words,
        emergency=None if emergency is None else str(emergency),
    )


def _closed_trade(trade: ClosedTrade) -> ClosedTradeView:
    return ClosedTradeView(
        symbol=trade.symbol,
        side=trade.side,
        opened_at=trade.opened_at,
        closed_at=trade.closed_at,
        entry_price=trade.entry_price,
        exit_price=trade.exit_price,
        net_pnl=trade.net_pnl,
        exit_reason=trade.exit_reason,
    )


def _account(desk: Desk, book: Book, seen: Observation, equity: Decimal) -> AccountView:
    totals = book.totals
    paid_in = totals.deposits - totals.withdrawals
    return AccountView(
        currency=desk.bot.currency,
        opening_equity=paid_in,
        cash=book.cash,
        available=seen.account.available,
        equity=equity,
        total_return_fraction=equity / paid_in - 1 if paid_in > 0 else ZERO,
        fees_paid=totals.fees,
        funding=totals.funding,
        llm_cost=totals.llm_cost,
        sharpe_ratio=desk.ledger.sharpe_ratio(),
    )


def _position(desk: Desk, book: Book, position: Position, seen: Observation) -> PositionView:
    instrument = desk.instruments[position.symbol]
    entry = position.entry_price(instrument)
    if entry is None or position.opened_at is None:
        raise ValueError(f"{position.symbol}: an open position has an entry and a time")
    plan = book.plans.get(position.symbol)
    mark = seen.account.marks.get(position.symbol, entry)
    return PositionView(
        symbol=position.symbol,
        side=position.side,
        quantity=abs(position.quantity),
        entry_price=entry,
        mark_price=mark,
        liquidation_price=seen.account.liquidation_price(position, instrument),
        unrealized_pnl=position.unrealized_pnl(mark, instrument),
        leverage=position.leverage,
        margin=position.margin,
        stop_loss=plan.stop_price if plan else None,
        take_profit=plan.target_price if plan else None,
        opened_at=position.opened_at,
        invalidation_condition=plan.invalidation_condition if plan else "",
    )
