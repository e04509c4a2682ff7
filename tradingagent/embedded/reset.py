"""Starting anew: what the embedded process keeps in its folder is deleted, all of it together.

The keys go with the database, because they seal what it holds; where the database lies elsewhere both stay. It
asks nobody: that is the door's. The trap avoided: a write-ahead log that outlives its database and is played
into the next one.
"""

from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import DatabaseError, connections

from bots.models import Bot
from tradingagent.accounts.models import User
from tradingagent.embedded.first_run import KEPT_IN

DATABASE: Final = "db.sqlite3"
FILES: Final = (
    f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal", DATABASE, KEPT_IN,
    "secret_key", "encryption_keys",
)  # fmt: skip
"""In the order in which they go: a database without its log is an older one, one without its keys is lost."""


class ResetRefused(Exception):
    """This is not reset's to delete; one sentence says why."""


def check_is_ours() -> None:
    """Raise ResetRefused unless the database is the one in the folder."""
    database = settings.DATABASES["default"]
    is_sqlite = database["ENGINE"].endswith("sqlite3")
    if is_sqlite and Path(database["NAME"]) == settings.LOCAL_DIR / DATABASE:
        return
    where = (
        database["NAME"]
        if is_sqlite
        else f"{database['NAME']} on {database.get('HOST') or 'a server'}"
    )
    raise ResetRefused(
        f"the database is {where}, as DATABASE_URL says: reset deletes only what lies in "
        f"{settings.LOCAL_DIR}, so delete that one yourself"
    )


def there_is() -> str:
    """What would be deleted, in words; empty when there is nothing."""
    found = [name for name in FILES if (settings.LOCAL_DIR / name).exists()]
    if DATABASE not in found:
        return "keys and passwords" if KEPT_IN in found else ""
    try:
        users, bots = User.objects.count(), Bot.objects.count()
    except DatabaseError:  # of an older version, or damaged: a reason to reset
        counted = "the database"
    else:
        counted = (
            f"the database with {_many(users, 'user')} and {_many(bots, 'bot')}, all that they did"
        )
    return f"{counted}, and the keys that its secrets are sealed with"


def delete_all() -> None:
    """Delete it. While the lock of the folder is held."""
    connections.close_all()
    for name in FILES:
        (settings.LOCAL_DIR / name).unlink(missing_ok=True)


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
