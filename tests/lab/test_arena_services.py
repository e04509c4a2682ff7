"""What a door may ask of an arena: made whole or not at all, joined before the start, one start, one stop."""

from datetime import timedelta
from decimal import Decimal as D

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django_celery_beat.models import PeriodicTask

from bots import models, queries, runtime, services
from bots.books import differences
from bots.domain.bot import BotStatus
from bots.lab import services as lab
from bots.lab.baselines import BASELINES
from bots.lab.models import Arena, Entrant
from bots.lab.services import ArenaRefused, EntrantWish
from bots.models import CohortLook
from bots.services import BotRefused, NotNow
from llm.hosts import Provider
from llm.models import ModelProfile
from market.venues.feeds import feed_for
from risk.models import RiskProfile
from risk.services import copy_profile
from tests.lab.arenas import RULES, bots_of, ground, statuses
from tests.scenarios.tables import SYMBOL
from tradingagent.accounts.access import NotYours, require
from tradingagent.accounts.models import AuditEntry, User

pytestmark = pytest.mark.django_db(transaction=True)
CONDITIONS = (
    "venue", "symbols", "currency", "capital", "interval_seconds", "timeframe_seconds", "schedule",
    "risk_profile_id", "charge_llm_cost", "mode", "cohort",
)  # fmt: skip


@pytest.fixture
def at(monkeypatch):
    return ground(monkeypatch)


@pytest.fixture
def profile(at) -> ModelProfile:
    return ModelProfile.objects.create(owner=at.owner, name="m", provider=Provider.SCRIPTED)


def nothing_is_left() -> bool:
    return not any(model.objects.exists() for model in (Arena, Entrant, models.Bot))


# --- made ------------------------------------------------------------------------------------------


def test_everybody_gets_the_same_conditions(at, profile):
    arena = at.arena(*RULES, capital=D(2500), interval_seconds=60, timeframe_seconds=60)
    lab.add_entrant(arena.pk, EntrantWish(model_profile=profile), by=at.owner)

    bots = bots_of(arena)
    told = {tuple(str(getattr(bot, name)) for name in CONDITIONS) for bot in bots}
    assert len(told) == 1 and len(bots) == 6
    assert (bots[0].capital, bots[0].currency, bots[0].cohort) == (D(2500), "USDT", arena.cohort)
    assert {bot.status for bot in bots} == {BotStatus.DRAFT}
    assert {bot.sim_account.settings for bot in bots} == {bots[0].sim_account.settings}
    assert {bot.state.cash for bot in bots} == {D(2500)}


def test_entrants_stand_in_the_order_of_joining(at, profile):
    arena = at.arena("flat", "buy_and_hold")
    lab.add_entrant(arena.pk, EntrantWish(model_profile=profile), by=at.owner)
    lab.add_entrant(arena.pk, EntrantWish(model_profile=profile), by=at.owner)
    lab.add_entrant(arena.pk, EntrantWish(trader="flat", label="Nothing"), by=at.owner)

    rows = arena.entrants.order_by("place").values_list("place", "label", "is_baseline")
    assert list(rows) == [
        (1, "Cash", True), (2, "Buy and hold", True), (3, "m", False), (4, "m 2", False),
        (5, "Nothing", True),
    ]  # fmt: skip


def test_bots_are_named_after_their_entrants(at):
    at.arena("flat", "buy_and_hold")
    at.arena("flat", name="Season 2")
    names = models.Bot.objects.order_by("name").values_list("name", flat=True)
    assert list(names) == ["Buy and hold", "Cash", "Cash 2"]


def test_what_is_done_is_written_down(at):
    arena = at.started("flat", "buy_and_hold")
    lab.stop_arena(arena.pk, by=at.owner)
    acts = AuditEntry.objects.filter(target_type="lab.Arena", target_id=str(arena.pk))
    assert [entry.action for entry in acts.order_by("pk")] == [
        "create_arena", "start_arena", "stop_arena",
    ]  # fmt: skip
    assert {entry.actor for entry in acts} == {at.owner}
    assert AuditEntry.objects.filter(action="create_bot").count() == 2


REFUSALS = [
    ({"name": "  "}, "needs a name"),
    ({"name": "x" * 81}, "name"),
    ({"symbols": ()}, "at least one symbol"),
    ({"symbols": ("NOPE/USDT:USDT",)}, "does not list NOPE/USDT:USDT"),
    ({"capital": D(0)}, "capital must be above zero"),
    ({"interval_seconds": 4}, "at least 5 s"),
    ({"timeframe_seconds": 90}, "whole minutes"),
]


@pytest.mark.parametrize(("changes", "sentence"), REFUSALS)
def test_conditions_that_make_no_sense_are_refused_and_leave_nothing(at, changes, sentence):
    with pytest.raises(ArenaRefused, match=sentence):
        at.arena("flat", "buy_and_hold", **changes)
    assert nothing_is_left()


def test_an_entrant_that_can_not_be_leaves_no_arena(at):
    bold = EntrantWish(trader="ema_trend", params={})  # names no stop: balanced wants one
    for wrong in (bold, EntrantWish(trader="nobody"), EntrantWish()):
        with pytest.raises(ArenaRefused):
            lab.create_arena(at.wish(), by=at.owner, entrants=[EntrantWish(trader="flat"), wrong])
        assert nothing_is_left()


def test_an_arena_is_named_once_per_owner(at):
    at.arena("flat")
    with pytest.raises(ArenaRefused, match="an arena 'Season 1' already"):
        at.arena("flat")
    other = User.objects.create(email="b@example.org")
    assert at.arena("flat", owner=other).owner == other


def test_what_is_anothers_can_not_take_part(at):
    other = User.objects.create(email="b@example.org")
    theirs = ModelProfile.objects.create(owner=other, name="m", provider=Provider.SCRIPTED)
    with pytest.raises(ArenaRefused, match="no such model profile"):
        lab.create_arena(at.wish(), by=at.owner, entrants=[EntrantWish(model_profile=theirs)])
    preset = RiskProfile.objects.get(owner=None, name="balanced")
    with pytest.raises(ArenaRefused, match="no such risk profile"):
        at.arena("flat", risk_profile=copy_profile(preset, other, "mine"))


def test_a_label_is_taken_once_in_an_arena(at):
    arena = at.arena("flat")
    with pytest.raises(ArenaRefused, match="can't both be called 'Cash'"):
        lab.add_entrant(arena.pk, EntrantWish(trader="buy_and_hold", label="Cash"), by=at.owner)
    assert models.Bot.objects.count() == 1


def test_an_arena_holds_so_many(at, monkeypatch):
    monkeypatch.setattr(lab, "MOST_ENTRANTS", 2)
    arena = at.arena("flat", "buy_and_hold")
    with pytest.raises(ArenaRefused, match="2 entrants at most"):
        lab.add_entrant(arena.pk, EntrantWish(trader="flat", label="x"), by=at.owner)


def test_only_its_owner_may_see_and_change_it(at):
    arena = at.arena("flat")
    other = User.objects.create(email="b@example.org")
    for row in (arena, arena.entrants.get()):
        require(at.owner, row, "change")
        with pytest.raises(NotYours):
            require(other, row, "view")


# --- started and stopped -----------------------------------------------------------------------------


def test_all_start_at_one_instant_and_are_asked_at_once(at):
    arena = at.started(*RULES)
    assert {bot.started_at for bot in bots_of(arena)} == {arena.started_at} == {at.clock.now()}
    assert set(statuses(arena)) == {BotStatus.ACTIVE}
    assert [name for name, _ in at.sent] == ["bots.run_cycle"] * 5
    assert len(set(PeriodicTask.objects.values_list("headers", flat=True))) == 1


def test_nobody_joins_after_the_start(at):
    arena = at.started("flat", "buy_and_hold")
    with pytest.raises(ArenaRefused, match="entrants join before the start, so that all run from"):
        lab.add_entrant(arena.pk, EntrantWish(trader="ema_trend"), by=at.owner)
    lab.stop_arena(arena.pk, by=at.owner)
    with pytest.raises(ArenaRefused, match="entrants join before the start"):
        lab.add_entrant(arena.pk, EntrantWish(trader="ema_trend"), by=at.owner)
    assert models.Bot.objects.count() == 2


def test_one_who_joins_while_it_starts_is_refused(at, monkeypatch):
    """The check is made again under the arena's lock."""
    arena = at.arena("flat", "buy_and_hold")
    real = lab._joining

    def meanwhile(*arguments):
        found = real(*arguments)
        lab.start_arena(arena.pk, by=at.owner)
        return found

    monkeypatch.setattr(lab, "_joining", meanwhile)
    with pytest.raises(ArenaRefused, match="has started"):
        lab.add_entrant(arena.pk, EntrantWish(trader="ema_trend"), by=at.owner)
    assert arena.entrants.count() == models.Bot.objects.count() == 2


@pytest.mark.parametrize(("traders", "counted"), [((), "no entrant"), (("flat",), "one entrant")])
def test_a_comparison_needs_two(at, traders, counted):
    arena = at.arena(*traders)
    with pytest.raises(ArenaRefused, match=f"has {counted}: a comparison needs two"):
        lab.start_arena(arena.pk, by=at.owner)
    assert Arena.objects.get().started_at is None and at.sent == []


def test_a_start_that_fails_starts_nobody(at):
    arena = at.arena("flat", "buy_and_hold")
    with transaction.atomic():
        lab.start_arena(arena.pk, by=at.owner)
        transaction.set_rollback(True)
    assert set(statuses(arena)) == {BotStatus.DRAFT} and at.sent == []
    assert not Arena.objects.get().is_running


def test_a_stop_pauses_all_and_what_is_held_stays_protected(at):
    arena = at.started("flat", "buy_and_hold")
    at.clock.advance_to(at.clock.now() + timedelta(minutes=5))
    stopped = lab.stop_arena(arena.pk, by=at.owner)
    assert set(statuses(arena)) == {BotStatus.PAUSED}
    assert stopped.stopped_at is not None and not stopped.is_running
    assert not PeriodicTask.objects.exists()
    assert not models.ManualAction.objects.exists()  # nothing is closed
    with pytest.raises(ArenaRefused, match="is not running"):
        lab.stop_arena(arena.pk, by=at.owner)


def test_it_goes_on_from_the_same_start(at):
    arena = at.started("flat", "buy_and_hold")
    with pytest.raises(ArenaRefused, match="is running already"):
        lab.start_arena(arena.pk, by=at.owner)
    lab.stop_arena(arena.pk, by=at.owner)
    at.clock.advance_to(at.clock.now() + timedelta(hours=1))
    again = lab.start_arena(arena.pk, by=at.owner)
    assert again.started_at == arena.started_at and again.is_running
    assert {bot.started_at for bot in bots_of(arena)} == {arena.started_at}


def test_an_entrant_paused_or_archived_by_hand_does_not_hinder(at):
    arena = at.started(*RULES)
    one, other, *_ = bots_of(arena)
    services.pause_bot(one.pk, by=at.owner)
    services.pause_bot(other.pk, by=at.owner)
    services.archive_bot(other.pk, by=at.owner)
    lab.stop_arena(arena.pk, by=at.owner)
    lab.start_arena(arena.pk, by=at.owner)
    assert statuses(arena) == [
        BotStatus.ACTIVE, BotStatus.ARCHIVED, BotStatus.ACTIVE, BotStatus.ACTIVE, BotStatus.ACTIVE,
    ]  # fmt: skip


def test_no_entrant_starts_alone_or_is_told_otherwise(at):
    arena = at.arena("flat", "buy_and_hold")
    bot = bots_of(arena)[0]
    with pytest.raises(NotNow, match="all of them start at one instant"):
        services.start_bot(bot.pk, by=at.owner)
    with pytest.raises(BotRefused, match="only its name may change"):
        services.update_bot(bot.pk, {"interval_seconds": 60}, by=at.owner)


# --- constraints -------------------------------------------------------------------------------------


def broken(act) -> bool:
    try:
        with transaction.atomic():
            act()
    except IntegrityError:
        return True
    return False


def test_the_database_holds_what_an_arena_is(at):
    arena = at.arena("flat", "buy_and_hold")
    one, other = arena.entrants.order_by("place")
    rows = Arena.objects.filter(pk=arena.pk)
    assert broken(lambda: rows.update(capital=0))
    assert broken(lambda: rows.update(interval_seconds=4))
    assert broken(lambda: rows.update(timeframe_seconds=59))
    assert broken(lambda: rows.update(stopped_at=at.clock.now()))
    assert not broken(lambda: rows.update(started_at=at.clock.now(), stopped_at=at.clock.now()))
    assert broken(lambda: Entrant.objects.filter(pk=one.pk).update(place=other.place))
    assert broken(lambda: Entrant.objects.filter(pk=one.pk).update(place=0))
    assert broken(lambda: Entrant.objects.filter(pk=one.pk).update(label=other.label))
    assert broken(lambda: Entrant.objects.filter(pk=one.pk).update(label=""))
    elsewhere = at.arena(name="other")
    assert broken(
        lambda: Entrant.objects.create(
            arena=elsewhere, bot=one.bot, place=1, label="x", is_baseline=True
        )
    )
    assert broken(lambda: Arena.objects.filter(pk=elsewhere.pk).update(cohort=arena.cohort))
    assert broken(lambda: Arena.objects.filter(pk=elsewhere.pk).update(name=arena.name))


# --- the stated baselines ----------------------------------------------------------------------------


def test_the_baselines_trade_on_the_simulated_market_at_once(at, monkeypatch):
    """As the first run makes it: everything real. Buy and hold fills in its first cycle, under `balanced`."""
    monkeypatch.undo()
    arena = lab.create_baseline_arena(at.owner, by=at.owner)
    lab.start_arena(arena.pk, by=at.owner)
    labels = [entry.label for entry in BASELINES]
    assert list(arena.entrants.order_by("place").values_list("label", flat=True)) == labels
    for slot in ("one", "two"):
        for bot in bots_of(arena):
            assert services.run_slot(bot.pk, slot).record.outcome == "DECIDED"

    holder = bots_of(arena)[0]
    held = models.Position.objects.filter(bot=holder).order_by("symbol")
    assert [row.symbol for row in held] == sorted(lab.USUAL_SYMBOLS)
    assert models.Fill.objects.filter(bot=holder, order__cycle__slot="one").count() == 2
    risked = sum(row.entry_cost for row in held)
    assert D(3_000) < risked <= D(10_000)
    for row in held:  # a stop and a target rest for each, the stop a catastrophe away
        stop = models.Order.objects.get(bot=holder, symbol=row.symbol, purpose="STOP")
        entry = row.entry_cost / row.quantity
        assert D("0.02") < 1 - stop.trigger_price / entry < D("0.15")
        assert models.Order.objects.filter(
            bot=holder, symbol=row.symbol, purpose="TARGET", status="ACCEPTED"
        ).exists()
    shown = {
        queries.cycle_record(cycle)["snapshots"][0]
        for cycle in models.TradingCycle.objects.filter(bot__cohort=arena.cohort, slot="one")
    }
    assert len(shown) == 1 and CohortLook.objects.count() == 2
    known = {one.symbol: one for one in feed_for("simulated", timedelta(minutes=1)).instruments()}
    for bot in bots_of(arena):
        config = runtime.config_of(runtime.load_bot(bot.pk))
        assert differences(config, models.BotState.objects.get(pk=bot.pk), known) == []


@pytest.mark.parametrize("risk", ["conservative", "balanced", "aggressive"])
def test_every_profile_accepts_every_baseline(at, risk):
    chosen = RiskProfile.objects.get(owner=None, name=risk)
    arena = at.arena(*RULES, risk_profile=chosen)
    assert arena.entrants.count() == 5
    for bot in bots_of(arena):
        if bot.trader != "flat":
            assert bot.trader_params["stop_context_atr"] == "3"


def test_models_join_before_the_baselines(at, profile):
    arena = lab.create_baseline_arena(
        at.owner, by=at.owner, symbols=(SYMBOL,), models=[profile, profile]
    )
    rows = list(arena.entrants.order_by("place").values_list("label", "is_baseline"))
    assert rows[:3] == [("m", False), ("m 2", False), ("Buy and hold", True)]
    assert arena.interval_seconds == arena.timeframe_seconds == 60


# --- the command -------------------------------------------------------------------------------------


def test_the_command_makes_and_starts_one(at, profile, capsys):
    call_command(
        "create_arena", "--owner", at.owner.email, "--name", "Night", "--symbols", SYMBOL,
        "--model", "m", "--model", "m", "--baseline", "flat", "--interval", "1m", "--start",
    )  # fmt: skip
    *entrants, arena_id = capsys.readouterr().out.split("\n")[:-1]
    assert entrants == ["1. m", "2. m 2", "3. Cash"]
    arena = Arena.objects.get(pk=arena_id)
    assert arena.is_running and arena.timeframe_seconds == 60
    assert set(statuses(arena)) == {BotStatus.ACTIVE}


def test_the_command_says_no_in_a_sentence(at):
    for words, sentence in (
        (("--symbols", "NOPE/USDT:USDT"), "does not list"),
        (("--symbols", SYMBOL, "--model", "nobody"), "no model profile 'nobody'"),
        (("--symbols", SYMBOL, "--risk", "nobody"), "no risk profile 'nobody'"),
        (("--symbols", SYMBOL, "--baseline", "flat", "--start"), "a comparison needs two"),
    ):
        with pytest.raises(CommandError, match=sentence):
            call_command("create_arena", "--owner", at.owner.email, "--name", "Night", *words)
    assert nothing_is_left()
