"""Random replays drawn widely: spot and perpetuals, gaps, short depth, latency, longer candles, every limit."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any
from uuid import UUID

import numpy as np

from bots.domain.bot import BotConfig
from bots.domain.exits import ExitRules, Rung
from bots.lab.runner import ReplaySetup
from llm.ports import SignalTrader
from llm.traders.registry import build_trader
from market.domain.data import CandleSeries, FundingSeries, IntColumn, to_milliseconds
from market.domain.enums import InstrumentKind
from market.domain.instruments import Instrument, margin_tiers
from market.venues.replay_feed import InstrumentHistory
from market.venues.sim_venue.settings import SimSettings, VolumeUnit
from risk.domain import Limits
from risk.profiles import profile
from tests.scenarios.tables import instrument

START = datetime(2022, 1, 3, 20, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
Rng = np.random.Generator


def wide_configuration(seed: int, *, jump: bool) -> ReplaySetup:
    rng = np.random.default_rng(seed + 10_000_000)
    bars, is_spot = int(rng.integers(150, 450)), bool(rng.random() < 0.35)
    opened = to_milliseconds(START) + 60_000 * np.arange(bars, dtype=np.int64)
    for _ in range(int(rng.integers(0, 3))):
        opened[int(rng.integers(5, bars)) :] += 60_000 * int(rng.integers(1, 200))
    histories = tuple(
        _history(rng, index, opened, is_spot=is_spot)
        for index in range(int(rng.choice([1, 1, 2, 3])))
    )
    limits = _limits(rng, is_spot=is_spot)
    candle = int(rng.choice([1, 1, 3, 5]))
    return ReplaySetup(
        bot=BotConfig(
            id=UUID(int=seed + 1),
            symbols=tuple(history.instrument.symbol for history in histories),
            interval=candle * int(rng.choice([1, 1, 2, 3, 5])) * MINUTE,
            timeframe=candle * MINUTE,
            capital=D(10_000),
            currency="USDT",
            time_zone=str(rng.choice(["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/New_York"])),
            exits=random_exits(np.random.default_rng(seed + 20_000_000)),
        ),
        histories=histories,
        trader=_trader(rng, limits, is_spot=is_spot),
        limits=limits,
        sim=SimSettings(
            slippage_bps=D(int(rng.integers(0, 8))),
            latency=timedelta(milliseconds=int(rng.choice([0, 0, 1000, 60_000, 61_000, 400_000]))),
            max_volume_fraction=None if rng.random() < 0.6 else D(str(rng.choice(["0.05", "0.5", "1"]))),
            volume_unit=VolumeUnit.QUOTE if rng.random() < 0.3 else VolumeUnit.BASE,
            spot_fee_in_base=bool(rng.random() < 0.7),
        ),
        spread_bps=D(int(rng.choice([0, 0, 5]))),
        jump=jump,
    )  # fmt: skip


def random_exits(rng: Rng) -> ExitRules:
    """Each rule on in about half of the draws, all of them off in a third."""
    if rng.random() < 0.33:
        return ExitRules()
    trails = bool(rng.random() < 0.6)
    count = int(rng.integers(0, 4))
    levels = np.cumsum(rng.choice([0.25, 0.5, 1.0], count))
    return ExitRules(
        trailing_fraction=D(str(rng.choice(["0.002", "0.01", "0.03"]))) if trails else None,
        trailing_from_r=D(str(rng.choice(["0", "0.5", "1"])))
        if trails and rng.random() < 0.5
        else None,
        break_even_at_r=D(str(rng.choice(["0.25", "1"]))) if rng.random() < 0.6 else None,
        ladder=tuple(
            Rung(at_r=D(str(level)), fraction=D(str(rng.choice(["0.1", "0.25", "0.33"]))))
            for level in levels
        ),
        time_stop=timedelta(minutes=int(rng.integers(5, 90))) if rng.random() < 0.5 else None,
    )


def _history(rng: Rng, index: int, opened: IntColumn, *, is_spot: bool) -> InstrumentHistory:
    bars = len(opened)
    close = np.maximum(np.cumsum(rng.standard_t(3, bars) * rng.uniform(1, 16)) + 1000, 50).astype(
        np.int64
    )
    open_ = np.maximum(np.concatenate([[1000], close[:-1]]) + rng.integers(-3, 4, bars), 40)
    high = np.maximum(open_, close) + rng.integers(0, 15, bars)
    low = np.maximum(np.minimum(open_, close) - rng.integers(0, 15, bars), 10)
    most = int(rng.choice([50, 9999]))
    volume = np.where(rng.random(bars) < 0.05, 0, rng.integers(1, most, bars))
    marks = funding = None
    if rng.random() < 0.5:
        shift = rng.integers(-4, 5, bars)
        marks = _series(
            opened, open_ + shift, high + abs(shift), low - abs(shift), close + shift, volume
        )
    if not is_spot and rng.random() < 0.6:
        every, off = int(rng.integers(20, 120)) * 60_000, int(rng.choice([0, 0, 17_000]))
        at = np.arange(opened[0] + off, opened[-1], every, dtype=np.int64)
        funding = FundingSeries(
            at=at, rates=tuple(D(int(rate)).scaleb(-5) for rate in rng.integers(-80, 80, len(at)))
        )
    return InstrumentHistory(
        instrument=_instrument(rng, index, is_spot=is_spot),
        bars=_series(opened, open_, high, low, close, volume),
        mark_bars=marks,
        funding=funding,
    )


def _series(*columns: Any) -> CandleSeries:
    opened, open_, high, low, close, volume = (column.astype(np.int64).copy() for column in columns)
    return CandleSeries(
        timeframe=MINUTE, opened_at=opened, open=open_, high=high, low=low, close=close,
        volume=volume, price_exponent=-1, volume_exponent=0,
    )  # fmt: skip


def _instrument(rng: Rng, index: int, *, is_spot: bool) -> Instrument:
    base = f"T{index}"
    if is_spot:
        return instrument(
            symbol=f"{base}/USDT", base=base, kind=InstrumentKind.SPOT, max_leverage=D(1),
            margin_tiers=(), liquidation_fee=D(0), min_quantity=D("0.5"),
            quantity_step=D(str(rng.choice(["0.01", "0.5"]))),
        )  # fmt: skip
    return instrument(
        symbol=f"{base}/USDT:USDT", base=base,
        margin_tiers=margin_tiers(("2000", "0.01"), ("20000", "0.02"), (None, "0.05")),
        contract_size=D(str(rng.choice(["1", "1", "0.1", "10"]))),
        max_market_quantity=None if rng.random() < 0.7 else D(20),
    )  # fmt: skip


def _limits(rng: Rng, *, is_spot: bool) -> Limits:
    if rng.random() < 0.35:
        return profile("raw", size=D(1 if is_spot else int(rng.choice([1, 2, 8, 15]))))
    drawn = replace(
        profile(str(rng.choice(["conservative", "balanced", "aggressive"]))),
        min_reward_risk=None,
        stop_required=bool(rng.random() < 0.6),
        allow_adding=bool(rng.random() < 0.3),
        allow_flips=bool(rng.random() < 0.3),
        min_hold=timedelta(minutes=int(rng.choice([0, 0, 7, 30]))),
        cooldown_after_stop=timedelta(minutes=int(rng.integers(0, 30))),
        max_daily_loss_fraction=D(str(rng.choice(["0.005", "0.02", "0.08"]))),
        soft_drawdown_fraction=D(str(rng.choice(["0.005", "0.02", "0.03"]))),
        hard_drawdown_fraction=D(str(rng.choice(["0.03", "0.25"]))),
        breaker_cooldown=timedelta(minutes=int(rng.integers(1, 90))),
    )
    if rng.random() < 0.6:
        drawn = replace(
            drawn, max_position_notional_fraction=D(8), max_gross_exposure=D(16), max_net_exposure=D(16),
            max_correlated_exposure=D(16), max_margin_used_fraction=D(1), risk_per_trade_fraction=D("0.5"),
            max_leverage=D(20), stop_to_liquidation_fraction=None,
        )  # fmt: skip
    return drawn


def _trader(rng: Rng, limits: Limits, *, is_spot: bool) -> SignalTrader:
    name = str(
        rng.choice(["ema_trend", "rsi_mean_reversion", "seeded_random", "buy_and_hold", "flat"])
    )
    if name == "flat":
        return build_trader(name)
    leverage = 1 if is_spot else int(rng.choice([1, 3, 10, 20]))
    params = {"leverage": str(leverage), "size": str(min(leverage, int(rng.integers(1, 6))))}
    if limits.stop_required or rng.random() < 0.5:
        params["stop_atr"] = str(rng.choice(["2", "4", "9"]))
        if rng.random() < 0.7:
            params["reward"] = str(rng.choice(["2", "3"]))
    if name == "ema_trend":
        params |= {"fast": "3", "slow": "9", "side": str(rng.choice(["long", "short", "both"]))}
    if name == "rsi_mean_reversion":
        params["period"] = "5"
    if name == "seeded_random":
        params |= {
            "seed": str(int(rng.integers(0, 99))),
            "rate": str(rng.choice(["0.02", "0.1", "0.5"])),
        }
    return build_trader(name, params)
