"""Scenario tables: candles as text in, a replay out, and rows that read like a ledger."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from bots.domain.bot import BotConfig
from bots.lab.runner import ReplayResult, ReplaySetup, run_replay
from llm.ports import Trader
from market.domain.data import Candle, CandleSeries, FundingSeries
from market.domain.enums import InstrumentKind
from market.domain.instruments import Instrument, margin_tiers
from market.venues.replay_feed import InstrumentHistory
from market.venues.sim_venue.settings import SimSettings
from risk.domain import Limits

START = datetime(2022, 1, 3, tzinfo=UTC)
HOUR = timedelta(hours=1)
D = Decimal
SYMBOL = "TEST/USDT:USDT"


def instrument(**changes: object) -> Instrument:
    """A contract with round numbers: fee 0.1%, one tier of 1%, tick 0.1, step 0.01."""
    values: dict[str, object] = {
        "symbol": SYMBOL,
        "base": "TEST",
        "quote": "USDT",
        "settle": "USDT",
        "kind": InstrumentKind.PERPETUAL,
        "price_step": D("0.1"),
        "quantity_step": D("0.01"),
        "min_quantity": D("0.01"),
        "min_notional": D(5),
        "max_leverage": D(20),
        "taker_fee": D("0.001"),
        "maker_fee": D("0.0005"),
        "liquidation_fee": D("0.01"),
        "margin_tiers": margin_tiers((None, "0.01")),
    }
    return Instrument(**{**values, **changes})  # type: ignore[arg-type]


def candles(table: str, timeframe: timedelta = HOUR, start: datetime = START) -> CandleSeries:
    """One candle a line: open high low close [volume]; text after # is a remark."""
    rows = [line.split("#")[0].split() for line in table.strip().splitlines()]
    return CandleSeries.from_candles(
        [
            Candle(
                opened_at=start + index * timeframe,
                open=D(row[0]),
                high=D(row[1]),
                low=D(row[2]),
                close=D(row[3]),
                volume=D(row[4]) if len(row) > 4 else D(1000),
            )
            for index, row in enumerate(rows)
        ],
        timeframe,
    )


def script(*answers: str | dict[str, object]) -> list[str]:
    """Completions: a dict is one decision item, text is sent as it is, '' is a hold."""
    return [
        answer
        if isinstance(answer, str) and answer
        else json.dumps({"summary": "scripted", "decisions": [answer] if answer else []})
        for answer in answers
    ]


def item(action: str, symbol: str = SYMBOL, **fields: object) -> dict[str, object]:
    return {"symbol": symbol, "action": action, "justification": "the script says so", **fields}


def scripted(path: Path, answers: Sequence[str]) -> Trader:
    """The whole model path over completions in a file."""
    from llm.providers.scripted import ScriptedChat
    from llm.traders.llm_trader import LLMTrader

    file = path / "completions.json"
    file.write_text(json.dumps(list(answers)), encoding="utf-8")
    return LLMTrader(chat=ScriptedChat.from_file(file))


def play(
    series: CandleSeries,
    trader: Trader,
    limits: Limits,
    *,
    traded: Instrument | None = None,
    cash: str = "10000",
    funding: FundingSeries | None = None,
    sim: SimSettings | None = None,
    jump: bool = True,
) -> ReplayResult:
    traded = traded or instrument()
    bot = BotConfig(
        id=UUID(int=7),
        symbols=(traded.symbol,),
        interval=series.timeframe,
        timeframe=series.timeframe,
        capital=D(cash),
        currency=traded.settle,
    )
    return run_replay(
        ReplaySetup(
            bot=bot,
            histories=(InstrumentHistory(instrument=traded, bars=series, funding=funding),),
            trader=trader,
            limits=limits,
            sim=sim or SimSettings(),
            jump=jump,
        )
    )


def fill_rows(result: ReplayResult) -> list[tuple[object, ...]]:
    """(bar, purpose or reason, side, quantity, price, fee) of every fill."""
    step = result.setup.histories[0].bars.timeframe
    first = result.setup.histories[0].bars.opened(0)
    rows: list[tuple[object, ...]] = []
    for fill in result.ledger.fills:
        order = result.ledger.orders.get(fill.client_order_id or "")
        rows.append(
            (
                (fill.at - first) // step,
                str(order.purpose if order else fill.reason),
                str(fill.side),
                fill.quantity,
                fill.price,
                fill.fee,
            )
        )
    return rows
