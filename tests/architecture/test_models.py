"""Foreign keys point the way imports do; every model can be seen in the admin.

Read off Django's registry, so that a key named by a string counts like any other.
"""

from collections.abc import Iterable

import pytest
from django.apps import apps
from django.contrib import admin

# A lower row may not refer to a higher one; apps of one row don't know each other.
ROWS = (("accounts",), ("market",), ("llm", "risk"), ("bots",), ("alerts", "lab"), ("embedded",))
ROW_OF = {label: row for row, labels in enumerate(ROWS) for label in labels}


def our_models():
    return [model for model in apps.get_models() if model._meta.app_label in ROW_OF]


def foreign_keys() -> Iterable[tuple[str, str]]:
    """Yield (field, app label it refers to) for every foreign key and many-to-many of ours."""
    for model in our_models():
        for field in model._meta.get_fields(include_hidden=True):
            if field.is_relation and field.concrete and field.related_model:
                yield f"{model._meta.label}.{field.name}", field.related_model._meta.app_label


def points_upward(field: str, target: str) -> bool:
    source = field.split(".")[0]
    if target == source or target not in ROW_OF:  # itself, or Django's own apps
        return False
    return ROW_OF[target] >= ROW_OF[source]


def test_every_app_of_ours_has_its_row():
    ours = {
        config.label
        for config in apps.get_app_configs()
        if config.name.split(".")[0] in ("tradingagent", "market", "llm", "risk", "bots")
    }

    assert ours <= set(ROW_OF)


def test_no_foreign_key_points_upward():
    assert [(field, to) for field, to in foreign_keys() if points_upward(field, to)] == []


@pytest.mark.parametrize(
    ("field", "target", "upward"),
    [
        ("bots.Bot.owner", "accounts", False),
        ("bots.Order.bot", "bots", False),
        ("accounts.User.groups", "auth", False),
        ("market.SimAccount.bot", "bots", True),
        ("llm.LLMCall.profile", "risk", True),
        ("bots.Bot.arena", "lab", True),
    ],
)
def test_an_upward_key_is_seen(field, target, upward):
    assert points_upward(field, target) is upward


def test_the_walk_finds_relations():
    assert ("accounts.User.groups", "auth") in foreign_keys()


def test_every_model_is_in_the_admin():
    assert [m._meta.label for m in our_models() if not admin.site.is_registered(m)] == []
