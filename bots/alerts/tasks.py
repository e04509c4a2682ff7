"""The tasks of the alerts: what is new is read and counted, what is due is sent. Both are harmless twice."""

import logging

from celery import shared_task
from django.utils import timezone

from bots.alerts import delivering, pruning, scanning, services, summaries

logger = logging.getLogger(__name__)


@shared_task(name="alerts.scan")  # type: ignore[untyped-decorator]
def scan() -> None:
    """Read what is new of every bot, and write what is to be told of it; take away what is old."""
    for step in (services.welcome, scanning.scan, summaries.summarize, _prune):
        try:
            step()
        except Exception:
            logger.exception("a scan for alerts failed")


def _prune() -> None:
    pruning.prune(timezone.now())


@shared_task(name="alerts.deliver")  # type: ignore[untyped-decorator]
def deliver() -> None:
    """Send the messages that are due."""
    try:
        delivering.deliver()
    except Exception:
        logger.exception("alerts could not be delivered")
