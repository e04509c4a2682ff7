"""What the terminal shows once everything runs. It asks nothing; the password on it belongs to this terminal."""

from collections.abc import Sequence
from pathlib import Path

from django.conf import settings

from tradingagent.embedded.first_run import KEPT_IN, Login


def banner(*, address: str, login: Login, trading: Sequence[str], folder: Path) -> str:
    """The address, how to sign in, what is traded (a line each), and where all of it lies."""
    chosen = f"the one you chose (for a new one delete {folder / KEPT_IN} and start again)"
    rows = [
        ("e-mail", login.user.email),
        ("password", login.password or chosen),
        *(("trading" if number == 0 else "", line) for number, line in enumerate(trading)),
        *(("data" if number == 0 else "", line) for number, line in enumerate(_data(folder))),
    ]
    lines = [f"    {name:<9}  {text}" for name, text in rows]
    return "\n".join(
        [
            "",
            f"  Trading Agent runs at {address}",
            "",
            *lines,
            "",
            "  Ctrl-C stops it; the same command goes on where it was.",
            "",
        ]
    )


def _data(folder: Path) -> list[str]:
    """Where the data lies; a server is named without its password."""
    database = settings.DATABASES["default"]
    is_file = database["ENGINE"].endswith("sqlite3")
    if is_file and Path(database["NAME"]).parent == folder:
        return [f"{folder} (database, keys, this password: keep it to yourself)"]
    host = "" if is_file or not database.get("HOST") else f" on {database['HOST']}"
    return [f"{database['NAME']}{host}", f"{folder} (keys, this password: keep it to yourself)"]
