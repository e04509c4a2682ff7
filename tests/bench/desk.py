"""`python -m tests.bench.desk`: the desk on one database (DATABASE_URL), its figures as JSON.

It works in a test database of its own, made and dropped. The venue is the simulated one; prices, time and
mind are the bench's own, so that what is timed is ours.
"""

import json
import statistics
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from unittest.mock import patch
from uuid import uuid4

from tests.bench import own_database  # first: it sets Django up

# isort: split

from django.db import connection

from bots import models, runtime, services
from llm.domain import DecisionAction
from llm.providers.scripted import ScriptedChat
from llm.traders.llm_trader import LLMTrader
from market.venues.clocks import SteppedClock
from tests.bots.desks import START, LiteralTrader, buys, says
from tests.bots.paper_desks import ClosingFeed, PaperDesk, paper_bot
from tests.scenarios.tables import instrument

SIX = tuple(f"T{number}/USDT:USDT" for number in range(6))
SIMULATED = tuple(f"{base}/USDT:USDT" for base in ("BNB", "BTC", "DOGE", "ETH", "SOL", "XRP"))
HOLD = json.dumps(
    {
        "summary": "The market is quiet; I wait for a break of the range before I risk anything.",
        "decisions": [
            {"symbol": symbol, "action": "hold", "justification": "Inside its range, no edge."}
            for symbol in SIMULATED
        ],
    }
)
CYCLES = 60
FLEETS = (1000, 5000)


def figures() -> dict[str, float]:
    """The desk's figures: milliseconds, bytes."""
    with ExitStack() as turned:
        desk = _desk(turned)
        found = _cycles(desk)
        found |= _marks(desk)
    return found | {"model_bytes": _model_bytes()}


def _model_bytes() -> float:
    """How much the database grows with each cycle of a model that sees six instruments and holds."""
    bot = paper_bot(symbols=SIMULATED, trader="flat")
    chat = ScriptedChat(lines=[HOLD] * (CYCLES + 1))
    trader = runtime.BilledTrader(LLMTrader(chat=chat), bot)
    with patch.object(runtime, "_trader", lambda bot: trader):
        services.run_slot(bot.pk, "first")
        before = _size()
        for number in range(CYCLES):
            services.run_slot(bot.pk, f"model {number}")
    return (_size() - before) / CYCLES


def _desk(turned: ExitStack) -> PaperDesk:

    feed = ClosingFeed(
        traded=tuple(instrument(symbol=symbol) for symbol in SIX),
        prices={symbol: Decimal(100) for symbol in SIX},
    )
    clock, trader = SteppedClock(START), LiteralTrader()
    turned.enter_context(patch.object(runtime, "open_feed", lambda bot: feed))
    turned.enter_context(patch.object(runtime, "clock", lambda: clock))
    turned.enter_context(patch.object(runtime, "_trader", lambda bot: trader))
    return PaperDesk(paper_bot(symbols=SIX, profile="aggressive"), clock, feed, trader)


def _cycles(desk: PaperDesk) -> dict[str, float]:
    """A hold, and one that trades, each the median of many."""
    desk.trader.thinking = lambda: desk.tick(by=timedelta(milliseconds=10))
    holds: list[float] = []
    trades: list[float] = []
    for number in range(CYCLES):
        answers = [buys() if number % 2 else says(DecisionAction.CLOSE)]
        answers = [_on(answers[0], SIX[0])]
        for kind, answer in ((trades, answers), (holds, [])):
            desk.trader.answers = list(answer)
            desk.tick(by=timedelta(minutes=3))
            began = time.perf_counter()
            services.run_slot(desk.bot.pk, uuid4().hex)
            kind.append((time.perf_counter() - began) * 1000)
    cycles = models.TradingCycle.objects.filter(bot=desk.bot)
    kept = [len(record or b"") for record in cycles.values_list("record", flat=True)]
    return {
        "hold_ms": statistics.median(holds),
        "trade_ms": statistics.median(trades),
        "record_bytes": statistics.mean(kept),
        "database_bytes": _bytes_per_cycle(desk),
    }


def _on(decision, symbol: str):

    return replace(decision, items=tuple(replace(item, symbol=symbol) for item in decision.items))


def _bytes_per_cycle(desk: PaperDesk) -> float:
    """How much the database grows with each cycle, trades and holds in turn."""
    before = _size()
    for number in range(CYCLES):
        answer = buys() if number % 2 else says(DecisionAction.CLOSE)
        desk.trader.answers = [_on(answer, SIX[0])] if number % 4 < 2 else []
        desk.tick(by=timedelta(minutes=3))
        services.run_slot(desk.bot.pk, uuid4().hex)
    return (_size() - before) / CYCLES


def _size() -> float:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(
                "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
            )
        else:
            cursor.execute("VACUUM FULL")
            cursor.execute(
                "SELECT sum(pg_total_relation_size(oid)) FROM pg_class"
                " WHERE relkind = 'r' AND relname ~ '^(bots|llm|market)_'"
            )
        return float(cursor.fetchone()[0])


def _marks(desk: PaperDesk) -> dict[str, float]:
    """Milliseconds per quiet bot of a mark over a fleet, the beats of a minute averaged."""
    found = {}
    desk.trader.thinking = None
    made = 0
    for fleet in FLEETS:
        for _ in range(fleet - made):
            desk.trader.answers = [_on(buys(), SIX[0])]
            bot = paper_bot(symbols=SIX[:1], profile="aggressive")
            services.run_slot(bot.pk, "open")
        made = fleet
        times = []
        for _ in range(5):
            desk.tick(by=timedelta(seconds=15))
            began = time.perf_counter()
            done = services.mark_shard()
            times.append((time.perf_counter() - began) * 1000)
            assert done.failed == 0 and done.quiet >= fleet - 1, done
        found[f"mark_ms_{fleet}"] = statistics.mean(times[1:]) / fleet
    return found


if __name__ == "__main__":
    with own_database.made():
        print(json.dumps(figures()))
