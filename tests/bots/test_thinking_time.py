"""A model thinks no longer than its profile allows, and always less than until the next decision."""

from datetime import timedelta
from typing import Any

import pytest

from bots import models, runtime
from bots.domain.bot import thinking_seconds
from llm.hosts import Provider
from llm.models import ModelProfile
from tests.bots.paper_desks import paper_bot


@pytest.mark.parametrize(
    ("deadline", "interval", "expected"),
    [(60, 180, 60), (60, 60, 55), (60, 15, 10), (600, 180, 175), (3, 15, 3), (60, 7, 5)],
)
def test_it_is_less_than_the_interval(deadline, interval, expected) -> None:
    assert thinking_seconds(deadline, interval) == expected


@pytest.mark.django_db
def test_a_bot_s_trader_has_this_deadline_and_a_new_one_with_the_interval() -> None:
    profile = ModelProfile.objects.create(name="m", provider=Provider.OLLAMA, model="m")
    bot = paper_bot(trader="", model_profile=profile, interval_seconds=30)

    for interval, seconds in ((30, 25), (180, 60)):
        models.Bot.objects.update(interval_seconds=interval)
        loaded = runtime.load_bot(bot.pk)
        trader: Any = runtime._trader(loaded)
        assert trader._trader.deadline == timedelta(seconds=seconds)
        assert runtime._thinking_seconds(loaded) == seconds
