"""The embedded process: the commands `demo` and `reset`."""

from django.apps import AppConfig


class EmbeddedConfig(AppConfig):
    name = "tradingagent.embedded"
    label = "embedded"
