"""A look: sees every kind of change, and asks as often for fifty pages as for one."""

from datetime import timedelta
from decimal import Decimal as D
from uuid import uuid4

import pytest
from django.utils import timezone

from bots import models
from bots.live.look import look
from market.models import LatestPrice
from tests.bots.paper_desks import paper_bot
from tests.live.stage import gain, tell
from tests.scenarios.tables import SYMBOL
from tradingagent.accounts.models import User

pytestmark = pytest.mark.django_db


def running_cycle(bot: models.Bot) -> models.TradingCycle:
    now = timezone.now()
    return models.TradingCycle.objects.create(
        id=uuid4(), bot=bot, slot="now", owner="o", lease_until=now, started_at=now
    )


def price(bot: models.Bot, symbol: str = SYMBOL) -> LatestPrice:
    return LatestPrice.objects.create(
        venue=bot.venue, symbol=symbol, mark_price=D(100), last_price=D(100), at=timezone.now()
    )


def moves_the_price(bot: models.Bot) -> None:
    LatestPrice.objects.update(at=timezone.now() + timedelta(seconds=1))


CHANGES = {
    "event": tell,
    "equity": lambda bot: gain(bot, "9999"),
    "cycle": running_cycle,
    "price": moves_the_price,
    "first price": lambda bot: price(bot, "NEW/USDT:USDT"),
    "status": lambda bot: models.Bot.objects.filter(pk=bot.pk).update(status="PAUSED"),
    "halt": lambda bot: models.Bot.objects.filter(pk=bot.pk).update(is_halted=True),
    "another bot": lambda bot: paper_bot(bot.owner),
    "gone": lambda bot: models.Bot.objects.filter(pk=bot.pk).delete(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen(change: str) -> None:
    bot = paper_bot(symbols=(SYMBOL, "NEW/USDT:USDT"))
    price(bot)

    def sign() -> object:
        return look({bot.pk}, {bot.owner.pk}).sign_of([bot.pk], bot.owner.pk)

    before = sign()
    assert sign() == before
    CHANGES[change](bot)
    assert sign() != before


def test_what_happens_to_others_is_no_change() -> None:
    bot = paper_bot()
    other = paper_bot(User.objects.create_user("else@example.org"), venue="elsewhere")
    bots, owners = {bot.pk, other.pk}, {bot.owner.pk, other.owner.pk}
    before = look(bots, owners).sign_of([bot.pk], bot.owner.pk)
    tell(other)
    running_cycle(other)
    price(other)
    paper_bot(other.owner)
    assert look(bots, owners).sign_of([bot.pk], bot.owner.pk) == before


@pytest.mark.parametrize("pages", [1, 50])
def test_fifty_pages_cost_as_many_queries_as_one(pages: int, django_assert_num_queries) -> None:
    bots = [paper_bot(symbols=(f"S{n}/USDT:USDT",)) for n in range(pages)]
    for bot in bots:
        price(bot, bot.symbols[0])
    with django_assert_num_queries(4):
        seen = look({bot.pk for bot in bots}, {bots[0].owner.pk})
    assert len(seen.bots) == pages
