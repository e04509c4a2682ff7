"""Rows that are written once and never again: audit entries, versions of limits.

Saving a second time and deleting raise, in the model and in its querysets. A restore (`loaddata`) goes
past this on purpose. The trap: `QuerySet.update` and `delete` never call the model's own methods.
"""

from typing import Any, NoReturn

from django.db import models


class AppendOnly(Exception):
    """Something tried to change or delete a row that is written once."""


class AppendOnlyQuerySet(models.QuerySet[Any]):
    """Reads and inserts; everything else raises AppendOnly."""

    def update(self, **_: Any) -> NoReturn:
        self._refuse("changed")

    def delete(self) -> NoReturn:
        self._refuse("deleted")

    def bulk_create(self, objs: Any, *args: Any, **options: Any) -> Any:
        if options.get("update_conflicts"):
            self._refuse("changed")
        return super().bulk_create(objs, *args, **options)

    def _refuse(self, act: str) -> NoReturn:
        raise AppendOnly(f"{self.model._meta.verbose_name_plural} are never {act}")


class AppendOnlyModel(models.Model):
    """A row that is inserted once. Raises AppendOnly on a second save and on delete."""

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **options: Any) -> None:
        if not self._state.adding:
            raise AppendOnly(f"{self._meta.verbose_name_plural} are never changed")
        super().save(*args, **{**options, "force_insert": True})

    def delete(self, *_: Any, **__: Any) -> NoReturn:
        raise AppendOnly(f"{self._meta.verbose_name_plural} are never deleted")
