"""What is asked about bots, as values: a fixed number of queries each, however many rows there are.

Money is added in Python or read off running balances: SQLite would add floats. Where a user is given,
they get what is theirs; where a bot is given, the door has asked `access.require` before.
"""

from bots.queries.acts import own_acts
from bots.queries.books import book_differences, exposed_bots
from bots.queries.curves import Curves, curves_of
from bots.queries.decision import recheck
from bots.queries.equity import EquityOf, equity_of
from bots.queries.feed import Doings, SentOrder, doings_of, orders_in
from bots.queries.finding import BotNotFound, DecisionNotFound, bot_named, decision_named
from bots.queries.halts import HaltLine, halts_over
from bots.queries.history import (
    CycleLine,
    EventLine,
    cycle_record,
    cycles_of,
    decisions_of,
    events_after,
)
from bots.queries.holdings import (
    FillLine,
    HeldPosition,
    OrderLine,
    closed_trades_of,
    fills_of,
    ledger_of,
    orders_of,
    positions_of,
)
from bots.queries.open_positions import AtStake, OpenPosition, at_stake
from bots.queries.paging import Page
from bots.queries.portfolio import (
    BotLine,
    Money,
    Portfolio,
    Total,
    bots_of,
    by_rank,
    portfolio,
    totals_of,
)
from bots.queries.today import Today, midnight, today_of
from bots.queries.worth import Stand, Worth, stands_of

__all__ = [
    "AtStake",
    "BotLine",
    "BotNotFound",
    "Curves",
    "CycleLine",
    "DecisionNotFound",
    "Doings",
    "EquityOf",
    "EventLine",
    "FillLine",
    "HaltLine",
    "HeldPosition",
    "Money",
    "OpenPosition",
    "OrderLine",
    "Page",
    "Portfolio",
    "SentOrder",
    "Stand",
    "Today",
    "Total",
    "Worth",
    "at_stake",
    "book_differences",
    "bot_named",
    "bots_of",
    "by_rank",
    "closed_trades_of",
    "curves_of",
    "cycle_record",
    "cycles_of",
    "decision_named",
    "decisions_of",
    "doings_of",
    "equity_of",
    "events_after",
    "exposed_bots",
    "fills_of",
    "halts_over",
    "ledger_of",
    "midnight",
    "orders_in",
    "orders_of",
    "own_acts",
    "portfolio",
    "positions_of",
    "recheck",
    "stands_of",
    "today_of",
    "totals_of",
]
