"""What is asked about bots: right, only what is one's own, and as many queries for much as for little."""

import random
from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from bots import models, queries, stored_record
from bots.domain.bot import BotMode, BotStatus
from bots.domain.entries import EntryKind
from bots.domain.records import CycleOutcome
from bots.queries.equity import thinned
from bots.queries.worth import exposure
from market.domain.positions import Position, liquidation_price
from market.instrument_rows import row_of
from market.models import ExchangeAccount
from tests.bots.bulk_rows import (
    BEGAN,
    MINUTE,
    cycle_row,
    fill,
    hold,
    ids,
    order_row,
    point_row,
)
from tests.bots.paper_desks import paper_bot
from tests.scenarios.tables import SYMBOL, instrument
from tradingagent.accounts.models import User

OTHER = "OTHER/USDT:USDT"


@pytest.fixture
def ann(db) -> User:
    return User.objects.create_user("ann@example.org")


@pytest.fixture
def bot(ann) -> models.Bot:
    return paper_bot(ann, name="first")


def only(found) -> Any:
    """The one there is."""
    (one,) = found
    return one


def counted(ask) -> int:
    with CaptureQueriesContext(connection) as caught:
        ask()
    return len(caught)


# --- bots and portfolio ----------------------------------------------------------------------------


def test_a_bot_says_how_it_stands(ann, bot):
    hold(bot, [(SYMBOL, "-2", "300")], unrealized="12.5")
    latest = cycle_row(bot, 5)
    models.TradingCycle.objects.bulk_create([cycle_row(bot, 0), latest])

    line = only(queries.bots_of(ann))

    assert (line.name, line.mind, line.risk_profile) == ("first", "flat", "balanced")
    assert (line.paid_in, line.cash, line.equity) == (10_000, 10_000, D("10012.5"))
    assert (line.pnl, line.return_fraction) == (D("12.5"), D("0.00125"))
    worth = line.worth
    assert (worth.gross_exposure, worth.net_exposure) == (D("287.5"), D("-287.5"))
    assert (line.open_positions, worth.unrealized_pnl) == (1, D("12.5"))
    assert line.last_cycle.id == latest.pk
    assert line.last_cycle.outcome is CycleOutcome.DECIDED


def test_a_new_bot_has_done_nothing(ann, bot):
    line = only(queries.bots_of(ann))

    assert line.last_cycle is None
    assert (line.pnl, line.worth.gross_exposure, line.open_positions) == (0, 0, 0)
    assert (line.worth.as_of, line.worth.is_current) == (None, True)


def test_money_paid_in_and_out_is_no_profit(ann, bot):
    models.BotState.objects.filter(pk=bot.pk).update(
        deposits=D(15_000), withdrawals=D(15_000), realized_pnl=D(3), cash=D(3), equity=D(3)
    )

    line = only(queries.bots_of(ann))

    assert (line.pnl, line.return_fraction) == (3, None)


def test_everybody_sees_their_own(ann, bot):
    bob = User.objects.create_user("bob@example.org")
    theirs = paper_bot(bob)
    archived = paper_bot(ann, name="old", status=BotStatus.ARCHIVED)

    assert ids(queries.bots_of(ann)) == [bot.pk]
    assert ids(queries.bots_of(ann, archived=True)) == [archived.pk]
    assert ids(queries.portfolio(bob).bots) == [theirs.pk]


def test_currencies_and_modes_are_never_mixed(ann, bot):
    paper_bot(ann, name="second", capital=D(500))
    paper_bot(ann, name="third", currency="USDC")
    account = ExchangeAccount.objects.create(owner=ann, name="a", venue="binanceusdm")
    real = paper_bot(ann, name="real", capital=D(70))
    models.Bot.objects.filter(pk=real.pk).update(
        mode=BotMode.LIVE, sim_account=None, exchange_account=account
    )
    hold(bot, [(SYMBOL, "2", "300")], unrealized="-10")

    totals: dict[Any, Any] = {
        (one.mode, one.currency): one for one in queries.portfolio(ann).totals
    }

    assert {key: (one.bots, one.equity) for key, one in totals.items()} == {
        ("PAPER", "USDT"): (2, D(10_490)),
        ("PAPER", "USDC"): (1, D(10_000)),
        ("LIVE", "USDT"): (1, D(70)),
    }
    together = totals[BotMode.PAPER, "USDT"]
    assert (together.pnl, together.net_exposure, together.open_positions) == (-10, 290, 1)
    assert together.return_fraction == D(-10) / 10_500


@given(
    st.lists(
        st.tuples(
            st.decimals("-1000", "1000", places=3).filter(bool),
            st.decimals("0.01", "10000", places=2),
            st.decimals("0.01", "10000", places=2),
        ),
        max_size=5,
    )
)
def test_net_exposure_is_what_is_held_at_its_marks(held):
    """The sum of gains tells it exactly, whatever each position gained."""
    rows, gained, at_marks = [], D(0), D(0)
    for quantity, entry, mark in held:
        cost = abs(quantity) * entry
        rows.append(models.Position(quantity=quantity, entry_cost=cost, contract_size=1))
        gained += quantity * mark - (cost if quantity > 0 else -cost)
        at_marks += quantity * mark

    gross, net = exposure(rows, gained)

    assert net == at_marks
    if len({row.quantity > 0 for row in rows}) == 1:
        assert gross == abs(at_marks)
    assert gross >= 0


def test_dust_counts_in_money_and_is_no_position(ann, bot):
    hold(bot, [(SYMBOL, "1", "100")])
    models.Position.objects.update(is_dust=True)

    line = only(queries.bots_of(ann))

    assert (line.open_positions, line.worth.net_exposure) == (0, 100)


def test_halts_that_concern_a_user(ann, bot):
    bob = User.objects.create_user("bob@example.org")
    theirs = paper_bot(bob)
    halts = [
        models.TradingHalt(scope=scope, bot=one, user=user, halted_by="x", halted_at=BEGAN + age)
        for scope, one, user, age in (
            ("BOT", bot, None, 0 * MINUTE), ("BOT", theirs, None, MINUTE), ("USER", None, ann, 2 * MINUTE),
            ("USER", None, bob, 3 * MINUTE), ("ALL", None, None, 4 * MINUTE),
        )
    ]  # fmt: skip
    models.TradingHalt.objects.bulk_create(halts)
    models.TradingHalt.objects.create(
        scope="ALL", halted_by="x", halted_at=BEGAN, resumed_by="x", resumed_at=BEGAN
    )

    assert [(one.scope, one.bot_id) for one in queries.halts_over(ann)] == [
        ("ALL", None), ("USER", None), ("BOT", bot.pk),
    ]  # fmt: skip


# --- what is held ----------------------------------------------------------------------------------


def test_positions_with_their_plans_and_prices(bot):
    hold(bot, [(SYMBOL, "-2", "300"), (OTHER, "1", "50")])
    known = instrument()
    row_of("simulated", known, BEGAN).save()

    found: Any = queries.positions_of(bot, {SYMBOL: D(140)})
    other, held = found

    expected = Position(
        symbol=SYMBOL, quantity=D(-2), entry_cost=D(300), margin=D(60), leverage=D(5)
    )
    assert (held.side, held.quantity, held.entry_price, held.margin) == ("SHORT", 2, 150, 60)
    assert held.liquidation_price == liquidation_price(expected, known)
    assert held.unrealized_pnl == expected.unrealized_pnl(D(140), known) == 20
    assert (held.stop_price, held.target_price) == (1, 999)
    assert other.symbol == OTHER
    assert (other.liquidation_price, other.mark_price, other.unrealized_pnl) == (None, None, None)


def test_nothing_held_asks_once(bot):
    assert queries.positions_of(bot) == ()
    assert counted(lambda: queries.positions_of(bot)) == 1


def test_open_orders_are_those_that_may_still_fill(bot):
    statuses = ("FILLED", "ACCEPTED", "UNKNOWN", "REJECTED", "SUBMITTED", "CANCELED")
    models.Order.objects.bulk_create(
        order_row(bot, number, status) for number, status in enumerate(statuses)
    )

    found = queries.orders_of(bot, open_only=True).items

    assert {line.order.status for line in found} == {"ACCEPTED", "UNKNOWN", "SUBMITTED"}


# --- pages -----------------------------------------------------------------------------------------

PAGED: dict[str, Any] = {
    "orders": (queries.orders_of, models.Order, ("-created_at", "-pk"), lambda item: item.order.client_order_id),
    "cycles": (queries.cycles_of, models.TradingCycle, ("-started_at", "-pk"), lambda item: item.id),
    "trades": (queries.closed_trades_of, models.ClosedTrade, ("-pk",), lambda item: item.closed_at),
    "ledger": (queries.ledger_of, models.LedgerEntry, ("-sequence",), lambda item: item.sequence),
}  # fmt: skip


@pytest.mark.parametrize("what", PAGED)
@pytest.mark.parametrize("size", [1, 3, 4, 23, 24])
def test_pages_show_every_row_once_in_order(bot, what, size):
    ask, model, order, key = PAGED[what]
    fill(bot, 23)
    fill(paper_bot(), 3)
    column = {"orders": "pk", "cycles": "pk", "trades": "closed_at", "ledger": "sequence"}[what]
    wanted = list(model.objects.filter(bot=bot).order_by(*order).values_list(column, flat=True))

    seen, after = [], ""
    while True:
        page = ask(bot, after=after, limit=size)
        assert len(page.items) <= size
        seen += [key(item) for item in page.items]
        after = page.next
        assert len(seen) <= len(wanted)
        if not after:
            break

    assert seen == wanted


@pytest.mark.parametrize(
    "after", ["x", "1~2", "2026-01-01~a", "-1", "9" * 30, "2026-01-01T00:00:00+00:00~"]
)
@pytest.mark.parametrize("what", PAGED)
def test_a_place_that_no_page_gave_is_refused(bot, what, after):
    if what == "orders" and after == "1~2":
        after = "~"

    with pytest.raises(ValueError, match="no place to go on from"):
        PAGED[what][0](bot, after=after)


def test_decisions_are_the_cycles_that_asked(bot):
    fill(bot, 9)

    shown = queries.decisions_of(bot)

    assert [item.summary for item in shown.items] == [f"number {n}" for n in (7, 5, 3, 1)]
    assert {item.decision for item in shown.items} == {"DECIDED"}


def test_the_ledger_and_the_events_in_order(bot):
    fill(bot, 4)

    assert [item.sequence for item in queries.ledger_of(bot).items] == [5, 4, 3, 2, 1]
    assert queries.ledger_of(bot).items[-1].kind is EntryKind.DEPOSIT
    assert [line.sequence for line in queries.events_after(bot, 1)] == [2, 3, 4]
    assert [line.sequence for line in queries.events_after(bot, 0, limit=2)] == [1, 2]
    assert queries.events_after(bot, 4) == ()


def test_a_record_comes_back_whole(bot):
    cycle: Any = cycle_row(bot, 1)
    cycle.save()
    running = cycle_row(bot, 2)
    running.record = None

    assert queries.cycle_record(cycle) == stored_record.unpack(cycle.record)
    assert queries.cycle_record(cycle)["slot"] == "1"
    assert queries.cycle_record(running) is None


# --- equity ----------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_short_curve_is_whole():
    bot = paper_bot()
    models.EquityPoint.objects.bulk_create(point_row(bot, number) for number in range(9))

    shown = queries.equity_of(bot, points=9)

    assert shown.of == 9
    assert shown.points == tuple((BEGAN + n * MINUTE, D(10_000) + n % 7) for n in range(9))
    part = queries.equity_of(bot, BEGAN + 2 * MINUTE, BEGAN + 5 * MINUTE)
    assert [at for at, _ in part.points] == [BEGAN + n * MINUTE for n in (2, 3, 4)]
    assert queries.equity_of(paper_bot()).points == ()


@pytest.mark.django_db(transaction=True)
def test_a_long_curve_keeps_its_peaks():
    bot = paper_bot()
    values = {number: D(100) for number in range(3000)} | {1234: D(1), 1235: D(900), 2999: D(7)}
    models.EquityPoint.objects.bulk_create(
        point_row(bot, number, equity) for number, equity in values.items()
    )

    shown = queries.equity_of(bot, points=40)

    kept: dict[int, Any] = {(at - BEGAN) // MINUTE: equity for at, equity in shown.points}
    assert (shown.of, len(shown.points) <= 40) == (3000, True)
    assert kept[0] == 100
    assert (kept[1234], kept[1235], kept[2999]) == (1, 900, 7)
    assert list(shown.points) == sorted(shown.points)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=300), st.integers(1, 40))
def test_thinning_keeps_the_corners_of_each_bucket(values, minutes):
    points = [(BEGAN + n * MINUTE, D(value)) for n, value in enumerate(values)]
    width = minutes * MINUTE

    kept = list(thinned(iter(points), BEGAN, width))

    assert kept == sorted(set(kept))
    assert set(kept) <= set(points)
    for start in range(0, len(points), minutes):
        bucket = points[start : start + minutes]
        inside = [point for point in kept if point in bucket]
        assert len(inside) <= 4
        assert (inside[0], inside[-1]) == (bucket[0], bucket[-1])
        lows, highs = min(v for _, v in bucket), max(v for _, v in bucket)
        assert {min(v for _, v in inside), max(v for _, v in inside)} == {lows, highs}


# --- how often the database is asked ---------------------------------------------------------------


def asked(user: User, bot: models.Bot) -> dict[str, int]:
    cycle = models.TradingCycle.objects.filter(bot=bot)[0]
    return {
        "bots": counted(lambda: queries.bots_of(user)),
        "portfolio": counted(lambda: queries.portfolio(user)),
        "positions": counted(lambda: queries.positions_of(bot)),
        "orders": counted(lambda: queries.orders_of(bot)),
        "open orders": counted(lambda: queries.orders_of(bot, open_only=True)),
        "trades": counted(lambda: queries.closed_trades_of(bot)),
        "cycles": counted(lambda: queries.cycles_of(bot)),
        "decisions": counted(lambda: queries.decisions_of(bot)),
        "record": counted(lambda: queries.cycle_record(cycle)),
        "ledger": counted(lambda: queries.ledger_of(bot)),
        "events": counted(lambda: queries.events_after(bot, 0)),
        "equity": counted(lambda: queries.equity_of(bot)),
        "halts": counted(lambda: queries.halts_over(user)),
        "named": counted(lambda: queries.bot_named(bot.pk.hex)),
    }


QUERIES = {
    "bots": 4, "portfolio": 4, "positions": 3, "orders": 1, "open orders": 1, "trades": 1, "cycles": 1,
    "decisions": 1, "record": 0, "ledger": 1, "events": 1, "equity": 2, "halts": 1, "named": 2,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_as_many_queries_for_ten_thousand_rows_as_for_ten():
    ann = User.objects.create_user("ann@example.org")
    bot = paper_bot(ann)
    hold(bot, [(SYMBOL, "1", "100")])
    fill(bot, 10)
    few = asked(ann, bot)

    fill(bot, 9_990, first=10)
    many_bots(ann, 100)
    hold(bot, [(f"S{n}/USDT:USDT", "1", "100") for n in range(20)])

    assert few == QUERIES
    assert asked(ann, bot) == QUERIES


def many_bots(owner: User, count: int) -> None:
    for number in range(count):
        one = paper_bot(owner)
        if number % 3 == 0:
            hold(one, [(SYMBOL, "1", "100")])
            cycle_row(one, 1).save()


# --- a bot by what a person types --------------------------------------------------------------------


def test_a_bot_is_found_by_its_id_its_start_or_its_name(bot):
    for text in (
        str(bot.pk),
        bot.pk.hex,
        str(bot.pk)[:6],
        str(bot.pk)[:13].upper(),
        "first",
        " first ",
    ):
        assert queries.bot_named(text) == bot


@pytest.mark.parametrize("text", ["", "f", "12345", "nobody", "0" * 33])
def test_a_bot_that_is_not_there(bot, text):
    with pytest.raises(queries.BotNotFound, match="there is no bot"):
        queries.bot_named(text)


def test_five_characters_are_too_few(bot):
    assert queries.bot_named(bot.pk.hex[:6]) == bot
    with pytest.raises(queries.BotNotFound, match="there is no bot"):
        queries.bot_named(bot.pk.hex[:5])


def test_a_name_of_two_bots(bot):
    bob = User.objects.create_user("bob@example.org")
    other = paper_bot(bob, name="first")

    with pytest.raises(queries.BotNotFound, match="fits more than one bot") as refused:
        queries.bot_named("first")
    assert str(other.pk) in str(refused.value)


def test_thinning_is_no_sample():
    """Seeded noise: each bucket's extremes stay, wherever they lie."""
    noise = random.Random(1)
    points = [(BEGAN + n * MINUTE, D(noise.randrange(1000))) for n in range(1000)]

    kept = list(thinned(iter(points), BEGAN, timedelta(minutes=100)))

    assert max(points, key=lambda point: point[1])[1] == max(value for _, value in kept)
    assert len(kept) <= 40
