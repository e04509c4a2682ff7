"""What the terminal shows once everything runs. It asks nothing; the password on it belongs to this terminal."""

from collections.abc import Sequence
from pathlib import Path

from tradingagent.embedded.first_run import PASSWORD_FILE, Login


def banner(
    *, address: str, login: Login, trading: Sequence[str], folder: Path, database: str
) -> str:
    """The address, how to sign in, what is traded (a sentence each), and where all of it lies."""
    chosen = f"the one you chose (for a new one delete {folder / PASSWORD_FILE} and start again)"
    rows = [
        ("e-mail", login.user.email),
        ("password", login.password or chosen),
        *(("trading" if number == 0 else "", line) for number, line in enumerate(trading)),
        ("data", f"{folder} (keys and password: keep it to yourself)"),
        *([("", database)] if database else []),
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
