"""A host, a key in the environment, and nothing known of other tests' hosts."""

from collections.abc import Iterator

import pytest

from llm.providers.gate import BREAKERS
from tests.llm.hosts.server import Host, a_host
from tests.llm.hosts.stage import VARIABLE, canary


@pytest.fixture
def host() -> Iterator[Host]:
    with a_host() as host:
        yield host


@pytest.fixture(autouse=True)
def a_key(monkeypatch) -> None:
    monkeypatch.setenv(VARIABLE, canary())


@pytest.fixture(autouse=True)
def nothing_is_known() -> None:
    """Ports are used again, so what became of another test's requests must be forgotten."""
    BREAKERS._states.clear()
