"""How often a cycle asks the database: a fixed number, and so many for each order, however long the past."""

from datetime import timedelta
from decimal import Decimal as D

import pytest

from bots import models, stored_record
from llm.domain import DecisionAction
from risk.models import AccountLimits
from tests.bots.desks import START, buys, says
from tests.bots.paper_desks import PaperDesk, paper_desk
from tests.scenarios.tables import SYMBOL

pytestmark = pytest.mark.django_db(transaction=True)

HOLD = 20
EACH_ORDER = 8


@pytest.fixture(autouse=True)
def nothing_stored() -> None:
    stored_record.forget()


def allowed(desk: PaperDesk, moved: int) -> bool:
    return len(desk.queries) <= HOLD + EACH_ORDER * moved


def a_long_past(bot: models.Bot, fills: int) -> None:
    """Fills and entries of an earlier life that came out even."""
    order = models.Order.objects.first()
    models.Fill.objects.bulk_create(
        (
            models.Fill(
                bot=bot, order=order, sequence=1, symbol="OLD/USDT:USDT", venue_trade_id=f"old{n}",
                side="BUY" if n % 2 else "SELL", quantity=D(1), price=D(100), fee=D(0),
                fee_currency="USDT", liquidity="TAKER", reason="ORDER", at=START - timedelta(days=1),
            )
            for n in range(fills)
        ),
        batch_size=5000,
    )  # fmt: skip


@pytest.mark.parametrize("past", [10, pytest.param(100_000, marks=pytest.mark.slow)])
def test_a_cycle_asks_as_often_however_long_the_past(monkeypatch, past: int) -> None:
    desk = paper_desk(monkeypatch)
    AccountLimits.objects.create(user=desk.bot.owner, max_gross_exposure=D(100_000))
    a_long_past(desk.bot, past)
    desk.trader.thinking = lambda: desk.tick(by=timedelta(seconds=1))  # so it looks a second time
    desk.cycle("first")
    desk.tick()
    desk.cycle("hold")
    hold = len(desk.queries)
    assert allowed(desk, moved=0), "\n".join(desk.queries)
    desk.tick()
    run = desk.cycle("open", buys())
    assert len(run.record.order_ids) == 3
    assert allowed(desk, moved=3), "\n".join(desk.queries)
    opening = len(desk.queries)
    desk.tick()
    desk.cycle("close", says(DecisionAction.CLOSE))
    assert not models.Position.objects.exists()
    assert allowed(desk, moved=3), "\n".join(desk.queries)  # the close, and the two that it ends
    assert (hold, opening, len(desk.queries)) == (15, 33, 32)


def test_a_cycle_keeps_little_on_disk(monkeypatch) -> None:
    desk = paper_desk(monkeypatch, buys())
    desk.cycle("1")
    [cycle] = models.TradingCycle.objects.all()
    record = bytes(cycle.record or b"")
    assert len(record) < 8 * 1024
    whole = stored_record.unpack(record)
    assert whole["context"]["instruments"][SYMBOL]["symbol"] == SYMBOL
    assert whole["limits"]["name"] == "balanced"
