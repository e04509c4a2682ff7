"""The tables of the simulated venue, played on paper: the same words, from a memory in the database."""

import pytest

from tests.market.paper_venue import PaperVenue
from tests.market.sim_broker import (
    test_life_of_orders,
    test_liquidation_and_funding,
    test_quotes,
    test_spot,
)
from tests.market.sim_broker.test_life_of_orders import *  # noqa: F403
from tests.market.sim_broker.test_liquidation_and_funding import *  # noqa: F403
from tests.market.sim_broker.test_quotes import *  # noqa: F403
from tests.market.sim_broker.test_spot import *  # noqa: F403

del test_added_margin_moves_the_liquidation_price_and_can_be_lost  # noqa: F821 (no order adds margin)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def on_paper(monkeypatch) -> None:
    for tables in (
        test_life_of_orders,
        test_liquidation_and_funding,
        test_quotes,
        test_spot,
    ):
        monkeypatch.setattr(tables, "Venue", PaperVenue)
