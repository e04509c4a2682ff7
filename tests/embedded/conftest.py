"""Folders for demos that need no first run, and demos in them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection


@pytest.fixture(scope="session")
def migrated(tmp_path_factory, django_db_setup, django_db_blocker) -> Path:
    """A database file with all tables, copied from that of the tests: for those marked `django_db`."""
    path = tmp_path_factory.mktemp("migrated") / "db.sqlite3"
    with django_db_blocker.unblock():
        with connection.cursor() as cursor:
            cursor.execute(f"VACUUM INTO '{path}'")
        connection.close()
    return path


@pytest.fixture(scope="session")
def prepared_folder(tmp_path_factory, migrated) -> Callable[[str], Path]:
    """Makes a folder as the first run finds it once the tables are there."""

    def prepare(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name) / "local"
        folder.mkdir(mode=0o700)
        shutil.copy(migrated, folder / "db.sqlite3")
        return folder

    return prepare
