"""The settings that promises rest on: the local key, and SQLite as it must be opened."""

import os
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from django.db import connection, transaction

from tradingagent import settings


@pytest.fixture
def local_dir(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "LOCAL_DIR", tmp_path / ".local")
    return tmp_path / ".local"


def test_the_key_is_made_once_and_is_private(local_dir):
    key = settings._local_secret_key()

    assert len(key) >= 50
    assert settings._local_secret_key() == key
    assert stat.S_IMODE((local_dir / "secret_key").stat().st_mode) == 0o600
    assert stat.S_IMODE(local_dir.stat().st_mode) == 0o700


def test_processes_starting_at_once_share_one_key(local_dir):
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: settings._local_secret_key(), range(32)))

    assert len(set(keys)) == 1
    assert [path.name for path in local_dir.iterdir()] == ["secret_key"]


def test_the_default_database_is_a_file_in_the_local_folder(local_dir, monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)

    assert settings._database()["NAME"] == str(local_dir / "db.sqlite3")


def test_a_database_url_is_taken(local_dir, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgres://ann:p%40ss@db.example.org:5433/trading")

    database = settings._database()

    assert database["ENGINE"] == "django.db.backends.postgresql"
    assert (database["PASSWORD"], database["NAME"]) == ("p@ss", "trading")
    assert (database["CONN_MAX_AGE"], database["ATOMIC_REQUESTS"]) == (0, False)
    assert not local_dir.exists()


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_sqlite_is_a_file_with_wal_immediate_and_full():
    assert Path(connection.settings_dict["NAME"]).is_file()
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        assert cursor.fetchone() == ("wal",)
        cursor.execute("PRAGMA synchronous")
        assert cursor.fetchone() == (2,)


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_sqlite_transactions_take_the_write_lock_at_once():
    path = connection.settings_dict["NAME"]
    with transaction.atomic(), closing(sqlite3.connect(path, timeout=0)) as other:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")  # nothing written yet
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")


@pytest.mark.parametrize(("https", "is_refused"), [("", True), ("true", False)])
def test_forms_behind_tls_are_taken_once_the_proxy_is_believed(https, is_refused, tmp_path):
    """A browser sends the origin of the page; without HTTPS the site takes itself for http."""
    asked = """
import django
django.setup()
from django.middleware.csrf import CsrfViewMiddleware
from django.test import RequestFactory
request = RequestFactory().post(
    "/", headers={"host": "localhost", "origin": "https://localhost", "x-forwarded-proto": "https"}
)
print(CsrfViewMiddleware(lambda _: None)._origin_verified(request))
"""
    answer = subprocess.run(
        [sys.executable, "-c", asked],
        cwd=settings.BASE_DIR,
        env={**os.environ, "HTTPS": https, "LOCAL_DIR": str(tmp_path),
             "DJANGO_SETTINGS_MODULE": "tradingagent.settings"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert answer.stdout.strip() == str(not is_refused)
