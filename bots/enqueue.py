"""Tasks are put in their queue by name, after the commit: nothing runs for a change that was undone."""

from celery import current_app
from django.db import transaction


def enqueue(task: str, **arguments: str | int) -> None:
    """Send a task once the transaction has committed (at once without one). Ids only, never a secret."""
    transaction.on_commit(lambda: current_app.send_task(task, kwargs=arguments))
