"""A paper bot on a real venue's client, the venue being a server on this machine: time moves by hand.

Everything is the product's but the wall clock, the server behind `VENUE_URLS`, and the pace of requests.
The trap avoided: answers shared for two seconds of real time, which would show a test its own past.
"""

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

from bots import enqueue as enqueuing
from bots import models, runtime, services, stored_record
from bots.books import differences
from bots.domain.bot import BotMode
from bots.services import BotWish
from market.domain.instruments import Instrument
from market.venues import ccxt_feed, feeds
from market.venues.ccxt_client import VenueClient
from market.venues.clocks import SteppedClock
from market.venues.shared_fetch import SharedFetch
from market.venues.venue_data import VenueData
from risk.models import RiskProfile
from tests.market.venues.loopback import LoopbackVenue
from tradingagent.accounts.models import User

OPENED = datetime(2026, 5, 3, 12, 7, 31, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
KINDS = ("binanceusdm", "okx", "hyperliquid")


@dataclass
class VenueDesk:
    """One ACTIVE paper bot, its venue, and the two clocks that a test moves together."""

    venue: LoopbackVenue
    clock: SteppedClock
    seconds: list[float]
    sent: list[tuple[str, dict]] = field(default_factory=list)
    bot: models.Bot | None = None
    slots: int = 0

    def create(self, *coins: str, **changes) -> models.Bot:
        """Make and start a bot that buys and holds, with a stop far away."""
        owner, _ = User.objects.get_or_create(email="owner@example.org")
        wish = {
            "owner": owner, "mode": BotMode.PAPER, "venue": self.venue.kind,
            "symbols": tuple(self.venue.symbols[coin] for coin in coins or ("BTC",)),
            "capital": D(10_000), "trader": "buy_and_hold",
            "risk_profile": RiskProfile.objects.get(owner=None, name="balanced"),
            "params": {"stop_atr": "20", "reward": "2"},
        }  # fmt: skip
        self.bot = services.create_bot(BotWish(**{**wish, **changes}), by=owner)
        services.start_bot(self.bot.pk, by=owner)
        return self.bot

    def cycle(self):
        self.slots += 1
        return services.run_slot(self.bot.pk, f"slot {self.slots}").record

    def mark(self):
        return services.mark_shard()

    def advance(self, step: timedelta) -> None:
        self.venue.advance(step)
        self.seconds[0] += step.total_seconds()
        self.clock.advance_to(self.venue.market.now)

    def restart(self) -> None:
        feeds.forget_feeds()

    def order(self, purpose: str, coin: str = "BTC") -> models.Order:
        return models.Order.objects.get(
            bot=self.bot, purpose=purpose, symbol=self.venue.symbols[coin]
        )

    def fills(self, coin: str = "BTC") -> list[models.Fill]:
        found = models.Fill.objects.filter(bot=self.bot, symbol=self.venue.symbols[coin])
        return list(found.order_by("sequence"))

    def entries(self, kind: str) -> list[models.LedgerEntry]:
        return list(models.LedgerEntry.objects.filter(bot=self.bot, kind=kind).order_by("at"))

    def holds(self, coin: str = "BTC") -> bool:
        symbol = self.venue.symbols[coin]
        return models.Position.objects.filter(bot=self.bot, symbol=symbol).exists()

    def resting(self) -> set[str]:
        """Ids of the orders that the bot's simulated venue keeps."""
        account = runtime.load_bot(self.bot.pk).sim_account
        orders = models.Order.objects.filter(bot=self.bot, status__in=models.LIVING_STATUSES)
        return {one.pk for one in orders if one.pk in account.state}

    def instruments(self) -> dict[str, Instrument]:
        bot = runtime.load_bot(self.bot.pk)
        return runtime.instruments_of(bot, runtime.open_feed(bot))

    def differences(self) -> list[str]:
        config = runtime.config_of(runtime.load_bot(self.bot.pk))
        state = models.BotState.objects.get(pk=self.bot.pk)
        return differences(config, state, self.instruments())


@contextmanager
def venue_desk(monkeypatch, settings, kind: str):
    """A venue of this kind, the process's feeds turned to it, and a desk without a bot yet."""
    desk_seconds = [0.0]

    def data_of(client: VenueClient) -> VenueData:
        quick = VenueClient(client.venue, is_paced=False, timeout=2.0)
        return VenueData(quick, shared=SharedFetch(monotonic=lambda: desk_seconds[0]))

    with LoopbackVenue(kind, OPENED) as venue:
        desk = VenueDesk(venue, SteppedClock(OPENED), desk_seconds)

        class App:
            @staticmethod
            def send_task(name: str, kwargs: dict) -> None:
                desk.sent.append((name, kwargs))

        settings.VENUE_URLS = {kind: venue.url}
        monkeypatch.setattr(enqueuing, "current_app", App)
        monkeypatch.setattr(feeds, "VenueData", data_of)
        monkeypatch.setattr(ccxt_feed, "BARS", 300)
        monkeypatch.setattr(ccxt_feed, "CANDLES", 80)
        monkeypatch.setattr(runtime, "clock", lambda: desk.clock)
        feeds.forget_feeds()
        stored_record.forget()  # the test before had a database of its own
        try:
            yield desk
        finally:
            feeds.forget_feeds()
