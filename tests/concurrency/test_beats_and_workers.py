"""Two schedulers and two workers at once, one pair of them killed: each slot is decided once at most."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal as D

import pytest

from bots import models, services
from bots.domain.bot import BotMode, Schedule
from bots.domain.slots import slot_text
from bots.models import CycleStatus
from bots.services import BotWish
from risk.models import RiskProfile
from tests.concurrency.processes import Process, an_empty_broker, deliver, wait_for
from tradingagent.accounts.models import User

pytestmark = [pytest.mark.redis, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

INTERVAL = timedelta(seconds=5)
START_SENT = 3
"""The tick of a start is sent once; here it is delivered more often."""
WORKERS, BEATS = ("worker1", "worker2"), ("beat1", "beat2")


@pytest.fixture
def processes(tmp_path) -> Iterator[dict[str, Process]]:
    """Two workers and two schedulers, up and taking tasks."""
    with an_empty_broker() as broker:
        running = {}
        try:
            for name in WORKERS:
                running[name] = Process(tmp_path, name, "worker", "-c", "4", "-n", f"{name}@here")
            assert wait_for(lambda: all(" ready." in running[name].said for name in WORKERS))
            for name in BEATS:
                running[name] = Process(tmp_path, name, "beat")
            yield running
            assert not broker.llen("cycles")
        finally:
            for process in running.values():
                process.kill()


def a_started_bot() -> models.Bot:
    owner = User.objects.create(email="owner@example.org")
    wish = BotWish(
        owner=owner, mode=BotMode.PAPER, venue="simulated", symbols=("BTC/USDT:USDT",), capital=D(10_000),
        risk_profile=RiskProfile.objects.get(owner=None, name="balanced"), trader="flat",
        interval_seconds=5, timeframe_seconds=60,
    )  # fmt: skip
    bot = services.create_bot(wish, by=owner)
    assert bot.schedule is Schedule.SPREAD
    bot = services.start_bot(bot.pk, by=owner)
    for _ in range(START_SENT):
        deliver("bots.run_cycle", bot_id=str(bot.pk))
    return bot


def decided(status: CycleStatus = CycleStatus.DONE) -> int:
    return models.TradingCycle.objects.filter(status=status).count()


def slots() -> list[str]:
    return sorted(models.TradingCycle.objects.values_list("slot", flat=True))


def ran(processes: dict[str, Process], names: tuple[str, ...]) -> int:
    """How many ticks these workers have ended."""
    lines = [line for name in names for line in processes[name].said.splitlines()]
    return sum("bots.run_cycle" in line and "succeeded" in line for line in lines)


def too_late(processes: dict[str, Process], names: tuple[str, ...]) -> int:
    """How many ticks these workers threw away unread: they had waited for as long as a slot lasts."""
    text = "Discarding revoked task: bots.run_cycle"
    return sum(processes[name].said.count(text) for name in names)


def sent(processes: dict[str, Process], names: tuple[str, ...]) -> int:
    said = [processes[name].said for name in names]
    return sum(text.count("(bots.run_cycle)") for text in said)


def test_each_slot_is_decided_once_and_the_rest_is_counted(processes):
    bot = a_started_bot()
    assert wait_for(lambda: decided() >= 6)
    for name in BEATS:
        assert processes[name].stop() == 0
    expected = sent(processes, BEATS) + START_SENT
    assert wait_for(lambda: ran(processes, WORKERS) + too_late(processes, WORKERS) == expected), [
        processes[name].said[-3000:] for name in WORKERS
    ]
    for name in WORKERS:
        assert processes[name].stop() == 0
    found = slots()
    came = ran(processes, WORKERS)
    bot.refresh_from_db()

    first = bot.started_at.replace(microsecond=0)
    assert found == [slot_text(first + n * INTERVAL) for n in range(len(found))]
    assert decided() == len(found)
    assert bot.skipped_slots == came - len(found) >= START_SENT + 2
    assert all(processes[name].said.count(f"bot {bot.pk}") >= 2 for name in BEATS)
    assert not any("Traceback" in process.said for process in processes.values())


def test_when_a_worker_and_a_scheduler_are_killed_the_others_go_on(processes):
    bot = a_started_bot()
    assert wait_for(lambda: decided() >= 2)
    processes["worker1"].kill()
    processes["beat1"].kill()
    before = decided()
    assert wait_for(lambda: decided() >= before + 3)
    for name in ("beat2", "worker2"):
        assert processes[name].stop() == 0

    assert decided(CycleStatus.RUNNING) == 0
    assert decided(CycleStatus.ABANDONED) <= 1
    first = bot.started_at.replace(microsecond=0)
    off_grid = [slot for slot in slots() if (datetime.fromisoformat(slot) - first) % INTERVAL]
    assert off_grid == []
    late = [datetime.fromisoformat(slot) for slot in slots()][-3:]
    assert late[-1] - late[0] == 2 * INTERVAL  # no slot was left out at the end
