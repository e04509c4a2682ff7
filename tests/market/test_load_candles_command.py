"""`load_candles`: what it stores, what it skips, and what it refuses before a row is written."""

import json
from datetime import timedelta
from decimal import Decimal as D

import pytest
from django.core.management import CommandError, call_command

from market import candle_rows
from market.models import Candle, FundingRate
from market.queries import stored_candles
from market.venues.candle_files import load_candles
from tests.market.sim_broker.venue import MINUTE, START

pytestmark = pytest.mark.django_db(transaction=True)

SYMBOL = "BTC/USDT:USDT"
HEADER = "timestamp,open,high,low,close,volume"


def line(minute: int, close: str = "101.5") -> str:
    at = (START + minute * MINUTE).strftime("%Y-%m-%d %H:%M:%S")
    return f"{at},100.1,102,99.05,{close},12.5"


@pytest.fixture
def write(tmp_path):
    def write_csv(*lines, header=HEADER, name="candles.csv"):
        path = tmp_path / name
        path.write_text("\n".join([header, *lines]) + "\n")
        return path

    return write_csv


@pytest.fixture
def load(capsys):
    def run(path, *arguments, symbol=SYMBOL, timeframe="1m", venue="binanceusdm") -> str:
        said = ("--venue", venue, "--symbol", symbol, "--timeframe", timeframe)
        call_command("load_candles", str(path), *said, *map(str, arguments))
        return capsys.readouterr().out

    return run


def test_a_file_is_stored_as_it_is(write, load) -> None:
    path = write(*map(line, range(5)))
    assert load(path) == (
        "BTC/USDT:USDT 1m, candles of 2022-01-01T00:00:00Z to 2022-01-01T00:04:00Z:"
        " 5 added, 0 there already\n"
    )
    read = stored_candles("binanceusdm", SYMBOL, MINUTE, START, START + 5 * MINUTE)
    assert read is not None and list(read) == list(load_candles(path))


def test_loading_again_skips_and_goes_on(write, load) -> None:
    load(write(*map(line, range(3))))
    assert "2 added, 3 there already" in load(write(*map(line, range(5))))
    assert "0 added, 5 there already" in load(write(*map(line, range(5))))


def test_a_load_that_was_killed_goes_on_where_it_was(write, load, monkeypatch) -> None:
    path = write(*map(line, range(10)))
    written: list[None] = []
    monkeypatch.setattr(candle_rows, "BATCH", 3)
    real = candle_rows._write

    def write_twice(*arguments):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(real(*arguments))

    with monkeypatch.context() as patch:
        patch.setattr(candle_rows, "_write", write_twice)
        with pytest.raises(CommandError, match="run the same again") as stopped:
            load(path)
    assert stopped.value.returncode == 130
    assert Candle.objects.count() == 6
    assert "4 added, 6 there already" in load(path)


def test_a_batch_is_written_whole_or_not_at_all(write, load, monkeypatch) -> None:
    """Another process wrote one candle of the batch in between."""
    path = write(*map(line, range(3)))
    real = candle_rows._planned

    def plan_too_early(key, series):
        plan = real(key, series)
        load_one = list(candle_rows._rows(key, series, [1]))
        Candle.objects.bulk_create(load_one)
        return plan

    monkeypatch.setattr(candle_rows, "_planned", plan_too_early)
    with pytest.raises(CommandError, match="another process"):
        load(path)
    assert Candle.objects.count() == 1


def test_a_candle_that_differs_is_refused_unless_it_shall_be_replaced(write, load) -> None:
    load(write(*map(line, range(3))))
    other = write(line(0), line(1, close="101"), *map(line, range(2, 5)))
    with pytest.raises(CommandError, match=r"00:01:00Z has close 101\.5 in the database and 101 "):
        load(other)
    assert Candle.objects.count() == 3
    assert "2 added, 2 there already, 1 replaced" in load(other, "--replace")
    assert Candle.objects.get(opened_at=START + MINUTE).close == D(101)


def test_times_may_be_closes_and_candles_marks(write, load) -> None:
    load(write(*map(line, range(1, 4))), "--timestamp", "close", "--mark")
    assert Candle.objects.filter(is_mark=True).order_by("opened_at")[0].opened_at == START
    assert not Candle.objects.filter(is_mark=False).exists()


def test_funding_is_stored_with_it(write, load) -> None:
    rates = write("2022-01-01 03:00:01,0.0001", "2022-01-01 11:00:00,-0.00025",
                  header="timestamp,funding_rate", name="rates.csv")  # fmt: skip
    candles = write(*map(line, range(3)))
    funding = ("--funding", rates, "--funding-tz", "+03:00")
    assert "funding rates: 2 added, 0 there already" in load(candles, *funding)
    assert list(FundingRate.objects.order_by("at").values_list("at", "rate")) == [
        (START, D("0.0001")),
        (START + timedelta(hours=8), D("-0.00025")),
    ]
    told = json.loads(load(candles, *funding, "--json"))
    assert told["funding"] == {"added": 0, "same": 2, "replaced": 0}
    assert told["candles"] == {"added": 0, "same": 3, "replaced": 0}
    rates.write_text(rates.read_text().replace("0.00025", "0.0003"))
    with pytest.raises(
        CommandError, match=r"is -0\.00025 in the database and -0\.0003 in the file"
    ):
        load(candles, *funding)
    load(candles, *funding, "--replace")
    assert FundingRate.objects.order_by("at").last().rate == D("-0.0003")


def test_what_is_refused_writes_nothing(write, load) -> None:
    good = write(*map(line, range(3)), name="good.csv")
    wrong = write(line(0), line(1, close="0"), name="wrong.csv")
    gaps = write(line(0), line(1), line(3), name="gaps.csv")
    header = "timestamp,funding_rate"
    rates = write("2022-01-01,5", header=header, name="rates.csv")
    fine = write("2022-01-01,0.00000000000001", header=header, name="fine.csv")
    for words, run in {
        "close 0 is not above 0": lambda: load(wrong),
        "1 candle of 1m missing": lambda: load(gaps),
        "holds candles of 1m, not of 5m": lambda: load(good, timeframe="5m"),
        "no timeframe": lambda: load(good, timeframe="soon"),
        "no symbol": lambda: load(good, symbol="BTC"),
        "no venue": lambda: load(good, venue="The Exchange"),
        "not a fraction below 1": lambda: load(good, "--funding", rates),
        "more than 12 decimals": lambda: load(good, "--funding", fine),
        "without a funding file": lambda: load(good, "--funding-tz", "+03:00"),
        "no offset from UTC": lambda: load(good, "--funding", rates, "--funding-tz", "Paris"),
        "missing.csv": lambda: load(good.with_name("missing.csv")),
    }.items():
        with pytest.raises(CommandError, match=words):
            run()
    assert not Candle.objects.exists()
    assert not FundingRate.objects.exists()
    assert "3 added" in load(gaps, "--allow-gaps")
