"""The veto: turns wanted orders into allowed orders."""

from django.apps import AppConfig

from tradingagent.accounts.built_in_rows import keep_after_migrate


class RiskConfig(AppConfig):
    name = "risk"

    def ready(self) -> None:
        from risk.services import sync_presets

        keep_after_migrate(self, sync_presets, "RiskProfile", "RiskProfileVersion")
