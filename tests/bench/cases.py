"""What `make bench` measures: each case is made once and returned as a function of no arguments.

The replay runs over the recorded month where it is, else over a seeded walk of the same length.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from uuid import UUID

import numpy as np
from django.conf import settings

from bots.cycle import run_cycle
from bots.desk import Desk
from bots.domain.bot import BotConfig
from bots.lab.runner import ReplayResult, ReplaySetup, run_replay
from bots.memory_ledger import MemoryLedger
from llm.domain import DecisionView
from llm.parsing import parse_decision
from llm.prompts import STANDARD, prompt_facts, render
from llm.providers.scripted import ScriptedChat
from llm.traders.llm_trader import LLMTrader
from llm.traders.registry import build_trader
from market.domain.account import Account
from market.domain.data import CandleSeries, Quote, to_milliseconds
from market.domain.enums import OrderPurpose, PositionSide
from market.domain.positions import Position
from market.indicators import standard_set
from market.venues.candle_files import load_candles
from market.venues.clocks import SteppedClock
from market.venues.default_instruments import default_instrument
from market.venues.replay_feed import InstrumentHistory, ReplayFeed
from market.venues.sim_broker import SimBroker
from market.venues.sim_market import histories as simulated_histories
from market.venues.sim_venue.settings import SimSettings
from risk.domain import OrderIntent, RiskContext, TradingState, Verdict
from risk.engine import review
from risk.profiles import describe, profile

D = Decimal
BTC = "BTC/USDT:USDT"
MINUTE = timedelta(minutes=1)
RECORDED = "market/btc-perp-20211231-20220201_1m.csv"
SIX = tuple(f"{base}/USDT:USDT" for base in ("BNB", "BTC", "DOGE", "ETH", "SOL", "XRP"))


def source() -> str:
    there = (settings.MARKET_DATA_DIR / RECORDED).exists()
    return "45,031 recorded minutes" if there else "45,031 minutes of a seeded walk"


def month() -> CandleSeries:
    path = settings.MARKET_DATA_DIR / RECORDED
    if path.exists():
        return load_candles(path, timeframe=MINUTE, symbol=BTC)
    rng = np.random.default_rng(1)
    close = np.cumsum(rng.normal(0, 250, 45_031)).astype(np.int64) + 460_000
    open_ = np.concatenate([[460_000], close[:-1]])
    start = to_milliseconds(datetime(2022, 1, 1, tzinfo=UTC))
    return CandleSeries(
        timeframe=MINUTE, opened_at=start + 60_000 * np.arange(45_031, dtype=np.int64), open=open_,
        high=np.maximum(open_, close) + 50, low=np.minimum(open_, close) - 50, close=close,
        volume=np.full(45_031, 1000, dtype=np.int64), price_exponent=-1, volume_exponent=0,
    )  # fmt: skip


def replay_case() -> Callable[[bool], ReplayResult]:
    """EMA 10/50 long only, all equity at 1×, fee 0.1%, no slippage."""
    fee = D("0.001")
    instrument = replace(default_instrument(BTC), taker_fee=fee, maker_fee=fee)
    history = InstrumentHistory(instrument=instrument, bars=month())
    setup = ReplaySetup(
        bot=BotConfig(
            id=UUID(int=1), symbols=(BTC,), interval=MINUTE, timeframe=MINUTE, capital=D(10_000), currency="USDT"
        ),
        histories=(history,),
        trader=build_trader("ema_trend", {"fast": "10", "slow": "50", "side": "long"}),
        limits=profile("raw"),
    )  # fmt: skip
    return lambda jump: run_replay(replace(setup, jump=jump))


@cache
def market() -> tuple[InstrumentHistory, ...]:
    """Six simulated instruments, 20 days of minutes: enough for the 4-hour context to be warm."""
    return simulated_histories(1, datetime(2024, 1, 1, tzinfo=UTC), 20 * 1440, symbols=SIX)


def reply() -> str:
    """An answer on six instruments: three entries, a close, two holds."""
    decisions = []
    for index, symbol in enumerate(SIX):
        price = float(market()[index].bars.price(market()[index].bars.close[-1]))
        action = ("buy_to_enter", "hold", "buy_to_enter", "close", "buy_to_enter", "hold")[index]
        decisions.append(
            {
                "symbol": symbol, "action": action, "confidence": 0.7, "risk_fraction": 0.004,
                "leverage": 3, "stop_loss": price * 0.97, "take_profit": price * 1.08,
                "invalidation_condition": "a close under the 20-bar average",
                "justification": "momentum above the averages with funding near zero; " * 3,
            }
        )  # fmt: skip
    return json.dumps({"summary": "Three entries, one close.", "decisions": decisions})


def desk(decisions: int) -> tuple[Desk, SteppedClock]:
    histories = market()
    first = histories[0].bars
    instruments = {history.instrument.symbol: history.instrument for history in histories}
    bot = BotConfig(
        id=UUID(int=2), symbols=SIX, interval=timedelta(minutes=3), timeframe=timedelta(minutes=3),
        capital=D(10_000), currency="USDT",
    )  # fmt: skip
    clock = SteppedClock(first.closed(len(first) - 2 - 3 * decisions))
    limits = profile("aggressive", max_trades_per_day=None)
    return Desk(
        bot=bot,
        clock=clock,
        feed=ReplayFeed(histories, timeframe=bot.timeframe),
        trader=LLMTrader(chat=ScriptedChat(lines=[reply()] * decisions)),
        broker=SimBroker(instruments.values(), settings=SimSettings(), cash=bot.capital),
        ledger=MemoryLedger(bot, first.opened(0)),
        limits=limits,
        instruments=instruments,
        described_limits=describe(limits),
    ), clock


def cycle_case(decisions: int = 60) -> float:
    """Median milliseconds of a whole cycle: six instruments, 3-minute bars, a scripted model that trades."""
    import statistics
    import time

    one, clock = desk(decisions)
    times = []
    for slot in range(decisions):
        clock.advance_to(clock.now() + timedelta(minutes=3))
        began = time.perf_counter()
        run_cycle(one, str(slot))
        times.append(time.perf_counter() - began)
    return statistics.median(times[5:]) * 1000


@cache
def shown() -> DecisionView:
    """What a model is shown of six instruments with a position, indicators computed already."""
    one, clock = desk(30)
    views = []
    trader = one.trader

    class Keeper:
        name, stop = trader.name, trader.stop

        def decide(self, view):
            views.append(view)
            return trader.decide(view)

    kept = replace(one, trader=Keeper())
    for slot in range(3):
        clock.advance_to(clock.now() + timedelta(minutes=3))
        run_cycle(kept, str(slot))
    return views[-1]


def facts_case() -> Callable[[], object]:
    """A view into the facts of a prompt."""
    view = shown()
    return lambda: prompt_facts(view, STANDARD)


def render_case() -> Callable[[], object]:
    """Facts into a prompt."""
    facts = prompt_facts(shown(), STANDARD)
    return lambda: render(facts, STANDARD)


def parse_case(before: str = "", after: str = "") -> Callable[[], object]:
    """The answer on six instruments, and what a model writes around it."""
    text = before + reply() + after
    return lambda: parse_decision(text, SIX, equity=D(10_000))


def json_case() -> Callable[[], object]:
    """What the parser's work is compared with: the same text read as JSON and no further."""
    text = reply()
    return lambda: json.loads(text)


def review_case() -> Callable[[], Verdict]:
    """Three entries and two closes under the aggressive profile."""
    now = datetime(2024, 1, 21, tzinfo=UTC)
    instruments = {history.instrument.symbol: history.instrument for history in market()}
    prices = {
        history.instrument.symbol: history.bars.price(history.bars.close[-1])
        for history in market()
    }
    quotes = {
        symbol: Quote(symbol=symbol, at=now, bid=price, ask=price, last=price, mark=price)
        for symbol, price in prices.items()
    }
    held = {
        symbol: Position(
            symbol=symbol, quantity=instruments[symbol].round_quantity(1000 / prices[symbol]),
            entry_cost=D(1000), margin=D(200), leverage=D(5), opened_at=now,
        )
        for symbol in SIX[:2]
    }  # fmt: skip
    account = Account(cash=D(10_000), positions=held, instruments=instruments, marks=prices)
    context = RiskContext(
        now=now, state=TradingState.ACTIVE, account=account, equity=account.equity, quotes=quotes,
        prompt_marks=prices, instruments=instruments,
    )  # fmt: skip
    closes = [
        OrderIntent(
            symbol=symbol, purpose=OrderPurpose.CLOSE, side=PositionSide.LONG,
            quantity=position.quantity, reference_price=prices[symbol],
        )
        for symbol, position in held.items()
    ]  # fmt: skip
    entries = [
        OrderIntent(
            symbol=symbol, purpose=OrderPurpose.ENTRY, side=PositionSide.LONG,
            quantity=instruments[symbol].round_quantity(2000 / prices[symbol]), leverage=D(5),
            reference_price=prices[symbol], stop_price=instruments[symbol].round_price(prices[symbol] * D("0.97")),
            target_price=instruments[symbol].round_price(prices[symbol] * D("1.08")), confidence=D("0.7"),
        )
        for symbol in SIX[2:5]
    ]  # fmt: skip
    limits = profile("aggressive")
    return lambda: review([*entries, *closes], context, limits)


def indicator_case() -> Callable[[], object]:
    series = month().first(500)
    return lambda: standard_set(series)
