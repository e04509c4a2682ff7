"""The desk: composes market, mind and veto into the trading cycle."""

from django.apps import AppConfig


class BotsConfig(AppConfig):
    name = "bots"
