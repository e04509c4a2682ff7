"""Arenas on a market that a test sets: real services and rows; prices, time and minds are literal."""

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal as D
from typing import Any

from bots import enqueue as enqueuing
from bots import looks, models, runtime, stored_record
from bots.domain.bot import BotStatus
from bots.lab import drawdowns, services
from bots.lab.models import Arena
from bots.lab.services import ArenaWish, EntrantWish
from market.models import LatestPrice
from market.venues.clocks import SteppedClock
from risk.models import RiskProfile
from tests.bots.desks import START, LiteralTrader
from tests.bots.paper_desks import ClosingFeed
from tests.scenarios.tables import SYMBOL, instrument
from tradingagent.accounts.models import User

MINUTE = timedelta(minutes=1)
RULES = ("buy_and_hold", "ema_trend", "rsi_mean_reversion", "seeded_random", "flat")


@dataclass
class Ground:
    """Whose arena, and what a test may turn of its world. `sent`: the tasks that were put in a queue."""

    owner: User
    feed: ClosingFeed
    clock: SteppedClock
    trader: LiteralTrader
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def wish(self, **fields: Any) -> ArenaWish:
        values: dict[str, Any] = {
            "owner": self.owner,
            "name": "Season 1",
            "venue": "simulated",
            "symbols": (SYMBOL,),
            "risk_profile": RiskProfile.objects.get(owner=None, name="balanced"),
        }
        return ArenaWish(**{**values, **fields})

    def arena(self, *traders: str, **fields: Any) -> Arena:
        """An arena of these rules that has not started."""
        entrants = [EntrantWish(trader=trader) for trader in traders]
        return services.create_arena(self.wish(**fields), by=self.owner, entrants=entrants)

    def started(self, *traders: str, **fields: Any) -> Arena:
        return services.start_arena(self.arena(*traders, **fields).pk, by=self.owner)

    def tick(self, price: str, *, by: timedelta = MINUTE) -> None:
        self.feed.prices[SYMBOL] = D(price)
        self.clock.advance_to(self.clock.now() + by)


def ground(monkeypatch: Any) -> Ground:
    """A user and a literal market, with nothing remembered from another test's database."""
    owner = User.objects.get_or_create(email="ann@example.org")[0]
    feed = ClosingFeed(traded=(instrument(symbol=SYMBOL),), prices={SYMBOL: D(100)})
    made = Ground(owner, feed, SteppedClock(START), LiteralTrader())

    class App:
        @staticmethod
        def send_task(name: str, kwargs: dict[str, Any]) -> None:
            made.sent.append((name, kwargs))

    monkeypatch.setattr(enqueuing, "current_app", App)
    monkeypatch.setattr(runtime, "open_feed", lambda bot: feed)
    monkeypatch.setattr(runtime, "clock", lambda: made.clock)
    monkeypatch.setattr(runtime, "_trader", lambda bot: made.trader)
    monkeypatch.setattr("bots.services.lifecycle.timezone.now", made.clock.now)
    for memory in (looks, stored_record, drawdowns):
        memory.forget()
    return made


def bots_of(arena: Arena) -> list[models.Bot]:
    """In order of joining."""
    return list(models.Bot.objects.filter(entrant__arena=arena).order_by("entrant__place"))


def statuses(arena: Arena) -> list[BotStatus]:
    return [BotStatus(bot.status) for bot in bots_of(arena)]


def priced(price: str, symbol: str = SYMBOL) -> None:
    """What the instrument was last seen at, for pages."""
    LatestPrice.objects.update_or_create(
        venue="simulated",
        symbol=symbol,
        defaults={"mark_price": D(price), "last_price": D(price), "at": START},
    )
