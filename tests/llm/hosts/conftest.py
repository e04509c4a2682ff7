"""A host, a key in the environment, and nothing left over of other tests' hosts."""

from collections.abc import Iterator

import pytest

from llm.providers.gate import BREAKERS
from tests.llm.hosts.server import Host, a_host
from tests.llm.hosts.stage import VARIABLE, canary
from tradingagent.accounts.outbound import http_client


@pytest.fixture
def host() -> Iterator[Host]:
    with a_host() as host:
        yield host


@pytest.fixture(autouse=True)
def a_key(monkeypatch) -> None:
    monkeypatch.setenv(VARIABLE, canary())


@pytest.fixture(autouse=True)
def nothing_left_over() -> Iterator[None]:
    """Ports are used again, so what was known of one must be forgotten; and no connection stays open."""
    BREAKERS._states.clear()
    yield
    for may_reach_private in (True, False):
        http_client(may_reach_private=may_reach_private).close()
    http_client.cache_clear()
