"""The mind: turns a market snapshot into a decision."""

from django.apps import AppConfig

from tradingagent.accounts.built_in_rows import keep_after_migrate


class LLMConfig(AppConfig):
    name = "llm"

    def ready(self) -> None:
        from llm.services import sync_builtin_templates, sync_price_list

        keep_after_migrate(self, sync_builtin_templates, "PromptTemplate")
        keep_after_migrate(self, sync_price_list, "ModelPrice")
