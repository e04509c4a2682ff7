"""A paper bot on a market that a script moves: literal prices, literal decisions, the desk's real rows.

The desk is put together by `bots.runtime` as in production; only what it would see and ask (feed, clock,
trader) is the script's, and each outward call is a point to die at. It checks nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any
from unittest.mock import patch
from uuid import UUID

from bots import models, runtime, services
from bots.domain.bot import BotMode, BotStatus
from bots.domain.exits import ExitRules
from llm.domain import Completion, Decision, DecisionAction, DecisionView, StopRequirement
from llm.hosts import Provider
from llm.models import ModelProfile
from market.domain.data import CandleSeries, InstrumentSnapshot
from market.domain.instruments import Instrument
from market.venues.clocks import SteppedClock
from risk.models import RiskProfile
from tests.bots.desks import NO_CANDLES, LiteralFeed, says
from tests.chaos.points import Pointed, Points, commits, pointed
from tests.scenarios.tables import SYMBOL, instrument
from tradingagent.accounts.models import User

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
SLOT = timedelta(minutes=3)
THINKING = timedelta(seconds=1)
COST = D("0.01234567")
NO_EXITS = ExitRules()
BROKER_CALLS = ("sync", "submit", "lookup", "cancel")


@dataclass
class ScriptedFeed(LiteralFeed):
    """Literal prices, seen as a live feed; `minutes`: the bars that the simulated venue walks."""

    minutes: CandleSeries = NO_CANDLES

    def is_bar_closed(self, symbols: Any, due_at: datetime) -> bool:
        return True

    def _one(self, symbol: str, now: datetime) -> InstrumentSnapshot:
        return replace(super()._one(symbol, now), bars=self.minutes)


@dataclass
class ScriptedTrader:
    """Says what the script wants, after a second of thought in which the price may move; each answer costs."""

    scene: "Scene"
    name: str = "scripted"
    stop: StopRequirement = StopRequirement.REQUIRED

    def decide(self, view: DecisionView) -> Decision:
        scene = self.scene
        scene.views.append(view)
        scene.clock.advance_to(scene.clock.now() + THINKING)
        if scene.price_after is not None:
            scene.feed.prices[SYMBOL] = scene.price_after
        if scene.thinking is not None:
            scene.thinking()
        answer = Completion(text="{}", model="scripted", cost=COST)
        said = scene.decision or Decision(trader=self.name)
        return replace(said, trader=self.name, completions=(answer,))


@dataclass
class Scene:
    """One bot, its market and its script."""

    bot_id: UUID
    clock: SteppedClock
    feed: ScriptedFeed
    decision: Decision | None = None
    price_after: D | None = None
    thinking: Callable[[], object] | None = None
    points: Points = field(default_factory=Points)
    views: list[DecisionView] = field(default_factory=list)

    @property
    def price(self) -> D:
        return self.feed.prices[SYMBOL]

    @property
    def instruments(self) -> dict[str, Instrument]:
        return {one.symbol: one for one in self.feed.traded}

    def wants(self, decision: Decision | None, price: D, after: D | None = None) -> None:
        """What the trader says next, at which price, and where the price is once it has thought."""
        self.decision, self.feed.prices[SYMBOL], self.price_after = decision, price, after

    def pass_time(self, by: timedelta = SLOT) -> None:
        self.clock.advance_to(self.clock.now() + by)

    def slot(self) -> str:
        return self.clock.now().isoformat()

    def decide(self) -> services.Run | None:
        """Run the cycle of this instant."""
        with self.open():
            return services.run_slot(self.bot_id, self.slot())

    def mark(self) -> Any:
        """Run a mark of this bot's shard."""
        shard = models.Bot.objects.values_list("shard_key", flat=True).get(pk=self.bot_id)
        with self.open():
            return services.mark_shard(shard, models.SHARD_KEYS)

    def flatten(self) -> Any:
        """Ask for everything to be closed, and do it."""
        with self.open():
            action = services.flatten_bot(self.bot_id, by="a person")
            return services.perform_action(action.pk)

    @contextmanager
    def open(self) -> Iterator[None]:
        """This scene is what the process sees, asks and passes."""
        with ExitStack() as stack:
            open_broker = runtime.open_broker

            def broker(*args: Any) -> Any:
                return _pointed_broker(open_broker(*args), self.points)

            feed = Pointed(self.feed, ("snapshot",), self.points)
            trader = Pointed(ScriptedTrader(self), ("decide",), self.points)
            stack.enter_context(patch.object(runtime, "open_feed", lambda bot: feed))
            stack.enter_context(patch.object(runtime, "clock", lambda: self.clock))
            stack.enter_context(patch.object(runtime, "build_trader", lambda *made_of: trader))
            stack.enter_context(patch.object(runtime, "trader_for", lambda *_, **paid_from: trader))
            stack.enter_context(patch.dict(runtime._models, clear=True))
            stack.enter_context(patch.object(runtime, "open_broker", broker))
            stack.enter_context(patch("bots.enqueue.current_app"))
            stack.enter_context(commits(self.points))
            yield


def _pointed_broker(broker: Any, points: Points) -> Any:
    """The broker itself, its outward calls made points: who asks for its type gets the same answer."""
    for name in BROKER_CALLS:
        setattr(broker, name, pointed(getattr(broker, name), name, points))
    return broker


def open_scene(
    name: str,
    *,
    email: str = "owner@example.org",
    time_zone: str = "UTC",
    price: str = "100",
    asks_a_model: bool = False,
    exits: ExitRules = NO_EXITS,
) -> Scene:
    """A new ACTIVE bot with 10,000 of paper money on an instrument of round numbers. `asks_a_model`: the
    script speaks in a model's place. `exits`: what it does between two decisions."""
    owner = User.objects.get_or_create(email=email, defaults={"time_zone": time_zone})[0]
    feed = ScriptedFeed(traded=(instrument(),), prices={SYMBOL: D(price)})
    scene = Scene(bot_id=UUID(int=0), clock=SteppedClock(START), feed=feed)
    wish = services.BotWish(
        owner=owner,
        mode=BotMode.PAPER,
        venue="simulated",
        symbols=(SYMBOL,),
        capital=D(10_000),
        risk_profile=RiskProfile.objects.get(owner=None, name="balanced"),
        trader="" if asks_a_model else "flat",
        model_profile=_model() if asks_a_model else None,
        exits=exits,
        name=name,
    )
    with scene.open():
        bot = services.create_bot(wish, by=owner)
    alone = models.Bot.objects.count() % models.SHARD_KEYS  # its marks look at no other market
    models.Bot.objects.filter(pk=bot.pk).update(status=BotStatus.ACTIVE, shard_key=alone)
    scene.bot_id = bot.pk
    return scene


def _model() -> ModelProfile:
    params = {"completions": "the script's"}
    return ModelProfile.objects.get_or_create(
        owner=None, name="scripted", defaults={"provider": Provider.SCRIPTED, "params": params}
    )[0]


# --- what a script may want ---------------------------------------------------------------------------


def enters(price: D, *, is_long: bool = True) -> Decision:
    """An entry of 1,500 with a stop 5% away and a target 10% away."""
    sign = 1 if is_long else -1
    action = DecisionAction.BUY_TO_ENTER if is_long else DecisionAction.SELL_TO_ENTER
    return says(
        action,
        notional=1500,
        leverage=5,
        stop_loss=_tick(price * (1 - sign * D("0.05"))),
        take_profit=_tick(price * (1 + sign * D("0.1"))),
        confidence="0.8",
    )


def adjusts(stop: D) -> Decision:
    return says(DecisionAction.ADJUST, stop_loss=_tick(stop), confidence="0.8")


CLOSES = says(DecisionAction.CLOSE, confidence="0.8")


def _tick(price: D) -> D:
    return price.quantize(D("0.1"))
