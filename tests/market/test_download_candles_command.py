"""`download_candles`: only what is missing is asked for, and each part is kept as it comes."""

import json

import pytest
from django.core.management import CommandError, call_command

from market.candle_rows import CandleKey, store_candles
from market.errors import VenueUnavailable
from market.models import Candle
from market.venues import candle_downloads
from tests.market.sim_broker.venue import MINUTE, START, flat_rows, series

pytestmark = pytest.mark.django_db(transaction=True)

SYMBOL = "BTC/USDT:USDT"
KEY = CandleKey(venue="binanceusdm", symbol=SYMBOL, timeframe=MINUTE)


class Archive:
    """A venue that has every minute, in parts of four, and goes silent after so many parts."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.parts = 10**6
        self.price = 100

    def __call__(self, venue, symbol, timeframe, start, end, *, is_mark=False):
        assert (venue, symbol, timeframe) == ("binanceusdm", SYMBOL, MINUTE)
        first, last = ((at - START) // MINUTE for at in (start, end))
        self.asked.append((first, last))
        for at in range(first, last, 4):
            if not self.parts:
                raise VenueUnavailable("binanceusdm does not answer")
            self.parts -= 1
            minutes = range(at, min(at + 4, last))
            yield series(flat_rows(self.price, len(minutes)), at=minutes)


@pytest.fixture
def archive(monkeypatch) -> Archive:
    archive = Archive()
    monkeypatch.setattr(candle_downloads, "download_candles", archive)
    return archive


@pytest.fixture
def download(archive, capsys):
    def run(*arguments, symbol=SYMBOL, start="2022-01-01", end="2022-01-01T00:10") -> str:
        said = ("--venue", "binanceusdm", "--symbol", symbol, "--timeframe", "1m")
        call_command("download_candles", *said, "--from", start, "--to", end, *arguments)
        return capsys.readouterr().out

    return run


def test_only_what_is_missing_is_asked_for(download, archive) -> None:
    store_candles(KEY, series(flat_rows(100, 3), at=(3, 4, 5)))
    assert download() == "binanceusdm BTC/USDT:USDT 1m: 7 added, 3 there already\n"
    assert archive.asked == [(0, 3), (6, 10)]
    assert json.loads(download("--json"))["added"] == 0
    assert len(archive.asked) == 2
    assert Candle.objects.count() == 10


def test_a_download_that_broke_goes_on_where_it_was(download, archive) -> None:
    archive.parts = 1
    with pytest.raises(CommandError, match="does not answer"):
        download()
    assert Candle.objects.count() == 4
    archive.parts = 9
    assert "6 added, 4 there already" in download()
    assert archive.asked == [(0, 10), (4, 10)]


def test_marks_are_kept_apart(download, archive) -> None:
    download()
    archive.price = 101
    assert "10 added" in download("--mark")
    assert Candle.objects.filter(is_mark=True, close=101).count() == 10


def test_a_zone_may_be_stated(download, archive) -> None:
    download(start="2022-01-01T02:00+02:00", end="2022-01-01T00:02Z")
    assert archive.asked == [(0, 2)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"symbol": "bitcoin"}, "no symbol"),
        ({"start": "yesterday"}, "no date"),
        ({"start": "2022-01-02"}, "lies before"),
        ({"start": "2200-01-01", "end": "2201-01-01"}, "before now"),
    ],
)
def test_what_makes_no_sense_is_refused(download, options, words) -> None:
    with pytest.raises(CommandError, match=words):
        download(**options)
    assert not Candle.objects.exists()
