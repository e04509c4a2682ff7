"""Bots of one cohort: one start, one due instant, one look at the market; their books stay their own."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal as D
from uuid import UUID, uuid4

import pytest
from django.db import OperationalError, connections
from django_celery_beat.models import PeriodicTask

from bots import enqueue as enqueuing
from bots import looks, models, queries, runtime, services, stored_record
from bots.books import differences
from bots.domain.bot import BotStatus, Schedule
from bots.models import CohortLook
from bots.rerun import rerun
from bots.schedule import slot_due
from bots.services import BotRefused, NotNow
from llm.hosts import Provider
from llm.models import ModelProfile
from market.domain.data import MarketSnapshot
from market.domain.enums import OrderPurpose
from market.domain.packed_snapshot import pack_snapshot
from market.venues.clocks import SteppedClock, SystemClock
from market.venues.paper_broker import PaperBroker
from tests.bots.desks import buys
from tests.bots.paper_desks import paper_bot, paper_desk
from tests.concurrency.stage import at_once
from tests.scenarios.tables import SYMBOL

pytestmark = pytest.mark.django_db(transaction=True)
COHORT = UUID(int=7)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def sent(monkeypatch) -> list[tuple[str, dict]]:
    """The tasks that were put in a queue; and nothing is remembered from another test's database."""
    found: list[tuple[str, dict]] = []

    class App:
        @staticmethod
        def send_task(name: str, kwargs: dict) -> None:
            found.append((name, kwargs))

    monkeypatch.setattr(enqueuing, "current_app", App)
    looks.forget()
    stored_record.forget()
    return found


@pytest.fixture
def desk(monkeypatch):
    """A bot of the cohort on a literal market; `beside` makes others on the same."""
    return paper_desk(monkeypatch, cohort=COHORT)


def beside(**fields) -> models.Bot:
    return paper_bot(**{"cohort": COHORT, **fields})


def hashes(bot: models.Bot, slot: str) -> list[str]:
    """What a cycle was shown, and what it planned on, as its record says."""
    cycle = models.TradingCycle.objects.get(bot=bot, slot=slot)
    return queries.cycle_record(cycle)["snapshots"]


def faults(bot: models.Bot, desk) -> list[str]:
    loaded = runtime.load_bot(bot.pk)
    state = models.BotState.objects.get(pk=bot.pk)
    return differences(
        runtime.config_of(loaded), state, {one.symbol: one for one in desk.feed.traded}
    )


# --- one start, one due instant ---------------------------------------------------------------------


def draft(**fields) -> models.Bot:
    return beside(status=BotStatus.DRAFT, **fields)


def phases() -> set[str]:
    rows = PeriodicTask.objects.filter(task="bots.run_cycle")
    return {row.headers for row in rows}


@pytest.mark.parametrize("schedule", list(Schedule))
def test_all_of_a_cohort_are_due_and_sent_in_one_instant(schedule, sent):
    rhythm = {"schedule": schedule, "interval_seconds": 3600}
    mine = [draft(**rhythm) for _ in range(4)]
    alone = [draft(cohort=None, **rhythm) for _ in range(4)]
    at = services.start_together([bot.pk for bot in mine], by="x")

    assert len(phases()) == 1
    started = models.Bot.objects.filter(cohort=COHORT)
    assert {bot.started_at for bot in started} == {at}
    assert len({slot_due(bot, at + 5000 * SECOND) for bot in started}) == 1
    assert sorted(task["bot_id"] for _, task in sent) == sorted(str(bot.pk) for bot in mine)
    for bot in alone:
        services.start_bot(bot.pk, by="x")
    if schedule is Schedule.BAR_CLOSE:
        assert len(phases()) > 1  # who runs alone has a jitter of its own


def test_one_that_was_paused_comes_back_on_the_grid_of_all(monkeypatch):
    rhythm = {"schedule": Schedule.SPREAD, "interval_seconds": 100}
    one, other = (draft(**rhythm) for _ in range(2))
    at = services.start_together([one.pk, other.pk], by="x")
    services.pause_bot(one.pk, by="x")
    monkeypatch.setattr("bots.services.lifecycle.timezone.now", lambda: at + 37 * SECOND)
    again = services.start_bot(one.pk, by="x")

    assert again.started_at == at
    assert len(phases()) == 1


def test_none_of_a_cohort_starts_before_the_others(sent):
    bot = draft()
    with pytest.raises(NotNow, match="all of them start at one instant"):
        services.start_bot(bot.pk, by="x")
    assert models.Bot.objects.get(pk=bot.pk).status == BotStatus.DRAFT and sent == []


def test_all_start_or_none(sent):
    bots = [draft(), draft(), beside(status=BotStatus.ARCHIVED)]
    with pytest.raises(NotNow, match="is ARCHIVED"):
        services.start_together([bot.pk for bot in bots], by="x")
    assert not models.Bot.objects.filter(status=BotStatus.ACTIVE).exists()
    assert not PeriodicTask.objects.exists() and sent == []


@pytest.mark.parametrize(
    "changes",
    [
        {"symbols": ["ETH/USDT:USDT"]}, {"interval_seconds": 60}, {"timeframe_seconds": 60},
        {"owner_words": "be bold"}, {"trader": "flat", "name": "new"},
    ],
)  # fmt: skip
def test_what_would_make_it_no_comparison_can_not_be_changed(desk, changes):
    with pytest.raises(BotRefused, match="only its name may change"):
        services.update_bot(desk.bot.pk, changes, by="x")
    assert services.update_bot(desk.bot.pk, {"name": "other"}, by="x").name == "other"


# --- one look ----------------------------------------------------------------------------------------


def test_all_of_a_slot_are_shown_one_snapshot(desk):
    bots = [desk.bot, beside(), beside()]
    alone = paper_bot()
    for number, bot in enumerate([*bots, alone]):
        desk.tick(str(100 + number), by=2 * SECOND)
        services.run_slot(bot.pk, "slot")

    shown = [hashes(bot, "slot")[0] for bot in bots]
    assert len(set(shown)) == 1
    assert {view.market.mark(SYMBOL) for view in desk.trader.views[:3]} == {D(100)}
    assert desk.trader.views[3].market.mark(SYMBOL) == D(103)
    assert hashes(alone, "slot")[0] not in shown
    assert not any(cycle.reason for cycle in models.TradingCycle.objects.all())
    assert CohortLook.objects.count() == 1


def test_the_next_slot_is_looked_at_anew(desk):
    other = beside()
    for slot, price in (("one", "100"), ("two", "101")):
        desk.tick(price)
        for bot in (desk.bot, other):
            services.run_slot(bot.pk, slot)
    assert [view.market.mark(SYMBOL) for view in desk.trader.views] == [100, 100, 101, 101]
    assert hashes(desk.bot, "one")[0] != hashes(desk.bot, "two")[0]


def test_cohorts_do_not_see_each_other(desk):
    other = beside(cohort=uuid4())
    services.run_slot(desk.bot.pk, "slot")
    desk.tick("101", by=SECOND)
    services.run_slot(other.pk, "slot")
    assert hashes(desk.bot, "slot")[0] != hashes(other, "slot")[0]
    assert CohortLook.objects.count() == 2


def test_another_process_is_shown_the_same(desk):
    """Forgetting is what a process that was not there has in common with one that was."""
    other = beside()
    services.run_slot(desk.bot.pk, "slot")
    looks.forget()
    desk.tick("101", by=SECOND)
    services.run_slot(other.pk, "slot")
    assert hashes(desk.bot, "slot")[0] == hashes(other, "slot")[0]


def test_of_two_that_look_at_once_the_first_to_store_it_wins(desk, monkeypatch):
    other, raced = beside(), list[MarketSnapshot]()

    def beaten(own):
        if not raced:
            raced.append(own)
            looks.forget()
            desk.tick("101", by=SECOND)
            services.run_slot(other.pk, "slot")  # finds nothing stored yet, and stores its own
        return pack_snapshot(own)

    monkeypatch.setattr(looks, "pack_snapshot", beaten)
    services.run_slot(desk.bot.pk, "slot")
    assert [view.market.mark(SYMBOL) for view in desk.trader.views] == [101, 101]
    assert hashes(desk.bot, "slot")[0] == hashes(other, "slot")[0]


def test_what_is_shown_is_no_older_than_ten_seconds(desk):
    bots = [desk.bot, beside(), beside()]
    for price in ("100", "101", "102"):
        services.run_slot(bots.pop(0).pk, "slot")
        desk.tick(price, by=looks.MOST_BEHIND / 2 + SECOND)
    said = [cycle.reason for cycle in models.TradingCycle.objects.order_by("started_at")]
    assert said == ["", "", "looked alone: the common look was 12 s old"]
    marks = [view.market.mark(SYMBOL) for view in desk.trader.views]
    assert marks == [100, 100, 101]


def test_a_look_of_something_else_is_not_shown(desk):
    services.run_slot(desk.bot.pk, "slot")
    other = beside(symbols=[SYMBOL, "OTHER/USDT:USDT"])
    window = looks.CohortWindow(COHORT)
    seen = desk.trader.views[0].market
    two = type(seen)(as_of=seen.as_of, instruments=seen.instruments * 2, source=seen.source)
    shown, note = window.show("slot", two)
    assert shown is two and "other instruments" in note
    assert other.cohort == desk.bot.cohort


def test_a_cycle_that_can_not_share_looks_alone_and_says_so(desk, monkeypatch):
    def busy(*_, **__):
        raise OperationalError("database is locked")

    monkeypatch.setattr(CohortLook.objects, "filter", busy)
    run = services.run_slot(desk.bot.pk, "slot")
    assert run.record.outcome == "DECIDED"
    cycle = models.TradingCycle.objects.get()
    assert cycle.reason == "looked alone: the common look could not be had (OperationalError)"
    assert not CohortLook.objects.exists()


def test_old_looks_are_swept(desk):
    services.run_slot(desk.bot.pk, "slot")
    assert services.sweep()["looks_deleted"] == 1  # the literal market lies years back
    fresh = CohortLook.objects.create(cohort=COHORT, slot="now", at=SystemClock().now(), data=b"x")
    assert services.sweep()["looks_deleted"] == 0
    assert CohortLook.objects.get() == fresh


# --- many hands --------------------------------------------------------------------------------------


@pytest.fixture
def models_of_a_cohort(monkeypatch, tmp_path) -> list[models.Bot]:
    """Six scripted models on the simulated market, ready to run at the real time."""
    script = tmp_path / "script.json"
    script.write_text("[]")
    profile = ModelProfile.objects.create(
        name="scripted", provider=Provider.SCRIPTED, params={"completions": str(script)}
    )
    return [
        beside(
            symbols=["BTC/USDT:USDT", "ETH/USDT:USDT"], trader="", model_profile=profile,
            interval_seconds=60, timeframe_seconds=60,
        )
        for _ in range(6)
    ]  # fmt: skip


def prompts_of(bot: models.Bot) -> tuple[str, str]:
    """The hash of the snapshot a cycle was shown, and the prompt that was made of it."""
    cycle = models.TradingCycle.objects.get(bot=bot)
    assert (cycle.outcome, cycle.reason) == ("DECIDED", "")
    record = queries.cycle_record(cycle)
    assert rerun(json.dumps(record).encode()) == ()
    return record["snapshots"][0], record["decision"]["prompts"][0]["content_hash"]


def test_threads_of_a_process_show_the_same_bytes(models_of_a_cohort):
    gate = threading.Barrier(6)

    def cycle(bot: models.Bot) -> None:
        try:
            gate.wait(20)
            services.run_slot(bot.pk, "slot")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(cycle, models_of_a_cohort))
    assert len({prompts_of(bot) for bot in models_of_a_cohort}) == 1
    assert CohortLook.objects.count() == 1


def test_processes_show_the_same_bytes(models_of_a_cohort):
    def work(bots: list[models.Bot]) -> int:
        return sum(services.run_slot(bot.pk, "slot") is not None for bot in bots)

    first, second = models_of_a_cohort[:3], models_of_a_cohort[3:]
    assert at_once(lambda: work(first), lambda: work(second)) == [3, 3]
    assert len({prompts_of(bot) for bot in models_of_a_cohort}) == 1
    assert CohortLook.objects.count() == 1


# --- the trap: an account must not meet a market older than one it has met ------------------------------


def test_a_stop_is_not_hit_by_a_price_that_only_the_trader_is_shown(desk):
    """B holds a long with a stop at 95. A looks at 94; when B's turn comes the price is back at 100: B's
    trader is shown 94, and B's account never meets it."""
    other = beside()
    desk.trader.answers.append(buys())
    services.run_slot(other.pk, "earlier")
    desk.tick("94")
    services.run_slot(desk.bot.pk, "slot")
    desk.tick("100", by=3 * SECOND)
    desk.mark()
    desk.tick(by=SECOND)
    desk.trader.answers.append(buys())
    services.run_slot(other.pk, "slot")

    view = desk.trader.views[-1]
    assert view.market.mark(SYMBOL) == D(94)
    assert [held.mark_price for held in view.positions] == [D(94)]
    assert view.account.equity == D(10_000) - D("1.5") - 15 * 6
    assert models.Position.objects.get(bot=other).quantity == 15
    assert models.Fill.objects.filter(bot=other).count() == 1
    cycle = models.TradingCycle.objects.get(bot=other, slot="slot")
    assert [denial["code"] for denial in cycle.denials] == ["ADD_NOT_ALLOWED"]
    assert cycle.equity == D(10_000) - D("1.5")
    assert faults(other, desk) == faults(desk.bot, desk) == []


def test_what_a_mark_booked_meanwhile_stays_booked(desk):
    """B's stop is hit in a mark between two cycles of a slot: B's trader is shown the earlier market, with
    the account as it stands; the books refold and the venue's fills go forward in time."""
    other = beside()
    desk.trader.answers.append(buys())
    services.run_slot(other.pk, "earlier")
    desk.tick("100")
    services.run_slot(desk.bot.pk, "slot")
    desk.tick("94", by=3 * SECOND)
    desk.mark()
    desk.tick("100", by=3 * SECOND)
    services.run_slot(other.pk, "slot")

    view = desk.trader.views[-1]
    assert view.market.as_of == desk.trader.views[-2].market.as_of
    assert view.market.mark(SYMBOL) == D(100) and view.positions == ()
    fills = list(models.Fill.objects.filter(bot=other).order_by("sequence"))
    assert [fill.price for fill in fills] == [D(100), D(94)]
    assert [fill.at for fill in fills] == sorted(fill.at for fill in fills)
    state = models.BotState.objects.get(pk=other.pk)
    assert state.equity == state.cash == view.account.equity
    assert not models.Order.objects.filter(
        bot=other, status__in=models.LIVING_STATUSES, purpose=OrderPurpose.STOP
    ).exists()
    assert faults(other, desk) == faults(desk.bot, desk) == []


def test_entries_are_judged_against_what_was_shown_and_sent_at_what_is(desk):
    other = beside()
    services.run_slot(desk.bot.pk, "slot")
    desk.tick("101", by=3 * SECOND)  # 1% in three seconds: more than the profile lets pass
    desk.trader.answers.append(buys())
    services.run_slot(other.pk, "slot")

    cycle = models.TradingCycle.objects.get(bot=other, slot="slot")
    assert [denial["code"] for denial in cycle.denials] == ["PRICE_MOVED"]
    record = queries.cycle_record(cycle)
    assert record["context"]["prompt_marks"] == {SYMBOL: "100"}
    assert record["context"]["quotes"][SYMBOL]["mark"] == "101"
    assert rerun(json.dumps(record).encode()) == ()


def test_an_account_never_goes_back_in_time(desk, monkeypatch):
    """Every snapshot that a venue is synced with is later than the one before."""
    met: list = []
    real = PaperBroker.sync

    def sync(broker, snapshot):
        met.append((broker._account_id, snapshot.as_of))
        return real(broker, snapshot)

    monkeypatch.setattr(PaperBroker, "sync", sync)
    other = beside()
    for slot in ("one", "two", "three"):
        for bot in (desk.bot, other):
            desk.trader.answers.append(buys())
            services.run_slot(bot.pk, slot)
            desk.tick(by=2 * SECOND)
            desk.mark()
    for account in (desk.bot.sim_account_id, other.sim_account_id):
        times = [at for one, at in met if one == account]
        assert times == sorted(times) and len(times) >= 3
    assert isinstance(desk.clock, SteppedClock)
