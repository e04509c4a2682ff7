"""Words that can be recognised are put into addresses, and looked for in all that alerts leave behind."""

import io
import logging
import socket
import sys
import traceback

import pytest
from django.contrib import admin
from django.db import connection
from django.urls import reverse
from django.views.debug import ExceptionReporter

from bots.alerts import apprise_line, delivering, services, tasks
from bots.alerts.models import AlertChannel, ChannelKind, Delivery
from bots.alerts.scanning import scan
from bots.alerts.services import AlertRefused
from tests.alerts.scenes import HOUR, MINUTE, NOON, mail_server, scene, webhook
from tests.architecture.test_models import our_models
from tradingagent.accounts.models import User
from tradingagent.accounts.secrets import Secret

pytestmark = pytest.mark.django_db(transaction=True)


def canary(name: str) -> str:
    return f"canary{name}8c02f1e7{name}"


WORDS = [canary(name) for name in ("token", "path", "user", "host", "mail", "query")]
TELEGRAM = f"tgram://123456789:{WORDS[0]}/987654321"


@pytest.fixture
def log():
    """All that any logger says from DEBUG on, the statements of the database included."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    names = (
        "",
        "apprise",
        "urllib3",
        "urllib3.connectionpool",
        "requests",
        "django",
        "bots",
        "celery",
    )
    loggers = [logging.getLogger(name or None) for name in names]
    before = [(one, one.level, one.propagate) for one in loggers]
    for one in loggers:
        one.setLevel(logging.DEBUG)
        one.propagate = True
    loggers[0].addHandler(handler)
    yield out
    loggers[0].removeHandler(handler)
    for one, level, propagate in before:
        one.setLevel(level)
        one.propagate = propagate


def holds_one(text: str) -> list[str]:
    return [word for word in WORDS if word.lower() in text.lower()]


def rows() -> str:
    """Every column of every table, as the database gives it."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608 (our own tables' names)
            found += [repr(row) for row in cursor.fetchall()]
    return "\n".join(found)


def told(error: Exception) -> str:
    whole = traceback.TracebackException.from_exception(error, capture_locals=True)
    reporter = ExceptionReporter(None, *sys.exc_info())
    return "".join([*whole.format(), reporter.get_traceback_html(), reporter.get_traceback_text()])


def test_no_word_of_an_address_is_left_anywhere(log, settings, client, monkeypatch):
    settings.ALERTS_MAY_REACH_PRIVATE = True
    at = scene()
    User.objects.filter(pk=at.owner.pk).update(is_staff=True)
    at.owner.refresh_from_db()
    monkeypatch.setattr(socket, "getaddrinfo", _only_this_machine(socket.getaddrinfo))
    with webhook() as hook, mail_server(settings) as box:
        port = hook.url.rpartition(":")[2]
        secret = f"json://{WORDS[2]}:pw@127.0.0.1:{port}/{WORDS[1]}?:k={WORDS[5]}"
        channels = [
            at.channel("telegram", TELEGRAM),
            at.channel("hook", secret),
            at.channel("nowhere", f"json://{WORDS[3]}.example.org/{WORDS[1]}"),
            at.channel("mail", f"{WORDS[4]}@example.net", ChannelKind.EMAIL),
        ]
        hook.statuses, box.is_dead = [500], True
        at.rule(channels=tuple(channels))
        at.fills()
        scan(NOON)
        for passed in (0 * MINUTE, MINUTE, HOUR, 25 * HOUR):
            now = NOON + passed
            delivering.deliver(lambda now=now: now)  # type: ignore[misc]
            box.is_dead = False
        assert len(hook.taken) == 1
        assert hook.taken[0]["at"].startswith(f"/{WORDS[1]}")
        answers = [services.test_channel(one, by=at.owner) for one in channels]
    tasks.deliver()
    said = [str(answers), *map(repr, channels), *map(str, channels)]
    for wrong in (f"tgram://{WORDS[0]}", f"json://127.0.0.1/{WORDS[1]}?template={WORDS[5]}"):
        with pytest.raises(AlertRefused) as refused:
            at.channel("wrong", wrong)
        try:
            raise refused.value
        except AlertRefused as error:
            said.append(str(error) + repr(error))
    statuses = set(Delivery.objects.values_list("channel_name", "status"))
    assert {("telegram", "FAILED"), ("hook", "SENT"), ("nowhere", "FAILED")} <= statuses
    assert not holds_one("\n".join(said))
    assert not holds_one(rows())
    assert not holds_one(log.getvalue())
    for page in _admin_pages(client):
        assert not holds_one(page)


@pytest.mark.parametrize("breaks", ["_plugin", "_notify"])
def test_no_error_page_shows_an_address(monkeypatch, breaks):
    at = scene()
    channel = at.channel("telegram", TELEGRAM)
    monkeypatch.setattr(delivering, "before_speaking_outward", lambda: 1 / 0)
    try:
        delivering.spoken(channel, delivering.Message(title="t", text="x", id="i"))
    except ZeroDivisionError as error:
        shown = told(error)
    assert not holds_one(shown.replace(TELEGRAM, ""))
    monkeypatch.undo()
    monkeypatch.setattr(apprise_line, breaks, lambda *_: 1 / 0)
    said = services.test_channel(channel, by=at.owner)
    assert said == "Nothing could be sent to telegram: it could not be sent (ZeroDivisionError)."


def test_a_refusal_does_not_show_what_was_refused():
    at = scene()
    address = Secret(f"tgram://{WORDS[0]}")
    try:
        services.create_channel(
            owner=at.owner, name="n", kind=ChannelKind.APPRISE, address=address, by=at.owner
        )
    except AlertRefused as error:
        shown = told(error)
    assert not holds_one(shown)


def test_the_address_is_stored_encrypted():
    at = scene()
    at.channel("telegram", TELEGRAM)
    assert not holds_one(rows())
    assert AlertChannel.objects.get().address.reveal() == TELEGRAM


def _admin_pages(client):
    client.force_login(User.objects.create_superuser("root@example.org"))
    for model in our_models():
        if model._meta.app_label == "alerts" and admin.site.is_registered(model):
            name = f"admin:alerts_{model._meta.model_name}"
            yield client.get(reverse(f"{name}_changelist")).content.decode()
            for row in model._default_manager.all():
                yield client.get(reverse(f"{name}_change", args=[row.pk])).content.decode()


def _only_this_machine(look_up):
    """No test asks a name server: every other name leads nowhere."""

    def found(host, *arguments, **options):
        if host not in ("127.0.0.1", "localhost"):
            raise OSError("no such host")
        return look_up(host, *arguments, **options)

    return found
