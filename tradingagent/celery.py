"""The Celery application: `celery -A tradingagent worker` and `celery -A tradingagent beat`.

How it behaves stands in settings (`CELERY_…`). It must be the default application of the process: the one
that is merely current is current in one thread, and the tasks of other threads would go to no broker of ours.
"""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingagent.settings")

app = Celery("tradingagent")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.set_default()
app.autodiscover_tasks()
