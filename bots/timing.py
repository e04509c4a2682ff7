"""How long each stage of a cycle took: ports wrapped so that their calls are timed. Measures, changes nothing."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Stages:
    """(stage, milliseconds) in the order of the calls."""

    taken: list[tuple[str, float]] = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter)

    def total_ms(self) -> float:
        return (time.perf_counter() - self.began) * 1000


class Timed:
    """A port whose named calls are timed; everything else passes through."""

    def __init__(
        self,
        port: Any,
        names: dict[str, str],
        stages: Stages,
        first: Callable[[], object] | None = None,
    ) -> None:
        """`names`: method → stage. `first` is asked before each of these calls and may refuse it."""
        self._first = first
        self._port = port
        self._names = names
        self._stages = stages

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        stage = self._names.get(name)
        if stage is None:
            return found

        def timed(*args: Any, **options: Any) -> Any:
            if self._first is not None:
                self._first()
            began = time.perf_counter()
            try:
                return found(*args, **options)
            finally:
                took = (time.perf_counter() - began) * 1000
                self._stages.taken.append((stage, took))

        return timed
