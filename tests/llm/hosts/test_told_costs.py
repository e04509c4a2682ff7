"""A host that says what a request cost is believed, within reason; any other's cost is made from the price."""

from decimal import Decimal as D

import pytest

from llm.hosts import Provider
from llm.models import BudgetDay
from tests.llm.hosts.server import says
from tests.llm.hosts.stage import CENTER, Asking, priced, profile_of, sends, unstored_profile
from tests.llm.hosts.wires import CHAT_COST, CHAT_USAGE, chat
from tests.llm.scenes import first_view, standard


def of(cost: object) -> dict:
    return chat(usage={**CHAT_USAGE, "cost": cost})


@pytest.mark.parametrize(
    ("said", "cost"),
    [
        (0.00125, D("0.00125")), (0, D(0)), ("0.5", D("0.5")), (1e-9, D("1E-9")),
        (-1, None), (True, None), (None, None), ("much", None), ("NaN", None), (1e308, None), ([1], None),
    ],
)  # fmt: skip
def test_what_is_no_cost_is_not_believed(host, said, cost):
    host.answer_with(says(of(said)))

    assert sends(unstored_profile(host, Provider.OPENROUTER), standard(first_view())).cost == cost


def test_others_are_not_believed_whatever_they_say(host):
    host.answer_with(says(of(0)))

    assert sends(unstored_profile(host, Provider.OPENAI), standard(first_view())).cost is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_priced", [True, False])
def test_it_takes_the_place_of_what_was_set_aside(host, is_priced):
    if is_priced:
        priced(Provider.OPENROUTER)
    host.answer_with(says(of(0.00125)))

    found = Asking(profile_of(host, Provider.OPENROUTER)).decide()

    assert found.decision.cost == D("0.00125") != CHAT_COST
    assert found.rows[0].cost == D("0.00125")
    assert BudgetDay.objects.get(cost_center=CENTER).money == 1250
