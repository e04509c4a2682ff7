"""The command from outside: a first run from nothing, its end, and a second run that is the first one again."""

import re
import signal
import sqlite3
import stat
import time
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import pytest
from django_celery_beat.models import PeriodicTask

from bots import models
from tests.concurrency.processes import an_empty_broker, database_url, wait_for
from tests.embedded.demos import Demo, rows
from tradingagent.embedded.first_run import KEPT_IN

pytestmark = pytest.mark.slow

HELD = """
    SELECT b.id, b.name, b.status, b.venue, b.capital, b.started_at, b.cohort, b.event_sequence, s.*
    FROM bots_bot b JOIN bots_botstate s ON s.bot_id = b.id WHERE b.trader <> 'flat' ORDER BY b.id"""
POSITIONS = "SELECT * FROM bots_position ORDER BY bot_id, symbol"
ORDERS = "SELECT * FROM bots_order ORDER BY client_order_id"
COUNTS = """
    SELECT (SELECT count(*) FROM accounts_user), (SELECT count(*) FROM lab_arena),
           (SELECT count(*) FROM bots_bot), (SELECT count(*) FROM bots_fill)"""
CYCLES = "SELECT count(*) FROM bots_tradingcycle WHERE status = 'DONE'"
TICKED = "SELECT 1 FROM django_celery_beat_periodictask WHERE total_run_count > 0"
QUICKLY = "UPDATE bots_bot SET interval_seconds = 5, schedule = 'SPREAD' WHERE trader = 'flat'"
OF_CASH = """
    SELECT s.cycles, s.cash, s.equity FROM bots_botstate s JOIN bots_bot b ON s.bot_id = b.id
    WHERE b.trader = 'flat'"""


def sign_in(demo: Demo, password: str) -> str:
    """Sign in as a browser would; the address it ends up at."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    page = opener.open(f"{demo.address()}/account/login/", timeout=10).read().decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page).group(1)
    form = {"csrfmiddlewaretoken": token, "login": "demo@localhost", "password": password}
    data = urllib.parse.urlencode(form).encode()
    return opener.open(f"{demo.address()}/account/login/", data, timeout=10).geturl()


@pytest.mark.sqlite
def test_a_first_run_from_nothing_and_a_second_one(tmp_path):
    folder = tmp_path / "local"
    with Demo(folder) as demo:
        demo.wait_for("Making the database", 90)
        code, seconds = demo.end()
    assert (code, seconds < 10) == (0, True)
    assert demo.said.splitlines()[-1] == "Stopped."
    assert "Making the first traders" not in demo.said

    with Demo(folder) as demo:
        demo.address(180)
        served = time.monotonic()
        assert re.search(r"the database.* …\nMaking the first traders on the simulated", demo.said)
        password = demo.wait_for(r"password +(\S+)").group(1)
        status, page = demo.get("/account/login/")
        assert (status, "password" in page) == (200, True)
        assert not sign_in(demo, password).endswith("/account/login/")
        assert wait_for(lambda: rows(folder, "SELECT 1 FROM bots_fill"), 60)
        assert time.monotonic() - served < 60

        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        for name in ("secret_key", "encryption_keys", KEPT_IN, "running.lock"):
            assert modes[name] == 0o600

        second = Demo(folder)
        assert second.ended(60) == 1
        assert second.said.strip() == (
            f"CommandError: Trading Agent is running in {folder} already (process {demo.process.pid}, "
            f"{demo.address()}): stop that one first."
        )
        elsewhere = Demo(tmp_path / "elsewhere", PORT=demo.address().rsplit(":", 1)[1])
        assert elsewhere.ended(60) == 1
        assert "is taken by another program: choose one with PORT=" in elsewhere.said
        assert not (tmp_path / "elsewhere" / "db.sqlite3").exists()

        assert wait_for(lambda: rows(folder, CYCLES) >= [(5,)], 60)
        assert wait_for(lambda: rows(folder, TICKED), 60)
        code, seconds = demo.end()
    assert (code, demo.said.splitlines()[-1]) == (0, "Stopped.")
    assert seconds < 10
    assert rows(folder, "SELECT * FROM bots_tradingcycle WHERE status = 'RUNNING'") == []
    resumes_to_the_cent(folder, password)


def resumes_to_the_cent(folder: Path, password: str) -> None:
    """Start again: who is paused is found and left exactly as it was, who is not goes on."""
    database = sqlite3.connect(folder / "db.sqlite3")
    with database:
        database.execute("UPDATE bots_bot SET status = 'PAUSED' WHERE trader <> 'flat'")
        database.execute(QUICKLY)
    database.close()
    queries = (HELD, POSITIONS, ORDERS, COUNTS)
    before = [rows(folder, query) for query in queries]
    [(cycles, cash, equity)] = rows(folder, OF_CASH)
    assert before[1]
    assert before[3][0][:3] == (1, 1, 5)

    with Demo(folder, MARK_SECONDS="3600") as demo:  # else what is held is valued anew
        demo.address(90)
        assert f"password   {password}\n" in demo.said
        assert "Making" not in demo.said
        assert wait_for(lambda: rows(folder, OF_CASH)[0][0] > cycles, 90)
        code, seconds = demo.end(signal.SIGTERM)
    assert (code, seconds < 10) == (0, True)
    assert [rows(folder, query) for query in queries] == before
    assert rows(folder, OF_CASH)[0][1:] == (cash, equity)


@pytest.mark.postgres
@pytest.mark.redis
@pytest.mark.django_db(transaction=True)
def test_on_servers_the_same_command_works(tmp_path, settings):
    with (
        an_empty_broker(),
        Demo(tmp_path / "local", DATABASE_URL=database_url(), REDIS_URL=settings.REDIS_URL) as demo,
    ):
        demo.address(180)
        assert "5 traders on the simulated market" in demo.said
        assert models.Bot.objects.count() == 5
        assert wait_for(models.Fill.objects.exists, 60)
        assert wait_for(PeriodicTask.objects.filter(total_run_count__gt=0).exists, 60)
        code, seconds = demo.end()
        assert (code, seconds < 10) == (0, True)
        assert not models.TradingCycle.objects.filter(status="RUNNING").exists()


def test_what_can_t_be_is_refused_before_anything_is_made(tmp_path):
    folder = tmp_path / "local"
    with Demo(folder, "--venue", "bitmex") as demo:
        assert demo.ended(60) == 1
    assert "'bitmex' is no venue we read: there are simulated, binance," in demo.said
    assert not (folder / "db.sqlite3").exists()
