"""Which services and hosts messages may go to; looked up again, and pinned, when they are sent."""

import socket
import sys
import time

import pytest
import requests

from bots.alerts import apprise_line
from bots.alerts.apprise_line import SCHEMES, judged, send
from tests.alerts.scenes import webhook
from tradingagent.accounts.secrets import Secret

PRIVATE = (
    "127.0.0.1", "127.8.9.1", "10.0.0.1", "172.16.5.5", "192.168.1.1", "169.254.169.254", "0.0.0.1",
    "100.64.0.1", "::1", "fe80::1", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "224.0.0.1",
)  # fmt: skip
LOCAL = (
    "dbus", "kde", "qt", "glib", "gio", "gnome", "macosx", "windows", "syslog", "rsyslog", "mqtt",
    "mqtts", "amqp", "irc", "xmpp", "smpp", "mailto", "mailtos", "growl", "aprs", "blink1", "file",
    "deltachat", "nostr", "apprise", "apprises", "fcm", "vapid", "matrix",
)  # fmt: skip


@pytest.fixture
def leads(monkeypatch):
    """Let names lead to an address."""

    def to(*addresses: str) -> None:
        def look_up(host, port, *_, **__):
            kind = socket.SOCK_STREAM
            return [
                (socket.AF_INET6 if ":" in one else socket.AF_INET, kind, 6, "", (one, port or 0))
                for one in addresses
            ]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)

    return to


def asked(address: str, private: bool = False) -> str:
    return judged(Secret(address), may_reach_private=private)[1]


def sent(address: str, private: bool = False) -> str | None:
    return send(Secret(address), title="t", text="x", message_id="m", may_reach_private=private)


@pytest.mark.parametrize("address", PRIVATE)
def test_no_private_address_is_taken(address, leads):
    leads(address)
    refusal = "the host is on this machine or a private network"
    assert asked("json://hook.example.org/x") == refusal
    assert asked("ntfys://hook.example.org/topic") == refusal
    assert asked("json://hook.example.org/x", private=True) == ""


@pytest.mark.parametrize("address", PRIVATE)
def test_no_private_address_is_connected_to_where_the_name_led_outside_before(address, leads):
    leads("93.184.216.34")
    assert asked("json://hook.example.org/x") == ""
    leads(address)
    assert sent("json://hook.example.org/x") == "no answer (ConnectionError)"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "[::1]",
        "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "0", "[::]",
    ],
)  # fmt: skip
def test_however_this_machine_is_written_it_is_not_reached(host):
    """Looked up as the system does it: no name server is asked for any of these."""
    assert asked(f"json://{host}:9/x") in (
        "the host is on this machine or a private network",
        "the address is not complete, or not one of this service",  # apprise takes it for no host
    )
    with webhook() as hook:
        said = sent(f"json://{host}:{hook.url.rpartition(':')[2]}")
        assert said and hook.asked == 0


def test_a_name_that_leads_elsewhere_a_moment_later_is_looked_up_once(monkeypatch):
    """Whoever asks twice connects to another address than the one that was judged."""
    answers, connected = ["93.184.216.34", "127.0.0.1", "127.0.0.1"], []

    def look_up(host, port, *_, **__):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers.pop(0), port or 0))]

    def connect(self, address):
        connected.append(address[0])
        raise OSError("nobody is there")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket.socket, "connect", connect)
    assert sent("json://hook.example.org/x") == "no answer (ConnectionError)"
    assert connected == ["93.184.216.34"] and len(answers) == 2


def test_a_name_with_one_private_address_is_refused(leads):
    leads("93.184.216.34", "10.0.0.1")
    assert asked("json://hook.example.org/x")


def test_a_public_address_is_taken(leads):
    leads("93.184.216.34")
    assert judged(Secret("jsons://u:p@hook.example.org:8443/x"), may_reach_private=False) == (
        "jsons",
        "",
    )


@pytest.mark.parametrize("scheme", LOCAL)
def test_services_that_do_not_speak_http_are_refused_to_everybody(scheme):
    assert scheme not in SCHEMES
    for private in (False, True):
        assert asked(f"{scheme}://example.org/x", private) == (
            f"messages are not sent by {scheme!r}"
        )
    assert sent(f"{scheme}://example.org/x") == "the address is not understood any more"


@pytest.mark.parametrize(
    "name", ["template", "keyfile", "retry", "wait", "overflow", "redirect", "+template"]
)
def test_parameters_that_read_files_or_repeat_are_refused(name):
    assert "may not say" in asked(f"discord://1234/abcd?{name}=/etc/passwd")


def test_a_number_that_is_no_host_is_not_looked_up():
    assert asked("discord://1234/abcd") == ""


def test_one_receiver_each():
    one, two = "tgram://123456789:abcdefghijklmnop/111", "/222"
    assert asked(one) == ""
    assert asked(one + two) == "an address names one receiver: make a channel for each"


@pytest.mark.parametrize("text", ["", "hello", "json://", "discord://x"])
def test_what_is_no_address(text):
    assert asked(text)


def test_every_listed_service_speaks_through_ours():
    apprise_line._library()
    from apprise.manager_plugins import NotificationManager

    manager = NotificationManager()
    assert set(manager.schemas()) >= SCHEMES
    for scheme in SCHEMES:
        modules = [sys.modules[one.__module__] for one in manager[scheme].__mro__]
        theirs = [module for module in modules if module.__name__.startswith("apprise.plugins.")]
        assert any(getattr(module, "requests", None) is apprise_line._ours for module in theirs)
        for module in theirs:
            assert not {"socket", "subprocess", "httpx", "aiohttp"} & set(vars(module))


def test_it_reaches_this_machine_only_where_it_may():
    with webhook() as hook:
        assert sent(hook.url) == "no answer (ConnectionError)"
        assert hook.asked == 0
        assert sent(hook.url, private=True) is None
    assert [one["message"] for one in hook.taken] == ["x"]
    assert hook.taken[0]["id"] == "m"


def test_no_redirect_is_followed():
    with webhook() as hook, webhook() as other:
        hook.statuses, hook.location = [307], other.url.replace("json", "http")
        assert sent(hook.url, private=True) == "the service answered 307"
    assert other.asked == 0


def test_nothing_of_the_environment_takes_it_elsewhere(monkeypatch, tmp_path):
    with webhook() as hook, webhook() as proxy:
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url.replace("json", "http"))
        assert sent(hook.url, private=True) is None
    assert (len(hook.taken), proxy.asked) == (1, 0)


def test_a_host_that_drips_does_not_hold_us(monkeypatch):
    monkeypatch.setattr(apprise_line, "SEND_SECONDS", 0.5)
    with webhook() as hook:
        hook.before = lambda: time.sleep(1.5)
        began = time.monotonic()
        assert sent(hook.url, private=True).startswith("no answer")
        assert time.monotonic() - began < 1.2


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("tgram://123456789:abcdefghijklmnop/111", "api.telegram.org"),
        ("discord://123456789012345678/abcdefgh", "discord.com"),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general", "hooks.slack.com"),
        ("ntfys://topic", "ntfy.sh"),
        ("gotifys://example.org/abcdefghijklmno", "example.org"),
        ("mmosts://example.org/3ccdd113474722377935511fc85d3dd4", "example.org"),
    ],
)
def test_what_a_service_is_sent_is_one_request_with_the_whole_text(monkeypatch, address, host):
    asked = []

    def request(_, method, url, **options):
        asked.append((url, f"{options.get('data')}{options.get('json')}", options))
        answer = requests.Response()
        answer.status_code = 200
        answer._content = b"ok" if "slack" in url else b'{"ok": true, "id": "1"}'
        return answer

    monkeypatch.setattr(requests.Session, "request", request)
    text = "The stop of <b>mine & yours</b>.\nhttps://x.org/bots/1/"
    assert (
        send(Secret(address), title="A title", text=text, message_id="m", may_reach_private=False)
        is None
    )
    [(url, body, options)] = asked
    assert url.split("/")[2].split(":")[0] == host
    assert "A title" in body + str(options["headers"])
    assert "x.org" in body and "yours" in body
    assert "<b>mine" not in body or "tgram" not in address  # Telegram reads HTML
    assert options["headers"]["Idempotency-Key"] == "m"
    assert options["allow_redirects"] is False
