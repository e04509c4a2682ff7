"""Rows that come with the program, put in place after every `migrate` (and after a test's flush).

Not a data migration: those rows would be gone after the first flush, and a new version of the program
brings new ones without a migration. The trap: `migrate` to an older state leaves tables that the models
of today don't fit; then nothing is done.
"""

from collections.abc import Callable
from typing import Any

from django.apps import AppConfig
from django.apps import apps as today
from django.db import DEFAULT_DB_ALIAS
from django.db.models.signals import post_migrate


def keep_after_migrate(config: AppConfig, sync: Callable[[], object], *model_names: str) -> None:
    """Call `sync` after each `migrate` that leaves the named models of `config` as they are today."""

    def after_migrate(*, using: str, apps: Any = today, **_: object) -> None:
        if using == DEFAULT_DB_ALIAS and all(_is_current(config, apps, n) for n in model_names):
            sync()

    post_migrate.connect(
        after_migrate,
        sender=config,
        weak=False,
        dispatch_uid=f"{config.label} built-in {' '.join(model_names)}",
    )


def _is_current(config: AppConfig, migrated: Any, name: str) -> bool:
    try:
        model = migrated.get_model(config.label, name)
    except LookupError:
        return False
    return _columns(model) == _columns(config.get_model(name))


def _columns(model: Any) -> set[str]:
    return {field.column for field in model._meta.concrete_fields}
