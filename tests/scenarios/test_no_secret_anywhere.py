"""P7 over a whole day of the desk: keys that can be recognised are stored, and looked for in all that it leaves.

The words are put together at run time, so that a traceback that quotes this file does not hold them.
"""

import io
import json
import logging
import sys
import traceback
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.contrib import admin
from django.core.management import call_command
from django.db import connection
from django.urls import reverse
from django.views.debug import ExceptionReporter

from bots import models, runtime, services
from bots.domain.records import CycleOutcome
from llm.hosts import Provider
from llm.services import create_model_profile, create_provider_key
from market.models import ExchangeAccount
from market.venues.paper_broker import PaperBroker
from tests.market.venues.loopback import Failure, only_loopback
from tests.scenarios.venue_desks import venue_desk
from tradingagent.accounts.models import Scope, User
from tradingagent.accounts.secrets import Secret
from tradingagent.accounts.services import issue_token

pytestmark = pytest.mark.django_db(transaction=True)
BEAT = timedelta(seconds=15)
LOGGERS = ("celery", "django.db.backends", "ccxt.base.exchange", "urllib3.connectionpool", "bots")


def canary(name: str) -> str:
    return f"canary-{name}-8c02-f1e7-{name}"


@dataclass(repr=False)  # its words are in no traceback through the test's own frames
class Leavings:
    """Everything that the desk said: where it was said, and the words that must not be in it."""

    words: list[str]
    said: list[tuple[str, str]] = field(default_factory=list)

    def add(self, where: str, text: str) -> None:
        self.said.append((where, text))

    def found(self) -> list[str]:
        return [where for where, text in self.said if any(word in text for word in self.words)]

    def tracebacks(self, error: Exception) -> None:
        """Tell the exception at hand in every way in which it may be told, locals and all."""
        whole = traceback.TracebackException.from_exception(error, capture_locals=True)
        reporter = ExceptionReporter(None, *sys.exc_info())
        self.add("a traceback", traceback.format_exc())
        self.add("a traceback with locals", "".join(whole.format()))
        self.add("an error page", reporter.get_traceback_html())
        self.add("an error mail", reporter.get_traceback_text())


@pytest.fixture(autouse=True)
def nothing_leaves(monkeypatch):
    with only_loopback(monkeypatch) as tried:
        yield
    assert tried == []


@pytest.fixture
def log():
    """All that any logger says from DEBUG on, the statements of the database included."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
    loggers = [logging.getLogger(), *map(logging.getLogger, LOGGERS)]
    before = [(one, one.level, one.disabled, one.propagate) for one in loggers]
    for one in loggers:
        one.setLevel(logging.DEBUG)
        one.disabled, one.propagate = False, True
    loggers[0].addHandler(handler)
    connection.force_debug_cursor = True
    yield out
    connection.force_debug_cursor = False
    loggers[0].removeHandler(handler)
    for one, level, disabled, propagate in before:
        one.setLevel(level)
        one.disabled, one.propagate = disabled, propagate


@pytest.fixture
def desk(monkeypatch, settings):
    settings.SECRET_KEY = canary("secret")
    with venue_desk(monkeypatch, settings, "okx") as desk:
        yield desk


@pytest.fixture
def root() -> User:
    return User.objects.create_superuser("owner@example.org")


@pytest.fixture
def leavings(desk, root, tmp_path) -> Leavings:
    """The keys are stored, and a model that has one of them is made."""
    key = create_provider_key(
        owner=root, provider=Provider.OPENAI, name="mine", key=Secret(canary("model")), by=root
    )
    ExchangeAccount.objects.create(
        owner=root, name="okx", venue="okx", uid="1", api_key=Secret(canary("key")),
        api_secret=Secret(canary("hidden")), passphrase=Secret(canary("phrase")),
    )  # fmt: skip
    token, text = issue_token(root, "script", {Scope.READ, Scope.TRADE}, None)
    desk.profile = create_model_profile(
        owner=root, name="m", provider=Provider.OPENAI, model="m", provider_key=key, by=root
    )
    tail = text.reveal().removeprefix(token.prefix + "_")
    names = ("secret", "model", "key", "hidden", "phrase")
    return Leavings([*map(canary, names), text.reveal(), tail, *django_settings.ENCRYPTION_KEYS])


def a_day(desk, leavings: Leavings, monkeypatch) -> None:
    """Cycles, marks, errors of every part, a flatten, a halt."""
    bot = desk.create("BTC", "ETH")
    assert desk.cycle().outcome is CycleOutcome.DECIDED and desk.holds()
    desk.advance(BEAT)
    assert desk.mark().failed == 0
    with_a_model = desk.create(
        "ETH", trader="", params={}, model_profile=desk.profile, name="thinks"
    )
    for broken in (bot, with_a_model):
        desk.bot = broken
        desk.advance(BEAT)
        with monkeypatch.context() as patch:
            break_trader(patch)
            fails(desk, leavings)
    desk.bot = bot
    with monkeypatch.context() as patch:
        patch.setattr(PaperBroker, "sync", breaks)
        patch.setattr(PaperBroker, "peek", breaks)
        fails(desk, leavings)
        desk.advance(BEAT)
        assert desk.mark().failed == 1
    desk.venue.fail(Failure.ERROR_500)
    desk.advance(BEAT)
    assert desk.cycle().outcome is CycleOutcome.VENUE_UNAVAILABLE
    desk.venue.heal()
    desk.advance(BEAT)
    services.perform_action(services.flatten_bot(bot.pk, by=bot.owner).pk)
    assert not desk.holds()
    services.halt(by=bot.owner, reason="enough", bot_id=bot.pk, flatten=True)


def breaks(self, *given, **named):
    raise RuntimeError(f"it broke with {given!r} {named!r} {vars(self)!r}")


class BreakingTrader:
    """Holds what a model's trader holds, and says all of it as it breaks."""

    name = "breaking"

    def __init__(self, bot: models.Bot) -> None:
        self.profile = bot.model_profile
        self.key = self.profile and self.profile.provider_key
        self.held = list(ExchangeAccount.objects.all())

    def decide(self, view):
        rows = [self.profile, self.key, *self.held]
        secrets = [self.key and self.key.key, *(one.api_secret for one in self.held)]
        logging.getLogger("bots").error("about to break: %s", [vars(row) for row in rows if row])
        raise RuntimeError(
            f"it broke holding {rows!r} {[vars(one) for one in rows if one]} {secrets}"
        )


def break_trader(patch) -> None:
    patch.setattr(runtime, "_trader", BreakingTrader)


def fails(desk, leavings: Leavings) -> None:
    try:
        desk.cycle()
    except RuntimeError as error:
        leavings.tracebacks(error)
    else:
        pytest.fail("the cycle did not fail")


def look_at_rows(leavings: Leavings) -> None:
    for model in apps.get_models():
        for row in model._default_manager.all():
            leavings.add(f"repr of {model.__name__}", f"{row!r} {row} {vars(row)!r}")
    for kept in (models.Event, apps.get_model("accounts", "AuditEntry")):
        rows = list(kept.objects.values())
        assert rows
        leavings.add(kept.__name__, json.dumps(rows, default=str))
    dump = io.StringIO()
    call_command("dumpdata", stdout=dump)
    leavings.add("dumpdata", dump.getvalue())


def look_at_pages(leavings: Leavings, client, root: User) -> int:
    client.force_login(root)
    seen = 0
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        pages = [reverse(f"{name}_changelist")]
        for row in model._default_manager.all()[:3]:
            pages += [reverse(f"{name}_{page}", args=[row.pk]) for page in ("change", "history")]
        for page in pages:
            answer = client.get(page)
            assert answer.status_code == 200, page
            leavings.add(page, answer.content.decode())
            seen += 1
    return seen


def test_no_key_is_in_anything_that_the_desk_leaves(desk, leavings, root, log, client, monkeypatch):
    a_day(desk, leavings, monkeypatch)
    leavings.add("tasks", json.dumps(desk.sent))
    look_at_rows(leavings)
    pages = look_at_pages(leavings, client, root)
    leavings.add("log", log.getvalue())

    assert leavings.found() == []
    assert {"bots.run_cycle", "bots.perform_action"} <= {name for name, _ in desk.sent}
    assert pages > 40
    for spoke in ("django.db.backends DEBUG", "urllib3", "about to break", "bots.services.marking"):
        assert spoke in log.getvalue(), spoke
    assert sum("it broke" in text for where, text in leavings.said if "trace" in where) == 6


def test_each_word_would_be_found(leavings):
    for word in leavings.words:
        leavings.said = [("here", f"before {word} after")]
        assert leavings.found() == ["here"]
