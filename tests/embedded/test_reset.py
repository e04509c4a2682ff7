"""Reset asks, takes everything together, and keeps away from what is not its own."""

import sqlite3
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connections

from bots.models import Bot
from tradingagent.accounts.models import User
from tradingagent.embedded import reset
from tradingagent.embedded.lock import NAME, RunningLock


@pytest.fixture
def folder(tmp_path, settings, monkeypatch) -> Path:
    """A folder as the demo leaves it, which is the one of the settings."""
    monkeypatch.delenv("CONFIRM", raising=False)
    settings.LOCAL_DIR = tmp_path
    there = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "db.sqlite3")}
    monkeypatch.setitem(settings.DATABASES, "default", {**settings.DATABASES["default"], **there})
    monkeypatch.setattr(User.objects, "count", lambda: 1)
    monkeypatch.setattr(Bot.objects, "count", lambda: 5)
    monkeypatch.setattr(connections, "close_all", lambda: None)
    for name in (*reset.FILES, "something_else"):
        (tmp_path / name).write_text("x")
    return tmp_path


class Terminal(StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_confirmed_it_deletes_database_and_keys_and_nothing_else(folder, monkeypatch):
    monkeypatch.setenv("CONFIRM", "yes")
    said = StringIO()
    call_command("reset", stdout=said)

    assert names(folder) == {NAME, "something_else"}
    assert "1 user and 5 bots" in said.getvalue()


def test_without_a_terminal_it_wants_a_word(folder):
    before = names(folder)
    with pytest.raises(CommandError, match="CONFIRM=yes"):
        call_command("reset", stdout=StringIO())

    assert names(folder) == before | {NAME}


@pytest.mark.parametrize(("answer", "deletes"), [("yes\n", True), ("y\n", False), ("", False)])
def test_it_asks_on_a_terminal(folder, monkeypatch, answer, deletes):
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    said = StringIO()
    if deletes:
        call_command("reset", stdout=said)
    else:
        with pytest.raises(CommandError, match="nothing was deleted"):
            call_command("reset", stdout=said)

    assert 'Type "yes"' in said.getvalue()
    assert ("db.sqlite3" in names(folder)) is not deletes


def test_while_the_demo_runs_it_refuses(folder, monkeypatch):
    monkeypatch.setenv("CONFIRM", "yes")
    lock = RunningLock(folder)
    try:
        with pytest.raises(CommandError, match="running in"):
            call_command("reset", stdout=StringIO())
    finally:
        lock.release()
    assert "db.sqlite3" in names(folder)


@pytest.mark.parametrize(
    "database",
    [
        {"ENGINE": "django.db.backends.postgresql", "NAME": "trading", "HOST": "db.example.org"},
        {"ENGINE": "django.db.backends.sqlite3", "NAME": "/srv/elsewhere.sqlite3"},
    ],
)
def test_a_database_elsewhere_is_not_touched(folder, settings, monkeypatch, database):
    monkeypatch.setenv("CONFIRM", "yes")
    monkeypatch.setitem(
        settings.DATABASES,
        "default",
        {**settings.DATABASES["default"], **database, "PASSWORD": "wren-otter"},
    )
    before = names(folder)
    with pytest.raises(CommandError, match=database["NAME"]) as refused:
        call_command("reset", stdout=StringIO())

    assert "wren-otter" not in str(refused.value)
    assert names(folder) == before


def test_an_empty_folder_has_nothing_to_delete(folder):
    for path in folder.iterdir():
        path.unlink()
    said = StringIO()
    call_command("reset", stdout=said)

    assert "nothing to delete" in said.getvalue()


def test_a_database_that_can_t_be_read_is_deleted_all_the_same(folder, monkeypatch):
    def fail():
        raise DatabaseError("no such table") from sqlite3.OperationalError()

    monkeypatch.setattr(User.objects, "count", fail)
    monkeypatch.setenv("CONFIRM", "yes")
    call_command("reset", stdout=StringIO())

    assert "db.sqlite3" not in names(folder)
