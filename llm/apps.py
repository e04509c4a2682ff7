"""The mind: turns a market snapshot into a decision."""

from django.apps import AppConfig


class LLMConfig(AppConfig):
    name = "llm"
