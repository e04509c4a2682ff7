"""Breakers at a desk: what a drawdown asks for, closes and refuses, and what absurd prices never do."""

import pytest

from bots.cycle import mark, run_cycle
from bots.domain.records import CycleOutcome
from risk.domain import Code, Limits, TradingState
from risk.profiles import profile
from tests.bots.desks import buys, stand

pytestmark = pytest.mark.usefixtures("either_ledger")


def only_hard_drawdown(fraction: str) -> Limits:
    return profile(
        "balanced",
        hard_drawdown_fraction=fraction,
        soft_drawdown_fraction=None,
        max_daily_loss_fraction=None,
    )


def test_absurd_marks_never_flatten() -> None:
    s = stand(only_hard_drawdown("0.005"), buys(take_profit=112, stop_loss=94))
    run_cycle(s.desk, "1")
    for _ in range(3):  # mark 3.2% under the last trade: more than a real one strays
        s.tick("98", mark="94.8")
        mark(s.desk)
    assert s.ledger.book.positions
    assert s.ledger.book.breakers.state is TradingState.ACTIVE


def test_a_hard_drawdown_needs_two_beats_and_then_flattens_and_halts() -> None:
    s = stand(only_hard_drawdown("0.005"), buys())
    run_cycle(s.desk, "1")
    s.tick("96")
    mark(s.desk)
    assert s.ledger.book.positions  # one beat is not enough
    s.tick("96")
    seen = mark(s.desk)
    assert seen is not None
    assert seen.state is TradingState.HALTED
    assert not s.ledger.book.positions
    s.tick("100")
    s.trader.answers = [buys()]
    assert run_cycle(s.desk, "2").outcome is CycleOutcome.HALTED
    assert len(s.trader.views) == 1


def test_a_frozen_quote_past_the_hard_drawdown_flattens_nothing() -> None:
    s = stand(only_hard_drawdown("0.005"), buys())
    run_cycle(s.desk, "1")
    s.tick("96")
    s.feed.told_at = s.clock.now()
    for _ in range(3):
        s.tick()
        mark(s.desk)
    assert s.ledger.book.positions
    s.feed.told_at = None
    mark(s.desk)
    assert not s.ledger.book.positions


def test_a_soft_drawdown_asks_for_close_or_keep_once() -> None:
    limits = profile("balanced", soft_drawdown_fraction="0.005", max_daily_loss_fraction=None)
    s = stand(limits, buys())
    run_cycle(s.desk, "1")
    s.tick("96")
    run_cycle(s.desk, "2")
    assert s.trader.views[-1].emergency == Code.SOFT_DRAWDOWN
    s.tick("96")
    run_cycle(s.desk, "3")
    assert s.trader.views[-1].emergency is None


def test_an_unanswered_cancel_does_not_stop_a_flatten() -> None:
    s = stand(only_hard_drawdown("0.005"), buys())
    run_cycle(s.desk, "1")
    s.broker.cut_cancel = True
    for _ in range(3):
        s.tick("96")
        mark(s.desk)
    assert not s.ledger.book.positions
