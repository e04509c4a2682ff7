"""What the tests of concurrency play with: processes that begin together, signals between them, and questions."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bots import models
from tests.chaos import checks
from tests.chaos.processes import fork
from tests.chaos.scene import Scene

PATIENCE = 20


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Do each act in a process of its own, all beginning at the same instant; what they returned."""
    gate = multiprocessing.get_context("fork").Barrier(len(acts))

    def begun(act: Callable[[], Any]) -> Callable[[], Any]:
        def begin() -> Any:
            gate.wait(PATIENCE)
            return act()

        return begin

    children = [fork(begun(act)) for act in acts]
    return [child.wait() for child in children]


@dataclass(slots=True)
class Signal:
    """One process waits until another lets it go. Make it before the fork."""

    ends: tuple[int, int] = field(default_factory=os.pipe)

    def send(self) -> None:
        os.write(self.ends[1], b".")

    def wait(self) -> None:
        os.read(self.ends[0], 1)


def bot_of(scene: Scene) -> models.Bot:
    return models.Bot.objects.select_related("state").get(pk=scene.bot_id)


def orders_of(scene: Scene, **conditions: Any) -> Sequence[models.Order]:
    return list(models.Order.objects.filter(bot_id=scene.bot_id, **conditions))


def all_is_well(*scenes: Scene) -> None:
    """Every promise holds for these bots."""
    for scene in scenes:
        assert checks.faults(scene.bot_id, scene.instruments) == []
