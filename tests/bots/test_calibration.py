"""Stated confidence beside what became of the trades: bins, intervals, and the decision each trade came of."""

from decimal import Decimal as D

import pytest
from django.urls import reverse

from bots import models
from bots.domain.calibration import ENOUGH, calibration, wilson
from bots.queries.calibration import calibration_of
from llm.domain import DecisionAction
from llm.hosts import Provider
from llm.models import ModelProfile
from tests.bots.desks import buys, says
from tests.bots.paper_desks import paper_desk
from tests.scenarios.tables import SYMBOL


def test_trades_are_put_into_bins_by_what_was_stated() -> None:
    outcomes = {"0.71": True, "0.79": False, "0.8": True, "1": True, "0": False}
    bins = calibration((D(stated), won) for stated, won in outcomes.items())

    assert [(one.lower, one.upper, one.trades) for one in bins] == [
        (D(0), D("0.1"), 1), (D("0.7"), D("0.8"), 2), (D("0.8"), D("0.9"), 1), (D("0.9"), D(1), 1),
    ]  # fmt: skip
    assert (bins[1].stated, bins[1].won) == (D("0.75"), D("0.5"))
    assert not any(one.is_enough for one in bins)
    assert calibration([]) == ()


@pytest.mark.parametrize(
    ("won", "count", "low", "high"),
    [
        (0, 0, 0, 1),
        (0, 10, 0, "0.2775"),
        (10, 10, "0.7225", 1),
        (5, 10, "0.2366", "0.7634"),
        (60, 100, "0.5020", "0.6906"),
    ],
)
def test_wilson_s_interval(won, count, low, high) -> None:
    """Values of R's prop.test(correct=FALSE)."""
    found = wilson(won, count)

    assert [round(one, 4) for one in found] == [round(D(low), 4), round(D(high), 4)]


def test_with_enough_trades_it_says_whether_it_fits() -> None:
    [fits] = calibration([(D("0.6"), number % 5 < 3) for number in range(ENOUGH)])
    [too_sure] = calibration([(D("0.95"), number % 2 == 0) for number in range(40)])

    assert (fits.is_enough, fits.fits) == (True, True)
    assert not too_sure.fits and too_sure.stated > too_sure.high


@pytest.fixture
def desk(transactional_db, monkeypatch):
    return paper_desk(monkeypatch, name="Tidewater")


def test_a_trade_counts_with_the_confidence_of_its_own_entry(
    desk, client, django_assert_num_queries
):
    desk.trader.answers.append(buys(confidence=D("0.83")))
    desk.cycle("1")
    desk.trader.answers.append(says(DecisionAction.CLOSE))
    desk.cycle("2")
    assert models.ClosedTrade.objects.count() == 1

    with django_assert_num_queries(2):
        [one] = calibration_of(desk.bot)

    assert (one.trades, one.stated, one.won) == (1, D("0.83"), D(0))  # the fees were its loss
    profile = ModelProfile.objects.create(name="m", provider=Provider.SCRIPTED)
    models.Bot.objects.update(model_profile=profile, trader="")
    client.force_login(desk.bot.owner)
    page = client.get(f"{reverse('bot', args=[desk.bot.pk])}?tab=trades").content.decode()
    assert "How sure it was, and how often it won" in page and "Too few to tell" in page


def test_a_trade_of_no_decision_says_nothing(desk):
    desk.trader.answers.append(buys(confidence=D("0.83")))
    desk.cycle("1")
    desk.trader.answers.append(says(DecisionAction.CLOSE))
    desk.cycle("2")
    models.TradingCycle.objects.update(actions=[{"symbol": SYMBOL, "action": "hold"}])

    assert calibration_of(desk.bot) == ()
