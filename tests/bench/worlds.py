"""P4 over a hundred thousand seeded worlds: any wishes, any account, any market, any profile, none breaks a limit.

The judge is the oracle of tests/risk, which knows nothing of the engine. Spread over the cores.
"""

import os
import random
from concurrent.futures import ProcessPoolExecutor

from risk.engine import review
from tests.risk.oracle import broken
from tests.risk.test_p4 import Draw, _case

WORLDS = 100_000
FIRST = 2_000
"""Those below are in the suite."""
PART = 2_500


def broken_worlds() -> tuple[int, int]:
    """(worlds looked at, worlds in which an approved order broke a limit)."""
    starts = range(FIRST, FIRST + WORLDS, PART)
    with ProcessPoolExecutor(os.cpu_count()) as cores:
        found = list(cores.map(_broken_from, starts))
    return WORLDS, sum(found)


def _broken_from(start: int) -> int:
    count = 0
    for seed in range(start, start + PART):
        intents, context, limits = _case(Draw(random.Random(seed)))
        count += bool(broken(review(intents, context, limits), context, limits))
    return count
