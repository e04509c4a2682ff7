"""The desk's commands: what they do, what they say, what they exit with."""

import json
from datetime import timedelta
from decimal import Decimal as D
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from bots import enqueue as enqueuing
from bots import models, runtime, services
from bots.domain.bot import BotMode, BotStatus
from bots.queries import health
from llm.hosts import Provider
from llm.models import ModelProfile
from market.errors import VenueUnavailable
from market.instrument_rows import row_of
from risk.models import RiskProfile
from risk.services import copy_profile
from tests.bots.bulk_rows import BEGAN, order_row
from tests.bots.desks import START, buys
from tests.bots.paper_desks import paper_bot, paper_desk
from tests.scenarios.tables import SYMBOL, instrument
from tradingagent.accounts.models import AuditEntry, User

pytestmark = pytest.mark.django_db(transaction=True)
COMMANDS = (
    "create_bot", "run_cycle", "start_bot", "pause_bot", "flatten", "halt", "resume", "rebuild_positions", "doctor",
)  # fmt: skip


@pytest.fixture(autouse=True)
def sent(monkeypatch) -> list[str]:
    """The tasks that were put in a queue."""
    found: list[str] = []

    class App:
        @staticmethod
        def send_task(name: str, kwargs: dict) -> None:
            found.append(name)

    monkeypatch.setattr(enqueuing, "current_app", App)
    return found


@pytest.fixture
def desk(monkeypatch):
    return paper_desk(monkeypatch, name="first")


@pytest.fixture
def run(capsys):
    def told(name: str, *arguments: str) -> str:
        call_command(name, *arguments)
        return capsys.readouterr().out

    return told


def refused(name: str, *arguments: str) -> str:
    with pytest.raises(CommandError) as error:
        call_command(name, *arguments)
    sentence = str(error.value)
    assert "\n" not in sentence and sentence
    assert error.value.returncode == 1
    return sentence


@pytest.mark.parametrize("name", COMMANDS)
def test_each_has_help(name, capsys):
    with pytest.raises(SystemExit) as end:
        call_command(name, "--help")
    assert end.value.code == 0
    assert "usage:" in capsys.readouterr().out


# --- create_bot --------------------------------------------------------------------------------------

WISH = (
    "--owner", "owner@example.org", "--mode", "paper", "--venue", "simulated", "--symbols", SYMBOL,
    "--interval", "180", "--capital", "2500.5", "--risk", "balanced",
)  # fmt: skip
BASELINE = ("--trader", "ema_trend", "--param", "stop_atr=3", "--param", "reward=2")


def test_a_bot_is_created_and_its_id_is_the_last_line(desk, run):
    told = run("create_bot", *WISH, *BASELINE, "--name", "mine", "--timeframe", "15m")

    bot = models.Bot.objects.get(pk=UUID(told.splitlines()[-1]))
    assert (bot.name, bot.mode, bot.status) == ("mine", BotMode.PAPER, BotStatus.DRAFT)
    assert (bot.capital, bot.timeframe_seconds, bot.interval_seconds) == (D("2500.5"), 900, 180)
    assert bot.trader_params == {"stop_atr": "3", "reward": "2"}
    assert AuditEntry.objects.get(action="create_bot").actor_label == "command"


def test_the_timeframe_is_three_minutes_unless_said(desk, run):
    told = run("create_bot", *WISH, *BASELINE)

    assert models.Bot.objects.get(pk=told.splitlines()[-1]).timeframe_seconds == 180


def test_a_model_s_bot_and_the_owner_s_own_profile(desk, run):
    owner = desk.bot.owner
    balanced = RiskProfile.objects.get(owner=None, name="balanced")
    mine = copy_profile(balanced, owner, "balanced")
    model = ModelProfile.objects.create(owner=owner, name="m", provider=Provider.SCRIPTED)

    told = run("create_bot", *WISH, "--model", "m")

    bot = models.Bot.objects.get(pk=told.splitlines()[-1])
    assert (bot.model_profile, bot.trader, bot.risk_profile) == (model, "", mine)


def changed(wish: tuple[str, ...], name: str, value: str) -> list[str]:
    place = wish.index(name) + 1
    return [*wish[:place], value, *wish[place + 1 :]]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("--owner", "nobody@example.org", "there is no user 'nobody@example.org'"),
        ("--risk", "reckless", "there is no risk profile 'reckless': .*balanced"),
        ("--mode", "live", "real money"),
        ("--symbols", "NOPE/USDT:USDT", "does not list NOPE/USDT:USDT"),
        ("--symbols", ",", "at least one symbol"),
        ("--capital", "0", "capital must be above zero"),
        ("--capital", "much", "'much' is not a number"),
        ("--interval", "1", "at least 5 s"),
    ],
)
def test_what_makes_no_sense_is_refused(desk, name, value, sentence):
    with pytest.raises(CommandError, match=sentence):
        call_command("create_bot", *changed(WISH, name, value), *BASELINE)
    assert models.Bot.objects.count() == 1


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        (("--model", "m"), "there is no model profile 'm': none"),
        (("--trader", "oracle"), "oracle"),
        (("--trader", "flat", "--param", "x"), "'x' is not like name=value"),
        (("--trader", "flat", "--timeframe", "soon"), "'soon' is no length of time"),
        ((), "one of the arguments --trader --model is required"),
    ],
)
def test_a_mind_that_is_none_is_refused(desk, extra, sentence):
    with pytest.raises(CommandError, match=sentence):
        call_command("create_bot", *WISH, *extra)


def test_another_s_profile_is_not_seen(desk):
    bob = User.objects.create_user("bob@example.org")
    copy_profile(RiskProfile.objects.get(owner=None, name="balanced"), bob, "bobs")

    with pytest.raises(CommandError, match="there is no risk profile 'bobs'"):
        call_command("create_bot", *changed(WISH, "--risk", "bobs"), *BASELINE)


# --- run_cycle ---------------------------------------------------------------------------------------


def test_a_cycle_tells_its_stages(desk, run):
    desk.trader.answers.append(buys())

    told = run("run_cycle", "first")

    lines = told.splitlines()
    stages = [line.split("ms")[1].strip() for line in lines if " ms " in line]
    assert {"market", "sync", "decide", "submit", "close the cycle", "in all"} <= set(stages)
    assert f"wants buy_to_enter {SYMBOL}" in told
    assert "first: DECIDED, ACTIVE" in lines
    assert models.Position.objects.filter(bot=desk.bot).exists()


@pytest.mark.parametrize("status", [BotStatus.DRAFT, BotStatus.PAUSED])
def test_a_bot_that_is_not_active_records_and_opens_nothing(desk, run, status):
    models.Bot.objects.update(status=status)
    desk.trader.answers.append(buys())

    told = json.loads(run("run_cycle", desk.bot.pk.hex[:8], "--json"))

    assert told["outcome"] == "DECIDED"
    assert any("BOT_NOT_ACTIVE" in denial for denial in told["denials"])
    assert (told["orders"], D(told["equity"])) == ([], D(10_000))
    assert all(stage["ms"] >= 0 for stage in told["stages"]) and told["total_ms"] > 0
    assert not models.Position.objects.exists()
    assert models.TradingCycle.objects.get().status == "DONE"


def test_a_cycle_that_can_t_run_says_why(desk, monkeypatch):
    assert "there is no bot 'nobody'" in refused("run_cycle", "nobody")
    monkeypatch.setattr(services, "run_requested", lambda *_: None)
    assert "another cycle of first is running" in refused("run_cycle", "first")
    monkeypatch.undo()
    models.Bot.objects.update(status=BotStatus.ARCHIVED)
    assert "first is archived" in refused("run_cycle", "first")


# --- start, pause, flatten, halt, resume ---------------------------------------------------------------


def hold(desk) -> None:
    assert desk.cycle("a", buys()) is not None
    assert models.Position.objects.filter(bot=desk.bot).exists()
    desk.tick()


def test_start_and_pause(run):
    bot = paper_bot(name="idle", status=BotStatus.DRAFT)

    assert run("start_bot", "idle") == "idle: ACTIVE\n"
    assert "can't become ACTIVE" in refused("start_bot", "idle")
    assert run("pause_bot", str(bot.pk)) == "idle: PAUSED\n"
    assert "can't become PAUSED" in refused("pause_bot", "idle")


def test_a_bot_started_under_a_halt_says_so(run):
    paper_bot(name="idle", status=BotStatus.DRAFT)
    run("halt", "--all", "--reason", "fire")

    assert "halted and opens nothing" in run("start_bot", "idle")


def test_a_pause_that_flattens_closes_here_and_now(desk, run):
    hold(desk)

    assert run("pause_bot", "first", "--flatten") == "first: PAUSED\nfirst: flat\n"
    assert not models.Position.objects.exists()
    assert desk.differences() == []


def test_flatten_one_and_all(desk, run):
    paper_bot(name="empty")
    assert run("flatten", "--all") == "nothing is held or resting\n"
    assert run("flatten", "empty") == "empty: flat\n"
    hold(desk)

    (told,) = json.loads(run("flatten", "--all", "--json"))

    assert (told["bot"], told["status"], told["result"]["is_flat"]) == (
        str(desk.bot.pk),
        "DONE",
        True,
    )
    assert not models.Position.objects.exists()


def test_what_is_not_flat_yet_is_said_and_exits_with_one(desk, capsys):
    hold(desk)
    desk.feed.down = True

    assert refused("flatten", "first") == "not flat yet: first"

    assert "first: not flat yet" in capsys.readouterr().out


def test_a_desk_that_is_busy_is_left_to_the_background(desk, capsys):
    hold(desk)
    models.Bot.objects.update(desk_until=timezone.now() + timedelta(hours=1), desk_owner="x")

    assert refused("flatten", "first") == "not flat yet: first"
    assert "its desk is busy" in capsys.readouterr().out


def test_halt_and_resume_each_scope(desk, run):
    bob = User.objects.create_user("bob@example.org")
    theirs = paper_bot(bob, name="theirs")

    assert run("halt", "first", "--reason", "odd") == "first: halted (1 bot)\n"
    assert run("halt", "--user", "Bob@example.org", "--reason", "odd").startswith(
        "the bots of bob@"
    )
    told = json.loads(run("halt", "--all", "--reason", "fire", "--json"))
    assert set(told["bots"]) == {str(desk.bot.pk), str(theirs.pk)}
    assert "all bots: ended the halt of ALL" in run("resume", "--all")
    theirs.refresh_from_db()
    assert theirs.is_halted
    assert "(odd)" in run("resume", "--user", "bob@example.org")
    theirs.refresh_from_db()
    assert not theirs.is_halted
    assert "first: ended the halt of BOT" in run("resume", "first", "--reason", "calm again")
    assert AuditEntry.objects.latest("pk").after == {"reason": "calm again"}
    assert refused("resume", "first") == refused("resume", "--all") == "nothing is halted here"


def test_a_halt_names_what_had_left_and_flattens(desk, run):
    hold(desk)
    models.Order.objects.bulk_create([order_row(paper_bot(name="b"), 1, "UNKNOWN")])

    told = run("halt", "first", "--reason", "fire", "--flatten")
    assert told == "first: halted (1 bot)\nfirst: flat\n"
    assert "had left before" in run("halt", "b", "--reason", "fire")


@pytest.mark.parametrize("name", ["halt", "resume", "flatten"])
@pytest.mark.parametrize("scope", [(), ("first", "--all")])
def test_exactly_one_scope(desk, name, scope):
    extra = ("--reason", "x") if name == "halt" else ()
    assert refused(name, *scope, *extra).startswith("name one of: a BOT, ")


# --- rebuild_positions ---------------------------------------------------------------------------------


def test_books_that_are_what_their_rows_make(desk, run):
    hold(desk)
    paper_bot(name="empty")

    assert run("rebuild_positions", "--check") == "empty: no difference\nfirst: no difference\n"
    assert json.loads(run("rebuild_positions", "first", "--check", "--json")) == {
        str(desk.bot.pk): []
    }


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda: models.Position.objects.update(entry_cost=D(1)), "position"),
        (lambda: models.Position.objects.all().delete(), "position"),
        (lambda: models.BotState.objects.update(peak_nav=D(1)), "peak_nav"),
        (lambda: models.LedgerEntry.objects.filter(kind="FEE").delete(), "cash"),
    ],
)
def test_a_difference_is_shown_and_exits_with_one(desk, capsys, spoil, word):
    hold(desk)
    spoil()

    assert refused("rebuild_positions", "--check") == "1 of 1 differ: first"

    assert word in capsys.readouterr().out


def test_books_are_never_written_over(desk):
    hold(desk)
    models.Position.objects.update(entry_cost=D(1))

    assert "never written over" in refused("rebuild_positions")

    assert models.Position.objects.get().entry_cost == 1


def test_a_delisted_instrument_is_known_from_its_row(desk, run, monkeypatch):
    hold(desk)
    desk.feed.traded = ()
    assert "no more, and no row tells of it" in refused("rebuild_positions", "--check")
    row_of("simulated", instrument(), BEGAN).save()
    assert run("rebuild_positions", "--check") == "first: no difference\n"


# --- doctor --------------------------------------------------------------------------------------------


def found(run) -> dict[str, list[tuple[str, str]]]:
    told: dict[str, list[tuple[str, str]]] = {}
    for one in json.loads(run("doctor", "--json")):
        told.setdefault(one["about"], []).append((one["level"], one["text"]))
    return told


def test_a_sound_system(run):
    told = run("doctor")

    assert {line[0] for line in told.splitlines()} == {"✓"}
    assert "✓ bots: none" in told
    assert "✓ orders: none without a known fate" in told


def test_what_may_need_a_person(desk, run):
    bot = desk.bot
    models.TradingCycle.objects.create(
        id=UUID(int=5), bot=bot, slot="s", owner="x", lease_until=START, started_at=START
    )
    models.Order.objects.bulk_create([order_row(bot, 1, "UNKNOWN"), order_row(bot, 2, "ACCEPTED")])
    run("halt", "--all", "--reason", "x")

    told = found(run)

    assert ("LOOK", "1 halted: resume lets them open again") in told["bots"]
    assert told["cycles"][0][0] == told["orders"][0][0] == told["schedule"][0][0] == "LOOK"
    assert "UNKNOWN" in told["orders"][0][1]
    assert "1 active bots without an entry" in told["schedule"][0][1]
    assert told["venue"] == [("FINE", told["venue"][0][1])]


def test_a_model_without_its_key_is_said(desk, run, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert found(run)["models"] == [("FINE", "none in use")]
    profile = ModelProfile.objects.create(name="Mine", provider=Provider.OPENAI, model="m")
    models.Bot.objects.update(model_profile=profile, trader="")

    assert found(run)["models"] == [
        ("LOOK", "Mine: OPENAI_API_KEY is not set where this process runs")
    ]
    monkeypatch.setenv("OPENAI_API_KEY", "a-key-of-tests")
    assert found(run)["models"] == [("FINE", "1 in use, each with its key")]


def test_the_schedule_of_a_started_bot(run):
    paper_bot(name="idle", status=BotStatus.DRAFT)
    run("start_bot", "idle")

    told = found(run)["schedule"]

    assert told[0] == ("FINE", "1 active bots, each with its entry")
    assert "has not ticked" in told[1][1]


def test_a_venue_that_is_silent_and_one_that_is_none(desk, settings, monkeypatch, capsys):
    settings.VENUE_URLS = {"nowhere": "http://localhost:1"}

    def silent(bot):
        if bot.venue == "nowhere":
            raise ValueError("'nowhere' is no venue we read")
        raise VenueUnavailable("it does not answer")

    monkeypatch.setattr(runtime, "open_feed", silent)

    assert "2 of" in refused("doctor")

    told = capsys.readouterr().out
    assert "✗ venue: nowhere, at http://localhost:1 by VENUE_URLS: 'nowhere' is no venue" in told
    assert "✗ venue: simulated: it does not answer" in told


def test_broken_keys_and_a_broker_that_is_down(settings, capsys):
    from celery import current_app

    settings.ENCRYPTION_KEYS = ["x"]
    before = current_app.conf.broker_url
    current_app.conf.broker_url = "redis://:secret@127.0.0.1:1/0"
    try:
        sentence = refused("doctor")
    finally:
        current_app.conf.broker_url = before

    told = capsys.readouterr().out
    assert sentence.startswith("2 of")
    assert "✗ encryption" in told and "✗ broker" in told
    assert "secret" not in told


def test_a_database_without_its_migrations(monkeypatch, capsys):
    class Executor:
        def __init__(self, _connection) -> None:
            self.loader = self
            self.graph = self

        def leaf_nodes(self):
            return []

        def migration_plan(self, _targets):
            return [1, 2]

    monkeypatch.setattr(health, "MigrationExecutor", Executor)

    assert "1 of" in refused("doctor")

    told = capsys.readouterr().out
    assert "✗ database: 2 migrations are not applied: run migrate" in told
    assert "bots" not in told


@pytest.mark.postgres
def test_the_clock_of_another_machine(run, monkeypatch, capsys):
    assert found(run)["clock"][0][0] == "FINE"
    monkeypatch.setattr(health, "CLOCK_MAY_DIFFER", timedelta(0))
    assert "1 of" in refused("doctor")
