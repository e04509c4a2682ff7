"""The tasks of the workers: each takes ids, asks a service, and says in the log what went wrong.

Nothing is tried again by Celery: what a cycle did not do, the next one does. The one delay is that of a tick
which came before its bar was to be had. The trap avoided: the slot is computed when the task starts, not when
it was sent, so a tick that waited in the queue decides on the present.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from celery import shared_task

from bots import models, runtime, schedule, services
from bots.domain.bot import BotStatus, Schedule
from bots.domain.slots import slot_text
from bots.ports import LeaseLost
from market.errors import AccountUnusable, StaleData, VenueUnavailable

logger = logging.getLogger(__name__)

BAR_LOOKS: Final = 5
"""How often a tick looks again for its bar before it gives up."""
LOOK_AGAIN_SECONDS: Final = 2


@shared_task(name=schedule.RUN_CYCLE)  # type: ignore[untyped-decorator]
def run_cycle(bot_id: str, request_id: str | None = None, attempt: int = 0) -> None:
    """Decide for a bot: the slot that is due now or, with a request id, out of turn."""
    with _told(f"cycle of {bot_id}"):
        if request_id is not None:
            services.run_requested(UUID(bot_id), request_id)
        else:
            _run_due(UUID(bot_id), attempt)


@shared_task(name=schedule.MARK_SHARD)  # type: ignore[untyped-decorator]
def mark_shard(shard: int, of: int) -> None:
    """Value, reconcile and protect the bots of a shard."""
    with _told(f"mark of shard {shard}"):
        services.mark_shard(shard, of)


@shared_task(name="bots.perform_action")  # type: ignore[untyped-decorator]
def perform_action(action_id: str) -> None:
    """Do what a person asked of a bot's desk."""
    with _told(f"action {action_id}"):
        services.perform_action(UUID(action_id))


@shared_task(name=schedule.SWEEP)  # type: ignore[untyped-decorator]
def sweep() -> None:
    """Clear up after dead workers."""
    with _told("sweep"):
        services.sweep()


def _run_due(bot_id: UUID, attempt: int) -> None:
    bot = models.Bot.objects.filter(pk=bot_id).first()
    if bot is None or bot.status != BotStatus.ACTIVE:
        logger.info("tick of %s: it is not active", bot_id)
        return
    slot = schedule.slot_due(bot, runtime.clock().now())
    if bot.schedule == Schedule.SPREAD or runtime.bar_is_closed(bot, slot):
        services.run_slot(bot_id, slot_text(slot))
    elif attempt < BAR_LOOKS:
        again = {"bot_id": str(bot_id), "attempt": attempt + 1}
        run_cycle.apply_async(kwargs=again, countdown=LOOK_AGAIN_SECONDS)
    else:
        logger.warning(
            "cycle of %s: skipped, %s does not show the bar of %s", bot_id, bot.venue, slot
        )


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Log what went wrong, once. A cycle that failed has been given up by its service."""
    try:
        yield
    except LeaseLost as lost:
        logger.info("%s: %s", what, lost)
    except (VenueUnavailable, StaleData, AccountUnusable, runtime.CannotTrade) as error:
        logger.warning("%s: %s", what, error)
    except Exception:
        logger.exception("%s failed", what)
