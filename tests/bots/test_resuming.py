"""What a person's resume ends, and what it leaves: halts of its scope and the hard drawdown, no other breaker."""

from datetime import timedelta
from decimal import Decimal as D

import pytest

from bots import acts, models, runtime, services
from bots.domain.stored_book import book_from
from bots.services import NothingToResume
from market.errors import VenueUnavailable
from risk.domain import Code
from risk.models import RiskProfile
from tests.bots.desks import buys
from tests.bots.paper_desks import PaperDesk, paper_desk
from tests.concurrency.stage import at_once
from tradingagent.accounts.models import AuditEntry

pytestmark = pytest.mark.django_db(transaction=True)


def limit(**changes: str | None) -> None:
    values = {name: None if value is None else D(value) for name, value in changes.items()}
    RiskProfile.objects.filter(name="balanced").update(**values)


def breakers(desk: PaperDesk):
    return book_from(desk.state.book, {}).breakers


def beats(desk: PaperDesk, *prices: str) -> None:
    for price in prices:
        desk.tick(price)
        desk.mark()


@pytest.fixture
def desk(monkeypatch) -> PaperDesk:
    monkeypatch.setattr(
        "bots.enqueue.current_app", type("App", (), {"send_task": lambda *_, **__: None})
    )
    desk = paper_desk(monkeypatch, buys())
    desk.cycle("open")
    return desk


@pytest.fixture
def halted(desk) -> PaperDesk:
    """By its hard drawdown, and with the loss of its day."""
    limit(
        soft_drawdown_fraction="0.002",
        hard_drawdown_fraction="0.003",
        max_daily_loss_fraction="0.003",
    )
    beats(desk, "97", "97")
    assert breakers(desk).reasons == {Code.HARD_DRAWDOWN, Code.SOFT_DRAWDOWN, Code.DAILY_LOSS}
    return desk


def test_the_drawdowns_are_re_based_and_the_day_stays_lost(halted) -> None:
    services.resume(by=halted.bot.owner, bot_id=halted.bot.pk, reason="I saw the news")

    state = breakers(halted)
    assert state.reasons == {Code.DAILY_LOSS}
    assert state.peak_nav == state.soft_peak_nav == halted.state.equity
    entry = AuditEntry.objects.get(action="resume_breakers")
    assert (entry.actor, entry.after) == (halted.bot.owner, {"reason": "I saw the news"})
    halted.tick("100")
    record = halted.cycle("next", buys()).record
    assert [denial.code for denial in record.verdict.denials] == [Code.DAILY_LOSS]
    halted.tick(by=timedelta(days=1))
    assert halted.cycle("tomorrow", buys()).record.order_ids


def test_what_only_reduces_keeps_its_peak_and_is_resumed_by_nobody(desk, monkeypatch) -> None:
    """Else whoever halts and resumes in a drawdown could lose as much again."""
    limit(
        max_daily_loss_fraction="0.002", soft_drawdown_fraction=None, hard_drawdown_fraction="0.05"
    )
    beats(desk, "97")
    before = breakers(desk)
    assert before.reasons == {Code.DAILY_LOSS}

    with monkeypatch.context() as turned:  # nobody has to be asked for that
        turned.setattr(runtime, "open_desk", lambda *_, **__: pytest.fail("the venue was asked"))
        with pytest.raises(NothingToResume):
            services.resume(by="x", bot_id=desk.bot.pk)
    assert not acts.resume_breakers(runtime.open_desk(runtime.load_bot(desk.bot.pk)).desk)
    services.halt(by="x", bot_id=desk.bot.pk)
    services.resume(by="x", bot_id=desk.bot.pk)

    after = breakers(desk)
    assert (after.peak_nav, after.reasons) == (before.peak_nav, before.reasons)
    assert not models.Bot.objects.get().is_halted
    assert not AuditEntry.objects.filter(action="resume_breakers").exists()


@pytest.mark.parametrize("scope", ["user", "all"])
def test_a_wider_resume_leaves_the_hard_drawdown_to_whoever_answers_for_the_bot(
    halted, scope
) -> None:
    user = halted.bot.owner if scope == "user" else None
    services.halt(by="x", user=user)
    services.resume(by="x", user=user)
    assert halted.state.trading_state == "HALTED"


def test_while_the_venue_is_silent_nothing_is_resumed(halted, monkeypatch) -> None:
    services.halt(by="x", bot_id=halted.bot.pk, reason="what is this?")

    def silent(*_: object) -> None:
        raise VenueUnavailable("no answer")

    with monkeypatch.context() as turned:
        turned.setattr(runtime, "instruments_of", silent)
        with pytest.raises(VenueUnavailable):
            services.resume(by="x", bot_id=halted.bot.pk)
    assert models.Bot.objects.get().is_halted
    assert halted.state.trading_state == "HALTED"
    assert len(services.resume(by="x", bot_id=halted.bot.pk)) == 1
    assert halted.state.trading_state == "REDUCING"


def test_two_people_who_resume_at_once_resume_once(halted) -> None:
    services.halt(by="x", bot_id=halted.bot.pk)

    def resume() -> int | None:
        try:
            return len(services.resume(by="x", bot_id=halted.bot.pk))
        except NothingToResume:
            return None

    ended = at_once(resume, resume, resume)

    assert sum(found or 0 for found in ended) == 1
    assert AuditEntry.objects.filter(action="resume").count() == 1
    assert AuditEntry.objects.filter(action="resume_breakers").count() == 1
    assert (halted.state.trading_state, models.Bot.objects.get().is_halted) == ("REDUCING", False)
    assert halted.differences() == []
