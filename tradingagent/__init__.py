"""The project: settings, URLs, server entry points, accounts.

The Celery application is made with it, so that whoever puts a task in a queue has our queues.
"""

from tradingagent.celery import app as celery_app

__all__ = ["celery_app"]
