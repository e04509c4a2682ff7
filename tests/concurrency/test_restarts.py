"""A restart in the middle of a bad day changes nothing: what the breakers remember is in the row."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest

from bots import models
from bots.domain.stored_book import book_from
from risk.domain import BreakerState, TradingState
from tests.chaos.processes import in_child
from tests.chaos.scene import Scene, enters, open_scene
from tests.concurrency.stage import all_is_well, bot_of
from tests.scenarios.tables import SYMBOL, candles

pytestmark = pytest.mark.django_db(transaction=True)
HALF_HOUR, MINUTE = timedelta(minutes=31), timedelta(minutes=1)


def stored(scene: Scene) -> BreakerState:
    return book_from(models.BotState.objects.get(pk=scene.bot_id).book, {}).breakers


def loses(scene: Scene) -> None:
    """Buys, and is stopped out by a mark."""
    scene.pass_time(HALF_HOUR)
    scene.wants(enters(D(100)), D(100))
    scene.decide()
    scene.pass_time(MINUTE)
    scene.wants(None, D(94))
    scene.mark()


def streak(scene: Scene, losses: int) -> None:
    for _ in range(losses):
        loses(scene)


@pytest.mark.parametrize(
    ("losses", "state"), [(1, TradingState.ACTIVE), (3, TradingState.ACTIVE), (4, TradingState.REDUCING)]
)  # fmt: skip
def test_a_new_process_for_every_step_remembers_what_one_would(losses, state):
    one, many = open_scene("never restarted"), open_scene("restarted")
    in_child(lambda: streak(one, losses))
    for _ in range(losses):
        in_child(lambda: loses(many))
        many.pass_time(HALF_HOUR + MINUTE + timedelta(seconds=1))  # the child's clock was its own

    assert stored(many) == stored(one)
    assert stored(many).state is state
    assert stored(many).loss_streak == losses
    assert stored(many).peak_nav > stored(many).last_nav
    all_is_well(one, many)


def test_a_cooldown_goes_on_after_a_restart():
    scene = open_scene("the bot")
    in_child(lambda: streak(scene, 4))
    cooling = stored(scene)
    scene.pass_time(4 * (HALF_HOUR + MINUTE) + timedelta(seconds=30))
    scene.wants(enters(D(100)), D(100))
    denied = in_child(lambda: scene.decide().record.verdict.denials)
    assert [denial.code for denial in denied] == [min(cooling.reasons)]
    assert stored(scene).cooling_since == cooling.cooling_since
    assert stored(scene).state is TradingState.REDUCING


@pytest.mark.parametrize(
    ("before", "after", "days"),
    [
        ("2026-03-28T22:59", "2026-03-28T23:01", ("2026-03-28", "2026-03-29")),
        ("2026-03-29T21:59", "2026-03-29T22:01", ("2026-03-29", "2026-03-30")),  # summer time
        ("2026-10-24T21:59", "2026-10-24T22:01", ("2026-10-24", "2026-10-25")),
        ("2026-10-25T22:59", "2026-10-25T23:01", ("2026-10-25", "2026-10-26")),  # winter time
    ],
)
def test_the_day_turns_at_the_owners_midnight(before, after, days):
    scene = open_scene("the bot", time_zone="Europe/Berlin")
    scene.wants(None, D(100))
    seen = []
    for instant in (before, after):
        scene.clock.advance_to(datetime.fromisoformat(instant).replace(tzinfo=UTC))
        in_child(scene.decide)
        seen.append((stored(scene).day, len(day_navs(scene))))
    assert tuple(day for day, _ in seen) == days
    assert seen[1][1] == seen[0][1] + 1


def day_navs(scene: Scene) -> list[str]:
    return json.loads(bot_of(scene).state.day_navs)


def test_a_stop_hit_in_three_hours_of_downtime_is_booked_at_its_minute():
    scene = open_scene("the bot")
    opened = scene.clock.now()
    scene.wants(enters(D(100)), D(100))
    in_child(scene.decide)

    scene.pass_time(timedelta(hours=3))
    hit = 100  # of 180 minutes
    lines = ["100 100.5 99.5 100"] * hit + ["100 100 93 96"] + ["96 97 95.5 96"] * (179 - hit)
    scene.feed.minutes = candles("\n".join(lines), MINUTE, opened)
    scene.wants(None, D(96))
    assert in_child(lambda: scene.decide().record.outcome) == "DECIDED"

    fill = models.Fill.objects.get(order__purpose="STOP")
    assert opened + hit * MINUTE <= fill.at <= opened + (hit + 1) * MINUTE
    assert D(94) < fill.price <= D(95)
    trade = models.ClosedTrade.objects.get()
    assert (trade.exit_reason, trade.closed_at) == ("STOP", fill.at)
    assert not models.Position.objects.filter(symbol=SYMBOL).exists()
    all_is_well(scene)
