"""Rotation seals every stored secret anew, while others write, and as often as it is run."""

import io
import json

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db.models import TextField, Value

from llm.hosts import Provider
from llm.models import ProviderKey
from tradingagent.accounts import services
from tradingagent.accounts.models import AuditEntry, User
from tradingagent.accounts.secrets import Secret, seal
from tradingagent.accounts.services import COMMAND, encrypted_columns, rotate_keys

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
COLUMN = "llm.ProviderKey.key"


@pytest.fixture
def rows(db, settings) -> list[ProviderKey]:
    settings.ENCRYPTION_KEYS = [OLD]
    owner = User.objects.create_user("ann@example.org")
    return [
        ProviderKey.objects.create(
            owner=owner, provider=Provider.OPENAI, name=f"key {n}", key=Secret(f"text {n}")
        )
        for n in range(5)
    ]


def counts(done) -> tuple[int, int, int]:
    (one,) = [one for one in done if one.column == COLUMN]
    return one.rotated, one.current, one.unreadable


def texts() -> list[str]:
    return [row.key.reveal() for row in ProviderKey.objects.order_by("pk")]


def test_every_encrypted_column_is_found():
    assert COLUMN in {f"{model._meta.label}.{name}" for model, name in encrypted_columns()}


@pytest.mark.parametrize("batch", [1, 2, 5, 100])
def test_all_rows_are_sealed_anew_and_the_old_key_can_go(rows, settings, batch):
    settings.ENCRYPTION_KEYS = [NEW, OLD]

    assert counts(rotate_keys(by=COMMAND, batch=batch)) == (5, 0, 0)
    assert counts(rotate_keys(by=COMMAND, batch=batch)) == (0, 5, 0)

    settings.ENCRYPTION_KEYS = [NEW]
    assert texts() == [f"text {n}" for n in range(5)]


def test_a_rotation_that_was_cut_off_is_resumed(rows, settings, monkeypatch):
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    real, done = services._seal_anew, list[int]()

    def dies_after_two(*args):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(real(*args))
        return done[-1]

    monkeypatch.setattr(services, "_seal_anew", dies_after_two)
    with pytest.raises(KeyboardInterrupt):
        rotate_keys(by=COMMAND)
    monkeypatch.undo()

    assert counts(rotate_keys(by=COMMAND)) == (3, 2, 0)


@pytest.mark.parametrize("writer_is_old", [True, False])
def test_a_key_that_is_replaced_meanwhile_stays_replaced(
    rows, settings, monkeypatch, writer_is_old
):
    """A person stores another key between our read and our write, in a process of either setting."""
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    written: list[bool] = []

    def seal_slowly(secret):
        fresh = seal(secret)
        if not written:
            written.append(True)
            settings.ENCRYPTION_KEYS = [OLD if writer_is_old else NEW]
            ProviderKey.objects.filter(pk=rows[0].pk).update(key=Secret("another text"))
            settings.ENCRYPTION_KEYS = [NEW, OLD]
        return fresh

    monkeypatch.setattr(services, "seal", seal_slowly)
    rotated, _, unreadable = counts(rotate_keys(by=COMMAND))

    settings.ENCRYPTION_KEYS = [NEW]
    assert texts() == ["another text", *(f"text {n}" for n in range(1, 5))]
    assert (rotated, unreadable) == (5 if writer_is_old else 4, 0)


def test_a_row_deleted_meanwhile_is_no_error(rows, settings, monkeypatch):
    settings.ENCRYPTION_KEYS = [NEW, OLD]

    def seal_slowly(secret):
        ProviderKey.objects.filter(pk=rows[0].pk).delete()
        return seal(secret)

    monkeypatch.setattr(services, "seal", seal_slowly)

    assert counts(rotate_keys(by=COMMAND)) == (4, 0, 0)


def test_what_no_key_opens_is_counted_and_left(rows, settings):
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    lost = seal(Secret("lost"))
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    services._tokens(ProviderKey, "key").filter(pk=rows[2].pk).update(key=Value(lost, TextField()))

    assert counts(rotate_keys(by=COMMAND)) == (4, 0, 1)
    with pytest.raises(CommandError, match="1 stored secrets are opened by no key of ENCRYPTION"):
        call_command("rotate_keys", stdout=io.StringIO())


def test_the_command_reports(rows, settings):
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    out = io.StringIO()

    call_command("rotate_keys", "--json", stdout=out)

    assert {"column": COLUMN, "rotated": 5, "current": 0, "unreadable": 0} in json.loads(
        out.getvalue()
    )
    entry = AuditEntry.objects.latest("pk")
    assert (entry.actor_label, entry.action) == ("command", "rotate_keys")
    assert entry.after[COLUMN] == [5, 0, 0]
    out = io.StringIO()
    call_command("rotate_keys", stdout=out)
    assert f"{COLUMN}: 0 sealed anew, 5 were so already, 0 opened by no key" in out.getvalue()


def test_the_command_says_what_is_wrong_with_the_keys(rows, settings):
    settings.ENCRYPTION_KEYS = ["nonsense"]

    with pytest.raises(CommandError, match="ENCRYPTION_KEYS holds something that is no key"):
        call_command("rotate_keys")
