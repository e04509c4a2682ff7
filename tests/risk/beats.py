"""A bot that is beaten once a minute: what the tests of the breakers share."""

from datetime import UTC, datetime, timedelta

from risk.breakers import beat
from risk.domain import BreakerInput, BreakerState, Limits, TradingState
from tests.risk.build import D

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def limits(**changes):
    return Limits(name="test", **changes)


class Desk:
    """A bot that is beaten once a minute; each beat returns what happened."""

    def __init__(self, nav=100, **changes):
        self.limits = limits(**changes)
        self.now, self.state = START, BreakerState()
        self.beat(nav)

    def beat(self, nav, *, flat=False, day="1", wait=MINUTE, **changes):
        self.now += wait
        given = BreakerInput(now=self.now, local_day=day, nav=D(nav), is_flat=flat, **changes)
        result = beat(self.state, given, self.limits)
        self.state = result.state
        return result

    @property
    def trading(self):
        return self.state.state


ACTIVE, REDUCING, HALTED = TradingState
