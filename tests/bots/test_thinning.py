"""Old equity is kept by the hour, and what is read off it is what it was."""

from datetime import timedelta
from decimal import Decimal as D

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from bots import models, services, thinning
from bots.lab.drawdowns import Fall
from bots.thinning import kept, thin
from tests.bots.bulk_rows import BEGAN
from tests.bots.paper_desks import paper_bot

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
START = BEGAN.replace(minute=0, second=0, microsecond=0)

walks = st.lists(
    st.tuples(st.integers(1, 25), st.integers(-50, 200)), min_size=1, max_size=120
)  # minutes since the last point, equity


def points_of(walk) -> list:
    at, points = START, []
    for minutes, equity in walk:
        at += minutes * MINUTE
        points.append((at, D(equity)))
    return points


def worst_fall(points) -> D:
    fall = Fall(peak=D(100), last_at=START, last=D(100))
    for at, equity in points:
        fall.add(at, equity)
    return fall.worst_until(points[-1][1])


@given(walks)
def test_what_is_read_off_it_stays_exact(walk):
    points = points_of(walk)
    left = kept(points)
    assert left == sorted(left) and set(left) <= set(points)
    assert worst_fall(left) == worst_fall(points)
    for hours in range(52):
        full = START + hours * HOUR

        def last(some, full=full):
            return max((point for point in some if point[0] <= full - MINUTE), default=None)

        assert last(left) == last(points)
    hour = [point for point in points if point[0] < START + HOUR]
    if hour:
        kept_of_it = [equity for at, equity in left if at < START + HOUR]
        assert (min(kept_of_it), max(kept_of_it)) == (
            min(equity for _, equity in hour), max(equity for _, equity in hour),
        )  # fmt: skip
    assert kept(left) == left  # thinned again nothing goes


def test_an_hour_keeps_no_more_than_six():
    assert len(kept((START + number * MINUTE, D((number * 37) % 61)) for number in range(60))) <= 6


# --- rows --------------------------------------------------------------------------------------------


@pytest.fixture
def bot(transactional_db, settings):
    settings.EQUITY_DAYS = 30
    thinning.forget()
    bot = paper_bot()
    models.Bot.objects.update(created_at=START)
    models.EquityPoint.objects.all().delete()
    yield bot
    thinning.forget()


def stored(bot, hours: int, start=START) -> None:
    models.EquityPoint.objects.bulk_create(
        models.EquityPoint(
            bot=bot, at=start + number * MINUTE, equity=D(10_000 + (number * 37) % 61)
        )
        for number in range(60 * hours)
    )


def left(bot) -> list:
    rows = models.EquityPoint.objects.filter(bot=bot).order_by("at")
    return list(rows.values_list("at", "equity"))


def test_whole_hours_that_are_old_are_thinned(bot):
    stored(bot, 3)
    before = left(bot)
    now = START + 30 * DAY + 2 * HOUR + 30 * MINUTE
    assert thin(now) == 120 - len(kept(before[:120]))
    assert left(bot) == [*kept(before[:120]), *before[120:]]
    assert thin(now) == 0
    assert thin(now + HOUR) > 0
    assert left(bot) == kept(before)


def test_many_are_taken_a_few_at_a_time_and_hours_are_never_cut(bot, monkeypatch):
    monkeypatch.setattr(thinning, "POINTS_AT_ONCE", 100)
    stored(bot, 5)
    before, now = left(bot), START + 99 * DAY
    rounds = 0
    while thin(now):
        rounds += 1
    assert left(bot) == kept(before)
    assert rounds == 5


def test_another_process_begins_anew_and_changes_nothing(bot):
    stored(bot, 2)
    now = START + 99 * DAY
    assert thin(now) > 0
    after = left(bot)
    thinning.forget()
    assert thin(now) == 0
    assert left(bot) == after


def test_some_bots_at_a_time(bot, monkeypatch):
    monkeypatch.setattr(thinning, "BOTS_AT_ONCE", 1)
    other = paper_bot(name="other")
    models.Bot.objects.update(created_at=START)
    models.EquityPoint.objects.filter(bot=other).delete()
    for one in (bot, other):
        stored(one, 1)
    now = START + 99 * DAY
    assert thin(now) == thin(now) > 0
    assert thin(now) == 0


def test_the_sweep_does_it_and_without_the_setting_nothing_goes(bot, settings):
    stored(bot, 1, timezone.now().replace(minute=0, second=0, microsecond=0) - 40 * DAY)
    settings.EQUITY_DAYS = 0
    assert services.sweep()["points_deleted"] == 0
    settings.EQUITY_DAYS = 30
    assert services.sweep()["points_deleted"] > 0
