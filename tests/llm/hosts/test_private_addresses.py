"""A user's model is asked at public addresses only; the operator's and staff's anywhere."""

import socket
import time
from datetime import timedelta
from typing import Any

import httpcore2
import httpx2
import pytest

from llm.domain import DecisionOutcome
from llm.hosts import Provider
from llm.models import ModelProfile
from llm.services import ProviderNotAvailable, chat_model, create_provider_key
from tests.llm.hosts.server import Host, says
from tests.llm.hosts.stage import Asking, canary, profile_of
from tests.llm.hosts.wires import chat
from tests.llm.scenes import first_view, standard
from tradingagent.accounts import outbound
from tradingagent.accounts.models import User
from tradingagent.accounts.outbound import http_client, is_private, within
from tradingagent.accounts.secrets import Secret

PROMPT = standard(first_view())
EVERY = "0.0.0.0"  # noqa: S104 (nothing is bound)
PRIVATE = (
    "127.0.0.1", "127.8.9.10", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", EVERY, "255.255.255.255", "224.0.0.1", "240.0.0.1", "198.18.0.1",
    "192.0.2.1", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "fe80::1",
    "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "2002:7f00:1::", "2002:a00:1::1",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2001:db8::1",
)  # fmt: skip
PUBLIC = (
    "1.1.1.1", "8.8.8.8", "160.79.104.10", "2606:4700::1111", "2a00:1450:4001::200a",
    "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1",
)  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_private(address):
    assert is_private(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address):
    assert not is_private(address)


# --- Profiles --------------------------------------------------------------------------------------


def owned(owner: User | None, host: Host, name: str = "127.0.0.1") -> ModelProfile:
    key = None
    if owner is not None:
        key = create_provider_key(
            owner=owner, provider=Provider.OPENAI, name="mine", key=Secret(canary()), by=owner
        )
    bracketed = f"[{name}]" if ":" in name else name
    columns: dict[str, Any] = (
        {} if owner is None else {"owner": owner, "provider_key": key, "key_env": ""}
    )
    base_url = f"http://{bracketed}:{host.port}/v1"
    return profile_of(host, Provider.OPENAI, **columns, base_url=base_url)


@pytest.fixture
def ann(transactional_db) -> User:
    return User.objects.create_user("ann@example.org")


@pytest.fixture
def root(transactional_db) -> User:
    return User.objects.create_superuser("root@example.org")


@pytest.mark.parametrize(
    "name",
    [
        "127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:127.0.0.1", EVERY,
        "localhost", "2130706433", "0x7f000001", "127.1",
    ],
)  # fmt: skip
def test_a_user_s_model_is_not_asked_on_this_machine_or_its_network(name, ann, host):
    host.answer_with(says(chat()))

    came = Asking(owned(ann, host, name)).decide()

    assert came.decision.outcome is DecisionOutcome.UNAVAILABLE
    assert came.decision.reason == "the host's address is this machine's or of a private network"
    assert (host.requests, came.pauses, came.spent) == ([], [], 0)


@pytest.mark.parametrize("found", [["10.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::1"]])
def test_nor_by_a_name_that_leads_there(found, ann, host, monkeypatch):
    host.answer_with(says(chat()))
    monkeypatch.setattr(socket, "getaddrinfo", looks_up(*found))

    came = Asking(owned(ann, host, "models.example.org")).decide()

    assert "private network" in came.decision.reason
    assert host.requests == []


def looks_up(*addresses: str):
    def look_up(host, port, *_, **__):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

    return look_up


def test_a_name_is_looked_up_once(ann, host, monkeypatch):
    """What it leads to a moment later is not asked for."""
    connected = []

    def connect_tcp(self, address, port, *_):
        connected.append(address)
        raise httpcore2.ConnectError("not here")

    monkeypatch.setattr(httpcore2.SyncBackend, "connect_tcp", connect_tcp)
    monkeypatch.setattr(socket, "getaddrinfo", looks_up("8.8.8.8", "8.8.4.4"))

    came = Asking(owned(ann, host, "models.example.org")).decide()

    assert came.decision.reason.startswith("the host can't be reached: not here")
    assert connected == ["8.8.8.8", "8.8.4.4"] * 3


def test_a_name_without_address_is_said(ann, host, monkeypatch):
    def fails(*_, **__):
        raise socket.gaierror("unknown")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    came = Asking(owned(ann, host, "no.example.org")).decide()
    assert came.decision.reason.startswith("the host can't be reached: no.example.org has no addr")
    assert came.spent == 0


@pytest.mark.parametrize("base_url", ["http://example.org:99999/v1", "http://xn--a.example/v1"])
def test_an_address_that_is_none_is_said(base_url, ann, host):
    profile = owned(ann, host)
    profile.base_url = base_url
    came = Asking(profile).decide()
    assert came.decision.outcome is DecisionOutcome.UNAVAILABLE
    assert came.spent == 0


@pytest.mark.parametrize("who", ["shared", "staff"])
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_the_operator_s_is(who, name, root, host):
    host.answer_with(says(chat()))
    came = Asking(owned(root if who == "staff" else None, host, name)).decide()
    assert came.decision.outcome is DecisionOutcome.DECIDED


def test_a_shared_fallback_of_a_user_s_model_keeps_its_own_right(ann, host):
    host.answer_with(says(chat()))
    profile = owned(ann, host)
    profile.fallback = profile_of(host, Provider.OLLAMA, name="the operator's")
    completion = chat_model(profile).complete(PROMPT, deadline=timedelta(seconds=20))
    assert "private network" in completion.tries[0]
    assert len(host.requests) == 1


# --- Keys ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["sk-abc\ndef", "sk-äbc", "sk abc", "", "sk-\x7f"])
def test_a_key_that_no_header_can_hold_is_not_sent(key, ann, host):
    profile = owned(ann, host)
    assert profile.provider_key is not None
    profile.provider_key.key = Secret(key)
    with pytest.raises(ProviderNotAvailable, match="its key holds what no key does") as told:
        chat_model(profile)
    assert not key or key not in str(told.value)


def test_a_user_s_profile_takes_no_key_of_the_environment(ann, host, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", canary())
    profile = owned(ann, host)
    profile.provider_key = None
    with pytest.raises(ProviderNotAvailable, match="a key of OpenAI is missing"):
        chat_model(profile)


# --- The network itself ----------------------------------------------------------------------------


def test_the_next_address_is_tried_within_the_same_time(host, monkeypatch):
    """localhost may be ::1 first, where nobody listens."""
    host.answer_with(says({}))
    monkeypatch.setattr(socket, "getaddrinfo", looks_up("127.0.0.2", "127.0.0.1"))
    client = http_client(may_reach_private=True)
    answer = client.post(f"http://several.example:{host.port}/", json={})
    assert answer.status_code == 200


def test_a_connection_that_hangs_ends_with_the_deadline(monkeypatch):
    waits = []

    def connect_tcp(self, address, port, timeout, *_):
        waits.append(timeout)
        time.sleep(timeout)
        raise httpcore2.ConnectTimeout("timed out")

    monkeypatch.setattr(httpcore2.SyncBackend, "connect_tcp", connect_tcp)
    monkeypatch.setattr(socket, "getaddrinfo", looks_up(*["8.8.8.8"] * 3, "8.8.4.4"))
    monkeypatch.setattr(outbound, "CONNECT_SECONDS", 0.15)
    began = time.monotonic()
    with pytest.raises(httpx2.ConnectTimeout), within(0.2):
        http_client(may_reach_private=False).get("http://slow.example/")
    assert time.monotonic() - began < 1
    assert waits[0] == 0.15 and waits[1] < 0.06


def test_outside_of_a_deadline_each_step_has_its_own(host):
    host.answer_with(says({}))
    assert http_client(may_reach_private=True).post(host.url, json={}).status_code == 200


def test_a_deadline_that_is_over_lets_nothing_leave(host):
    with pytest.raises(httpx2.TimeoutException), within(0):
        http_client(may_reach_private=True).post(host.url, json={})
    assert host.requests == []
