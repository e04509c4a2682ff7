"""P5: whatever the future is changed to, nothing at or before the cut comes out otherwise."""

from dataclasses import replace

import numpy as np
import pytest

from bots.lab.runner import ReplaySetup, run_replay
from market.domain.canonical import canonical_bytes
from market.domain.data import CandleSeries, from_milliseconds
from market.venues.replay_feed import InstrumentHistory
from tests.scenarios.test_jumps import columns, configuration


def with_another_future(series: CandleSeries, cut: int, seed: int) -> CandleSeries:
    """The same bars up to `cut`, and others after it."""
    rng = np.random.default_rng(seed + 1000)
    factor = rng.uniform(0.7, 1.4, len(series) - cut)
    parts = []
    for name in ("open", "high", "low", "close"):
        column = getattr(series, name).copy()
        column[cut:] = np.maximum((column[cut:] * factor).astype(np.int64), 1)
        parts.append(column)
    return columns(series.opened_at.copy(), *parts, series.volume.copy())


def changed(setup: ReplaySetup, cut: int, seed: int) -> ReplaySetup:
    histories = tuple(
        InstrumentHistory(
            instrument=history.instrument,
            bars=with_another_future(history.bars, cut, seed),
            mark_bars=None,
            funding=history.funding,
        )
        for history in setup.histories
    )
    return replace(setup, histories=histories)


@pytest.mark.parametrize("jump", [True, False], ids=["jump", "walk"])
@pytest.mark.parametrize("seed", range(0, 60, 3))
def test_the_future_changes_nothing_before_it(seed: int, jump: bool) -> None:
    setup = configuration(seed, jump=jump)
    setup = replace(
        setup, histories=tuple(replace(history, mark_bars=None) for history in setup.histories)
    )
    bars = setup.histories[0].bars
    cut = len(bars) // 2 + seed % 40
    at = bars.closed(cut - 1)
    before = []
    for run in (setup, changed(setup, cut, seed)):
        ledger = run_replay(run).ledger
        times, equity = ledger.equity_curve()
        keep = [from_milliseconds(int(when)) <= at for when in times]
        before.append(
            {
                "orders": canonical_bytes(
                    [
                        # what became of an order after the cut may differ; what it was may not
                        (order.client_order_id, order.side, order.order_type, order.trigger_price)
                        for order in ledger.orders.values()
                        if order.created_at <= at
                    ]
                ),
                "fills": canonical_bytes([fill for fill in ledger.fills if fill.at < at]),
                "entries": canonical_bytes([entry for entry in ledger.entries if entry.at < at]),
                "denials": canonical_bytes([d for d in ledger.denials if d[0] <= at]),
                "equity": equity[np.array(keep)].tobytes(),
            }
        )
    for name in before[0]:
        assert before[0][name] == before[1][name], name
    assert len(before[0]["equity"]) == 8 * cut


def test_a_leak_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test can fail: a feed that shows one bar too many is caught."""
    from market.venues import replay_feed

    honest = replay_feed._Grid.closed

    def leaky(grid: replay_feed._Grid, at: int) -> int:
        return min(honest(grid, at) + 1, grid.count)

    monkeypatch.setattr(replay_feed._Grid, "closed", leaky)
    caught = 0
    for seed in range(0, 30, 3):
        try:
            test_the_future_changes_nothing_before_it(seed, jump=False)
        except AssertionError:
            caught += 1
    assert caught
