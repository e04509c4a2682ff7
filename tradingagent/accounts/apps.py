"""Who may log in. The lowest layer: everything may refer to a user, a user refers to nothing."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "tradingagent.accounts"
    label = "accounts"
