"""A worker as a part: Celery's WorkController with threads of its own for one queue.

Each queue has one, so that decisions never make protection wait. The traps avoided: several controllers of
one process share the application's list of queues, and each would take tasks from all of them; with Redis
they would share one event loop; and a pool's thread that has died is missed by nobody.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Thread, current_thread
from typing import Any

from celery import Celery, bootsteps
from celery.concurrency.thread import ApplyResult, TaskPool
from celery.exceptions import WorkerShutdown
from celery.worker import WorkController
from celery.worker.consumer import Consumer
from celery.worker.consumer.connection import Connection
from celery.worker.consumer.consumer import Evloop
from celery.worker.consumer.tasks import Tasks
from kombu.common import QoS

from tradingagent.embedded.parts import ThreadPart


class WatchedPool(TaskPool):  # type: ignore[misc]  # has no types
    """A pool whose threads can be counted, and which ends without waiting for them."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.threads: list[Thread] = []
        self.takes_tasks = True
        self._under_way: set[Future[Any]] = set()
        self.executor = ThreadPoolExecutor(
            self.limit,
            thread_name_prefix=self.options["initargs"][1],
            initializer=lambda: self.threads.append(current_thread()),
        )

    def on_apply(self, *args: Any, **options: Any) -> ApplyResult | None:
        """Take a task, unless the end has been asked for: what is not begun by then, the next start heals."""
        try:
            result = super().on_apply(*args, **options) if self.takes_tasks else None
        except RuntimeError:
            if self.takes_tasks:
                raise
            result = None  # it was asked for just now
        if result is None:
            return None
        self._under_way.add(result.f)
        result.f.add_done_callback(self._under_way.discard)
        return result

    def take_no_more(self) -> None:
        self.takes_tasks = False
        self.executor.shutdown(wait=False, cancel_futures=True)

    def on_stop(self) -> None:
        self.take_no_more()

    def is_idle(self) -> bool:
        return not self._under_way

    def has_lost_a_thread(self) -> bool:
        return self.takes_tasks and not all(thread.is_alive() for thread in self.threads)


class OneQueue(Tasks):  # type: ignore[misc]  # has no types
    """Takes tasks from the controller's queue alone."""

    requires = (Connection,)

    def start(self, c: Any) -> None:
        c.update_strategies()
        c.connection.default_channel.basic_qos(0, c.initial_prefetch_count, False)
        queue = c.app.amqp.queues[c.controller.queue]
        c.task_consumer = c.app.amqp.TaskConsumer(
            c.connection, queues=[queue], on_decode_error=c.on_decode_error
        )
        c.qos = QoS(c.task_consumer.qos, c.initial_prefetch_count)  # type: ignore[no-untyped-call]


class QueueConsumer(Consumer):  # type: ignore[misc]  # has no types
    """Reads a queue, and nothing else: no events, no gossip, no remote control."""

    event_dispatcher = None

    class Blueprint(bootsteps.Blueprint):  # type: ignore[misc]  # has no types
        name = "Consumer"
        default_steps = [Connection, OneQueue, Evloop]

        def shutdown(self, parent: Any) -> None:
            self.send_all(parent, "shutdown")

    def perform_pending_operations(self) -> None:
        """What the loop does first each time round, every 2 s or more often."""
        if self.controller.is_asked_to_stop and self.blueprint.state == bootsteps.RUN:
            raise WorkerShutdown(0)
        super().perform_pending_operations()


class QueueController(WorkController):  # type: ignore[misc]  # has no types
    """A worker for one queue."""

    def __init__(self, app: Celery, queue: str, threads: int) -> None:
        self.queue = queue
        self.is_ready = False
        self.is_asked_to_stop = False
        super().__init__(
            app=app,
            hostname=f"{queue}@embedded",
            concurrency=threads,
            pool_cls=WatchedPool,
            consumer_cls=QueueConsumer,
            use_eventloop=False,
        )

    def setup_queues(self, include: Any, exclude: Any = None) -> None:
        """Leave the application's own list as it is."""

    def on_consumer_ready(self, consumer: Any) -> None:
        del consumer
        self.is_ready = True


class QueueWorker(ThreadPart):
    """Runs the tasks of one queue in so many threads."""

    def __init__(self, app: Celery, queue: str, threads: int) -> None:
        super().__init__(f"the worker of {queue}")
        self.controller = QueueController(app, queue, threads)

    @property
    def pool(self) -> WatchedPool:
        pool: WatchedPool = self.controller.pool
        return pool

    def run(self) -> None:
        self.controller.start()

    def is_ready(self) -> bool:
        return self.controller.is_ready

    def stop(self) -> None:
        super().stop()
        self.pool.take_no_more()
        self.controller.is_asked_to_stop = True

    def is_done(self) -> bool:
        return super().is_done() and self.pool.is_idle()

    def death(self) -> str | None:
        if self.pool.has_lost_a_thread():
            return f"a thread of {self.name} died"
        timer = self.controller.timer
        if timer.running and not timer.is_alive():
            return f"the timer of {self.name} died"
        return super().death()
