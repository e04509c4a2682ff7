"""The desk: composes market, mind and veto into the trading cycle."""

from django.apps import AppConfig


class BotsConfig(AppConfig):
    name = "bots"

    def ready(self) -> None:
        from bots.live import wake
        from bots.ownership import register_owners
        from bots.pages import bot, dashboard

        register_owners()
        bot.register_topic()
        dashboard.register_topic()
        wake.install()
