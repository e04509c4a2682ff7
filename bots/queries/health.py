"""What `doctor` finds: each thing that must work, looked at, in words. It changes nothing.

A thing that is down is a finding, never an exception: the other findings are wanted most just then.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import chain

from celery import current_app
from celery.exceptions import OperationalError
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, Max
from django.db.models.functions import Now
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from bots import models, runtime, schedule
from bots.domain.bot import BotStatus
from llm.models import ModelProfile
from llm.services import ProviderNotAvailable, chat_model
from market.domain.enums import OrderStatus
from market.errors import VenueUnavailable
from market.services import described_venue
from tradingagent.accounts.secrets import KeysUnusable, Secret, seal

CLOCK_MAY_DIFFER = timedelta(seconds=2)
UNRESOLVED_MAY_LAST = timedelta(minutes=1)
SCHEDULER_MAY_PAUSE = timedelta(minutes=2)
DEFAULT_TIMEFRAME_SECONDS = 180


class Level(StrEnum):
    """FINE works; LOOK may need a person; BROKEN does not work."""

    FINE = "FINE"
    LOOK = "LOOK"
    BROKEN = "BROKEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found of one thing, as a sentence."""

    level: Level
    about: str
    text: str


def findings() -> Iterator[Finding]:
    """Everything that doctor looks at, one after the other. Asks the database, the broker and each venue."""
    without_database: tuple[Callable[[], Iterator[Finding]], ...] = (_settings, _keys, _broker)
    yield from chain.from_iterable(look() for look in without_database)
    try:
        database = list(_database())
        yield from database
        if any(one.level is Level.BROKEN for one in database):
            return  # what is stored can't be read as it should
        for look in (_clock, _bots, _cycles, _orders, _schedule, _models, _venues):
            yield from look()
    except DatabaseError as error:
        yield _broken("database", f"it does not answer as it should: {_first_line(error)}")


def _settings() -> Iterator[Finding]:
    if settings.DEBUG:
        yield _look("settings", "DEBUG is on: errors are shown to visitors")
    allowed = (
        "may trade" if settings.ALLOW_LIVE_TRADING else "may not be traded (ALLOW_LIVE_TRADING)"
    )
    yield _fine("settings", f"real money {allowed}")


def _keys() -> Iterator[Finding]:
    try:
        seal(Secret("a word"))
    except KeysUnusable as error:
        yield _broken("encryption", str(error))
    else:
        count = len(settings.ENCRYPTION_KEYS)
        yield _fine("encryption", f"{count} key{'' if count == 1 else 's'}, the first one seals")


def _broker() -> Iterator[Finding]:
    with current_app.connection_for_write() as broker:
        where = broker.as_uri()  # without its password
        if where.startswith("memory:"):
            yield _fine(
                "broker", "inside the process: a command reaches no worker, the next beat does"
            )
            return
        try:
            broker.ensure_connection(max_retries=1, interval_start=0, timeout=3)
        except (OSError, OperationalError) as error:
            yield _broken("broker", f"{where} does not answer: {_first_line(error)}")
        else:
            yield _fine("broker", f"{where} answers")


def _database() -> Iterator[Finding]:
    connection.ensure_connection()
    version = ".".join(str(part) for part in connection.get_database_version())
    if connection.vendor == "sqlite":
        journal, synchronous = _pragma("journal_mode"), _pragma("synchronous")
        text = f"SQLite {version}, journal {journal}, synchronous {synchronous}"
        is_safe = (journal, synchronous) == ("wal", "2")
        yield _fine("database", text) if is_safe else _broken("database", f"{text}: not wal and 2")
    else:
        pool = f"a pool of {settings.DATABASE_POOL} connections a process"
        yield _fine("database", f"{connection.display_name} {version}, {pool}")
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        yield _broken("database", f"{len(missing)} migrations are not applied: run migrate")


def _pragma(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA {name}")
        return str(cursor.fetchone()[0])


def _clock() -> Iterator[Finding]:
    if connection.vendor == "sqlite":
        yield _fine("clock", "the database's is this machine's")
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        told: datetime = cursor.fetchone()[0]
    ahead = told - datetime.now(UTC)
    text = f"the database's is {_apart(ahead)}"
    yield _fine("clock", text) if abs(ahead) <= CLOCK_MAY_DIFFER else _broken("clock", text)


def _bots() -> Iterator[Finding]:
    counts = models.Bot.objects.values_list("status").annotate(Count("pk")).order_by("status")
    words = ", ".join(f"{count} {status}" for status, count in counts)
    halted = models.Bot.objects.filter(is_halted=True).exclude(status=BotStatus.ARCHIVED).count()
    yield _fine("bots", words or "none")
    if halted:
        yield _look("bots", f"{halted} halted: resume lets them open again")


def _cycles() -> Iterator[Finding]:
    running = models.TradingCycle.objects.filter(status=models.CycleStatus.RUNNING)
    dead = running.filter(lease_until__lt=Now()).count()
    text = f"{running.count()} running"
    if dead:
        text = f"{dead} lost whoever ran them, and nobody has swept them up: is a worker running?"
    yield _look("cycles", text) if dead else _fine("cycles", text)


def _orders() -> Iterator[Finding]:
    unresolved = models.Order.objects.filter(
        status__in=[OrderStatus.SUBMITTED, OrderStatus.UNKNOWN], submitted_at__isnull=False
    )
    oldest = unresolved.order_by("submitted_at").select_related("bot").first()
    if oldest is None or oldest.submitted_at is None:
        yield _fine("orders", "none without a known fate")
        return
    age = timezone.now() - oldest.submitted_at
    text = (
        f"the oldest without a known fate is {oldest.pk} of {oldest.bot.name},"
        f" {oldest.status} for {_seconds(age)} s"
    )
    yield _look("orders", text) if age > UNRESOLVED_MAY_LAST else _fine("orders", text)


def _schedule() -> Iterator[Finding]:
    entries = PeriodicTask.objects.filter(task=schedule.RUN_CYCLE, enabled=True)
    scheduled = {name for name in entries.values_list("name", flat=True) if name.startswith("bot ")}
    active = models.Bot.objects.filter(status=BotStatus.ACTIVE).values_list("pk", flat=True)
    wanted = {f"bot {bot_id}" for bot_id in active}
    missing, orphans = len(wanted - scheduled), len(scheduled - wanted)
    if missing or orphans:
        yield _look(
            "schedule",
            f"{missing} active bots without an entry, {orphans} entries without one:"
            " the scheduler mends it when it starts",
        )
    else:
        yield _fine("schedule", f"{len(wanted)} active bots, each with its entry")
    last = PeriodicTask.objects.filter(task=schedule.MARK_SHARD).aggregate(at=Max("last_run_at"))
    if wanted and (last["at"] is None or timezone.now() - last["at"] > SCHEDULER_MAY_PAUSE):
        yield _look("schedule", "the scheduler has not ticked of late: is the system running?")


def _models() -> Iterator[Finding]:
    """The models of bots that are not put away: whether each could be asked from here. Nobody is asked."""
    bots = models.Bot.objects.exclude(status=BotStatus.ARCHIVED)
    used = ModelProfile.objects.filter(pk__in=bots.values("model_profile"))
    problems = []
    for profile in used.select_related(
        "owner", "provider_key", "fallback__owner", "fallback__provider_key"
    ):
        try:
            chat_model(profile)
        except ProviderNotAvailable as problem:
            problems.append(str(problem))
    for text in problems:
        yield _look("models", text)
    if not problems:
        count = used.count()
        yield _fine("models", f"{count} in use, each with its key" if count else "none in use")


def _venues() -> Iterator[Finding]:
    used = models.Bot.objects.exclude(status=BotStatus.ARCHIVED).values_list("venue", flat=True)
    for venue in sorted({*used.distinct(), *settings.VENUE_URLS}):
        yield _venue(venue)


def _venue(venue: str) -> Finding:
    address = settings.VENUE_URLS.get(venue)
    where = "" if address is None else f", at {address} by VENUE_URLS"
    began = time.monotonic()
    try:
        seen = models.Bot(venue=venue, timeframe_seconds=DEFAULT_TIMEFRAME_SECONDS)
        count = len(runtime.open_feed(seen).instruments())
    except (ValueError, VenueUnavailable, runtime.CannotTrade) as error:
        return _broken("venue", f"{venue}{where}: {_first_line(error)}")
    took = int((time.monotonic() - began) * 1000)
    text = f"{venue}{where} listed {count} instruments in {took} ms"
    told = described_venue(venue)
    if told is None:
        return _fine("venue", text)
    text += f", asked at {', '.join(told['addresses'])}"
    if not told["proof"]:
        text += ", unproven (docs/venues.md)"
    ahead = timedelta(milliseconds=told["clock_ahead_ms"] or 0)
    if abs(ahead) > CLOCK_MAY_DIFFER:
        return _broken("venue", f"{text}; its clock is {_apart(ahead)}")
    return _fine("venue", text)


def _apart(ahead: timedelta) -> str:
    """How far another clock is from ours, in words."""
    if abs(ahead) < timedelta(milliseconds=50):
        return "in step with ours"
    side = "ahead of" if ahead > timedelta(0) else "behind"
    return f"{_seconds(abs(ahead))} s {side} ours"


def _seconds(length: timedelta) -> str:
    return f"{length.total_seconds():.1f}"


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _fine(about: str, text: str) -> Finding:
    return Finding(level=Level.FINE, about=about, text=text)


def _look(about: str, text: str) -> Finding:
    return Finding(level=Level.LOOK, about=about, text=text)


def _broken(about: str, text: str) -> Finding:
    return Finding(level=Level.BROKEN, about=about, text=text)
