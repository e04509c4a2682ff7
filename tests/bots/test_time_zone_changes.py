"""An owner who changes the time zone in the middle of a day: no day begins twice, and the books still fold."""

from datetime import timedelta
from decimal import Decimal as D

import pytest

from bots import services
from bots.domain.stored_book import book_from
from risk.domain import Code
from risk.models import RiskProfile
from tests.bots.desks import buys
from tests.bots.paper_desks import PaperDesk, paper_desk
from tradingagent.accounts.services import change_time_zone

pytestmark = pytest.mark.django_db(transaction=True)
WEST, EAST = (
    "Pacific/Honolulu",
    "Pacific/Kiritimati",
)  # START: 02:00 of the same day, 02:00 of the next
MINUTE = timedelta(minutes=1)


@pytest.fixture
def desk(monkeypatch) -> PaperDesk:
    """It has lost its day in UTC, at noon."""
    RiskProfile.objects.filter(name="balanced").update(
        max_daily_loss_fraction=D("0.002"), cooldown_after_stop=timedelta(0)
    )
    desk = paper_desk(monkeypatch, buys())
    desk.cycle("open")
    desk.tick("97", by=MINUTE)
    desk.mark()
    assert breakers(desk).reasons == {Code.DAILY_LOSS}
    return desk


def breakers(desk: PaperDesk):
    return book_from(desk.state.book, {}).breakers


def moves(desk: PaperDesk, zone: str) -> None:
    change_time_zone(desk.bot.owner, zone, by=desk.bot.owner)


def test_to_the_west_the_day_goes_on_until_its_next_midnight_there(desk) -> None:
    desk.tick(by=timedelta(hours=13))  # 4 January in UTC: the loss is forgiven
    desk.mark()
    desk.tick("96", by=MINUTE)
    desk.mark()
    desk.tick("94.95", by=MINUTE)  # and another: it is stopped out
    desk.mark()
    before = breakers(desk)
    assert (before.day, before.reasons) == ("2022-01-04", {Code.DAILY_LOSS})

    moves(desk, WEST)  # there it is the 3rd again
    desk.tick("100", by=timedelta(hours=8))
    desk.cycle("still the 3rd", buys())
    desk.tick(by=timedelta(hours=20))
    record = desk.cycle("the 4th", buys()).record
    after = breakers(desk)
    assert (after.day, after.day_open_nav, after.reasons) == (
        before.day, before.day_open_nav, before.reasons,
    )  # fmt: skip
    assert [denial.code for denial in record.verdict.denials] == [Code.DAILY_LOSS]
    desk.tick(by=timedelta(hours=10))
    assert desk.cycle("the 5th", buys()).record.order_ids
    assert breakers(desk).day == "2022-01-05"
    assert desk.differences() == []


def test_to_the_east_a_new_day_begins_and_only_one(desk) -> None:
    moves(desk, EAST)
    desk.tick(by=MINUTE)
    desk.mark()
    after = breakers(desk)
    assert (after.day, after.day_open_nav) == ("2022-01-04", after.last_nav)
    assert after.reasons == frozenset()
    moves(desk, "UTC")  # and back: it is the 3rd again, and no third day begins
    desk.tick("96", by=MINUTE)
    desk.mark()
    assert (breakers(desk).day, breakers(desk).day_open_nav) == ("2022-01-04", after.day_open_nav)
    desk.tick(by=timedelta(hours=12))
    desk.mark()
    assert breakers(desk).day_open_nav == after.day_open_nav


@pytest.mark.parametrize("zone", [WEST, EAST])
def test_books_fold_by_the_days_that_were_theirs(desk, zone) -> None:
    assert book_from(desk.state.book, {}).day == "2022-01-03"
    moves(desk, zone)
    assert desk.differences() == []


def test_entries_of_a_day_are_counted_over_a_move_to_the_west(desk) -> None:
    RiskProfile.objects.filter(name="balanced").update(
        max_daily_loss_fraction=None, max_trades_per_day=2
    )

    def enters(slot: str) -> list[Code]:
        """Buy, and close again; what was denied."""
        desk.tick("100", by=timedelta(hours=1))
        denials = desk.cycle(slot, buys()).record.verdict.denials
        services.perform_action(services.flatten_bot(desk.bot.pk, by="x").pk)
        return [denial.code for denial in denials]

    moves(desk, EAST)
    services.perform_action(services.flatten_bot(desk.bot.pk, by="x").pk)
    assert enters("tomorrow, there") == []
    moves(desk, WEST)
    assert enters("yesterday, here") == []
    assert enters("yesterday again") == [Code.TRADES_PER_DAY]
