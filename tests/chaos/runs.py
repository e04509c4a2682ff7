"""Kill it, freeze it, heal it, look: seeded runs of one act each, on bots that live on afterwards.

A run lets a bot do something (open, move its stop, close, be marked while a stop fires, be flattened) in
a process that is killed or frozen at one of the points it passes. When its leases have run out, the
first next slot must heal the bot. Many bots are killed before the first is healed, so that their
leases run out together.
"""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal as D
from typing import Any

from django.db.models import Q
from django.db.models.functions import Now

from bots import models, services
from bots.domain.exits import ExitRules, Rung
from bots.models import CLOSING, ActionStatus, CycleStatus
from tests.chaos import checks
from tests.chaos.points import Point, Points, is_inside
from tests.chaos.processes import Child, ChildFailed, fork, in_child
from tests.chaos.scene import CLOSES, Scene, adjusts, enters, open_scene
from tests.scenarios.tables import SYMBOL

ACTS = ("open", "move", "close", "overtaken", "stopped", "gains", "flatten")
"""`stopped`: a stop fires and a mark finds it. `overtaken`: it fires while the trader says close. `gains`: a
mark takes a rung and moves the stop by the bot's own rules."""
EXITS = ExitRules(
    trailing_fraction=D("0.02"),
    trailing_from_r=D("0.5"),
    ladder=(Rung(at_r=D(1), fraction=D("0.5")),),
)
LIFE = 8
"""Runs of one bot: then its day, its streak and its drawdown are its own again."""
LATE = timedelta(minutes=3)
TAKEN: Point = ("after the statement of take", 0)


@dataclass(slots=True)
class Result:
    """What a run came to."""

    act: str
    point: Point
    kind: str
    faults: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Victim:
    """A bot with its script, and the child that is at it now."""

    scene: Scene
    runs: int = 0
    act: str = ""
    point: Point = ("", 0)
    is_frozen: bool = False
    child: Child | None = None
    held: D = D(0)


class Matrix:
    """Seeded runs on the database of this process. `places`: where each act can be cut, found by doing it
    whole once."""

    def __init__(self, seed: int, *, freezes: float = 0.35, bots: int = 6) -> None:
        self._random = random.Random(seed)
        self._freezes = freezes
        self._made = 0
        self._victims = [Victim(self._new_scene()) for _ in range(bots)]
        self.places = self._survey()
        self._left: dict[str, list[Point]] = {act: [] for act in ACTS}
        self.reached: Counter[tuple[str, str]] = Counter()
        self.whole = 0

    # -- what can be cut --------------------------------------------------------------------------

    def _survey(self) -> dict[str, list[Point]]:
        scene, places = self._new_scene(), {}
        for act in (
            "open",
            "move",
            "close",
            "open",
            "overtaken",
            "open",
            "stopped",
            "open",
            "gains",
            "open",
            "flatten",
        ):
            places[act] = in_child(_doing(scene, act, Points()))
            _next_slot(scene)
            _next_day(scene)
        return places

    def _new_scene(self) -> Scene:
        self._made += 1
        return open_scene(f"bot {self._made}", exits=EXITS)

    # -- runs -------------------------------------------------------------------------------------

    def run(self, count: int) -> Iterator[Result]:
        """At least so many runs in which a process was really killed or frozen."""
        done = 0
        while done < count:
            cut = [victim for victim in self._victims if self._cut(victim)]
            _wait_for_leases([victim.scene.bot_id for victim in cut])
            for victim in cut:
                result = self._healed(victim)
                if result.faults:  # told once
                    victim.runs = LIFE
                yield result
                done += 1

    def run_each(self, act: str) -> Iterator[Result]:
        """One run at every place of an act, all cut before the first is healed."""
        victims = []
        for point in self.places[act]:
            victim = Victim(self._new_scene())
            if act != "open":
                in_child(_doing(victim.scene, "open", Points()))
                _next_day(victim.scene)
            if self._cut(victim, act, point):
                victims.append(victim)
        _wait_for_leases([victim.scene.bot_id for victim in victims])
        for victim in victims:
            yield self._healed(victim)

    def _cut(self, victim: Victim, act: str = "", point: Point | None = None) -> bool:
        """Begin an act and end its process on the way; False when it came through."""
        if victim.runs >= LIFE:
            victim.scene, victim.runs = self._new_scene(), 0
        victim.runs += 1
        _next_day(victim.scene)
        victim.act = act or self._possible(victim)
        victim.point = point or self._next_place(victim.act)
        victim.is_frozen = self._may_freeze(victim.point) and self._random.random() < self._freezes
        ends = signal.SIGSTOP if victim.is_frozen else signal.SIGKILL
        points = Points(end=victim.point, signal=ends)
        victim.child = fork(_doing(victim.scene, victim.act, points))
        if victim.is_frozen and victim.child.wait_until_frozen():
            self.reached[victim.act, victim.point[0]] += 1
            return True
        came_through = victim.child.wait() is not None
        victim.child = None
        if came_through:
            self.whole += 1
            _next_slot(victim.scene)
        else:
            self.reached[victim.act, victim.point[0]] += 1
        return not came_through

    def _may_freeze(self, point: Point) -> bool:
        """Not within a transaction, whose lock would be held for as long as the sleep lasts."""
        return not is_inside(point)

    def _possible(self, victim: Victim) -> str:
        is_held = models.Position.objects.filter(bot_id=victim.scene.bot_id).exists()
        return self._random.choice(ACTS[1:]) if is_held else ACTS[0]

    def _next_place(self, act: str) -> Point:
        if not self._left[act]:
            self._left[act] = self._random.sample(self.places[act], len(self.places[act]))
        return self._left[act].pop()

    def _healed(self, victim: Victim) -> Result:
        """Let the next slot come, wake the zombie, and look."""
        result = Result(victim.act, victim.point, "freeze" if victim.is_frozen else "kill")
        scene = victim.scene
        result.faults += self._heal(victim)
        if victim.child is not None:
            result.faults += self._woken(victim)
            result.faults += self._heal(victim)
        result.faults += checks.faults(scene.bot_id, scene.instruments)
        return result

    def _heal(self, victim: Victim) -> list[str]:
        scene = victim.scene
        try:
            _next_slot(scene)
        except ChildFailed as failure:
            return [f"the slot after the death was not decided: {failure}"]
        found = [] if victim.child is not None else checks.faults(scene.bot_id, scene.instruments)
        return [*found, *self._ask_again(victim)]

    def _woken(self, victim: Victim) -> list[str]:
        """Wake a zombie. It may put down its model's bill and say how its own cycle ended; one that slept
        at the very door, past the last look at its lease, says the one thing that it was about to say.
        One that had not taken the desk yet is only late."""
        child, scene = victim.child, victim.scene
        assert child is not None
        before = checks.print_of(scene.bot_id)
        child.wake()
        with suppress(ChildFailed):  # LeaseLost ends it
            child.wait()
        victim.child = None
        places = self.places[victim.act]
        if places.index(victim.point) < places.index(TAKEN):
            return []
        after = checks.print_of(scene.bot_id)
        if victim.point[0] in AT_THE_DOOR:
            before.pop("venue"), after.pop("venue")
        return [
            f"a zombie changed {name}: {before[name]} → {after[name]}"
            for name in before
            if before[name] != after[name]
        ]

    def _ask_again(self, victim: Victim) -> list[str]:
        """A flatten whose worker died is done when it is sent again."""
        lost = models.ManualAction.objects.filter(
            bot_id=victim.scene.bot_id, status__in=UNFINISHED, kind__in=CLOSING
        )
        if not lost or victim.child is not None:
            return []
        long_ago = Now() - timedelta(minutes=5)
        lost.update(requested_at=long_ago, taken_at=long_ago)
        in_child(lambda: _swept(victim.scene, [action.pk for action in lost]))
        if models.Position.objects.filter(bot_id=victim.scene.bot_id).exists():
            return ["the flatten of a dead worker was forgotten"]
        return []


UNFINISHED = (ActionStatus.PENDING, ActionStatus.RUNNING)


# --- acts ---------------------------------------------------------------------------------------------


def _doing(scene: Scene, act: str, points: Points) -> Callable[[], list[Point]]:
    """An act of a bot, to be done in a child; what it passed."""

    def do() -> list[Point]:
        scene.points = points
        _ACTS[act](scene)
        return points.passed

    return do


def _open(scene: Scene) -> Any:
    is_long = scene.clock.now().day % 2 == 0
    scene.wants(enters(D(100), is_long=is_long), D(100))
    return scene.decide()


def _move(scene: Scene) -> Any:
    scene.wants(adjusts(D(100) + _against(scene, D(3))), D(100))
    return scene.decide()


def _close(scene: Scene) -> Any:
    scene.wants(CLOSES, D("100.5"))
    return scene.decide()


def _overtaken(scene: Scene) -> Any:
    scene.wants(CLOSES, D(100), after=D(100) + _against(scene, D(6)))
    return scene.decide()


def _stopped(scene: Scene) -> Any:
    scene.wants(None, D(100) + _against(scene, D(6)))
    return scene.mark()


def _gains(scene: Scene) -> Any:
    scene.wants(None, D(100) - _against(scene, D(6)))
    return scene.mark()


def _flatten(scene: Scene) -> Any:
    scene.wants(None, D("99.5"))
    return scene.flatten()


def _heal(scene: Scene) -> Any:
    scene.wants(None, D(100))
    assert scene.decide() is not None


_ACTS: dict[str, Callable[[Scene], Any]] = {
    "open": _open, "move": _move, "close": _close, "overtaken": _overtaken, "stopped": _stopped,
    "gains": _gains, "flatten": _flatten, "heal": _heal,
}  # fmt: skip


def _against(scene: Scene, distance: D) -> D:
    """A move against what is held."""
    held = models.Position.objects.filter(bot_id=scene.bot_id, symbol=SYMBOL).first()
    return -distance if held is None or held.quantity > 0 else distance


def _next_day(scene: Scene) -> None:
    scene.pass_time(timedelta(days=1))


def _next_slot(scene: Scene) -> Any:
    """Three minutes on, nothing special: what the slot passed."""
    scene.pass_time(LATE)
    return in_child(_doing(scene, "heal", Points()))


def _swept(scene: Scene, actions: list[Any]) -> None:
    scene.points = Points()
    with scene.open():
        services.sweep()
        for action in actions:
            services.perform_action(action)


# --- leases and zombies -------------------------------------------------------------------------------


def _wait_for_leases(bots: list[Any]) -> None:
    """Until every lease of theirs has run out, by the database's clock."""
    held = Q(desk_until__gte=Now()) | Q(
        cycles__status=CycleStatus.RUNNING, cycles__lease_until__gte=Now()
    )
    while models.Bot.objects.filter(held, pk__in=bots).exists():
        time.sleep(0.02)


AT_THE_DOOR = frozenset({"before sync", "before cancel"})
