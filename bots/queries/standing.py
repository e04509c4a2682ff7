"""How one bot stands now: its money at the latest prices, what it holds, and what its limits remember.

For its page, never for decisions. Everything is read once: the same values make the figures, the positions,
the shares of the limits and the lines of the chart, so that these can't contradict each other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Count, Q
from django.utils import timezone

from bots import models, rows
from bots.domain.book import Book
from bots.domain.stored_book import book_from
from bots.queries.holdings import HeldPosition, held_positions, instruments_in
from bots.queries.today import Today, midnight, today_of
from bots.queries.worth import Worth, stands_of
from market.domain.instruments import Instrument
from market.domain.numbers import ZERO
from market.queries import latest_prices


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A bot and how it stands. `book` without its open orders. `counts_today`: what the breakers counted
    (cost of the model, funding) is of the owner's day; `is_today`: so are the entries that the book counted.
    `prices`: what it trades and holds was last seen at (mark price, when), where it was seen.
    """

    bot: models.Bot
    state: models.BotState
    worth: Worth
    book: Book
    positions: tuple[HeldPosition, ...]
    instruments: Mapping[str, Instrument]
    prices: Mapping[str, tuple[Decimal, datetime]]
    today: Today
    counts_today: bool
    is_today: bool

    @property
    def paid_in(self) -> Decimal:
        """What was brought, less what was taken."""
        paid_in: Decimal = self.state.deposits - self.state.withdrawals
        return paid_in

    @property
    def pnl(self) -> Decimal:
        """Everything won and lost so far, open positions included."""
        return self.worth.equity - self.paid_in

    @property
    def return_fraction(self) -> Decimal | None:
        """The PnL as a share of what was paid in; None where nothing is left of that."""
        return self.pnl / self.paid_in if self.paid_in > 0 else None

    @property
    def peak(self) -> Decimal:
        """The highest equity since the hard drawdown last began to count."""
        return max(self.book.breakers.peak_nav, self.worth.equity)

    @property
    def drawdown(self) -> Decimal:
        """How far equity stands below its peak, as a share of the peak."""
        return 1 - self.worth.equity / self.peak if self.peak > 0 else ZERO

    @property
    def exposure(self) -> Decimal:
        """What is held, longs and shorts alike, as a multiple of equity."""
        equity = self.worth.equity
        return self.worth.gross_exposure / equity if equity > 0 else ZERO

    @property
    def entries_today(self) -> int:
        """Entry orders of the owner's day."""
        return self.book.entries_today if self.is_today else 0

    def step(self, symbol: str) -> Decimal | None:
        """The price step of an instrument, where it is known."""
        found = self.instruments.get(symbol)
        return None if found is None else found.price_step


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many there are of what a bot did."""

    trades: int
    won: int
    resting: int


def standing_of(bot: models.Bot) -> Standing:
    """How a bot stands now; `bot` with its owner. Seven queries. Raises StoredBookError when the stored book
    can't be read."""
    (stand,), priced = stands_of(models.Bot.objects.filter(pk=bot.pk))
    text = models.BotState.objects.values_list("book", flat=True).get(pk=bot.pk)
    book = book_from(text, {})
    instruments = instruments_in(bot, stand.held)
    traded = latest_prices((bot.venue, symbol) for symbol in bot.symbols)
    seen = {symbol: row for (_, symbol), row in {**traded, **priced}.items()}
    config = rows.config_of(bot, bot.owner.time_zone)
    breakers = book.breakers
    now = timezone.now()
    today = config.local_day(now)
    return Standing(
        bot=bot,
        state=stand.bot.state,
        worth=stand.worth,
        book=book,
        positions=held_positions(
            stand.held, book.plans, instruments, {key: row.mark_price for key, row in seen.items()}
        ),
        instruments=instruments,
        prices={symbol: (row.mark_price, row.at) for symbol, row in seen.items()},
        today=today_of((stand,), midnight(bot.owner.time_zone, now))[bot.pk],
        counts_today=breakers.counted_day >= today,
        is_today=book.day >= today,
    )


def tally_of(bot: models.Bot) -> Tally:
    """Counts for the tabs and figures of a bot's page. Two queries."""
    trades = models.ClosedTrade.objects.filter(bot=bot)
    found = trades.aggregate(all=Count("pk"), won=Count("pk", filter=Q(net_pnl__gt=0)))
    resting = models.Order.objects.filter(bot=bot, status__in=models.LIVING_STATUSES).count()
    return Tally(trades=found["all"], won=found["won"], resting=resting)
