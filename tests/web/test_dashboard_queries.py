"""What bots are worth at the latest prices, what the day brought, how equity went, and what was done last."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots import models, queries
from bots.queries.curves import curves_of
from bots.queries.feed import doings_of, nth_newest
from bots.queries.today import Today
from bots.queries.worth import stands_of
from market.instrument_rows import row_of
from market.models import LatestPrice
from tests.bots.bulk_rows import BEGAN, MINUTE, cycle_row, hold, order_row, point_row, trade_row
from tests.bots.paper_desks import paper_bot
from tests.scenarios.tables import SYMBOL, instrument
from tradingagent.accounts.models import User

OTHER = "OTHER/USDT:USDT"
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def ann(db) -> User:
    return User.objects.create_user("ann@example.org")


@pytest.fixture
def bot(ann) -> models.Bot:
    return paper_bot(ann, name="first")


def price(symbol: str, mark: str, at: datetime = NOW, venue: str = "simulated") -> None:
    LatestPrice.objects.create(
        venue=venue, symbol=symbol, mark_price=D(mark), last_price=D(mark), at=at
    )


def any_of(value: Any) -> Any:
    return value


def only(found: Any) -> Any:
    (one,) = found
    return one


# --- worth -------------------------------------------------------------------------------------------


def test_equity_is_cash_and_what_is_held_at_its_price(ann, bot):
    hold(bot, [(SYMBOL, "2", "300"), (OTHER, "-1", "50")], unrealized="777")
    price(SYMBOL, "160", NOW)
    price(OTHER, "45", NOW - MINUTE)

    worth = only(queries.bots_of(ann)).worth

    assert worth.equity == 10_000 + 20 + 5
    assert worth.unrealized_pnl == 25
    assert (worth.gross_exposure, worth.net_exposure) == (320 + 45, 320 - 45)
    assert (worth.as_of, worth.is_current) == (NOW - MINUTE, True)


def test_a_missing_price_shows_the_last_mark_and_says_so(ann, bot):
    hold(bot, [(SYMBOL, "2", "300"), (OTHER, "-1", "50")], unrealized="-7")
    price(SYMBOL, "160")
    state = models.BotState.objects.get(bot=bot)

    line = only(queries.bots_of(ann))

    assert (line.worth.equity, line.worth.unrealized_pnl) == (9_993, -7)
    assert (line.worth.as_of, line.worth.is_current) == (state.equity_at, False)
    total = only(queries.portfolio(ann).totals)
    assert (total.equity, total.is_current) == (9_993, False)


def test_a_price_of_another_venue_is_none(ann, bot):
    hold(bot, [(SYMBOL, "2", "300")])
    price(SYMBOL, "160", venue="elsewhere")

    assert not only(queries.bots_of(ann)).worth.is_current


def test_who_holds_nothing_needs_no_price(ann, bot):
    models.BotState.objects.filter(bot=bot).update(equity=D(1))  # of an older mark

    worth = only(queries.bots_of(ann)).worth

    assert (worth.equity, worth.as_of, worth.is_current) == (10_000, None, True)


def test_who_opened_while_we_looked_is_shown_as_last_marked(ann, bot):
    hold(bot, [(SYMBOL, "2", "300")], unrealized="4")
    price(SYMBOL, "160")
    rows = models.Bot.objects.filter(pk=bot.pk)
    held = models.Position.objects.get()
    models.Position.objects.all().delete()

    class Late:
        """The bots' rows, read when the position has just been stored."""

        def annotate(self, **given):
            models.Position.objects.bulk_create([held])
            return rows.annotate(**given)

        def __getattr__(self, name):
            return getattr(rows, name)

    (stand,), _ = stands_of(Late())  # type: ignore[arg-type]

    assert stand.worth.equity == 10_004 and not stand.worth.is_current


def test_totals_are_as_old_as_their_oldest_price(ann, bot):
    second = paper_bot(ann, name="second")
    paper_bot(ann, name="flat")
    hold(bot, [(SYMBOL, "2", "300")])
    hold(second, [(OTHER, "-1", "50")])
    price(SYMBOL, "160", NOW)
    price(OTHER, "45", NOW - MINUTE)

    total = only(queries.portfolio(ann).totals)

    assert (total.equity, total.unrealized_pnl) == (30_025, 25)
    assert (total.gross_exposure, total.net_exposure) == (365, 275)
    assert (total.as_of, total.is_current) == (NOW - MINUTE, True)


def test_drawdown_is_measured_from_the_peak(ann, bot):
    models.BotState.objects.filter(bot=bot).update(peak_nav=D(12_500))

    assert only(queries.bots_of(ann)).drawdown_fraction == D("0.2")


def test_positions_with_their_plan_and_whether_the_stop_rests(ann, bot):
    hold(bot, [(SYMBOL, "2", "300"), (OTHER, "-1", "50")])
    row_of("simulated", instrument(), BEGAN).save()
    price(SYMBOL, "160")
    stop, entry = order_row(bot, 1, "ACCEPTED"), order_row(bot, 2, "SUBMITTED")
    stop.purpose, stop.reduce_only = "STOP", True
    models.Order.objects.bulk_create([stop, entry])
    found = queries.portfolio(ann)

    staked = queries.at_stake([line.stand for line in found.bots], found.prices)

    other, held = map(any_of, staked.positions)
    assert (held.held.symbol, held.held.unrealized_pnl, held.priced_at) == (SYMBOL, 20, NOW)
    assert (held.stop_rests, other.stop_rests) == (True, False)
    assert (held.held.stop_price, held.bot) == (1, "first")
    assert (other.held.mark_price, other.priced_at) == (None, None)
    assert staked.entries == 1
    total = only(found.totals)
    assert total.open_positions == len(staked.positions)


# --- today -------------------------------------------------------------------------------------------


def booked(bot: models.Bot, at: datetime, **amounts: str) -> None:
    last = models.LedgerEntry.objects.filter(bot=bot).count()
    models.LedgerEntry.objects.bulk_create(
        models.LedgerEntry(
            bot=bot, sequence=last + n, at=at, kind=kind, amount=D(amount), key=uuid4().hex
        )
        for n, (kind, amount) in enumerate(amounts.items(), start=1)
    )


def the_day(bot: models.Bot, **state: Any) -> None:
    """A bot that was opened long ago and was looked at today."""
    usual = {"opened_at": NOW - timedelta(days=9), "equity_at": NOW, "day_open_nav": D(9_900)}
    models.BotState.objects.filter(bot=bot).update(**{**usual, **state})
    models.LedgerEntry.objects.filter(bot=bot).update(at=NOW - timedelta(days=9))


def today(user: User, zone: str = "UTC") -> Today:
    lines = queries.bots_of(user)
    since = queries.midnight(zone, NOW)
    return sum(queries.today_of([line.stand for line in lines], since).values(), Today())


def test_the_day_adds_up_exactly(ann, bot):
    hold(bot, [(SYMBOL, "2", "300")])
    price(SYMBOL, "151.23456789")
    the_day(bot)
    booked(
        bot,
        NOW,
        REALIZED_PNL="64.2",
        FEE="-14.31",
        FUNDING="-2.31000001",
        LLM_COST="-1.64",
        ADJUSTMENT="0.5",
    )
    booked(bot, NOW - timedelta(days=1), REALIZED_PNL="1000")

    found = any_of(today(ann))

    assert found.net == 10_000 + D("2.46913578") - 9_900
    assert (found.realized, found.fees) == (D("64.2"), D("-14.31"))
    assert (found.funding, found.model, found.adjustments) == (
        D("-2.31000001"),
        D("-1.64"),
        D("0.5"),
    )
    booked_today = D("64.2") - D("14.31") - D("2.31000001") - D("1.64") + D("0.5")
    assert found.open_change == found.net - booked_today
    assert found.return_fraction == found.net / 9_900


def test_the_day_begins_at_the_owners_midnight(ann, bot):
    the_day(bot)
    in_tokyo_yesterday = datetime(2026, 3, 1, 14, 59, 59, tzinfo=UTC)
    booked(bot, in_tokyo_yesterday, FEE="-1")
    booked(bot, in_tokyo_yesterday + timedelta(seconds=1), FEE="-2")

    assert today(ann, "Asia/Tokyo").fees == -2
    assert today(ann).fees == 0
    assert queries.midnight("Asia/Tokyo", NOW) == datetime(2026, 3, 1, 15, tzinfo=UTC)


def test_midnight_where_clocks_change():
    summer_begins = datetime(2026, 3, 29, 12, tzinfo=UTC)

    assert queries.midnight("Europe/Berlin", summer_begins) == datetime(2026, 3, 28, 23, tzinfo=UTC)


def test_money_paid_in_today_is_not_won(ann, bot):
    the_day(bot, deposits=D(10_500), cash=D(10_500))
    booked(bot, NOW, DEPOSIT="500")

    found = any_of(today(ann))

    assert (found.net, found.start, found.open_change) == (100, 10_400, 100)


def test_a_bot_opened_today_began_with_its_capital(ann, bot):
    the_day(bot, opened_at=NOW, day_open_nav=D(0), cash=D(9_990), fees=D(10))
    models.LedgerEntry.objects.filter(bot=bot).update(at=NOW)
    booked(bot, NOW, FEE="-10")

    found = any_of(today(ann))

    assert (found.start, found.net, found.fees, found.open_change) == (10_000, -10, -10, 0)


def test_who_was_not_looked_at_today_began_where_it_was_left(ann, bot):
    hold(bot, [(SYMBOL, "2", "300")], unrealized="-40")
    price(SYMBOL, "150")
    the_day(bot, equity_at=NOW - timedelta(days=2), day_open_nav=D(1))

    found = any_of(today(ann))

    assert (found.start, found.net, found.open_change) == (9_960, 40, 40)


@given(st.lists(st.tuples(*[st.decimals("-1e6", "1e6", places=8)] * 7), max_size=5))
def test_days_are_added_term_by_term(days):
    fields = ("start", "net", "realized", "fees", "funding", "model", "adjustments")
    made = [Today(**dict(zip(fields, day, strict=True))) for day in days]

    total = sum(made, Today())

    assert total.open_change == sum((day.open_change for day in made), D(0))
    terms = (
        total.realized,
        total.fees,
        total.funding,
        total.model,
        total.adjustments,
        total.open_change,
    )
    assert sum(terms, D(0)) == total.net


# --- curves ------------------------------------------------------------------------------------------


def test_each_step_shows_the_last_point_before_it(bot):
    other = paper_bot()
    points = [point_row(bot, n, D(n + 1)) for n in (2, 3, 7)] + [point_row(other, 0, D(50))]
    models.EquityPoint.objects.bulk_create(points)

    found = any_of(curves_of)([bot.pk, other.pk], BEGAN, BEGAN + 8 * MINUTE, steps=4)

    assert found.at == tuple(BEGAN + n * MINUTE for n in (0, 2, 4, 6, 8))
    assert found.values[bot.pk] == (None, 3, 4, 4, 8)
    assert found.values[other.pk] == (50,) * 5


def test_a_curve_of_no_time_is_one_value(bot):
    models.EquityPoint.objects.bulk_create([point_row(bot, 0, D(5))])

    found = curves_of([bot.pk], BEGAN, BEGAN)

    assert set(found.values[bot.pk]) <= {None, 5} and found.values[bot.pk][-1] == 5


def test_others_are_left_out(bot):
    models.EquityPoint.objects.bulk_create([point_row(paper_bot(), 0)])

    assert list(curves_of([bot.pk], BEGAN, BEGAN + MINUTE).values) == [bot.pk]


# --- what was done last ------------------------------------------------------------------------------


def cycles(bot: models.Bot, *minutes: int, **values: Any) -> list[models.TradingCycle]:
    made = []
    for minute in minutes:
        row = cycle_row(bot, 2 * minute, "DECIDED")
        row.slot = f"{minute}"
        for name, value in values.items():
            setattr(row, name, value)
        made.append(row)
    return models.TradingCycle.objects.bulk_create(made)


def when(found: Any) -> list[tuple[UUID, int]]:
    return [(bot_id, (cycle.started_at - BEGAN) // MINUTE) for bot_id, cycle in found.cycles]


def test_the_newest_of_all_however_they_are_spread(ann, bot):
    busy, rare, idle = bot, paper_bot(ann), paper_bot(ann)
    cycles(busy, *range(100, 120))
    cycles(rare, 1, 50, 118)
    cycles(idle, 2)

    found = doings_of([busy.pk, rare.pk, idle.pk], cycles=5)

    wanted = sorted(
        [(busy.pk, n) for n in range(100, 120)]
        + [(rare.pk, n) for n in (1, 50, 118)]
        + [(idle.pk, 2)],
        key=lambda one: -one[1],
    )
    assert [minute for _, minute in when(found)] == [minute for _, minute in wanted[:5]]
    assert set(when(found)) <= set(wanted)


def test_a_gap_hides_nobody(ann, bot):
    """One that paused for long, and then began again, must not cut the others off."""
    cycles(bot, 1, 2, 3, 900)
    other = paper_bot(ann)
    cycles(other, 500, 501)

    assert [minute for _, minute in when(doings_of([bot.pk, other.pk], cycles=4))] == [
        900,
        501,
        500,
        3,
    ]


def test_what_still_runs_is_not_told_yet(bot):
    cycles(bot, 1, 2)
    cycles(bot, 3, status="RUNNING", record=None, outcome=None)

    assert [minute for _, minute in when(doings_of([bot.pk], cycles=2))] == [2, 1]


def test_orders_and_trades_come_with_the_cycles(bot):
    (cycle,) = cycles(bot, 5, order_ids=["x"])
    order = order_row(bot, 1)
    order.cycle, order.quantity, order.filled_quantity, order.contract_size = (
        cycle,
        D(3),
        D(2),
        D("0.1"),
    )
    loose = order_row(bot, 2)
    models.Order.objects.bulk_create([order, loose])
    models.ClosedTrade.objects.bulk_create(trade_row(bot, number) for number in (1, 9))

    found = doings_of([bot.pk])

    (sent,) = found.orders[cycle.pk]
    assert (sent.quantity, sent.filled, sent.base) == (D("0.3"), D("0.2"), "TEST")
    assert [trade.closed_at for _, trade in found.trades] == [BEGAN + n * MINUTE for n in (9, 1)]


def test_trades_older_than_the_cycles_are_not_told(bot):
    cycles(bot, 5, 6)
    models.ClosedTrade.objects.bulk_create(trade_row(bot, number) for number in (1, 5, 9))

    found = doings_of([bot.pk], cycles=2)

    assert [trade.closed_at for _, trade in found.trades] == [BEGAN + n * MINUTE for n in (9, 5)]


def test_what_was_done_stands_behind_many_that_only_held(ann, bot):
    """The last acts of each are told, whoever held how often since; what ended since them, too."""
    other = paper_bot(ann)
    bought, sold = cycles(bot, 1, 5, order_ids=["x"])
    (entered,) = cycles(other, 3, order_ids=["x"])
    cycles(bot, *range(10, 20))
    cycles(other, *range(11, 19))
    ours, ours_too, theirs = (order_row(bot, 1), order_row(bot, 5), order_row(other, 3))
    ours.cycle, ours_too.cycle, theirs.cycle = bought, sold, entered
    models.Order.objects.bulk_create([ours, ours_too, theirs])
    models.ClosedTrade.objects.bulk_create(trade_row(bot, number) for number in (0, 4))

    found = doings_of([bot.pk, other.pk], cycles=3)

    assert when(found)[3:] == [(bot.pk, 5), (other.pk, 3), (bot.pk, 1)]
    assert len(when(found)) == 6
    assert found.complete_since == BEGAN + 18 * MINUTE
    assert set(found.orders) == {bought.pk, sold.pk, entered.pk}
    assert [trade.closed_at for _, trade in found.trades] == [BEGAN + 4 * MINUTE]


def test_of_what_was_done_no_more_than_the_last_orders_is_read(ann, bot, monkeypatch):
    monkeypatch.setattr("bots.queries.feed.MOST_ORDERS", 3)
    other = paper_bot(ann)
    for owner, minutes in ((bot, (1, 2, 3, 4)), (other, (5, 6))):
        rows = [order_row(owner, minute) for minute in minutes]
        for order, cycle in zip(rows, cycles(owner, *minutes), strict=True):
            order.cycle = cycle
        models.Order.objects.bulk_create(rows)
    cycles(bot, 10)

    assert [minute for _, minute in when(doings_of([bot.pk, other.pk], cycles=1))] == [10, 6, 5, 4]


def test_no_more_is_read_than_the_busiest_makes_necessary(ann, bot):
    """The rows before the n-th newest of one bot are not among the n newest of all."""
    rare = paper_bot(ann)
    cycles(bot, *range(100, 120))
    cycles(rare, *range(1, 9))

    assert nth_newest([bot.pk, rare.pk], 5) == BEGAN + 115 * MINUTE
    assert nth_newest([bot.pk, rare.pk], 50) is None
