"""Nothing outward is called inside a transaction, and no connection is held while a model thinks."""

from decimal import Decimal as D
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection, transaction

from bots import models, runtime
from market.errors import VenueUnavailable
from market.venues.paper_broker import PaperBroker
from tests.chaos.points import Points
from tests.chaos.scene import CLOSES, Scene, adjusts, enters, open_scene
from tests.concurrency.stage import all_is_well
from tradingagent.accounts.outward import OutwardCallInTransaction

pytestmark = pytest.mark.django_db(transaction=True)


class Watched(Points):
    """Notes at each outward call whether a transaction was open."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, set[bool]] = {}

    def reach(self, name: str, *, inside: bool = False) -> None:
        if name.startswith("before ") and " the " not in name:
            self.calls.setdefault(name.removeprefix("before "), set()).add(
                connection.in_atomic_block
            )


def held_connections() -> int:
    """How many database connections this thread keeps from others."""
    pool = getattr(connection, "pool", None)
    if pool is not None:
        stats = pool.get_stats()
        return stats["pool_size"] - stats["pool_available"]
    return int(connection.connection is not None)


@pytest.fixture
def scene() -> Scene:
    scene = open_scene("the bot", asks_a_model=True)
    scene.points = Watched()
    return scene


def test_no_transaction_is_open_around_any_outward_call(scene):
    def unanswered(self: Any, *_: Any) -> Any:
        raise VenueUnavailable("no answer")

    scene.wants(enters(scene.price), scene.price)
    with patch.object(PaperBroker, "submit", unanswered):
        scene.decide()  # an order whose fate is unknown, so that it is looked up
    scene.pass_time()
    scene.wants(None, scene.price)
    scene.decide()
    scene.pass_time()
    scene.wants(enters(scene.price), scene.price)
    scene.decide()
    for decision in (adjusts(D(97)), CLOSES):  # a new stop, then the old one is canceled
        scene.pass_time()
        scene.wants(decision, scene.price)
        scene.decide()
    scene.flatten()
    scene.mark()

    assert scene.points.calls == {
        name: {False} for name in ("snapshot", "sync", "submit", "lookup", "decide", "cancel")
    }
    all_is_well(scene)


def test_a_thinking_model_holds_no_connection(scene):
    held = []
    scene.thinking = lambda: held.append(held_connections())
    scene.wants(enters(scene.price), scene.price)
    scene.decide()
    assert held == [0]
    assert models.Position.objects.exists()


def test_a_model_asked_inside_a_transaction_is_refused(scene):
    scene.decide()
    with scene.open(), transaction.atomic():
        trader = runtime.open_desk(runtime.load_bot(scene.bot_id)).desk.trader
        with pytest.raises(OutwardCallInTransaction):
            trader.decide(scene.views[-1])
