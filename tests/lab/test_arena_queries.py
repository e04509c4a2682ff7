"""How entrants stand beside each other: right, in order of joining, and at the same cost for two as for fifty."""

from datetime import timedelta
from decimal import Decimal as D

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bots import models, services
from bots.lab import pages, queries
from bots.lab import services as lab
from bots.lab.services import EntrantWish
from bots.lab.verdicts import ENOUGH_TRADES, said_of
from llm.hosts import Provider
from llm.models import ModelProfile
from market.models import LatestPrice
from tests.bots.bulk_rows import fill
from tests.bots.desks import buys
from tests.lab.arenas import MINUTE, bots_of, ground, priced
from tests.scenarios.tables import SYMBOL
from tradingagent.accounts.access import NotYours
from tradingagent.accounts.models import User

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def at(monkeypatch):
    return ground(monkeypatch)


@pytest.fixture
def profile(at) -> ModelProfile:
    return ModelProfile.objects.create(owner=at.owner, name="m", provider=Provider.SCRIPTED)


def test_numbers_are_those_of_the_books_at_the_latest_prices(at):
    arena = at.started("flat", "buy_and_hold")
    one, other = bots_of(arena)
    at.trader.answers.append(buys())  # 15 at 100 and a little, fee 0.1%
    services.run_slot(other.pk, "one")
    services.run_slot(one.pk, "one")
    priced("102")
    held, idle = reversed(queries.table_of(arena).lines)

    assert (held.place, held.label, held.rounds, held.trades) == (2, "Buy and hold", 1, 0)
    row, fees = (
        models.Position.objects.get(bot=other),
        models.BotState.objects.get(pk=other.pk).fees,
    )
    assert row.quantity == 15 and D("1.5") <= fees < D("1.51")
    assert held.equity == D(10_000) - fees + 15 * 102 - row.entry_cost
    assert held.return_fraction == held.equity / 10_000 - 1
    assert held.max_drawdown == models.BotState.objects.get(pk=other.pk).equity / 10_000 - 1 < 0
    assert held.fees == fees and held.llm_cost == 0
    assert held.exposure == D(1530) / held.equity
    assert held.holds == (SYMBOL,) and held.holds_bases == SYMBOL.partition("/")[0]
    assert held.is_current
    assert idle.equity == 10_000 and idle.return_fraction == idle.exposure == 0
    assert idle.max_drawdown == 0 and idle.holds_bases == ""


def test_a_price_that_is_missing_is_said(at):
    arena = at.started("flat", "buy_and_hold")
    at.trader.answers.append(buys())
    services.run_slot(bots_of(arena)[1].pk, "one")
    LatestPrice.objects.all().delete()
    table = queries.table_of(arena)
    assert not table.lines[1].is_current and not table.is_current


def test_the_order_is_that_of_joining_whatever_they_win(at, profile):
    arena = at.arena("buy_and_hold", "flat")
    for _ in range(8):
        lab.add_entrant(arena.pk, EntrantWish(model_profile=profile), by=at.owner)
    lab.start_arena(arena.pk, by=at.owner)
    arena.refresh_from_db()
    for number, bot in enumerate(bots_of(arena)):
        won = D(number * 500 - 1000)
        models.BotState.objects.filter(pk=bot.pk).update(cash=10_000 + won, realized_pnl=won)
    table = queries.table_of(arena)
    assert [line.place for line in table.lines] == list(range(1, 11))
    assert [line.label for line in table.baselines] == ["Buy and hold", "Cash"]
    assert [line.label for line in table.models][:2] == ["m", "m 2"]
    marks = [(line.colour, line.dash) for line in table.lines]
    assert marks[:2] == [(0, 0), (0, 1)]
    assert marks[2:] == [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (1, 1), (2, 1)]
    assert len(set(marks)) == len(marks)


def test_before_the_start_nothing_is_claimed(at):
    table = queries.table_of(at.arena("flat", "buy_and_hold"))
    assert {line.return_fraction for line in table.lines} == {None}
    assert {line.max_drawdown for line in table.lines} == {None}
    assert queries.race_of(table).curves == ()
    assert said_of(table).lead == "Not started."


def test_curves_run_on_common_steps_from_nothing_to_now(at, monkeypatch):
    arena = at.started("flat", "buy_and_hold")
    _, other = bots_of(arena)
    start = arena.started_at
    for minute in range(1, 97):
        models.EquityPoint.objects.create(
            bot=other, at=start + minute * MINUTE, equity=D(10_000) + minute
        )
    models.BotState.objects.filter(pk=other.pk).update(cash=D(10_100), realized_pnl=D(100))
    monkeypatch.setattr(timezone, "now", lambda: start + 96 * MINUTE)
    race = queries.race_of(queries.table_of(arena))

    assert len(race.at) == queries.STEPS + 1
    assert race.at[0] == start and race.at[-1] == start + 96 * MINUTE
    assert {b - a for a, b in zip(race.at, race.at[1:], strict=False)} == {MINUTE}
    idle, busy = race.curves
    assert set(idle.values) == {0}
    assert busy.values[0] == 0 and busy.values[-1] == D("0.01")  # now, not the last point
    assert busy.values[1:-1] == tuple(D(minute) / 10_000 for minute in range(1, 96))
    told = pages.as_json(race)
    assert [len(one["values"]) for one in told["series"]] == [97, 97]
    assert told["series"][1]["values"][1] == 0.01 and told["unit"] == "%"
    shown = pages.as_table(race)
    assert len(shown["rows"]) <= pages.ROWS and shown["rows"][0][0] == race.at[-1]


def costs(arena) -> list[int]:
    found = []
    for ask in (
        queries.table_of,
        pages.moving,
        lambda one: queries.race_of(queries.table_of(one)),
        queries.bots_in,
    ):
        with CaptureQueriesContext(connection) as captured:
            ask(arena)
        found.append(len(captured))
    return found


def test_fifty_cost_as_many_queries_as_two(at):
    small = at.started("flat", "buy_and_hold")
    wishes = [EntrantWish(trader="flat") for _ in range(50)]
    large = lab.create_arena(at.wish(name="large"), by=at.owner, entrants=wishes)
    large = lab.start_arena(large.pk, by=at.owner)
    for bot in bots_of(large)[:10]:
        fill(bot, 40, first=100)
    for bot in bots_of(small):
        fill(bot, 3, first=100)
    for bot in (*bots_of(small)[:1], *bots_of(large)[:7]):
        at.trader.answers.append(buys())
        services.run_slot(bot.pk, "one")
    assert costs(small) == [6, 12, 7, 1]
    assert costs(large) in ([6, 12, 7, 1], [6, 11, 7, 1])  # one less where the latest sent no order
    assert sum(line.trades for line in queries.table_of(large).lines) == 400


def test_the_list_is_one_query(at, django_assert_num_queries):
    for number in range(5):
        at.arena("flat", "buy_and_hold", name=f"Season {number}")
        at.tick("100")
    with django_assert_num_queries(1):
        lines = queries.arenas_of(at.owner)
        assert [line.arena.name for line in lines][:2] == ["Season 4", "Season 3"]
        assert {line.entrants for line in lines} == {2}
    assert queries.arenas_of(User.objects.create(email="b@example.org")) == ()


def test_anothers_arena_is_not_found(at):
    arena = at.arena("flat")
    other = User.objects.create(email="b@example.org")
    assert pages.find(at.owner, str(arena.pk)) == arena
    for user, key in ((other, str(arena.pk)), (at.owner, "nonsense"), (at.owner, "")):
        with pytest.raises(NotYours):
            pages.find(user, key)


# --- what may be said --------------------------------------------------------------------------------


def test_too_few_to_tell_says_how_few_and_how_long(at):
    arena = at.started("flat", "buy_and_hold")
    said = said_of(queries.table_of(arena))
    assert said.lead == "Too few to tell."
    assert "have closed no trade in 0 s" in said.why and "nobody is ranked" in said.why
    bot = bots_of(arena)[0]
    fill(bot, 3, first=100)
    models.BotState.objects.filter(pk=bot.pk).update(
        equity_at=arena.started_at + timedelta(hours=2, minutes=10)
    )
    assert "have closed 3 trades in 2 h 10 min" in said_of(queries.table_of(arena)).why


def test_however_many_there_are_no_order_is_claimed(at):
    arena = at.started("flat", "buy_and_hold")
    bot = bots_of(arena)[0]
    fill(bot, ENOUGH_TRADES, first=100)
    models.BotState.objects.filter(pk=bot.pk).update(
        equity_at=arena.started_at + timedelta(days=30)
    )
    said = said_of(queries.table_of(arena))
    assert said.lead == "Not told apart." and "no interval" in said.why


def test_what_did_not_change_looks_the_same(at):
    """The tailer sends what differs: nothing here may tell the time."""
    arena = at.started("flat", "buy_and_hold")
    first = pages.moving(arena)
    assert pages.moving(arena) == first
