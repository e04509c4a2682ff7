"""A paper bot in the database on a market that the test sets: everything real but prices, time and mind."""

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal as D
from typing import Any
from uuid import uuid4

from django.db import connection
from django.test.utils import CaptureQueriesContext

from bots import models, runtime, services
from bots.books import differences, open_books
from bots.domain.bot import BotMode, BotStatus
from llm.domain import Decision
from market.services import open_sim_account
from market.venues.clocks import SteppedClock
from market.venues.sim_venue.settings import SimSettings
from risk.models import RiskProfile
from tests.bots.desks import START, LiteralFeed, LiteralTrader
from tests.scenarios.tables import SYMBOL, instrument
from tradingagent.accounts.models import User

TRANSACTION_CONTROL = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "PRAGMA")


class ClosingFeed(LiteralFeed):
    """A literal feed whose bars are always closed."""

    def is_bar_closed(self, symbols, due_at) -> bool:
        return True


@dataclass
class PaperDesk:
    """One bot and what a test may turn of its world."""

    bot: models.Bot
    clock: SteppedClock
    feed: ClosingFeed
    trader: LiteralTrader
    queries: list[str] = field(default_factory=list)

    def cycle(self, slot: str, *answers: Decision):
        """Run a slot with these answers; its queries are kept, transaction control left out."""
        self.trader.answers.extend(answers)
        with CaptureQueriesContext(connection) as captured:
            run = services.run_slot(self.bot.pk, slot)
        self.queries = [
            query["sql"]
            for query in captured.captured_queries
            if not query["sql"].startswith(TRANSACTION_CONTROL)
        ]
        return run

    def mark(self):
        return services.mark_shard()

    def tick(self, price: str | None = None, *, by: timedelta = timedelta(seconds=15)) -> None:
        if price is not None:
            for symbol in self.bot.symbols:
                self.feed.prices[symbol] = D(price)
        self.clock.advance_to(self.clock.now() + by)

    @property
    def state(self) -> models.BotState:
        return models.BotState.objects.get(pk=self.bot.pk)

    def differences(self) -> list[str]:
        config = runtime.config_of(runtime.load_bot(self.bot.pk))
        traded = {one.symbol: one for one in self.feed.traded}
        return differences(config, self.state, traded)


def paper_bot(owner: User | None = None, symbols=(SYMBOL,), profile="balanced", **fields):
    """A saved ACTIVE paper bot with an opened account and books."""
    owner = owner or User.objects.get_or_create(email="owner@example.org")[0]
    sim = SimSettings(execute_on_quotes=True)
    values: dict[str, Any] = {
        "id": uuid4(), "owner": owner, "mode": BotMode.PAPER, "status": BotStatus.ACTIVE,
        "venue": "simulated", "symbols": sorted(symbols), "currency": "USDT", "capital": D(10_000),
        "trader": "flat", "risk_profile": RiskProfile.objects.get(owner=None, name=profile),
    }  # fmt: skip
    values |= fields
    values.setdefault("name", str(values["id"]))
    bot = models.Bot(
        sim_account=open_sim_account("USDT", values["capital"], sim),
        shard_key=values["id"].int % models.SHARD_KEYS,
        **values,
    )
    bot.save(force_insert=True)
    open_books(runtime.config_of(bot), START)
    return bot


def paper_desk(monkeypatch, *answers: Decision, price="100", symbols=(SYMBOL,), **fields):
    """A paper bot, and the runtime turned to its literal market."""
    traded = tuple(instrument(symbol=symbol) for symbol in symbols)
    feed = ClosingFeed(traded=traded, prices=dict.fromkeys(symbols, D(price)))
    clock, trader = SteppedClock(START), LiteralTrader(answers=list(answers))
    monkeypatch.setattr(runtime, "open_feed", lambda bot: feed)
    monkeypatch.setattr(runtime, "clock", lambda: clock)
    monkeypatch.setattr(runtime, "_trader", lambda bot: trader)
    return PaperDesk(paper_bot(symbols=symbols, **fields), clock, feed, trader)
