"""The fast beat: quiet bots are only valued, and whatever happens between decisions is acted on at once."""

from datetime import timedelta
from decimal import Decimal as D

import pytest

from bots import models, runtime, services, stored_record
from bots.domain.bot import BotStatus
from bots.domain.stored_book import book_from
from bots.ledger import DjangoLedger
from bots.services import marking
from llm.domain import Decision, DecisionAction
from market.domain.enums import OrderPurpose, OrderStatus
from market.domain.evolve import evolve
from market.errors import VenueUnavailable
from risk.domain import Code
from risk.models import RiskProfile
from tests.bots.desks import buys, says
from tests.bots.paper_desks import paper_bot, paper_desk
from tests.scenarios.tables import SYMBOL

pytestmark = pytest.mark.django_db(transaction=True)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def desk(monkeypatch):
    stored_record.forget()
    desk = paper_desk(monkeypatch, buys())
    desk.cycle("open")
    assert models.Position.objects.get().quantity == D(15)
    desk.mark()  # the first one sees that the book is flat no more
    return desk


def breakers(desk):
    return book_from(desk.state.book, {}).breakers


def test_a_bot_with_nothing_at_stake_is_not_looked_at(monkeypatch) -> None:
    desk = paper_desk(monkeypatch)
    desk.cycle("hold")
    assert desk.mark().looked_at == 0


def test_a_quiet_bot_is_valued_without_its_desk(desk) -> None:
    fence = models.Bot.objects.get().fence
    desk.tick("99")
    done = desk.mark()
    assert (done.looked_at, done.quiet, done.marked, done.written) == (1, 1, 0, 0)
    assert models.Bot.objects.get().fence == fence
    desk.tick("99", by=MINUTE)
    assert desk.mark().written == 1
    state = desk.state
    assert state.equity == D(10_000) - D("1.5") - 15  # the fee, and a price that fell by 1
    assert breakers(desk).last_nav == state.equity
    assert models.EquityPoint.objects.count() == 2
    assert desk.differences() == []


def test_a_new_peak_is_written_at_once(desk) -> None:
    desk.tick("104")
    assert desk.mark().written == 1
    peak = D(10_000) - D("1.5") + 15 * 4
    assert breakers(desk).peak_nav == desk.state.peak_nav == peak
    assert models.EquityPoint.objects.count() == 1  # the point waits for its minute
    desk.tick("101")
    assert desk.mark().written == 0
    assert breakers(desk).peak_nav == peak


def test_a_stop_between_decisions_is_booked_and_its_point_stored(desk) -> None:
    desk.tick("94")
    done = desk.mark()
    assert (done.quiet, done.marked) == (0, 1)
    assert not models.Position.objects.exists()
    [trade] = models.ClosedTrade.objects.all()
    assert trade.exit_reason == "STOP"
    assert models.EquityPoint.objects.count() == 2
    assert desk.mark().looked_at == 0
    assert desk.differences() == []


@pytest.mark.parametrize("status", [BotStatus.PAUSED, BotStatus.DRAFT])
def test_whatever_its_status_what_is_held_is_guarded(desk, status: BotStatus) -> None:
    models.Bot.objects.update(status=status, is_halted=True)
    desk.tick("94")
    desk.mark()
    assert not models.Position.objects.exists()


def test_a_breaker_trips_between_decisions(desk) -> None:
    RiskProfile.objects.filter(name="balanced").update(
        soft_drawdown_fraction=D("0.002"), hard_drawdown_fraction=D("0.9")
    )
    desk.tick("97")
    assert desk.mark().marked == 1
    assert desk.state.trading_state == "REDUCING"
    assert Code.SOFT_DRAWDOWN in breakers(desk).reasons


@pytest.mark.parametrize(
    ("limits", "beats", "code"),
    [
        ({"max_daily_loss_fraction": D("0.002")}, 1, Code.DAILY_LOSS),
        ({"max_stale_beats": 3}, 3, Code.STALE_DATA),
    ],
)
def test_the_other_breakers_trip_between_decisions_too(desk, limits, beats, code) -> None:
    RiskProfile.objects.filter(name="balanced").update(**limits)
    if code is Code.STALE_DATA:
        desk.feed.unusable[SYMBOL] = "the quote is old"
    for _ in range(beats):
        assert breakers(desk).reasons == frozenset()
        desk.tick("97")
        desk.mark()
    assert breakers(desk).reasons == {code}
    assert desk.state.trading_state == "REDUCING"
    told = models.Event.objects.filter(kind="NOTICE", payload__kind="BREAKER_TRIPPED")
    assert [event.payload["text"] for event in told] == [code]
    desk.feed.unusable.clear()
    desk.tick("100")
    desk.trader.answers.append(says(DecisionAction.CLOSE))
    desk.cycle("close")  # a close passes under any of them
    assert not models.Position.objects.exists()


def test_a_soft_drawdown_between_decisions_asks_close_or_keep_at_once(desk, monkeypatch) -> None:
    sent: list[dict] = []
    monkeypatch.setattr(
        marking, "enqueue", lambda name, **told: sent.append({"name": name, **told})
    )
    RiskProfile.objects.filter(name="balanced").update(
        soft_drawdown_fraction=D("0.002"), hard_drawdown_fraction=D("0.9")
    )
    for _ in range(3):
        desk.tick("97")
        desk.mark()
    [asked] = sent  # once, however many beats stand below it
    assert (asked.pop("name"), asked["bot_id"]) == ("bots.run_cycle", str(desk.bot.pk))
    desk.trader.answers.append(says(DecisionAction.CLOSE))
    services.run_requested(desk.bot.pk, asked["request_id"])
    assert desk.trader.views[-1].emergency == Code.SOFT_DRAWDOWN
    assert not models.Position.objects.exists()
    desk.tick("97")
    desk.cycle("next", buys())
    assert desk.trader.views[-1].emergency is None
    assert not models.Position.objects.exists()


@pytest.mark.parametrize("status", [BotStatus.PAUSED, BotStatus.DRAFT])
def test_nobody_is_asked_for_a_bot_that_decides_nothing(desk, monkeypatch, status) -> None:
    monkeypatch.setattr(marking, "enqueue", lambda *_, **__: pytest.fail("it was asked"))
    models.Bot.objects.update(status=status)
    RiskProfile.objects.filter(name="balanced").update(
        soft_drawdown_fraction=D("0.002"), hard_drawdown_fraction=D("0.9")
    )
    desk.tick("97")
    desk.mark()
    assert Code.SOFT_DRAWDOWN in breakers(desk).reasons


def test_a_hard_drawdown_flattens_on_the_second_beat(desk) -> None:
    RiskProfile.objects.filter(name="balanced").update(
        soft_drawdown_fraction=D("0.001"), hard_drawdown_fraction=D("0.003")
    )
    desk.tick("97")
    desk.mark()
    assert models.Position.objects.exists()
    desk.tick("97")
    desk.mark()
    assert not models.Position.objects.exists()
    assert desk.state.trading_state == "HALTED"


def test_the_owners_midnight_is_a_full_mark(desk) -> None:
    desk.tick(by=timedelta(hours=13))
    assert desk.mark().marked == 1
    state = desk.state
    assert (breakers(desk).day, state.day_navs) == ("2022-01-04", '["10000", "9998.5"]')


def test_a_venue_that_is_down_or_lists_nothing_breaks_no_mark(desk, monkeypatch) -> None:
    desk.feed.down = True
    assert (desk.mark().quiet, desk.mark().failed) == (0, 0)
    desk.feed.down = False
    desk.feed.traded = ()
    assert desk.mark().failed == 1
    monkeypatch.setattr(runtime, "open_feed", lambda bot: 1 / 0)
    assert desk.mark().marked == 0  # a defect of one feed is no other venue's


def test_one_bots_defect_does_not_touch_the_others(desk, monkeypatch) -> None:
    other = paper_bot()
    desk.trader.answers.append(buys())
    services.run_slot(other.pk, "open")
    models.BotState.objects.filter(bot=other).update(book='{"format": 0}')
    desk.tick("94")
    done = desk.mark()
    assert (done.looked_at, done.failed, done.marked) == (2, 1, 1)
    assert not models.Position.objects.filter(bot=desk.bot).exists()


def test_a_desk_in_use_is_left_alone(desk) -> None:
    ledger = runtime.open_desk(runtime.load_bot(desk.bot.pk)).ledger
    assert ledger.take_desk()
    desk.tick("94")
    assert desk.mark().marked == 0
    ledger.release_desk()
    assert desk.mark().marked == 1


def test_what_was_read_while_somebody_wrote_is_never_written_back(monkeypatch) -> None:
    """A mark reads the bot between a cycle's orders and their fills, and is slow: the cycle ends before it writes.
    The fence is the holder's all that time, and tells nothing."""
    stored_record.forget()
    desk = paper_desk(monkeypatch, buys())
    at_stake, living, claim = marking._at_stake, marking._living_orders, DjangoLedger.claim
    read: list[models.Bot] = []
    orders: dict = {}

    def claimed(ledger, *given, **named):
        if not read:
            read.extend(at_stake(0, 1))
            orders.update(living([bot.pk for bot in read]))
        return claim(ledger, *given, **named)

    monkeypatch.setattr(DjangoLedger, "claim", claimed)
    desk.cycle("open")
    assert len(read) == 1 and models.Position.objects.get().quantity == D(15)

    monkeypatch.setattr(marking, "_at_stake", lambda shard, of: read)
    monkeypatch.setattr(marking, "_living_orders", lambda ids: orders)
    desk.tick("101", by=MINUTE)
    desk.mark()

    assert desk.differences() == []
    assert book_from(desk.state.book, {}).positions[SYMBOL].quantity == D(15)
    monkeypatch.setattr(marking, "_at_stake", at_stake)
    monkeypatch.setattr(marking, "_living_orders", living)
    desk.tick("101", by=MINUTE)
    desk.mark()
    resting = models.Order.objects.filter(status=OrderStatus.ACCEPTED)
    assert set(resting.values_list("purpose", flat=True)) == {"STOP", "TARGET"}


def test_a_mark_does_not_act_on_a_look_at_the_market_from_before_somebody_worked(
    monkeypatch,
) -> None:
    """It reads the bot and sees 106 while a cycle holds the desk, and is slow. The price falls, the cycle enters
    at 100: for a position that was not there yet, 106 was no profit of 1 R."""
    stored_record.forget()
    RiskProfile.objects.filter(name="balanced").update(max_price_drift_bps=None)
    [first] = buys().items
    desk = paper_desk(
        monkeypatch,
        Decision(trader="literal", items=(evolve(first, symbol="OTHER/USDT:USDT"),)),
        symbols=(SYMBOL, "OTHER/USDT:USDT"),
        break_even_at_r=D(1),
    )
    desk.cycle("1")
    read = [(name, getattr(marking, name)) for name in ("_at_stake", "_living_orders", "_look")]
    known: dict = {}
    release = DjangoLedger.release_desk

    def released(ledger) -> None:
        if not known:
            bots = known["_at_stake"] = marking._at_stake(0, 1)
            known["_living_orders"] = marking._living_orders([bot.pk for bot in bots])
            known["_look"] = marking._look(bots)
        release(ledger)

    monkeypatch.setattr(DjangoLedger, "release_desk", released)
    desk.trader.thinking = lambda: desk.tick("100")
    desk.tick("106", by=MINUTE)
    desk.cycle("2", buys())
    for name, _ in read:
        monkeypatch.setattr(marking, name, lambda *_, answer=known[name]: answer)
    done = desk.mark()
    stops = models.Order.objects.filter(symbol=SYMBOL, purpose=OrderPurpose.STOP)
    assert [stop.trigger_price for stop in stops] == [D(95)]
    assert done.marked == 0
    for name, found in read:
        monkeypatch.setattr(marking, name, found)
    desk.tick("105", by=MINUTE)
    assert desk.mark().marked == 1
    assert desk.differences() == []


def test_an_order_of_unknown_fate_is_asked_about(desk, monkeypatch) -> None:
    stop = models.Order.objects.get(purpose=OrderPurpose.STOP)
    models.Order.objects.filter(pk=stop.pk).update(status=OrderStatus.UNKNOWN)
    desk.tick("100")
    assert desk.mark().marked == 1
    assert models.Order.objects.get(pk=stop.pk).status == OrderStatus.ACCEPTED


def test_shards_share_the_bots(desk) -> None:
    for _ in range(5):
        desk.trader.answers.append(buys())
        services.run_slot(paper_bot().pk, "open")
    looked = [services.mark_shard(shard, 3).looked_at for shard in range(3)]
    assert sum(looked) == 6


def test_marks_of_many_cost_few_queries(desk, django_assert_max_num_queries) -> None:
    for _ in range(20):
        desk.trader.answers.append(buys())
        services.run_slot(paper_bot().pk, "open")
    desk.tick("99", by=MINUTE)
    with django_assert_max_num_queries(10):
        assert desk.mark().written == 21


def test_a_silent_broker_opens_nothing_and_is_asked_again(desk, monkeypatch) -> None:
    def silent(*_: object) -> None:
        raise VenueUnavailable("no answer")

    monkeypatch.setattr("market.venues.paper_broker.PaperBroker.sync", silent)
    desk.tick("94")
    assert desk.mark().failed == 0
    assert models.Position.objects.get().symbol == SYMBOL
    monkeypatch.undo()
