"""A no-trade window at a desk: what opens waits for its end, a model's and a person's; what closes never does."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest

from bots import models, services
from bots.acts import ManualOrder
from llm.domain import DecisionAction
from market.domain.enums import PositionSide
from risk.models import RiskProfile
from tests.bots.desks import START, buys, says
from tests.bots.paper_desks import PaperDesk, paper_bot, paper_desk
from tests.scenarios.tables import SYMBOL
from tradingagent.accounts.models import User

pytestmark = pytest.mark.django_db(transaction=True)
CODE = "NO_TRADE_WINDOW"
WISH = ManualOrder(
    symbol=SYMBOL, side=PositionSide.LONG, notional=D(500), stop_price=D(95), target_price=D(110)
)


@pytest.fixture
def desk(monkeypatch) -> PaperDesk:
    monkeypatch.setattr(
        "bots.enqueue.current_app", type("App", (), {"send_task": lambda *_, **__: None})
    )
    return paper_desk(monkeypatch)


def windows(*texts: str) -> None:
    RiskProfile.objects.filter(name="balanced").update(no_trade_windows=list(texts))


def denied(desk: PaperDesk, slot: str) -> list[str]:
    verdict = desk.cycle(slot, buys()).record.verdict
    return [str(denial.code) for denial in verdict.denials]


@pytest.mark.parametrize(
    "window",
    [
        "mon",
        "mon 11:00-13:00",
        "daily 11:59-12:01",
        "2022-01-03 11:00/2022-01-03 12:01",
        "sun 22:00-12:01",
    ],
)  # START is a Monday at noon
def test_an_entry_waits_for_the_end_of_any_kind_of_window(desk, window) -> None:
    windows("sat", window)

    assert denied(desk, "in") == [CODE]
    by_hand = services.perform_action(services.order_by_hand(desk.bot.pk, WISH, by="x").pk)
    assert [text.split()[0] for text in by_hand.result["denials"]] == [CODE]
    assert not models.Order.objects.exists()

    desk.clock.advance_to(datetime(2022, 1, 4, 14, tzinfo=UTC))
    assert denied(desk, "out") == []
    assert models.Position.objects.exists()


def test_what_closes_passes_in_a_window(desk) -> None:
    assert denied(desk, "before") == []
    windows("daily")
    desk.tick()
    desk.cycle("less", says(DecisionAction.REDUCE, reduce_fraction="0.5"))
    assert models.Position.objects.get().quantity == D("7.5")
    desk.tick("94")
    desk.mark()  # its stop
    assert not models.Position.objects.exists()
    assert models.ClosedTrade.objects.get().exit_reason == "STOP"


@pytest.mark.parametrize("way", ["decision", "hand", "flatten", "hard drawdown"])
def test_whoever_closes_everything_is_not_kept_by_a_window(desk, way) -> None:
    assert denied(desk, "before") == []
    windows("daily")
    RiskProfile.objects.filter(name="balanced").update(
        soft_drawdown_fraction=None,
        hard_drawdown_fraction=D("0.002") if way == "hard drawdown" else None,
    )
    desk.tick("97")
    match way:
        case "decision":
            desk.cycle("close", says(DecisionAction.CLOSE))
        case "hand":
            services.perform_action(services.close_position(desk.bot.pk, SYMBOL, by="x").pk)
        case "flatten":
            services.perform_action(services.flatten_bot(desk.bot.pk, by="x").pk)
        case _:
            desk.mark()
            desk.tick("97")
            desk.mark()
    assert not models.Position.objects.exists()


def test_a_window_is_of_the_owners_clock_at_each_decision(desk) -> None:
    """Noon in London is 07:00 in New York; on 13 March 2022 New York's clocks go on, London's do not yet."""
    there = User.objects.create(email="ny@example.org", time_zone="America/New_York")
    far = paper_bot(there)
    windows("daily 07:00-08:00")

    def outcomes(day: str) -> tuple[list[str], list[str]]:
        desk.clock.advance_to(datetime.fromisoformat(f"{day}T12:30").replace(tzinfo=UTC))
        desk.trader.answers = [buys()]
        mine = services.run_slot(far.pk, day).record.verdict.denials
        return denied(desk, day), [str(denial.code) for denial in mine]

    assert outcomes("2022-03-12") == ([], [CODE])
    assert outcomes("2022-03-13")[1] == []  # 08:30 there


def test_minutes_around_funding_are_a_window_of_that_instrument(desk, monkeypatch) -> None:
    from dataclasses import replace

    from tests.bots.desks import LiteralFeed

    RiskProfile.objects.filter(name="balanced").update(no_trade_around_funding=timedelta(minutes=5))
    one, due = LiteralFeed._one, START + timedelta(minutes=10)
    monkeypatch.setattr(
        LiteralFeed,
        "_one",
        lambda feed, symbol, now: replace(one(feed, symbol, now), next_funding_at=due),
    )
    desk.tick(by=timedelta(minutes=5))
    assert denied(desk, "five before") == [CODE]
    desk.tick(by=timedelta(minutes=8))
    assert denied(desk, "three after") == [CODE]
    desk.tick(by=timedelta(minutes=3))
    assert denied(desk, "six after") == []
