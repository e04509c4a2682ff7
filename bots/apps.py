"""The desk: composes market, mind and veto into the trading cycle."""

from django.apps import AppConfig


class BotsConfig(AppConfig):
    name = "bots"

    def ready(self) -> None:
        from bots.live import wake
        from bots.ownership import register_owners

        register_owners()
        wake.install()
