"""What every test gets: hypothesis profiles, the recorded market data, a database in a file.

In CI (the variable CI is set) nothing may be skipped but tests of recorded data, so that no test
can sleep unnoticed.
"""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management.sql import emit_post_migrate_signal
from django.db import transaction
from django.db.models import Model
from django.test import TransactionTestCase
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings

from llm.hosts import HOSTS
from tradingagent.celery import app

# No deadlines: on a busy machine they fail at random. HYPOTHESIS_PROFILE chooses another profile.
_slow = [HealthCheck.too_slow]
hypothesis_settings.register_profile(
    "dev", max_examples=50, deadline=None, suppress_health_check=_slow
)
hypothesis_settings.register_profile(
    "ci",
    max_examples=100,
    deadline=None,
    suppress_health_check=_slow,
    derandomize=True,
    database=None,
)
hypothesis_settings.register_profile(
    "thorough", max_examples=5000, deadline=None, suppress_health_check=_slow, phases=tuple(Phase)
)
hypothesis_settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev")
)

# Nobody's key: a test that forgot a host of its own would ask a real one, and pay.
for _host in HOSTS.values():
    os.environ.pop(_host.key_variable, None)

DATABASE_FIXTURES = {"db", "transactional_db", "django_db_reset_sequences", "live_server"}


def _database() -> str:
    """Return the marker of the database in use: sqlite or postgres."""
    engine = settings.DATABASES["default"]["ENGINE"]
    return "postgres" if engine.endswith("postgresql") else "sqlite"


def _ledger(item: pytest.Item) -> str:
    """Return which ledger a test plays on; nothing when it does not choose."""
    return getattr(getattr(item, "callspec", None), "params", {}).get("either_ledger", "")


def _touches_database(item: pytest.Item) -> bool:
    return bool(
        item.get_closest_marker("django_db")
        or DATABASE_FIXTURES & set(getattr(item, "fixturenames", ()))
        or issubclass(getattr(item, "cls", None) or object, TransactionTestCase)
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    no_data = pytest.mark.skip(reason=f"no recorded market data at {settings.MARKET_DATA_DIR}")
    for item in items:
        if _ledger(item) == "database":
            item.add_marker(pytest.mark.django_db(transaction=True))
        if _touches_database(item):
            item.add_marker("database")
        if item.get_closest_marker("recorded_data") and not settings.MARKET_DATA_DIR.is_dir():
            item.add_marker(no_data)
    # What is about another database is left out, not skipped: `.ci/run` runs it there.
    foreign = {"sqlite" if _database() == "postgres" else "postgres"}
    if not settings.REDIS_URL:
        foreign.add("redis")
    if not has_chromium():
        foreign.add("browser")
    left_out = [item for item in items if foreign & {mark.name for mark in item.iter_markers()}]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def has_chromium() -> bool:
    """True where a browser can be driven."""
    return any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))


def _keywords(report):
    return getattr(report, "keywords", ())  # a module skipped as a whole has none


def _skipped(config) -> tuple[int, list[str]]:
    """Return how many tests of recorded data were skipped, and the names of all others."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("skipped", []) if reporter else []
    others = [report.nodeid for report in reports if "recorded_data" not in _keywords(report)]
    return len(reports) - len(others), others


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session, exitstatus):
    if os.environ.get("CI") and exitstatus == pytest.ExitCode.OK and _skipped(session.config)[1]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    recorded, others = _skipped(config)
    terminalreporter.write_line(f"recorded_data tests skipped: {recorded}")
    if os.environ.get("CI"):
        for name in others:
            terminalreporter.write_line(f"SKIPPED, which CI forbids: {name}", red=True)


@pytest.fixture(params=["memory", "database"])
def either_ledger(request, monkeypatch) -> str:
    """Play a test on the ledger in memory, then on the one in the database."""
    if request.param == "database":
        from bots import stored_record

        stored_record.forget()
    monkeypatch.setattr("tests.bots.desks.LEDGER", request.param)
    return request.param


@pytest.fixture(autouse=True, scope="session")
def quick_flush():
    """After each test with real transactions: empty the tables, and put back the rows that come with the
    program from memory, where Django would have each app look for them and make them again.

    PostgreSQL's tables are emptied by DELETE: TRUNCATE makes new files of all tables and indexes, which takes
    more than a second, and every table here is small or empty."""

    def deletes(self, style, tables, **_):
        return [f'DELETE FROM "{table}";' for table in tables]  # noqa: S608 (our own tables' names)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            "django.core.management.commands.flush.emit_post_migrate_signal",
            _BuiltInRows().put_back,
        )
        if _database() == "postgres":
            patched.setattr(
                "django.db.backends.postgresql.operations.DatabaseOperations.sql_flush", deletes
            )
        yield


class _BuiltInRows:
    """The rows of an installation on which nothing has happened yet; read after the first flush. The prices
    of models are left out: they are hundreds, and a test that needs one makes it."""

    def __init__(self) -> None:
        self._rows: list[tuple[type[Model], list[Model]]] = []

    def put_back(self, verbosity: int, interactive: bool, db: str, **options: Any) -> None:
        """What `flush` does last."""
        from django.contrib.contenttypes.models import ContentType

        from llm.models import ModelPrice

        ContentType.objects.clear_cache()
        if not self._rows:
            emit_post_migrate_signal(verbosity, interactive, db, **options)
            found = [(model, list(model._base_manager.all())) for model in apps.get_models()]
            self._rows = [
                (model, rows) for model, rows in found if rows and model is not ModelPrice
            ]
            return
        with transaction.atomic():
            for model, rows in self._rows:
                model._base_manager.bulk_create(rows)


@pytest.fixture(scope="session")
def market_data_dir() -> Path:
    """The folder of recorded market data; a test that uses it is marked `recorded_data`."""
    return settings.MARKET_DATA_DIR


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix, tmp_path_factory
) -> None:
    """Give every run a SQLite file of its own, so that two runs at once don't share one."""
    if _database() == "sqlite":
        path = tmp_path_factory.mktemp("database") / "test.sqlite3"
        settings.DATABASES["default"]["TEST"]["NAME"] = str(path)


@pytest.fixture(scope="session", autouse=True)
def tasks_stay_in_this_process() -> None:
    """Send what is enqueued to nobody else: Redis belongs to the tests that start processes."""
    app.conf.update(
        broker_url="memory://localhost", broker_transport_options={"polling_interval": 0.1}
    )
