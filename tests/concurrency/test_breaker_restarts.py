"""Each breaker in the middle of what trips it: a new process for every step, and the state is that of one that
never ended. The state is acted on by a process that has seen nothing of its making."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal as D
from functools import partial
from typing import Any

import pytest

from bots import models, runtime
from bots.domain.records import CycleRecord
from bots.domain.stored_book import book_from
from llm.domain import Decision, DecisionOutcome
from market.domain.orders import FundingPayment
from risk.domain import BreakerState, Code, TradingState
from risk.models import RiskProfile
from risk.services import copy_profile
from tests.chaos.processes import in_child
from tests.chaos.scene import START, Scene, enters, open_scene
from tests.concurrency.stage import all_is_well
from tests.scenarios.tables import SYMBOL

pytestmark = pytest.mark.django_db(transaction=True)
OFF = (
    "max_daily_loss_fraction", "soft_drawdown_fraction", "hard_drawdown_fraction", "max_loss_streak",
    "max_stale_beats", "max_model_failures", "max_llm_cost_per_day", "max_funding_cost_fraction",
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """What happens next: `act` at this price, a minute later."""

    act: Callable[[Scene], Any]
    price: str = "100"
    wants: Decision | None = None
    unusable: str = ""
    after: timedelta = timedelta(minutes=1)

    def turn(self, scene: Scene, at: datetime) -> None:
        scene.clock.advance_to(at)
        scene.wants(self.wants, D(self.price))
        scene.feed.unusable = {SYMBOL: self.unusable} if self.unusable else {}


def pays(scene: Scene) -> None:
    """The venue takes funding of 3."""
    with scene.open():
        running = runtime.open_desk(runtime.load_bot(scene.bot_id))
        assert running.ledger.take_desk()
        payment = FundingPayment(
            at=scene.clock.now(), symbol=SYMBOL, amount=D(-3), rate=D("0.002"), mark_price=D(100)
        )
        running.ledger.apply([payment], scene.instruments)
        running.ledger.release_desk()
    scene.mark()


OPEN = Step(Scene.decide, wants=enters(D(100)))
FAILS = Step(
    Scene.decide, wants=Decision(trader="", outcome=DecisionOutcome.UNREADABLE, reason="no JSON")
)
DOWN = [Step(Scene.mark, price) for price in ("98", "96", "96")]
STOPPED = [Step(Scene.mark, "94"), Step(Scene.decide, "100", after=timedelta(minutes=31))]
SCRIPTS: dict[Code, tuple[dict[str, Any], Sequence[Step]]] = {
    Code.DAILY_LOSS: ({"max_daily_loss_fraction": D("0.005")}, [OPEN, *DOWN]),
    Code.SOFT_DRAWDOWN: ({"soft_drawdown_fraction": D("0.005")}, [OPEN, *DOWN]),
    Code.HARD_DRAWDOWN: ({"hard_drawdown_fraction": D("0.005")}, [OPEN, *DOWN]),
    Code.LOSS_STREAK: ({"max_loss_streak": 2}, [OPEN, *STOPPED, OPEN, *STOPPED]),
    Code.STALE_DATA: (
        {"max_stale_beats": 3},
        [OPEN, *[Step(Scene.mark, unusable="the quote is old")] * 3],
    ),
    Code.MODEL_FAILURES: ({"max_model_failures": 2}, [FAILS, FAILS, Step(Scene.decide, wants=FAILS.wants)]),
    Code.LLM_BUDGET: ({"max_llm_cost_per_day": D("0.03")}, [OPEN, *[Step(Scene.decide)] * 3]),
    Code.FUNDING_COST: ({"max_funding_cost_fraction": D("0.0005")}, [OPEN, Step(pays), Step(pays)]),
}  # fmt: skip


def timed(script: Sequence[Step]) -> Iterator[tuple[Step, datetime]]:
    """Each step and its instant: a child's clock, which goes on while its trader thinks, is its own."""
    at = START
    for step in script:
        at += step.after
        yield step, at


def stored(scene: Scene) -> BreakerState:
    return book_from(models.BotState.objects.get(pk=scene.bot_id).book, {}).breakers


def only(scene: Scene, changes: dict[str, Any]) -> None:
    bot = models.Bot.objects.select_related("owner").get(pk=scene.bot_id)
    profile = copy_profile(
        RiskProfile.objects.get(owner=None, name="balanced"), bot.owner, bot.name
    )
    limits = {**dict.fromkeys(OFF), **changes, "max_trades_per_day": None}
    RiskProfile.objects.filter(pk=profile.pk).update(**limits)
    models.Bot.objects.filter(pk=bot.pk).update(risk_profile=profile)


@pytest.mark.parametrize("code", SCRIPTS)
def test_a_breaker_remembers_over_a_restart_between_any_two_steps(code: Code) -> None:
    changes, script = SCRIPTS[code]
    one, many = open_scene("never restarted"), open_scene("restarted")
    only(one, changes)
    only(many, changes)

    def whole() -> list[BreakerState]:
        found = []
        for step, at in timed(script):
            step.turn(one, at)
            step.act(one)
            found.append(stored(one))
        return found

    expected, states = in_child(whole), []
    for step, at in timed(script):
        step.turn(many, at)
        in_child(partial(step.act, many))
        states.append(stored(many))

    assert states == expected
    assert states[0].reasons == frozenset()  # it takes more than one step
    assert states[-1].reasons == {code}
    halted = code is Code.HARD_DRAWDOWN
    assert states[-1].state is (TradingState.HALTED if halted else TradingState.REDUCING)

    _opens_nothing(many, code, at)
    if code is not Code.FUNDING_COST:  # that payment was the test's, not the venue's
        all_is_well(one, many)


def _opens_nothing(scene: Scene, code: Code, at: datetime) -> None:
    """The next process, which has seen nothing of how it came."""
    step = Step(Scene.decide, wants=enters(D(100)))
    if code is Code.STALE_DATA:
        step = replace(step, unusable="the quote is old")
    if code is Code.MODEL_FAILURES:  # an answer that can be read ends it at once
        step = FAILS
    step.turn(scene, at + timedelta(minutes=3))

    def decides() -> CycleRecord:
        scene.flatten()
        return step.act(scene).record

    record = in_child(decides)
    assert not models.Position.objects.filter(bot_id=scene.bot_id).exists()
    assert record.trading_state is stored(scene).state is not TradingState.ACTIVE
    if record.verdict is None:
        nothing = {
            Code.HARD_DRAWDOWN: "HALTED",
            Code.STALE_DATA: "NO_MARKET",
            Code.MODEL_FAILURES: "DECIDED",
        }
        assert record.outcome == nothing[code]
    else:
        assert [denial.code for denial in record.verdict.denials] == [code]
