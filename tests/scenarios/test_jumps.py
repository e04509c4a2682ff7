"""Jump on = jump off: 200 random configurations with funding, liquidation and breakers live."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from uuid import UUID

import numpy as np
import pytest

from bots.domain.bot import BotConfig
from bots.lab.runner import ReplayResult, ReplaySetup, run_replay
from llm.ports import SignalTrader
from llm.traders.registry import build_trader
from market.domain.canonical import canonical_bytes
from market.domain.data import CandleSeries, FundingSeries, to_milliseconds
from market.domain.instruments import Instrument, margin_tiers
from market.venues.replay_feed import InstrumentHistory
from market.venues.sim_venue.settings import SimSettings
from risk.domain import Limits
from risk.profiles import profile
from tests.scenarios.tables import instrument
from tests.scenarios.wide_configurations import wide_configuration

CONFIGURATIONS, CHUNK = 200, 20
START = datetime(2022, 1, 3, 20, tzinfo=UTC)  # a day turns within every run


def history(rng: np.random.Generator, symbol: str, bars: int) -> InstrumentHistory:
    """A rough walk with jumps, a few silent bars, a gap now and then; mark and funding in half of them."""
    steps = rng.standard_t(3, bars) * rng.uniform(1, 16)
    close = np.maximum(np.cumsum(steps) + 1000, 50).astype(np.int64)
    open_ = np.concatenate([[1000], close[:-1]]) + rng.integers(-3, 4, bars)
    open_ = np.maximum(open_, 40)
    high = np.maximum(open_, close) + rng.integers(0, 15, bars)
    low = np.maximum(np.minimum(open_, close) - rng.integers(0, 15, bars), 10)
    opened = to_milliseconds(START) + 60_000 * np.arange(bars, dtype=np.int64)
    if rng.random() < 0.3:
        opened[bars // 2 :] += 60_000 * int(rng.integers(1, 90))
    volume = np.where(rng.random(bars) < 0.03, 0, rng.integers(1, 9999, bars)).astype(np.int64)
    series = columns(opened, open_, high, low, close, volume)
    marks = None
    if rng.random() < 0.5:
        shift = rng.integers(-4, 5, bars)
        marks = columns(
            opened, open_ + shift, high + abs(shift), low - abs(shift), close + shift, volume
        )
    funding = None
    if rng.random() < 0.7:
        every = int(rng.integers(20, 120)) * 60_000
        at = np.arange(opened[0], opened[-1], every, dtype=np.int64)
        funding = FundingSeries(
            at=at, rates=tuple(D(int(rate)).scaleb(-5) for rate in rng.integers(-80, 80, len(at)))
        )
    return InstrumentHistory(
        instrument=traded(symbol), bars=series, mark_bars=marks, funding=funding
    )


def columns(*arrays: np.ndarray) -> CandleSeries:
    opened, open_, high, low, close, volume = (array.astype(np.int64) for array in arrays)
    return CandleSeries(
        timeframe=timedelta(minutes=1), opened_at=opened, open=open_, high=high, low=low,
        close=close, volume=volume, price_exponent=-1, volume_exponent=0,
    )  # fmt: skip


def traded(symbol: str) -> Instrument:
    base = symbol.partition("/")[0]
    return instrument(
        symbol=symbol,
        base=base,
        margin_tiers=margin_tiers(("2000", "0.01"), ("20000", "0.02"), (None, "0.05")),
    )


def configuration(seed: int, *, jump: bool) -> ReplaySetup:
    rng = np.random.default_rng(seed)
    bars = int(rng.integers(150, 401))
    count = 2 if rng.random() < 0.25 else 1
    opened_seed = int(rng.integers(0, 2**31))
    histories = []
    for index in range(count):
        # the same grid for both: the gap is drawn from the same generator state
        histories.append(history(np.random.default_rng(opened_seed), f"T{index}/USDT:USDT", bars))
        if index:
            shifted = np.random.default_rng(opened_seed + 1).integers(0, 5, bars)
            series = histories[1].bars
            moved = columns(
                series.opened_at, series.open + shifted, series.high + shifted,
                series.low + shifted, series.close + shifted, series.volume,
            )  # fmt: skip
            histories[1] = replace(histories[1], bars=moved, mark_bars=None)
    limits = random_limits(rng)
    return ReplaySetup(
        bot=BotConfig(
            id=UUID(int=seed),
            symbols=tuple(item.instrument.symbol for item in histories),
            interval=timedelta(minutes=int(rng.choice([1, 1, 3]))),
            timeframe=timedelta(minutes=1),
            capital=D(10_000),
            currency="USDT",
            time_zone=str(rng.choice(["UTC", "Europe/Berlin", "Asia/Kathmandu"])),
        ),
        histories=tuple(histories),
        trader=random_trader(rng, raw=limits.raw),
        limits=limits,
        sim=SimSettings(
            slippage_bps=D(int(rng.integers(0, 8))),
            latency=timedelta(seconds=int(rng.choice([0, 0, 1, 130]))),
        ),
        jump=jump,
    )


def random_trader(rng: np.random.Generator, *, raw: bool) -> SignalTrader:
    name = str(rng.choice(["ema_trend", "rsi_mean_reversion", "seeded_random", "buy_and_hold"]))
    leverage = int(rng.choice([1, 3, 10, 20]))
    params = {"leverage": str(leverage), "size": str(min(leverage, int(rng.integers(1, 6))))}
    if not raw or rng.random() < 0.5:
        params |= {
            "stop_atr": str(rng.choice(["2", "4", "9"])),
            "reward": str(rng.choice(["2", "3"])),
        }
    if name == "ema_trend":
        params |= {"fast": "3", "slow": "9", "side": str(rng.choice(["long", "short", "both"]))}
    if name == "rsi_mean_reversion":
        params |= {"period": "5"}
    if name == "seeded_random":
        params |= {"seed": str(int(rng.integers(0, 99)))}
    return build_trader(name, params)


def random_limits(rng: np.random.Generator) -> Limits:
    if rng.random() < 0.4:
        return profile("raw", size=D(int(rng.choice([1, 2, 8, 15]))))
    tight = replace(
        profile(str(rng.choice(["conservative", "balanced", "aggressive"]))),
        min_reward_risk=None,
        cooldown_after_stop=timedelta(minutes=int(rng.integers(0, 30))),
        max_daily_loss_fraction=D(str(rng.choice(["0.005", "0.02", "0.08"]))),
        soft_drawdown_fraction=D(str(rng.choice(["0.005", "0.02", "0.03"]))),
        hard_drawdown_fraction=D(str(rng.choice(["0.03", "0.25"]))),
        breaker_cooldown=timedelta(minutes=int(rng.integers(1, 90))),
    )
    if rng.random() < 0.6:  # room for large positions, so that liquidation and breakers are met
        tight = replace(
            tight, max_position_notional_fraction=D(8), max_gross_exposure=D(16), max_net_exposure=D(16),
            max_correlated_exposure=D(16), max_margin_used_fraction=D(1), risk_per_trade_fraction=D("0.5"),
            max_leverage=D(20), stop_to_liquidation_fraction=None,
        )  # fmt: skip
    return tight


def outcome(result: ReplayResult) -> dict[str, bytes]:
    ledger = result.ledger
    at, equity = ledger.equity_curve()
    return {
        "orders": canonical_bytes(list(ledger.orders.values())),
        "fills": canonical_bytes(ledger.fills),
        "ledger": canonical_bytes(ledger.entries),
        "closed trades": canonical_bytes(ledger.closed_trades),
        "denials": canonical_bytes([[when, what] for when, what in ledger.denials]),
        "notices": canonical_bytes(ledger.notices),
        "breakers": canonical_bytes(ledger.book.breakers),
        "equity": at.tobytes() + equity.tobytes(),
        "venue": canonical_bytes(result.final_equity),
    }


@pytest.mark.parametrize("first", range(0, CONFIGURATIONS, CHUNK))
@pytest.mark.parametrize("drawn", [configuration, wide_configuration], ids=["close", "wide"])
def test_jumping_changes_nothing(drawn: Callable[..., ReplaySetup], first: int) -> None:
    for seed in range(first, first + CHUNK):
        jumped, walked = run_replay(drawn(seed, jump=True)), run_replay(drawn(seed, jump=False))
        ours, theirs = outcome(jumped), outcome(walked)
        for name in theirs:
            assert ours[name] == theirs[name], f"configuration {seed}: {name}"
        assert jumped.identity_error == 0, f"configuration {seed}"
        assert walked.identity_error == 0, f"configuration {seed}"


def test_the_configurations_meet_what_they_are_for() -> None:
    """Enough of them must really liquidate, pay funding, trip breakers and jump."""
    met = {"liquidated": 0, "funding": 0, "breakers": 0, "denials": 0, "jumped": 0, "stops": 0}
    for seed in range(0, CONFIGURATIONS, 4):
        result = run_replay(configuration(seed, jump=True))
        reasons = {str(trade.exit_reason) for trade in result.ledger.closed_trades}
        met["liquidated"] += "LIQUIDATION" in reasons
        met["stops"] += "STOP" in reasons
        met["funding"] += result.ledger.book.totals.funding != 0
        met["breakers"] += any("BREAKER" in notice.kind for notice in result.ledger.notices)
        met["denials"] += bool(result.ledger.denials)
        met["jumped"] += result.bars_evaluated < len(result.setup.histories[0].bars)
    assert min(met.values()) >= 3, met
