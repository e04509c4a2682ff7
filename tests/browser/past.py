"""Hours behind a demo before it is started: `LOCAL_DIR=folder python -m tests.browser.past 8`.

Everything is as it would have been: the demo's own user and arena, the workers' tasks, the simulated market, which
shows the same prices whenever it is asked. Only the clock of this process is moved, a minute at a time, up to now.
Without Redis what is put in a queue stays in this process, where nobody takes it out.
"""

import os
import sys
import time
from datetime import UTC, datetime, timedelta

import django
import time_machine

ROUND = timedelta(minutes=1)
"""The demo's arena decides so often."""


def trade_until_now(hours: float) -> int:
    """Let the demo's traders trade from so many hours ago; how many rounds that were."""
    began, spent = datetime.now(UTC), time.perf_counter()
    at = (began - timedelta(hours=hours)).replace(second=20, microsecond=0)
    rounds = 0
    with time_machine.travel(at) as clock:
        django.setup()  # in the past: the process's clock never goes back
        from django.conf import settings

        from bots import tasks
        from tradingagent.embedded import first_run, traders

        first_run.bring_database_up_to_date(print)
        user = first_run.demo_login(settings.LOCAL_DIR).user
        arena = traders.arena_at("simulated", user, [], print)
        bots = [str(pk) for pk in arena.entrants.order_by("place").values_list("bot_id", flat=True)]
        while at < began + timedelta(seconds=time.perf_counter() - spent):
            for bot_id in bots:
                tasks.run_cycle(bot_id)
            clock.move_to(at := at + ROUND / 2)
            tasks.mark_shard(0, 1)
            clock.move_to(at := at + ROUND / 2)
            rounds += 1
    return rounds


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingagent.settings")
    print(f"{trade_until_now(float(sys.argv[1]))} rounds")
