"""The worst fall from a peak: folded once, whatever came when, and the same as counted anew."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from bots.lab import drawdowns
from bots.lab.drawdowns import Fall, drawdowns_of
from bots.models import EquityPoint
from tests.bots.paper_desks import paper_bot

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CAPITAL = D(100)
equities = st.lists(st.integers(1, 300).map(D), min_size=1, max_size=30)


def counted(values: list[D]) -> D:
    """The worst fall, by looking at every pair."""
    whole = [CAPITAL, *values]
    return min(later / earlier - 1 for i, earlier in enumerate(whole) for later in whole[i:])


@given(equities, st.integers(1, 300).map(D))
def test_it_is_the_worst_of_all_pairs(values, now):
    fall = Fall(peak=CAPITAL, last_at=START, last=CAPITAL)
    for number, value in enumerate(values, start=1):
        fall.add(START + number * MINUTE, value)
    assert fall.worst_until(now) == counted([*values, now])


@given(equities, st.data())
def test_a_point_that_was_replaced_counts_as_it_is_now(values, data):
    fall = Fall(peak=CAPITAL, last_at=START, last=CAPITAL)
    for number, value in enumerate(values, start=1):
        for wrong in data.draw(st.lists(st.integers(1, 300).map(D), max_size=2)):
            fall.add(START + number * MINUTE, wrong)
        fall.add(START + number * MINUTE, value)
        fall.add(START, D(1))  # earlier: nobody's news
    assert fall.worst_until(values[-1]) == counted(values)


@pytest.mark.django_db
def test_points_are_read_once_and_each_process_comes_to_the_same():
    drawdowns.forget()
    arena, bot, other = uuid4(), paper_bot(), paper_bot()
    now = {bot.pk: D(90), other.pk: D(100)}

    def store(number: int, equity: int) -> None:
        EquityPoint.objects.create(bot=bot, at=START + number * MINUTE, equity=equity)

    def ask() -> dict:
        with CaptureQueriesContext(connection) as captured:
            found = drawdowns_of(arena, START, CAPITAL, now)
        assert len(captured) == 1
        return found

    EquityPoint.objects.create(bot=bot, at=START - MINUTE, equity=1000)  # before the start
    assert ask() == {bot.pk: D("-0.1"), other.pk: D(0)}
    for number, equity in enumerate((120, 60, 150), start=1):
        store(number, equity)
    assert ask()[bot.pk] == D("-0.5")
    store(4, 30)
    assert ask()[bot.pk] == D("-0.8")
    EquityPoint.objects.filter(bot=bot, equity=30).update(equity=140)  # the ledger's later word
    assert ask()[bot.pk] == D("-0.5")
    drawdowns.forget()
    assert ask()[bot.pk] == D("-0.5")


@pytest.mark.django_db
def test_without_bots_nothing_is_asked(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert drawdowns_of(uuid4(), START, CAPITAL, {}) == {}
