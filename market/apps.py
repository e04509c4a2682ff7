"""The venue: what can be seen there and what can be done there."""

from django.apps import AppConfig


class MarketConfig(AppConfig):
    name = "market"
