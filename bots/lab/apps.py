"""The lab: replays and arenas, built on the desk; the desk does not know it."""

from django.apps import AppConfig


class LabConfig(AppConfig):
    name = "bots.lab"
    label = "lab"

    def ready(self) -> None:
        from bots.lab import pages

        pages.register_topic()
