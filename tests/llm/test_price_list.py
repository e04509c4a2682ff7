"""The prices that are shipped: sound, put in place once, and never over what somebody made of them."""

import json
from datetime import UTC, datetime
from decimal import Decimal as D

import pytest

from llm.hosts import Provider
from llm.models import ModelPrice
from llm.price_rows import price_at
from llm.services import sync_price_list
from llm.services.rows import PRICE_LIST
from tradingagent.embedded.keys import KEYS

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 27, tzinfo=UTC)
LISTED = json.loads(PRICE_LIST.read_text(encoding="utf-8"))


@pytest.fixture
def shipped() -> None:
    """Other tests may have emptied the tables."""
    sync_price_list()


def test_every_listed_price_is_sound(shipped) -> None:
    rows = list(ModelPrice.objects.all())

    assert len(rows) == len(LISTED) > 300
    for row in rows:
        row.clean_fields()
    assert all(D(one["cached_price"]) <= D(one["input_price"]) for one in LISTED)
    keys = [(one["provider"], one["model_pattern"], one["valid_from"]) for one in LISTED]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("known", KEYS, ids=lambda one: one.name)
def test_the_models_of_a_first_run_have_a_price(shipped, known) -> None:
    price = price_at(known.provider, known.model, NOW)

    assert price is not None and 0 < price.input_price < price.output_price < 1000


def test_a_model_that_nobody_listed_has_none(shipped) -> None:
    assert price_at(Provider.OPENAI, "gpt-99-unheard-of", NOW) is None
    assert price_at(Provider.OLLAMA, "gpt-6.1-sol", NOW) is None


def test_what_somebody_changed_stays(shipped) -> None:
    row = ModelPrice.objects.filter(provider=Provider.ANTHROPIC).first()
    assert row is not None
    ModelPrice.objects.filter(pk=row.pk).update(input_price=77)
    gone = ModelPrice.objects.filter(provider=Provider.XAI).delete()[0]

    assert sync_price_list() == gone > 0
    assert sync_price_list() == 0
    row.refresh_from_db()
    assert row.input_price == 77


def test_a_price_counts_from_its_day_on(shipped) -> None:
    listed = [one for one in LISTED if one["model_pattern"] == "deepseek-v4-flash*"]
    before, after = sorted(listed, key=lambda one: one["valid_from"])[-2:]
    turn = datetime.fromisoformat(after["valid_from"]).replace(tzinfo=UTC)

    found = price_at(Provider.DEEPSEEK, "deepseek-v4-flash", turn)
    assert found is not None and found.input_price == D(after["input_price"])
    day_before = price_at(Provider.DEEPSEEK, "deepseek-v4-flash", turn.replace(day=turn.day - 1))
    assert day_before is not None and day_before.input_price == D(before["input_price"])
