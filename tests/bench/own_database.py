"""Django set up for a bench in a process of its own, and a test database that is made and dropped."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingagent.settings")

import django

django.setup()

from django.db import connection  # noqa: E402 (after the set-up)


@contextmanager
def made() -> Iterator[None]:
    """A fresh database on the server (or beside the file) of DATABASE_URL."""
    old = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        yield
    finally:
        connection.close()
        connection.creation.destroy_test_db(old, verbosity=0)
