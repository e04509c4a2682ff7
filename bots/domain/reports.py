"""What a report does to the book: which fold it needs, whether it is news, what it is known by.

Both ledgers book through here, so that they agree bit for bit. Remembering what is known is theirs.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from bots.domain.book import (
    Book,
    Folded,
    fold_adjustment,
    fold_contradiction,
    fold_funding,
    fold_llm_cost,
    fold_order_report,
)
from bots.domain.bot import BotConfig
from bots.domain.entries import Notice, NoticeKind
from market.domain.evolve import evolve
from market.domain.instruments import Instrument
from market.domain.orders import (
    Adjustment,
    FundingPayment,
    IllegalTransition,
    Order,
    OrderReport,
    OverFilled,
    VenueReport,
)
from risk import breakers

ReportKey = tuple[str, str, str]
"""(what, symbol, the venue's own name of it)."""


def report_key(report: VenueReport) -> ReportKey | None:
    """What makes a report unique; None for a plain status, which may be told again."""
    if isinstance(report, OrderReport):
        if report.fill is None:
            return None
        return ("fill", report.symbol, report.fill.venue_trade_id)
    if isinstance(report, FundingPayment):
        return ("funding", report.symbol, report.at.isoformat())
    if isinstance(report, Adjustment):
        return ("adjustment", "", report.key)
    raise TypeError(f"unknown report {report!r}")


def tells_more(report: OrderReport, order: Order) -> bool:
    """True when a report without a fill changes what we know of the order."""
    if report.status not in (None, order.status):
        return True
    return report.quantity not in (None, order.quantity)


def is_news(report: VenueReport, order: Order | None) -> bool:
    """False for a status that says nothing new, or that is of no order of ours."""
    if not isinstance(report, OrderReport) or report.fill is not None:
        return True
    return order is not None and tells_more(report, order)


def fold_report(
    book: Book,
    report: VenueReport,
    order: Order | None,
    instruments: Mapping[str, Instrument],
    bot: BotConfig,
) -> Folded:
    """Fold one report of the venue. `order` is our order that it speaks of, None when it is not ours."""
    day = bot.local_day(report.at)
    if isinstance(report, OrderReport):
        instrument = instruments[report.symbol]
        try:
            return fold_order_report(book, report, order, instrument, day)
        except (IllegalTransition, OverFilled) as error:
            return fold_contradiction(book, report, instrument, str(error))
    if isinstance(report, FundingPayment):
        return fold_funding(book, report, day)
    return fold_adjustment(book, report)


def fold_model_result(
    book: Book, bot: BotConfig, *, at: datetime, cost: Decimal | None, ok: bool, key: str
) -> Folded:
    """Fold what a decision cost (None: unknown, which books nothing and is told) and whether it came."""
    folded = Folded(book)
    if cost is None:
        text = "the model's price is unknown: equity stands before its cost"
        notice = Notice(at=at, kind=NoticeKind.MODEL_COST_UNKNOWN, symbol="", text=text)
        folded = Folded(book, notices=(notice,))
    elif cost and bot.charge_llm_cost:
        folded = fold_llm_cost(book, at=at, cost=cost, key=key, day=bot.local_day(at))
    elif cost:  # not charged to equity, and spent all the same: the budget counts it
        spent = breakers.on_llm_cost(book.breakers, cost, bot.local_day(at))
        folded = Folded(evolve(book, breakers=spent))
    counted = breakers.on_model_result(folded.book.breakers, ok)
    if counted is folded.book.breakers:
        return folded
    after = evolve(folded.book, breakers=counted)
    return Folded(after, entries=folded.entries, notices=folded.notices)
