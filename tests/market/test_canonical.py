"""Canonical bytes: one value, one spelling."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal as D
from enum import IntEnum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.domain.canonical import canonical_bytes, canonical_value, content_hash, utc_text
from market.domain.enums import OrderSide


@dataclass(frozen=True)
class Thing:
    name: str
    price: D


class Level(IntEnum):
    LOW = 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (7, "7"),
        ('é " <', '"é \\" <"'),
        (D("1.500"), '"1.5"'),
        (D("-0.0"), '"0"'),
        (D("1E+3"), '"1000"'),
        (OrderSide.BUY, '"BUY"'),
        (Level.LOW, "1"),
        (Thing(name="a", price=D("2.0")), '{"name":"a","price":"2"}'),
        ({"b": 1, "a": [D(1), (2, 3)]}, '{"a":["1",[2,3]],"b":1}'),
        ({OrderSide.SELL: 1, D("1.0"): 2}, '{"1":2,"SELL":1}'),
        (frozenset({"b", "a"}), '["a","b"]'),
        (datetime(2022, 1, 1, 12, tzinfo=UTC), '"2022-01-01T12:00:00Z"'),
        (
            datetime(2022, 1, 1, 12, 0, 0, 500, tzinfo=timezone(timedelta(hours=3))),
            '"2022-01-01T09:00:00.000500Z"',
        ),
        (date(2022, 1, 1), '"2022-01-01"'),
        (timedelta(minutes=1, milliseconds=1), '"PT60.001S"'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
    ],
)
def test_spelling(value: object, text: str) -> None:
    assert canonical_bytes(value) == text.encode()


@pytest.mark.parametrize(
    "value", [1.0, float("nan"), [1.5], {"a": {"b": 0.1}}, object(), b"bytes", Thing]
)
def test_what_has_no_spelling(value: object) -> None:
    with pytest.raises(TypeError, match="no canonical form"):
        canonical_bytes(value)


def test_two_keys_of_one_spelling_would_lose_a_value() -> None:
    with pytest.raises(ValueError, match="same canonical text"):
        canonical_value({1: "a", "1": "b"})


def test_a_naive_instant_has_no_place_in_time() -> None:
    with pytest.raises(ValueError, match="naive"):
        utc_text(datetime(2022, 1, 1))  # noqa: DTZ001


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.decimals(min_value=-(10**15), max_value=10**15, places=6),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@given(PLAIN)
def test_the_same_value_gives_the_same_bytes_whatever_its_order(value: object) -> None:
    def turned(item: object) -> object:
        if isinstance(item, dict):
            return {key: turned(item[key]) for key in reversed(list(item))}
        if isinstance(item, list):
            return tuple(turned(one) for one in item)
        if isinstance(item, D):
            return item + D("0.0000000")
        return item

    assert canonical_bytes(value) == canonical_bytes(turned(value))
    assert content_hash(value) == content_hash(turned(value))
    assert len(content_hash(value)) == 64
