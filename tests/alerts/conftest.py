"""Nothing is put in a queue: tests scan and deliver themselves, at instants of their own."""

import pytest

from bots import enqueue as enqueuing


@pytest.fixture(autouse=True)
def sent(monkeypatch) -> list[str]:
    """The tasks that would have been put in a queue."""
    found: list[str] = []

    class App:
        @staticmethod
        def send_task(name: str, kwargs: dict) -> None:
            found.append(name)

    monkeypatch.setattr(enqueuing, "current_app", App)
    return found


@pytest.fixture
def on_this_machine(settings) -> None:
    settings.ALERTS_MAY_REACH_PRIVATE = True
