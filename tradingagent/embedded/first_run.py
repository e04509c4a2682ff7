"""What must be there before anything can be shown: the tables, and a person who may sign in.

Every step looks first and does only what is missing, so that the second run is the first one again. The
traps avoided: a default password that everybody knows, and a password on the screen that its owner has
changed since.
"""

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from tradingagent.accounts.models import User

Say = Callable[[str], None]

EMAIL: Final = "demo@localhost"
KEPT_IN: Final = "demo_password"
_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without those that look like another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """The demo's user. `password` None: its owner has changed it."""

    user: User
    password: str | None


def bring_database_up_to_date(say: Say) -> None:
    """Make what tables are missing. Raises DatabaseError."""
    executor = MigrationExecutor(connection)
    wanted = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if not wanted:
        return
    is_new = not executor.loader.applied_migrations
    say("Making the database …" if is_new else "Bringing the database up to date …")
    call_command("migrate", verbosity=0, interactive=False)


def demo_login(folder: Path) -> Login:
    """The demo's user, made with a random password on first use, which is kept in the folder (mode 0600). Who
    deletes that file gets a new password."""
    password = _kept_password(folder)
    user = User.objects.filter(email=EMAIL).first()
    if user is None:
        password = password or _keep_password(folder)
        return Login(user=User.objects.create_user(EMAIL, password), password=password)
    if password is None:
        password = _keep_password(folder)
        user.set_password(password)
        user.save(update_fields=["password"])
    return Login(user=user, password=password if user.check_password(password) else None)


def _kept_password(folder: Path) -> str | None:
    try:
        return (folder / KEPT_IN).read_text().strip() or None
    except FileNotFoundError:
        return None


def _keep_password(folder: Path) -> str:
    """A new password, on disk before anybody can need it."""
    groups = ("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))
    password = "-".join(groups)
    path = folder / KEPT_IN
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(password + "\n")
    return password
