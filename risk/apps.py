"""The veto: turns wanted orders into allowed orders."""

from django.apps import AppConfig


class RiskConfig(AppConfig):
    name = "risk"
