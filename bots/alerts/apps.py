"""Alerts: what a person should hear of, told once, wherever they want to hear it. The desk does not know it."""

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "bots.alerts"
    label = "alerts"

    def ready(self) -> None:
        from bots.alerts import pages

        pages.register_topics()
