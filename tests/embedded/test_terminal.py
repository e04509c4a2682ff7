"""What the terminal shows: the banner, and no more of the logs than a person can read."""

import logging
from errno import EIO
from io import StringIO

import pytest

from tradingagent.accounts.models import User
from tradingagent.embedded.banner import banner
from tradingagent.embedded.first_run import Login
from tradingagent.embedded.logs import OnceAMinute, log_to_terminal
from tradingagent.embedded.management.commands.demo import Command
from tradingagent.embedded.server import PortTaken, address_of, listen


@pytest.fixture
def shown(settings, tmp_path, monkeypatch):
    settings.LOCAL_DIR = tmp_path

    def show(password: str | None = "abcd-efgh", **database: str) -> str:
        here = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "db.sqlite3")}
        monkeypatch.setitem(settings.DATABASES, "default", {**here, **database})
        login = Login(user=User(email="demo@localhost"), password=password)
        return banner(
            address="http://localhost:8000",
            login=login,
            trading=["5 traders", "and 2 bots"],
            folder=tmp_path,
        )

    return show


def test_the_banner_says_where_who_what_and_how_to_stop(shown, tmp_path):
    lines = [line.strip() for line in shown().splitlines() if line]

    assert lines[0] == "Trading Agent runs at http://localhost:8000"
    assert "e-mail     demo@localhost" in lines
    assert "password   abcd-efgh" in lines
    assert "trading    5 traders" in lines
    assert "and 2 bots" in lines
    assert f"data       {tmp_path} (database, keys, this password: keep it to yourself)" in lines
    assert lines[-1] == "Ctrl-C stops it; the same command goes on where it was."


def test_a_password_that_was_changed_is_not_invented(shown, tmp_path):
    text = shown(password=None)

    assert "None" not in text
    assert f"the one you chose (for a new one delete {tmp_path}/demo_password" in text


def test_a_server_is_named_without_its_password(shown):
    text = shown(
        ENGINE="django.db.backends.postgresql",
        NAME="trading",
        HOST="db.example.org",
        USER="ann",
        PASSWORD="geheim",
    )

    assert "trading on db.example.org" in text
    assert "geheim" not in text


class ClosedTerminal(StringIO):
    """Somebody has closed the window."""

    def write(self, text: str) -> int:
        raise OSError(EIO, "Input/output error")


def test_a_terminal_that_was_closed_ends_nothing():
    Command(stdout=ClosedTerminal()).say("Stopped.")


# --- logs ------------------------------------------------------------------------------------------


def record(text: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord("bots", logging.WARNING, "", 0, text, values, None)


def test_the_same_words_pass_once_a_minute(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    once = OnceAMinute()

    assert once.filter(record("%s is down", "okx"))
    assert not once.filter(record("%s is down", "okx"))
    assert once.filter(record("%s is down", "bybit"))
    now[0] += 61
    assert once.filter(record("%s is down", "okx"))


def test_what_was_said_is_not_remembered_for_ever():
    once = OnceAMinute()
    for number in range(2000):
        once.filter(record("%d", number))

    assert len(once._said) <= 500


@pytest.fixture
def root():
    """The logging of the process, as it was before afterwards."""
    root, request = logging.getLogger(), logging.getLogger("django.request")
    before = root.handlers[:], root.level, request.level
    yield root
    root.handlers[:], level, request_level = before
    root.setLevel(level)
    request.setLevel(request_level)


def test_only_warnings_are_shown_unless_asked_for(root, capsys):
    log_to_terminal(is_verbose=False)
    logging.getLogger("celery.app.trace").info("a task")
    logging.getLogger("bots.tasks").warning("a venue is down")
    log_to_terminal(is_verbose=True)
    logging.getLogger("celery.app.trace").info("another task")
    shown = capsys.readouterr().err

    assert "a task" not in shown
    assert "WARNING bots.tasks: a venue is down" in shown
    assert "another task" in shown


# --- the port --------------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_said():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=f"port {port} is taken by another program"):
            listen("127.0.0.1", port)


def test_an_address_that_is_not_ours_is_said():
    with pytest.raises(PortTaken, match=r"nobody can listen on 192\.0\.2\.1:80"):
        listen("192.0.2.1", 80)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104 (nobody is served)
def test_the_address_is_one_to_click(host):
    with listen(host, 0) as listening:
        assert address_of(listening) == f"http://localhost:{listening.getsockname()[1]}"
