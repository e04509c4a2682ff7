"""A day on which all bots of a user, or of everybody, lost what they may: it is stopped, until it is over."""

from datetime import timedelta
from decimal import Decimal as D

import pytest

from bots import models, services
from bots.pages.codes import denial_words
from bots.services.day_losses import stop_lost_days
from risk.models import AccountLimits, DailyLossStop, RiskProfile
from risk.services import set_account_limits
from tests.bots.desks import buys
from tests.bots.paper_desks import PaperDesk, paper_bot, paper_desk
from tests.scenarios.tables import SYMBOL
from tradingagent.accounts.models import AuditEntry, User

pytestmark = pytest.mark.django_db(transaction=True)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def desk(monkeypatch) -> PaperDesk:
    """A bot that holds 15 at 100 in New York, where START is 07:00, and a quiet one of the same owner."""
    RiskProfile.objects.update(max_daily_loss_fraction=None, cooldown_after_stop=timedelta(0))
    owner = User.objects.create(email="owner@example.org", time_zone="America/New_York")
    desk = paper_desk(monkeypatch, buys(), owner=owner)
    desk.cycle("open")
    desk.mark()
    return desk


@pytest.fixture
def quiet(desk) -> models.Bot:
    return paper_bot(desk.bot.owner)


def tries(desk: PaperDesk, bot: models.Bot, slot: str) -> str:
    """Let a bot try to buy: "" when it did, else the code of the denial."""
    desk.trader.answers = [buys()]
    services.run_slot(bot.pk, slot)
    entry = models.Order.objects.filter(bot=bot, purpose="ENTRY").latest("created_at")
    return "" if entry.status == "FILLED" else entry.reason


def falls(desk: PaperDesk, price: str) -> None:
    desk.tick(price, by=MINUTE)  # long enough for its equity to be written
    desk.mark()


def notices(bot: models.Bot) -> list[str]:
    told = models.Event.objects.filter(bot=bot, kind="NOTICE", payload__kind="BREAKER_TRIPPED")
    return [event.payload["text"] for event in told]


def test_a_lost_day_is_stopped_by_a_mark_and_a_price_that_comes_back_ends_nothing(
    desk, quiet
) -> None:
    set_account_limits(desk.bot.owner, {"max_daily_loss": D("46.5")}, by=desk.bot.owner)
    falls(desk, "97.1")
    assert not DailyLossStop.objects.exists()
    falls(desk, "97")  # 45, and 1.5 of fees: what they may lose

    stop = DailyLossStop.objects.get()
    assert (stop.user, stop.day.isoformat(), stop.lost) == (desk.bot.owner, "2022-01-03", D("46.5"))
    assert notices(desk.bot) == notices(quiet) == ["ACCOUNT_DAILY_LOSS"]
    assert AuditEntry.objects.get(action="stop_lost_day").after["lost"] == "46.5"

    falls(desk, "100")
    assert tries(desk, quiet, "1") == "ACCOUNT_DAILY_LOSS lost=46.5 allowed=46.5"
    assert notices(quiet) == ["ACCOUNT_DAILY_LOSS"]  # told once

    desk.tick(by=timedelta(hours=16, minutes=50))  # 23:5x in New York
    assert tries(desk, quiet, "2").startswith("ACCOUNT_DAILY_LOSS")
    desk.tick(by=timedelta(minutes=10))
    assert tries(desk, quiet, "3") == ""


def test_what_is_held_is_closed_on_a_lost_day(desk) -> None:
    set_account_limits(desk.bot.owner, {"max_daily_loss": D(10)}, by=desk.bot.owner)
    falls(desk, "97")
    falls(desk, "94")  # its stop
    assert not models.Position.objects.exists()


def test_a_gain_of_one_bot_makes_up_for_the_loss_of_another(desk, quiet) -> None:
    models.BotState.objects.filter(bot=quiet).update(
        day_open_nav=D(10_000), equity=D(10_040), equity_at=desk.clock.now()
    )
    set_account_limits(desk.bot.owner, {"max_daily_loss": D(10)}, by=desk.bot.owner)
    falls(desk, "97.8")  # 34.5 lost
    assert not DailyLossStop.objects.exists()
    falls(desk, "96.6")
    assert DailyLossStop.objects.get().lost == D("12.5")


def test_the_operators_limit_stops_everybody_and_tells_nobody_of_the_others(desk) -> None:
    other = paper_bot(User.objects.create(email="other@example.org"))
    operator = User.objects.create(email="operator@example.org")
    set_account_limits(None, {"max_daily_loss": D(40)}, by=operator)
    falls(desk, "97")

    stop = DailyLossStop.objects.get()
    assert (stop.user, stop.lost) == (None, D("46.5"))
    assert notices(desk.bot) == notices(other) == ["OPERATOR_LIMIT"]
    falls(desk, "100")
    said = tries(desk, other, "1")
    assert said == "OPERATOR_LIMIT"
    assert "operator" in denial_words(said, {})
    desk.tick(by=timedelta(hours=12))  # UTC's midnight
    assert tries(desk, other, "2") == ""


@pytest.mark.parametrize(
    ("cap", "allowed", "opens"),
    [
        ("max_exposure_per_asset", "3010", True), ("max_exposure_per_asset", "2900", False),
        ("max_gross_exposure", "2900", False), ("max_margin_used", "500", False),
    ],
)  # fmt: skip
def test_the_operators_other_limits_count_the_bots_of_all_users(desk, cap, allowed, opens) -> None:
    other = paper_bot(User.objects.create(email="other@example.org"))
    AccountLimits.objects.create(user=None, **{cap: D(allowed)})
    desk.tick()
    assert tries(desk, other, "1") == ("" if opens else "OPERATOR_LIMIT")
    assert models.Position.objects.filter(symbol=SYMBOL).count() == (2 if opens else 1)


def test_there_is_one_row_of_the_operators(desk) -> None:
    operator = User.objects.create(email="operator@example.org")
    first = set_account_limits(None, {"max_daily_loss": D(40)}, by=operator)
    assert set_account_limits(None, {"max_margin_used": D(7)}, by=operator).pk == first.pk
    with pytest.raises(Exception, match=r"(?i)unique"):
        AccountLimits.objects.create(user=None)


def test_only_those_are_looked_at_whose_bots_were_marked(desk, django_assert_num_queries) -> None:
    for number in range(5):
        AccountLimits.objects.create(
            user=User.objects.create(email=f"{number}@example.org"), max_daily_loss=D(1)
        )
    with django_assert_num_queries(1):
        assert stop_lost_days({desk.bot.owner_id}) == 0


def test_a_look_that_fails_breaks_no_mark(desk, monkeypatch) -> None:
    monkeypatch.setattr("bots.services.marking.stop_lost_days", lambda _: 1 / 0)
    desk.tick("94")
    assert desk.mark().marked == 1
    assert not models.Position.objects.exists()
