"""Limits in rows: a column for each, the same limits back, and no door past the ranges."""

from dataclasses import fields, replace
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from risk.domain import InvalidLimits, Limits
from risk.models import LIMIT_NAMES, RiskProfile, limits_text, row_values
from risk.profiles import PROFILES, RAW
from tests.risk.build import BTC, ETH, D

KIND = {field.name: str(field.type) for field in fields(Limits)}


def stored(limits: Limits) -> RiskProfile:
    row = RiskProfile(**row_values(limits))
    row.name = f"row of {limits.name}"
    row.save()
    return RiskProfile.objects.get(pk=row.pk)


def named(row: RiskProfile, name: str) -> Limits:
    return replace(row.limits(), name=name)


# --- Round trips -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KIND)
def test_every_limit_has_a_column_of_its_kind(name):
    column = RiskProfile._meta.get_field(name)

    assert column.null is ("None" in KIND[name])
    expected = {
        "Decimal": "AmountField",
        "int": "PositiveIntegerField",
        "timedelta": "DurationField",
        "bool": "BooleanField",
        "frozenset": "JSONField",
        "tuple": "JSONField",
        "str": "CharField",
    }
    word = next(word for word in expected if word in KIND[name])
    assert type(column).__name__ == expected[word]
    assert column.help_text or name in ("name", "version")


def test_a_new_row_has_the_defaults_of_limits():
    assert named(RiskProfile(name="x"), "x") == Limits(name="x")


@pytest.mark.django_db
@pytest.mark.parametrize("name", PROFILES)
def test_presets_come_back_as_they_were(name):
    preset = RiskProfile.objects.get(owner=None, name=name)

    assert preset.limits() == PROFILES[name]
    assert limits_text(preset.limits()) == limits_text(PROFILES[name])
    assert preset.versions.get().limits == limits_text(PROFILES[name])
    assert named(stored(PROFILES[name]), name) == PROFILES[name]


amounts = st.decimals("0.000001", "999999", places=6)
fractions = st.decimals("0.000001", 1, places=6)
spans = st.timedeltas(timedelta(0), timedelta(days=400))


@st.composite
def some_limits(draw) -> Limits:
    """Any limits that make sense: each field drawn by its kind, what contradicts left out."""
    values = {"name": "drawn", "version": draw(st.integers(1, 9))}
    soft, hard = sorted([draw(fractions), draw(fractions)])
    for name, kind in KIND.items():
        if "timedelta" in kind:
            values[name] = draw(spans)
        elif kind == "bool" and name != "raw":
            values[name] = draw(st.booleans())
        elif "fraction" in name or name == "min_confidence":
            values[name] = draw(st.none() | fractions)
        elif kind == "Decimal | None":
            values[name] = draw(st.none() | amounts.map(lambda amount: amount + 1))
        elif kind == "int | None":
            values[name] = draw(st.none() | st.integers(1, 1_000_000_000))
        elif "frozenset" in kind:
            values[name] = draw(st.none() | st.frozensets(st.sampled_from([BTC, ETH, "X/Y"])))
    for name, value in [("soft_drawdown_fraction", soft), ("hard_drawdown_fraction", hard)]:
        values[name] = value if values[name] is not None else None
    return Limits(**values)


class AnyLimits(TestCase):
    @given(limits=some_limits())
    def test_come_back_as_they_were(self, limits):
        found = stored(limits)

        assert named(found, "drawn") == limits
        assert limits_text(named(found, "drawn")) == limits_text(limits)
        found.full_clean()


# --- Ranges ----------------------------------------------------------------------------------------

BAD = [
    ("max_leverage", D("0.5")),
    ("max_leverage", D("1000000001")),
    ("risk_per_trade_fraction", D(0)),
    ("hard_drawdown_fraction", D("1.01")),
    ("min_confidence", D("1.1")),
    ("min_confidence", D("-0.1")),
    ("max_spread_bps", D("-1")),
    ("max_loss_streak", 0),
    ("max_open_positions", 1_000_000_001),
    ("size", D(0)),
    ("min_hold", timedelta(seconds=-1)),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "value"), BAD)
def test_limits_and_the_database_refuse_the_same(name, value):
    row = RiskProfile(name="x", raw=name == "size", stop_required=False)
    setattr(row, name, value)

    with pytest.raises(InvalidLimits, match=name):
        row.limits()
    with pytest.raises(ValidationError):
        row.full_clean()
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save()


@pytest.mark.django_db
def test_limits_that_contradict_each_other_are_refused():
    crossed = {"soft_drawdown_fraction": D("0.2"), "hard_drawdown_fraction": D("0.1")}
    for values in (crossed, {"size": D(2)}):
        row = RiskProfile(name="x", **values)
        with pytest.raises(ValidationError):
            row.full_clean()
        with pytest.raises(IntegrityError), transaction.atomic():
            row.save()


@pytest.mark.django_db
@pytest.mark.parametrize("name", [n for n in LIMIT_NAMES if "None" in KIND[n] and "Dec" in KIND[n]])
def test_every_number_is_bounded_by_the_database_too(name):
    with pytest.raises(IntegrityError), transaction.atomic():
        RiskProfile.objects.create(name="x", **{name: D(-1)})


@pytest.mark.django_db
@pytest.mark.parametrize("symbols", ["BTC", {"a": 1}, [1], [["BTC"]]])
def test_symbols_are_a_list_of_texts(symbols):
    with pytest.raises(ValidationError, match="A list of symbols"):
        RiskProfile(name="x", allowed_symbols=symbols).full_clean()


@pytest.mark.django_db
def test_no_symbol_is_not_every_symbol():
    nothing = stored(replace(PROFILES["balanced"], allowed_symbols=frozenset()))

    assert nothing.limits().allowed_symbols == frozenset()


@pytest.mark.django_db
def test_a_preset_s_name_is_there_once():
    with pytest.raises(IntegrityError), transaction.atomic():
        RiskProfile.objects.create(owner=None, **{**row_values(RAW), "name": "raw"})
