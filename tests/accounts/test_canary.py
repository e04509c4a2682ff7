"""P7: a key that can be recognised is stored, and then looked for wherever it must not be.

The canary is put together at run time, so that a page that quotes this file does not hold it.
"""

import io
import logging
import sys
import traceback
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.conf import settings as django_settings
from django.core import mail
from django.core.management import call_command
from django.db import connection, transaction
from django.test import RequestFactory
from django.urls import reverse
from django.views.debug import ExceptionReporter

from llm.hosts import Provider
from llm.models import ProviderKey
from llm.services import create_provider_key
from tradingagent.accounts.models import ApiToken, AuditEntry, Scope, User
from tradingagent.accounts.secrets import HIDDEN, KeysUnusable, Secret
from tradingagent.accounts.services import issue_token, rotate_keys

PASSWORD = "a long enough passphrase 7"


def canary() -> str:
    return "-".join(("sk", *("canary", "5d1e", "0b77")))


@pytest.fixture
def root(db) -> User:
    return User.objects.create_superuser("root@example.org", PASSWORD)


@pytest.fixture
def key(root) -> ProviderKey:
    return create_provider_key(
        owner=root, provider=Provider.OPENAI, name="mine", key=Secret(canary()), by=root
    )


@pytest.fixture
def token(root) -> tuple[ApiToken, Secret]:
    return issue_token(root, "script", {Scope.READ}, None)


def assert_clean(text: str, token: tuple[ApiToken, Secret]) -> None:
    """No canary, no token, no tail of the token, and no encryption key in `text`."""
    assert canary() not in text and canary()[3:] not in text
    whole = token[1].reveal()
    assert whole not in text and whole.removeprefix(token[0].prefix + "_") not in text
    for encryption_key in django_settings.ENCRYPTION_KEYS:
        assert encryption_key not in text


def test_the_canary_would_be_seen(token):
    for text in (canary(), token[1].reveal(), django_settings.ENCRYPTION_KEYS[0]):
        with pytest.raises(AssertionError):
            assert_clean(f"before {text} after", token)


def test_not_in_a_dump(key, token):
    out = io.StringIO()

    call_command("dumpdata", "accounts", "llm", stdout=out)

    assert '"llm.providerkey"' in out.getvalue() and "gAAAAA" in out.getvalue()
    assert_clean(out.getvalue(), token)


def test_not_in_a_word_about_the_rows(key, token):
    row = ProviderKey.objects.get()
    shown = [repr(row), str(row), str(row.__dict__), str(token[0].__dict__), repr(token)]
    shown += [str(list(ProviderKey.objects.values())), str(list(ApiToken.objects.values()))]

    assert HIDDEN in shown[2] and HIDDEN in shown[4]
    for text in shown:
        assert_clean(text, token)


def test_not_in_a_log(key, token):
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    logger = logging.getLogger("canary")
    logger.addHandler(handler)
    try:
        logger.error("key %s of %r, token %s", key.key, key.__dict__, token[1])
        try:
            fail_while_holding(key)
        except RuntimeError:
            logger.exception("failed with %s", {"key": key.key})
    finally:
        logger.removeHandler(handler)

    assert HIDDEN in out.getvalue()
    assert_clean(out.getvalue(), token)


def test_not_in_the_log_of_the_database(key, token, settings, caplog):
    settings.DEBUG = True
    connection.force_debug_cursor = True
    try:
        with caplog.at_level(logging.DEBUG, logger="django.db.backends"):
            row = ProviderKey.objects.get()
            row.key = Secret(canary())
            row.save()
            rotate_keys(by="system")
    finally:
        connection.force_debug_cursor = False

    assert "llm_providerkey" in caplog.text
    assert_clean(caplog.text, token)


def fail_while_holding(row: ProviderKey) -> None:
    secret = row.key
    raise RuntimeError(f"refused {secret}")


def fail_to_open(row: ProviderKey) -> None:
    row.key.reveal()


def fail_to_seal(row: ProviderKey) -> None:
    row.key = Secret(canary())
    row.save()


def wrong_keys() -> list[str]:
    return [Fernet.generate_key().decode()]


def malformed_keys() -> list[str]:
    return [*django_settings.ENCRYPTION_KEYS, *wrong_keys(), "nonsense"]


@pytest.mark.parametrize(
    ("fail", "keys"),
    [
        (fail_while_holding, wrong_keys),
        (fail_to_open, wrong_keys),
        (fail_to_open, malformed_keys),
        (fail_to_seal, malformed_keys),
    ],
)
@pytest.mark.parametrize("debug", [True, False])
def test_not_in_an_error_page_or_a_traceback(key, token, settings, fail, keys, debug):
    settings.ENCRYPTION_KEYS = keys()
    key = ProviderKey.objects.get()
    settings.DEBUG = debug
    request = RequestFactory().get("/")
    try:
        with transaction.atomic():
            fail(key)
    except (RuntimeError, KeysUnusable) as error:
        reporter = ExceptionReporter(request, *sys.exc_info())
        html, text = reporter.get_traceback_html(), reporter.get_traceback_text()
        plain = traceback.format_exc()
        with_locals = "".join(
            traceback.TracebackException.from_exception(error, capture_locals=True).format()
        )

    assert fail.__name__ in html and fail.__name__ in with_locals
    for shown in (html, text, plain, with_locals):
        assert_clean(shown, token)
        assert "gAAAAA" not in shown


def test_not_in_the_audit_trail(key, token):
    entries = str(list(AuditEntry.objects.values()))

    assert "create_provider_key" in entries and "issue_token" in entries
    assert_clean(entries, token)


@pytest.mark.parametrize("model", ["llm_providerkey", "accounts_apitoken", "accounts_auditentry"])
def test_not_on_an_admin_page(client, root, key, token, model):
    client.force_login(root)
    row = {"llm_providerkey": key, "accounts_apitoken": token[0]}.get(model)
    row = row or AuditEntry.objects.latest("pk")

    pages = [
        client.get(reverse(f"admin:{model}_changelist")),
        client.get(reverse(f"admin:{model}_change", args=[row.pk])),
        client.get(reverse(f"admin:{model}_history", args=[row.pk])),
    ]

    for page in pages:
        assert page.status_code == 200
        assert_clean(page.content.decode(), token)
        assert "gAAAAA" not in page.content.decode()


def test_the_admin_takes_a_key_and_never_gives_it_back(client, root, key, token):
    client.force_login(root)
    typed = {"owner": root.pk, "provider": "OPENAI", "name": "mine", "new_key": canary() + "x"}

    refused = client.post(reverse("admin:llm_providerkey_add"), typed)
    assert refused.status_code == 200 and b"already exists" in refused.content
    assert_clean(refused.content.decode(), token)

    added = client.post(
        reverse("admin:llm_providerkey_add"), {**typed, "name": "second"}, follow=True
    )
    assert added.status_code == 200
    assert_clean(added.content.decode(), token)
    row = ProviderKey.objects.get(name="second")
    assert row.key.reveal() == canary() + "x"

    page = reverse("admin:llm_providerkey_change", args=[row.pk])
    client.post(page, {"name": "third", "new_key": ""})
    row.refresh_from_db()
    assert (row.name, row.key.reveal()) == ("third", canary() + "x")
    client.post(page, {"name": "third", "new_key": " sk-other "})
    row.refresh_from_db()
    assert row.key.reveal() == "sk-other"
    client.post(reverse("admin:llm_providerkey_add"), {**typed, "name": "fourth", "new_key": ""})
    assert not ProviderKey.objects.filter(name="fourth").exists()


def test_not_in_the_mail_about_an_error(client, root, token, settings, monkeypatch):
    def broken(**_):
        raise RuntimeError("the database is away")

    monkeypatch.setattr("llm.admin.create_provider_key", broken)
    settings.ADMINS = [("Operator", "operator@example.org")]
    client.raise_request_exception = False
    client.force_login(root)

    typed = {"owner": root.pk, "provider": "OPENAI", "name": "mine", "new_key": canary()}
    answer = client.post(reverse("admin:llm_providerkey_add"), typed)

    assert answer.status_code == 500
    (sent,) = mail.outbox
    assert "the database is away" in sent.body
    assert_clean(sent.message().as_string() + answer.content.decode(), token)


@pytest.mark.django_db(transaction=True)
def test_not_in_the_bytes_of_the_database(key, token):
    if connection.vendor == "sqlite":
        path = Path(connection.settings_dict["NAME"])
        files = [path, path.with_name(path.name + "-wal")]
        raw = b"".join(file.read_bytes() for file in files if file.exists())
    else:
        with connection.cursor() as cursor:
            tables = connection.introspection.table_names(cursor)
            rows = []
            for table in tables:
                cursor.execute(f'SELECT t::text FROM "{table}" t')  # noqa: S608
                rows += [row[0] for row in cursor.fetchall()]
            raw = "\n".join(rows).encode()

    assert token[0].prefix.encode() in raw and b"gAAAAA" in raw
    assert_clean(raw.decode(errors="replace"), token)
