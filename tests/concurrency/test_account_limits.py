"""Five bots of one user decide at the same instant to buy the same asset: together within the user's limits."""

from decimal import Decimal as D

import pytest

from bots import models
from risk.models import AccountLimits
from tests.chaos.scene import Scene, enters, open_scene
from tests.concurrency.stage import all_is_well, at_once
from tradingagent.accounts.models import User

pytestmark = pytest.mark.django_db(transaction=True)
BOTS = 5
STAKE, MARGIN = D(1503), D("300.6")
"""15 at the worst price of the entry, 100.2, by 5."""


def limit(**caps: str) -> None:
    user = User.objects.get_or_create(email="owner@example.org")[0]
    AccountLimits.objects.create(user=user, **{name: D(cap) for name, cap in caps.items()})


def all_buy() -> list[Scene]:
    scenes = [open_scene(f"bot {number}") for number in range(BOTS)]
    for scene in scenes:
        scene.wants(enters(scene.price), scene.price)

    def buying(scene: Scene):
        return lambda: scene.decide() is not None

    assert at_once(*map(buying, scenes)) == [True] * BOTS
    return scenes


def outcomes() -> list[tuple[str, str]]:
    """(status, code) of each entry, in order."""
    entries = models.Order.objects.filter(purpose="ENTRY")
    return sorted((one.status, one.reason.split(" ")[0].rstrip(":")) for one in entries)


@pytest.mark.parametrize(
    ("cap", "allowed", "code", "most"),
    [
        ("max_exposure_per_asset", "4000", "ACCOUNT_ASSET_EXPOSURE", 2),
        ("max_exposure_per_asset", "1502.9", "ACCOUNT_ASSET_EXPOSURE", 0),
        ("max_gross_exposure", "4509", "ACCOUNT_GROSS_EXPOSURE", 3),
        ("max_margin_used", "700", "ACCOUNT_MARGIN_USED", 2),
    ],
)
def test_together_they_stay_within(cap, allowed, code, most):
    limit(**{cap: allowed})
    scenes = all_buy()
    statuses = outcomes()
    assert statuses == [("DENIED", code)] * (BOTS - most) + [("FILLED", "")] * most
    held = models.Position.objects.all()
    value = sum((STAKE if cap != "max_margin_used" else MARGIN for _ in held), D(0))
    assert value <= D(allowed) and len(held) == most
    all_is_well(*scenes)


def test_without_limits_all_of_them_buy():
    scenes = all_buy()
    assert [status for status, _ in outcomes()] == ["FILLED"] * BOTS
    all_is_well(*scenes)


def test_after_the_loss_of_a_day_none_opens():
    loser = open_scene("the loser")
    models.BotState.objects.filter(bot_id=loser.bot_id).update(
        day_open_nav=D(10_000), equity=D(9_900), equity_at=loser.clock.now()
    )
    limit(max_daily_loss="100")
    all_buy()
    assert outcomes() == [("DENIED", "ACCOUNT_DAILY_LOSS")] * BOTS
    assert not models.Position.objects.exists()


def test_what_others_hold_or_have_under_way_is_not_theirs():
    stranger = open_scene("a stranger's", email="stranger@example.org")
    stranger.wants(enters(stranger.price), stranger.price)
    assert stranger.decide() is not None
    mine = open_scene("mine")
    limit(max_exposure_per_asset="1600", max_gross_exposure="1600", max_margin_used="320")
    models.Order.objects.filter(bot_id=stranger.bot_id, purpose="ENTRY").update(
        status="UNKNOWN", filled_quantity=0, quantity=D(1_000)
    )
    mine.wants(enters(mine.price), mine.price)
    assert mine.decide() is not None
    [entry] = models.Order.objects.filter(bot_id=mine.bot_id, purpose="ENTRY")
    assert (entry.status, entry.reason) == ("FILLED", "")
