"""`sync_instruments`: it asks, remembers, and says what changed."""

import json
from dataclasses import replace

import pytest
from django.core.management import CommandError, call_command

from market.errors import VenueUnavailable
from market.models import Instrument
from market.venues import candle_downloads
from tests.market.sim_broker.venue import PERPETUAL, SPOT_COIN

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sync(monkeypatch, capsys):
    def run(*arguments, listed, venue="binanceusdm") -> str:
        monkeypatch.setattr(candle_downloads, "load_instruments", listed)
        call_command("sync_instruments", "--venue", venue, *arguments)
        return capsys.readouterr().out

    return run


def test_it_says_what_changed(sync) -> None:
    told = sync(listed=lambda _: [PERPETUAL, SPOT_COIN])
    assert told.splitlines() == [
        "binanceusdm: 2 added: BTC/USDT, BTC/USDT:USDT",
        "binanceusdm: 0 changed",
        "binanceusdm: 0 delisted",
        "binanceusdm: 0 as before",
    ]
    again = json.loads(sync("--json", listed=lambda _: [PERPETUAL]))
    assert again == {
        "venue": "binanceusdm",
        "added": [],
        "changed": [],
        "delisted": ["BTC/USDT"],
        "same": 1,
    }


def test_a_long_list_is_cut(sync) -> None:
    coins = [replace(PERPETUAL, symbol=f"C{n:02}/USDT:USDT") for n in range(25)]
    first = sync(listed=lambda _: coins).splitlines()[0]
    assert first.startswith("binanceusdm: 25 added: C00/USDT:USDT, ")
    assert first.endswith("C19/USDT:USDT and 5 more")


def silent(_venue):
    raise VenueUnavailable("binanceusdm does not answer")


def unknown(venue):
    raise ValueError(f"there is no venue {venue}")


@pytest.mark.parametrize(
    ("listed", "venue", "words"),
    [
        (silent, "binanceusdm", "does not answer"),
        (unknown, "nowhere", "no venue nowhere"),
        (silent, "No Where", "it is a word"),
        (lambda _: [], "binanceusdm", "no instrument at all"),
    ],
)
def test_a_failure_is_one_sentence_and_changes_nothing(sync, listed, venue, words) -> None:
    with pytest.raises(CommandError, match=words):
        sync(listed=listed, venue=venue)
    assert not Instrument.objects.exists()
