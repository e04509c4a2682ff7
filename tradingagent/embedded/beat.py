"""The scheduler as a part: the same one that `celery beat` runs, in a thread.

Celery's own loop is not used: it sleeps through a request to end. The trap avoided: its service takes
another scheduler than the settings name unless it is told.
"""

from threading import Event

from celery import Celery
from celery.beat import Service

from tradingagent.embedded.parts import ThreadPart


class Beat(ThreadPart):
    """Sends what is due until it is asked to end."""

    def __init__(self, app: Celery) -> None:
        super().__init__("the scheduler")
        self._app = app
        self._ends = Event()

    def run(self) -> None:
        scheduler = Service(self._app, scheduler_cls=self._app.conf.beat_scheduler).get_scheduler()
        try:
            wait = 0.0
            while not self._ends.wait(max(wait, 0.0)):
                self.turns_taken += 1
                wait = scheduler.tick()
                if scheduler.should_sync():
                    scheduler._do_sync()
        finally:
            scheduler.close()

    def is_ready(self) -> bool:
        return self.turns_taken > 0

    def stop(self) -> None:
        super().stop()
        self._ends.set()
