"""What the database itself refuses, and rows that give back what was put into them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest
from django.contrib import admin
from django.db import IntegrityError, transaction
from django.urls import reverse

from market import candle_rows
from market.candle_rows import CandleKey, RowsDiffer, kept_volume, missing_spans, store_candles
from market.domain.data import Candle as DomainCandle
from market.domain.enums import InstrumentStatus
from market.domain.instruments import Instrument as DomainInstrument
from market.errors import VenueUnavailable
from market.fields import AmountDoesNotFit
from market.instrument_rows import instrument_of, row_of
from market.models import (
    Candle,
    ExchangeAccount,
    FundingRate,
    Instrument,
    SimAccount,
    SimRecord,
    SimRecordKind,
)
from market.queries import instruments_of, stored_candles
from market.services import open_sim_account, record_instruments
from market.venues.default_instruments import default_instrument
from market.venues.sim_venue.settings import SimSettings
from tests.market.sim_broker.venue import MINUTE, PERPETUAL, SPOT_COIN, START, flat_rows, series
from tradingagent.accounts.append_only import AppendOnly
from tradingagent.accounts.models import User
from tradingagent.accounts.secrets import Secret

pytestmark = pytest.mark.django_db

KEY = CandleKey(venue="somewhere", symbol="BTC/USDT:USDT", timeframe=MINUTE)
CANDLE = {
    "venue": "somewhere",
    "symbol": "BTC/USDT:USDT",
    "timeframe_seconds": 60,
    "opened_at": START,
    "open": D(100),
    "high": D(102),
    "low": D(99),
    "close": D(101),
    "volume": D(5),
}


def refused(model, **columns) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.create(**columns)


@pytest.mark.parametrize(
    "wrong",
    [
        {"low": D(0), "open": D(0), "close": D(1), "high": D(2)},
        {"high": D("100.5")},
        {"low": D("100.5")},
        {"low": D(103), "open": D(103)},
        {"volume": D(-1)},
        {"timeframe_seconds": 0},
    ],
)
def test_a_candle_makes_sense(wrong) -> None:
    Candle.objects.create(**CANDLE)
    refused(Candle, **{**CANDLE, "opened_at": START + MINUTE, **wrong})


def test_a_candle_is_there_once_for_trades_and_once_for_marks() -> None:
    Candle.objects.create(**CANDLE)
    Candle.objects.create(**CANDLE, is_mark=True)
    refused(Candle, **CANDLE)


def test_a_funding_rate_is_there_once() -> None:
    columns = {"venue": "somewhere", "symbol": "BTC/USDT:USDT", "at": START, "rate": D("-0.0001")}
    FundingRate.objects.create(**columns)
    refused(FundingRate, **columns)


@pytest.fixture
def account() -> SimAccount:
    return open_sim_account("USDT", D(100), SimSettings())


def record(account, **columns) -> dict:
    kind = SimRecordKind.FILL
    return {"account": account, "kind": kind, "payload": "{}", "at": START, **columns}


def test_records_have_one_place_each_and_an_order_ends_once(account) -> None:
    SimRecord.objects.create(**record(account, sequence=1))
    refused(SimRecord, **record(account, sequence=1))
    ended = {"client_order_id": "a", "kind": SimRecordKind.ENDED}
    SimRecord.objects.create(**record(account, sequence=2, **ended))
    SimRecord.objects.create(**record(account, sequence=3, client_order_id="a"))
    refused(SimRecord, **record(account, sequence=4, **ended))
    refused(SimRecord, **record(account, sequence=5, kind="RUMOUR"))


def test_records_are_never_changed(account) -> None:
    row = SimRecord.objects.create(**record(account, sequence=1))
    with pytest.raises(AppendOnly):
        row.save()
    with pytest.raises(AppendOnly):
        row.delete()
    with pytest.raises(AppendOnly):
        SimRecord.objects.update(payload="")


def test_nobody_has_heard_what_did_not_happen(account) -> None:
    account.told = 1
    with pytest.raises(IntegrityError), transaction.atomic():
        account.save()


# --- exchange accounts --------------------------------------------------------------------------------


@pytest.fixture
def owner() -> User:
    return User.objects.create_user("ann@example.org", "a long password")


def test_a_venue_account_is_there_once(owner) -> None:
    columns = {"owner": owner, "venue": "binanceusdm"}
    ExchangeAccount.objects.create(**columns, name="main", uid="1")
    ExchangeAccount.objects.create(**columns, name="new")
    ExchangeAccount.objects.create(**columns, name="newer")  # not asked for their uid yet
    refused(ExchangeAccount, **columns, name="again", uid="1")
    refused(ExchangeAccount, **columns, name="main", uid="2")


def test_keys_are_there_both_or_neither(owner) -> None:
    columns = {"owner": owner, "venue": "okx"}
    key, secret = Secret("the key"), Secret("the secret")
    ExchangeAccount.objects.create(**columns, name="both", api_key=key, api_secret=secret)
    refused(ExchangeAccount, **columns, name="one", api_key=key)
    refused(ExchangeAccount, **columns, name="other", api_secret=secret)
    refused(ExchangeAccount, **columns, name="lone", passphrase=Secret("open sesame"))


def test_the_admin_shows_no_key(admin_client, owner) -> None:
    account = ExchangeAccount.objects.create(
        owner=owner, name="main", venue="okx", api_key=Secret("K-1"), api_secret=Secret("S-1")
    )
    pages = (
        reverse("admin:market_exchangeaccount_changelist"),
        reverse("admin:market_exchangeaccount_change", args=[account.pk]),
    )
    for page in pages:
        answer = admin_client.get(page)
        assert answer.status_code == 200
        assert "main" in answer.content.decode()
        for word in ("K-1", "S-1", "api_key", "api_secret", "passphrase", "gAAAA"):
            assert word not in answer.content.decode()


@pytest.mark.parametrize("model", [Candle, FundingRate, Instrument, SimAccount, SimRecord])
def test_what_was_seen_is_not_edited(model, rf) -> None:
    page = admin.site.get_model_admin(model)
    assert not page.has_add_permission(rf.get("/"))
    assert not page.has_change_permission(rf.get("/"))
    assert not page.has_delete_permission(rf.get("/"))


@pytest.mark.parametrize("model", [Candle, FundingRate, Instrument, SimAccount, SimRecord])
def test_every_list_opens(model, admin_client, account) -> None:
    Candle.objects.create(**CANDLE)
    FundingRate.objects.create(venue="v", symbol="BTC/USDT:USDT", at=START, rate=D("0.1"))
    SimRecord.objects.create(**record(account, sequence=1))
    record_instruments("v", [PERPETUAL], START)
    row = model.objects.get()
    name = model._meta.model_name
    for page in (
        reverse(f"admin:market_{name}_changelist") + "?q=BTC/USDT:USDT",
        reverse(f"admin:market_{name}_change", args=[row.pk]),
    ):
        assert admin_client.get(page).status_code == 200


# --- candles ------------------------------------------------------------------------------------------


def stored(first: int, last: int, timeframe=MINUTE, **options) -> list[DomainCandle]:
    """The stored candles between two minutes."""
    span = (START + first * MINUTE, START + last * MINUTE)
    return list(stored_candles(KEY.venue, KEY.symbol, timeframe, *span, **options) or ())


def test_stored_candles_are_those_that_were_stored() -> None:
    bars = series([("100.1", "102.25", "99.0001", 101, "5.5"), *flat_rows(101, 4)])
    store_candles(KEY, bars)
    assert stored(0, 5) == list(bars)
    assert stored(1, 3) == list(bars)[1:3]
    assert stored(0, 1, is_mark=True) == []
    assert stored(0, 5, 5 * MINUTE) == []
    assert stored_candles(KEY.venue, KEY.symbol, MINUTE, START, START) is None


def test_the_spans_that_are_missing() -> None:
    store_candles(KEY, series(flat_rows(100, 5), at=(2, 3, 4, 7, 8)))

    def missing(first, last):
        spans = missing_spans(KEY, START + first * MINUTE, START + last * MINUTE)
        return [((a - START) / MINUTE, (b - START) / MINUTE) for a, b in spans]

    assert missing(0, 10) == [(0, 2), (5, 7), (9, 10)]
    assert missing(2, 5) == []
    assert missing(5, 7) == [(5, 7)]
    assert missing(2.5, 4.5) == []
    assert missing(20, 22) == [(20, 22)]


def test_a_volume_keeps_what_every_database_keeps() -> None:
    assert kept_volume(D("123456789.123456789")) == D("123456789.123456")
    assert kept_volume(D(12345678901234567)) == D(12345678901234500)
    assert kept_volume(D("0.00000000000049")) == 0
    assert kept_volume(D("5.50")) == D("5.5")
    assert kept_volume(D(0)) == 0


def test_a_long_volume_is_the_same_when_it_is_loaded_again() -> None:
    bars = series([(100, 100, 100, 100, "123456789.123456789")])
    assert store_candles(KEY, bars).added == 1
    assert store_candles(KEY, bars).same == 1


def test_a_price_that_no_row_can_keep_is_refused_before_any_is_written(monkeypatch) -> None:
    monkeypatch.setattr(candle_rows, "BATCH", 1)
    price = "0.1234567890123"
    bars = series([*flat_rows(100), (price, price, price, price)])
    with pytest.raises(AmountDoesNotFit, match="12 decimals"):
        store_candles(KEY, bars)
    assert not Candle.objects.exists()


def test_a_difference_is_refused_before_anything_is_written() -> None:
    store_candles(KEY, series(flat_rows(100, 3)))
    other = series([*flat_rows(100, 2), (100, 101, 99, 100), *flat_rows(100, 2)])
    with pytest.raises(RowsDiffer, match=r"00:02:00Z has high 100 .* and 101 here \(1 candle "):
        store_candles(KEY, other)
    assert Candle.objects.count() == 3
    done = store_candles(KEY, other, replace=True)
    assert (done.added, done.same, done.replaced) == (2, 2, 1)
    assert stored(0, 5) == list(other)


def test_what_is_replaced_is_there_until_the_other_is(monkeypatch) -> None:
    store_candles(KEY, series(flat_rows(100, 3)))

    def fail(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(Candle.objects, "bulk_create", fail)
    with pytest.raises(KeyboardInterrupt):
        store_candles(KEY, series(flat_rows(101, 3)), replace=True)
    assert Candle.objects.filter(close=100).count() == 3


# --- instruments --------------------------------------------------------------------------------------

NOW = datetime(2022, 6, 1, 12, tzinfo=UTC)


def full() -> DomainInstrument:
    return replace(
        default_instrument("BTC/USDT:USDT"),
        delisting_at=NOW,
        next_funding_at=NOW,
        funding_interval=timedelta(hours=8),
        max_open_orders=5,
        price_band=D("0.05"),
        max_quantity=D(100),
        as_of=NOW,
    )


@pytest.mark.parametrize("make", [full, lambda: PERPETUAL, lambda: SPOT_COIN])
def test_an_instrument_is_read_back_whole(make) -> None:
    assert instrument_of(row_of("v", make(), NOW)) == replace(make(), as_of=NOW)


def test_a_sync_tells_what_came_what_changed_and_what_went() -> None:
    eth = replace(PERPETUAL, symbol="ETH/USDT:USDT", base="ETH")
    first = record_instruments("v", [PERPETUAL, SPOT_COIN], NOW)
    assert first.added == (SPOT_COIN.symbol, PERPETUAL.symbol)
    later = NOW + timedelta(hours=1)
    again = record_instruments("v", [replace(PERPETUAL, next_funding_at=later), SPOT_COIN], later)
    assert (again.added, again.changed, again.delisted, again.same) == ((), (), (), 2)
    tick = replace(PERPETUAL, price_step=D("0.01"))
    third = record_instruments("v", [tick, eth], later)
    assert third.added == (eth.symbol,)
    assert third.changed == (PERPETUAL.symbol,)
    assert third.delisted == (SPOT_COIN.symbol,)
    assert [(one.symbol, one.status) for one in instruments_of("v")] == [
        (SPOT_COIN.symbol, InstrumentStatus.SUSPENDED),
        (PERPETUAL.symbol, InstrumentStatus.TRADING),
        (eth.symbol, InstrumentStatus.TRADING),
    ]
    assert instruments_of("v")[1].price_step == D("0.01")
    assert record_instruments("v", [tick, eth], later).delisted == ()
    assert record_instruments("v", [tick, eth, SPOT_COIN], later).changed == (SPOT_COIN.symbol,)
    assert instruments_of("elsewhere") == ()


def test_an_empty_list_suspends_nothing() -> None:
    record_instruments("v", [PERPETUAL], NOW)
    with pytest.raises(VenueUnavailable, match="no instrument at all"):
        record_instruments("v", [], NOW)
    assert instruments_of("v")[0].status is InstrumentStatus.TRADING
