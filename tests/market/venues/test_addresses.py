"""VENUE_URLS redirects every address of a venue; what is redirected speaks to nobody else."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from requests.exceptions import InvalidURL

from market.errors import VenueUnavailable
from market.venues.ccxt_client import VenueClient
from market.venues.venue_http import GuardedSession
from market.venues.venue_table import VENUES
from market.venues.venue_urls import base_url_of, other_hosts, redirected
from tests.market.venues.loopback import Failure

BASE = "http://127.0.0.1:9"


@pytest.mark.parametrize("venue", VENUES)
def test_no_address_of_a_redirected_venue_is_left(venue):
    client = VenueClient(venue, base_url=f"{BASE}/proxy")
    raw = client._take()

    assert other_hosts(raw.urls, f"{BASE}/proxy") == ()
    assert client.addresses and all(one.startswith(f"{BASE}/proxy") for one in client.addresses)
    with pytest.raises(VenueUnavailable, match=venue):
        client.markets()  # nobody listens there, and nobody else is asked (see conftest)


@pytest.mark.parametrize("venue", VENUES)
def test_without_redirection_the_addresses_are_the_venues_own(venue):
    addresses = VenueClient(venue).addresses

    assert addresses and all(one.startswith("https://") for one in addresses)
    assert not any("{" in one for one in addresses)


def test_addresses_are_rewritten_wherever_they_are():
    urls = {
        "api": {
            "public": "https://api.{hostname}/v5",
            "deep": [{"x": "https://a.example.org/y?z=1"}],
        },
        "logo": "https://example.org/logo.png",
        "doc": ["https://example.org/doc"],
        "n": None,
        "word": "public",
    }

    found = redirected(urls, BASE)

    assert found == {
        "api": {"public": f"{BASE}/v5", "deep": [{"x": f"{BASE}/y?z=1"}]},
        "logo": f"{BASE}/logo.png",
        "doc": [f"{BASE}/doc"],
        "n": None,
        "word": "public",
    }
    assert other_hosts(found, BASE) == ()
    assert len(other_hosts(urls, BASE)) == 4


def test_the_setting_is_read(settings):
    settings.VENUE_URLS = {"okx": "http://127.0.0.1:9000/okx/"}

    assert base_url_of("okx") == "http://127.0.0.1:9000/okx"
    assert base_url_of("bybit") is None
    assert VenueClient("okx").addresses == ("http://127.0.0.1:9000/okx",)


@pytest.mark.parametrize(
    "value",
    [
        "okx.com", "ftp://okx.com", "", 5, None, "http://", "http://u:p@okx.com",
        "http://okx.com?a=1", "http://okx.com/#a",
    ],
)  # fmt: skip
def test_a_setting_that_makes_no_sense_is_refused(settings, value):
    settings.VENUE_URLS = {"okx": value if value is not None else []}

    with pytest.raises(ValueError, match="VENUE_URLS"):
        VenueClient("okx")


def test_a_setting_of_another_shape_is_refused(settings):
    settings.VENUE_URLS = ["http://127.0.0.1"]

    with pytest.raises(ValueError, match="VENUE_URLS is a JSON object"):
        base_url_of("okx")


@pytest.mark.parametrize(
    "url",
    [
        "https://fapi.binance.com/fapi/v1/time",
        "http://127.0.0.1:91/x",
        "http://127.0.0.1.example.org:9/x",
        "https://127.0.0.1:9/x",
        "http://127.0.0.1:9@example.org/x",
    ],
)
def test_a_guarded_session_refuses_any_other_host(url):
    session = GuardedSession(seconds=1, base_url=BASE)

    with pytest.raises(InvalidURL):
        session.get(url)
    session.close()


def test_a_redirect_is_not_followed(venue, data):
    venue.fail(Failure.REDIRECT)

    with pytest.raises(VenueUnavailable):
        data.client.call("fetch_time")

    assert len(venue.requests) == 1


def test_proxies_of_the_environment_are_not_taken(venue, data, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert data.client.call("fetch_time") > 0


def test_an_unknown_venue_is_refused_by_name():
    with pytest.raises(
        ValueError, match="'kucoin' is no venue we read: there are binance, binanceusdm"
    ):
        VenueClient("kucoin")


def test_ccxt_is_imported_by_nobody_else_and_not_before_it_is_needed():
    root = Path(__file__).parents[3]
    importers = [
        path.name
        for path in (root / "market").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (
            isinstance(node, ast.Import)
            and any(one.name.split(".")[0] == "ccxt" for one in node.names)
        )
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ccxt")
    ]
    code = (
        "import os, sys; os.environ['DJANGO_SETTINGS_MODULE'] = 'tradingagent.settings'\n"
        "import market.venues.feeds, market.venues.ccxt_client\n"
        "assert 'ccxt' not in sys.modules"
    )

    assert set(importers) == {"ccxt_client.py"}
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
