"""The one place that speaks apprise: which services, to which addresses, with what silence.

Every request of a service goes through a session of ours: no proxy and no password from the environment, no
redirect, one deadline for the whole exchange, and the address that was looked up is the one that is connected
to, after it was found to be allowed. The traps avoided: a service that opens a socket of its own, so only
those that speak HTTP through `requests` are listed; one that reads a file named in the address; one address
with many receivers, where one failure would repeat the others; and logs that quote an address.
"""

import logging
import socket
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import requests

from tradingagent.accounts.outbound import is_private
from tradingagent.accounts.secrets import Secret

SEND_SECONDS: Final = 30.0
WAIT_SECONDS: Final = 10.0
SCHEMES: Final = frozenset({
    "bark", "barks", "betterstack", "chanify", "clickatell", "clicksend", "cliq", "d7sms",
    "dingtalk", "discord", "feishu", "flock", "form", "forms", "freemobile", "gchat", "goalert",
    "goalerts", "gotify", "gotifys", "groupme", "guilded", "hassio", "hassios", "httpsms", "ifttt",
    "ilert", "incidentio", "join", "json", "jsons", "kavenegar", "kook", "lametric", "lark", "line",
    "mailgun", "mastodon", "mastodons", "mmost", "mmosts", "msg91", "nctalk", "nctalks", "notica",
    "noticas", "notifiarr", "ntfy", "ntfys", "onesignal", "opsgenie", "pagerduty", "pagertree",
    "parsep", "parseps", "pbul", "plivo", "postmark", "pover", "prowl", "psafer", "psafers", "push",
    "pushdeer", "pushdeers", "pushme", "pushy", "qq", "resend", "revolt", "ringc", "rocket",
    "rockets", "ryver", "schan", "sendgrid", "seven", "signal", "signals", "signl4", "sinch",
    "slack", "smtp2go", "spike", "splunk", "spugpush", "spush", "squadcast", "synology",
    "synologys", "telnyx", "tgram", "threema", "toot", "toots", "twilio", "twist", "victorops",
    "voipms", "vonage", "webex", "wecombot", "whatsapp", "workflow", "workflows", "wxteams", "xml",
    "xmls", "zulip",
})  # fmt: skip
"""Services that speak HTTP through `requests` and nothing else."""
REFUSED_PARAMETERS: Final = frozenset(
    {"template", "keyfile", "retry", "wait", "overflow", "store", "redirect", "attach", "batch"}
)
"""Parameters that read files, repeat, split or go elsewhere."""
_LOUD: Final = ("apprise", "urllib3.connectionpool", "urllib3.util.retry", "requests")


@dataclass(slots=True)
class _Call:
    """One message on its way. `answer`: what became of its last request, in words of ours."""

    session: requests.Session
    message_id: str
    answer: str = ""


_call: ContextVar[_Call | None] = ContextVar("apprise_call", default=None)


def scheme_of(address: str) -> str:
    """What stands before the colon, in lower case."""
    return urlsplit(address.strip()).scheme.lower()


def judged(address: Secret, *, may_reach_private: bool) -> tuple[str, str]:
    """(service, "") of an address that may be stored, else ("", why not) in words that do not quote it. Looks
    its host up, if it has one."""
    text = address.reveal().strip()
    scheme = scheme_of(text)
    if not scheme:
        return "", "an address begins with its service, such as tgram:// or ntfys://"
    if scheme not in SCHEMES:
        return "", f"messages are not sent by {scheme[:24]!r}"
    names = {name.lower().lstrip("+-: ") for name, _ in parse_qsl(urlsplit(text).query, True)}
    if found := sorted(names & REFUSED_PARAMETERS):
        return "", f"an address may not say {found[0]!r}"
    plugin = _plugin(text)
    if plugin is None:
        return "", "the address is not complete, or not one of this service"
    if len(plugin) > 1:
        return "", "an address names one receiver: make a channel for each"
    host = str(plugin.host) if any("{host}" in one for one in plugin.templates) else ""
    if host and not may_reach_private and _leads_inside(host):
        return "", "the host is on this machine or a private network"
    return scheme, ""


def send(
    address: Secret, *, title: str, text: str, message_id: str, may_reach_private: bool
) -> str | None:
    """Send a message now, once; None, or why it did not get through as far as is known, in words that do not
    quote the address."""
    _, http = _library()
    session = http.HTTPPolicySession(_policy(may_reach_private))
    call = _Call(session=session, message_id=message_id)
    deadline = time.monotonic() + SEND_SECONDS
    token = _call.set(call)
    try:
        with call.session, http.track_connections(http.ConnectionTracker(), deadline):
            revealed = address.reveal().strip()
            plugin = _plugin(revealed) if scheme_of(revealed) in SCHEMES else None
            if plugin is None:
                return "the address is not understood any more"
            is_sent = _notify(plugin, title, text)
    finally:
        _call.reset(token)
    return None if is_sent else call.answer or "the service took no message"


def _notify(plugin: Any, title: str, text: str) -> bool:
    """Ask a service itself, in this thread: apprise's own way in sends from threads, and tries again."""
    from apprise import conversion

    convert: Any = conversion.convert_between  # has no types
    form = plugin.resolve_format("text")
    if plugin.title_maxlen <= 0:  # the title becomes part of the text
        title = convert("text", form, content=title)
    body = convert("text", form, content=text)
    return bool(plugin.notify(body=body, title=title, notify_type="info", body_format=form))


@cache
def _policy(may_reach_private: bool) -> Any:
    """Where the connections of a message may lead to."""
    _, http = _library()

    class Policy(http.HTTPPolicy):  # type: ignore[misc, name-defined]
        def resolve(self, host: str, port: int) -> list[Any]:
            """Where to connect to, looked up once. Theirs waits in threads that a fork leaves behind."""
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            if not may_reach_private and any(is_private(str(one[4][0])) for one in found):
                raise socket.gaierror(socket.EAI_NONAME, "an address of a private network")
            return found

    return Policy()


def _plugin(address: str) -> Any:
    """The service that an address names; None where it names none."""
    apprise, _ = _library()
    with _silence():
        try:
            plugin = apprise.Apprise.instantiate(address, asset=_asset())
        except Exception:  # noqa: BLE001 - whatever a service says of it quotes the address
            return None
    if plugin is not None:
        _guard()
        plugin.retry, plugin.request_rate_per_sec = 0, 0
    return plugin


@cache
def _asset() -> Any:
    apprise, _ = _library()
    return apprise.AppriseAsset(
        app_id="Trading Agent",
        app_desc="Trading Agent",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        async_mode=False,
        http_redirects=False,
        secure_logging=True,
        storage_mode="memory",
    )


@cache
def _library() -> tuple[Any, Any]:
    """apprise and its HTTP module, silenced. Loaded when first needed: it is large."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own optional parts
        import apprise
        from apprise.manager_plugins import NotificationManager
        from apprise.utils import http

        manager: Any = NotificationManager  # has no types
        manager().schemas()  # loads its services

    for name in _LOUD:
        logging.getLogger(name).addFilter(_is_not_ours)
    logging.getLogger("apprise").disabled = True
    _guard()
    return apprise, http


def _is_not_ours(_: logging.LogRecord) -> bool:
    """A record that was made while a message was on its way, or its address read, is dropped."""
    return _call.get() is None


@contextmanager
def _silence() -> Iterator[None]:
    if _call.get() is not None:
        yield
        return
    token = _call.set(_Call(session=requests.Session(), message_id=""))
    try:
        yield
    finally:
        _call.reset(token)


def _leads_inside(host: str) -> bool:
    """Whether any address of a host is of this machine or a private network; not, if it has none now."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return any(is_private(str(one[4][0])) for one in found)


# --- what services take for `requests` --------------------------------------------------------------


class _Requests(ModuleType):
    """`requests` as apprise's services see it: whatever is asked goes through the session of the message
    on its way; without one, nothing leaves."""

    def __getattr__(self, name: str) -> Any:
        return getattr(requests, name)

    def request(self, method: str, url: str, **options: Any) -> requests.Response:
        call = _call.get()
        if call is None or not call.message_id:
            raise requests.exceptions.InvalidURL("no message is on its way")
        options["allow_redirects"] = False
        options["timeout"] = WAIT_SECONDS
        headers = dict(options.pop("headers", None) or {})
        headers.setdefault("Idempotency-Key", call.message_id)
        try:
            answer = call.session.request(method, url, headers=headers, **options)
        except requests.RequestException as error:
            call.answer = f"no answer ({type(error).__name__})"
            raise
        call.answer = f"the service answered {answer.status_code}"
        if answer.status_code < 300:
            call.answer += " and did not take the message"  # said only where it did not
        return answer

    def get(self, url: str, **options: Any) -> requests.Response:
        return self.request("GET", url, **options)

    def post(self, url: str, data: Any = None, **options: Any) -> requests.Response:
        return self.request("POST", url, data=data, **options)

    def put(self, url: str, data: Any = None, **options: Any) -> requests.Response:
        return self.request("PUT", url, data=data, **options)

    def patch(self, url: str, data: Any = None, **options: Any) -> requests.Response:
        return self.request("PATCH", url, data=data, **options)

    def delete(self, url: str, **options: Any) -> requests.Response:
        return self.request("DELETE", url, **options)

    def head(self, url: str, **options: Any) -> requests.Response:
        return self.request("HEAD", url, **options)

    def Session(self) -> Any:
        raise requests.exceptions.InvalidURL("a service may have no session of its own")

    session = Session


_ours: Final = _Requests("requests")


def _guard() -> None:
    """Put ours in the place of `requests` in every module of apprise that is loaded; services load late."""
    for name, module in list(sys.modules.items()):
        if name.startswith("apprise.") and name != "apprise.utils.http":
            if getattr(module, "requests", None) is requests:
                module.requests = _ours  # type: ignore[attr-defined]
