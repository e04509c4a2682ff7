"""A user with bots that have really traded, for pages to show: the desk's own cycles on the simulated market.

Everything is as in production but the time, which the scene steps through, and the models, which say what is
written here. No page is made here. `seed` may be called outside a test too, on an empty database.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

from bots import models, runtime, services
from bots.domain.bot import BotMode, BotStatus
from bots.domain.slots import slot_text
from llm.domain import (
    Completion,
    Decision,
    DecisionAction,
    DecisionItem,
    DecisionOutcome,
    DecisionView,
    Prompt,
    StopRequirement,
    Usage,
)
from llm.hosts import Provider
from llm.models import ModelProfile
from market.domain.numbers import significant
from market.venues.clocks import SteppedClock
from market.venues.sim_market.feed import SimMarketFeed
from risk.models import RiskProfile
from tradingagent.accounts.models import User

BTC, ETH, SOL = (f"{base}/USDT:USDT" for base in ("BTC", "ETH", "SOL"))
SYMBOLS = (BTC, ETH, SOL)
STEP = timedelta(minutes=15)
SEED = 1
Says = Callable[[DecisionView], Decision]


class SteppedMarket:
    """The simulated market with a short past, as a live feed whose bars are always closed."""

    def __init__(self, timeframe: timedelta = STEP) -> None:
        self._feed = SimMarketFeed(
            SEED, timeframe=timeframe, symbols=SYMBOLS, history=timedelta(days=1)
        )

    def instruments(self) -> Any:
        return self._feed.instruments()

    def snapshot(self, symbols: Sequence[str], now: datetime) -> Any:
        return self._feed.snapshot(symbols, now)

    def is_bar_closed(self, symbols: Sequence[str], due_at: datetime) -> bool:
        return True


@dataclass
class Mind:
    """A model: what it says at its n-th decision, and what it holds on to between."""

    name: str
    says: dict[int, Says] = field(default_factory=dict)
    holds: Sequence[str] = ("Nothing has changed that would change a position.",)
    stop: StopRequirement = StopRequirement.REQUIRED
    asked: int = 0

    def decide(self, view: DecisionView) -> Decision:
        number, self.asked = self.asked, self.asked + 1
        say = self.says.get(number)
        said = say(view) if say else holds(self.holds[number % len(self.holds)])(view)
        return Decision(
            trader=self.name,
            outcome=said.outcome,
            summary=said.summary,
            reason=said.reason,
            items=said.items,
            prompts=(_prompt(number),),
            completions=() if said.outcome is DecisionOutcome.TIMED_OUT else (_reply(self, said),),
        )


def _prompt(number: int) -> Prompt:
    return Prompt(
        system="You are a trader.", user=f"Decision {number}", template_name="standard",
        template_version=1, template_hash="0" * 64, content_hash=f"{number:064d}", estimated_tokens=900,
    )  # fmt: skip


def _reply(mind: Mind, said: Decision) -> Completion:
    return Completion(
        text=f'{{"summary": "{said.summary}"}}', model=mind.name, cost=D("0.0072"), latency_ms=2140,
        usage=Usage(input_tokens=900, output_tokens=120),
    )  # fmt: skip


# --- what a model may say --------------------------------------------------------------------------


def holds(summary: str) -> Says:
    return lambda view: Decision(trader="", summary=summary)


def enters(
    symbol: str, *, stop: str, target: str, notional: int = 4000, leverage: int = 5,
    short: bool = False, summary: str = "",
) -> Says:  # fmt: skip
    """An entry with its stop and target at these distances from the market, in percent."""

    def say(view: DecisionView) -> Decision:
        quote = view.market.by_symbol[symbol].quote
        assert quote is not None
        sign = -1 if short else 1
        item = DecisionItem(
            symbol=symbol,
            action=DecisionAction.SELL_TO_ENTER if short else DecisionAction.BUY_TO_ENTER,
            confidence=D("0.72"),
            notional=D(notional),
            leverage=D(leverage),
            stop_loss=_near(quote.mark * (1 - sign * D(stop) / 100)),
            take_profit=_near(quote.mark * (1 + sign * D(target) / 100)),
            invalidation_condition="the 4-hour low breaks",
            justification=summary,
        )
        return Decision(trader="", summary=summary, items=(item,))

    return say


def closes(symbol: str, summary: str = "") -> Says:
    item = DecisionItem(symbol=symbol, action=DecisionAction.CLOSE, confidence=D("0.8"))
    return lambda view: Decision(trader="", summary=summary, items=(item,))


def moves_stop(symbol: str, by: str, summary: str = "") -> Says:
    """The stop to so many percent below the market (above, for a short)."""

    def say(view: DecisionView) -> Decision:
        held, quote = view.position(symbol), view.market.by_symbol[symbol].quote
        assert quote is not None
        sign = held.side.sign if held is not None else 1
        level = _near(quote.mark * (1 - sign * D(by) / 100))
        item = DecisionItem(symbol=symbol, action=DecisionAction.ADJUST, stop_loss=level)
        return Decision(trader="", summary=summary, items=(item,))

    return say


def fails(outcome: DecisionOutcome, reason: str) -> Says:
    return lambda view: Decision(trader="", outcome=outcome, reason=reason)


def _near(price: D) -> D:
    return D(significant(price, 5))


# --- the scene ---------------------------------------------------------------------------------------


@dataclass
class Scene:
    """A user's bots in a market whose time stands still until it is stepped on."""

    user: User
    clock: SteppedClock
    market: SteppedMarket
    minds: dict[UUID, Mind] = field(default_factory=dict)

    @contextmanager
    def open(self) -> Iterator[None]:
        """This scene's market, time and minds are those of the process; nothing is sent to a worker."""
        build = runtime._trader

        def trader(bot: models.Bot) -> Any:
            return self.minds[bot.pk] if bot.pk in self.minds else build(bot)

        with ExitStack() as stack:
            stack.enter_context(patch.object(runtime, "open_feed", lambda bot: self.market))
            stack.enter_context(patch.object(runtime, "clock", lambda: self.clock))
            stack.enter_context(patch.object(runtime, "_trader", trader))
            stack.enter_context(patch("bots.enqueue.current_app"))
            yield

    def bot(
        self, name: str, *, mind: Mind | None = None, trader: str = "", profile: str = "balanced",
        symbols: Sequence[str] = SYMBOLS, start: bool = True, capital: int = 10_000,
        params: dict[str, str] | None = None,
    ) -> models.Bot:  # fmt: skip
        """A new paper bot, started. `mind`: the model it asks, else a baseline."""
        wish = services.BotWish(
            owner=self.user, mode=BotMode.PAPER, venue="simulated", symbols=tuple(symbols),
            capital=D(capital), risk_profile=RiskProfile.objects.get(owner=None, name=profile),
            trader="" if mind else trader, params=params or {}, name=name,
            model_profile=_model(self.user, mind.name) if mind else None,
            interval_seconds=int(STEP.total_seconds()), timeframe_seconds=int(STEP.total_seconds()),
        )  # fmt: skip
        with self.open():
            bot = services.create_bot(wish, by=self.user)
            if start:
                bot = services.start_bot(bot.pk, by=self.user)
        if mind:
            self.minds[bot.pk] = mind
        return bot

    def run(self, steps: int, *, marks: int = 2) -> None:
        """Let so many slots pass: every ACTIVE bot decides in each, and is marked between them."""
        with self.open():
            for _ in range(steps):
                slot = slot_text(self.clock.now())
                active = models.Bot.objects.filter(owner=self.user, status=BotStatus.ACTIVE)
                for bot_id in active.order_by("name").values_list("pk", flat=True):
                    services.run_slot(bot_id, slot)
                for _ in range(marks + 1):
                    self.clock.advance_to(self.clock.now() + STEP / (marks + 1))
                    services.mark_shard()


def scene_of(user: User, begins: datetime) -> Scene:
    """A scene without bots."""
    return Scene(user=user, clock=SteppedClock(begins), market=SteppedMarket())


def seed(user: User, *, until: datetime | None = None, steps: int = 24) -> Scene:
    """Two models and three baselines that have traded up to `until` (now), one that waits to be started,
    and one that was paused."""
    until = until or datetime.now(UTC)
    begins = until.replace(second=0, microsecond=0) - steps * STEP
    scene = scene_of(user, begins)
    scene.bot("Tidewater", mind=_tidewater(steps))
    scene.bot("Kestrel", mind=_kestrel(steps))
    rule = {"stop_atr": "3", "reward": "3", "size": "0.3"}
    scene.bot(
        "Dunlin", trader="ema_trend", params={**rule, "fast": "5", "slow": "20", "side": "both"}
    )
    scene.bot("Heron", trader="buy_and_hold", params={**rule, "stop_atr": "8"})
    scene.bot("Knot", trader="seeded_random", params={**rule, "rate": "0.2"})
    scene.bot("Sanderling", trader="rsi_mean_reversion", params=rule, start=False)
    turnstone = scene.bot("Turnstone", trader="flat")
    scene.run(steps)
    with scene.open():
        services.pause_bot(turnstone.pk, by=user)
    return scene


def _tidewater(steps: int) -> Mind:
    return Mind(
        name="claude-sonnet-4-5",
        says={
            1: enters(BTC, stop="1.2", target="3.6", leverage=25, summary="BTC holds above its 4-hour "
                      "average with rising volume: a long with a tight stop under the last low."),
            4: enters(ETH, stop="1.5", target="1.6", summary="ETH lags BTC and should catch up."),
            7: enters(ETH, stop="1.5", target="4.5", short=True, summary="ETH failed at its high twice; "
                      "a short against it hedges the BTC long."),
            steps - 6: moves_stop(BTC, "0.9", "The move has paid for itself: the stop comes closer."),
        },
        holds=("Both positions behave as planned, nothing to add.",
               "Volume is thin; the plan stands until the stop or the target."),
    )  # fmt: skip


def _kestrel(steps: int) -> Mind:
    return Mind(
        name="deepseek-v3.2",
        says={
            2: enters(SOL, stop="0.4", target="1.6", notional=5000, summary="SOL breaks out of its range."),
            9: fails(DecisionOutcome.TIMED_OUT, "no answer within 60 s"),
            10: fails(DecisionOutcome.TIMED_OUT, "no answer within 60 s"),
            12: enters(SOL, stop="2.5", target="8", notional=3000, leverage=4,
                       summary="SOL is back above its average; a smaller long with more room."),
            steps - 3: enters(BTC, stop="5", target="6", notional=9000, leverage=3,
                              summary="BTC looks strong enough to join."),
        },
        holds=("SOL keeps its range, so the long stays valid.",),
    )  # fmt: skip


def _model(user: User, name: str) -> ModelProfile:
    return ModelProfile.objects.get_or_create(
        owner=user,
        name=name,
        defaults={"provider": Provider.SCRIPTED, "params": {"completions": f"/{uuid4()}.json"}},
    )[0]
