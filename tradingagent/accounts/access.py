"""Who may see and change which row: the only object permissions there are.

Each app registers for its models the path to the owning user, below the model itself. A row that is
shared (owner NULL) may be seen by all and changed by none. The trap: a superuser who browses the site
sees their own rows like anyone else; only the admin passes `everyone=True`.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from django.contrib.auth.models import AnonymousUser
from django.db.models import Model, Q, QuerySet

Row = TypeVar("Row", bound=Model)
Act = Literal["view", "change"]


class NotYours(Exception):
    """The row is not this user's to view or change. Doors answer as if it did not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owning:
    """Where a model's owner is found (`bot__owner`), and whether NULL there means everybody's."""

    path: str
    shared: bool


_OWNING: dict[type[Model], Owning] = {}


def register(model: type[Model], path: str, *, shared: bool = False) -> None:
    """Say where the owner of a model's rows is: a path to a user, or `id` for the user model itself."""
    _OWNING[model] = Owning(path=path, shared=shared)


def registered() -> dict[type[Model], Owning]:
    """Every registered model."""
    return dict(_OWNING)


def visible(rows: type[Row] | QuerySet[Row], user: Any, *, everyone: bool = False) -> QuerySet[Row]:
    """The rows that `user` may see: their own, and the shared ones. Nobody's for who is not logged in.

    `everyone` lifts this for a superuser, in the admin only. Raises LookupError for a model that no
    app has registered.
    """
    queryset = rows if isinstance(rows, QuerySet) else rows._default_manager.all()
    owning = _owning(queryset.model)
    if not _is_someone(user):
        return queryset.none()
    if everyone and user.is_superuser:
        return queryset
    condition = Q(**{owning.path: user.pk})
    if owning.shared:
        condition |= Q(**{f"{owning.path}__isnull": True})
    return queryset.filter(condition)


def require(user: Any, row: Model, act: Act) -> None:
    """Raise NotYours unless `user` may do this to `row`; LookupError for a model not registered."""
    owning = _owning(type(row))
    owner_id = _owner_id(row, owning.path)
    if _is_someone(user):
        if owner_id is not None and owner_id == user.pk:
            return
        if owner_id is None and owning.shared and act == "view":
            return
    raise NotYours(f"there is no such {row._meta.verbose_name}")


def _owning(model: type[Model]) -> Owning:
    try:
        return _OWNING[model]
    except KeyError:
        raise LookupError(f"{model._meta.label} has not said who owns its rows") from None


def _is_someone(user: Any) -> bool:
    return not isinstance(user, AnonymousUser) and user.is_authenticated and user.is_active


def _owner_id(row: Model, path: str) -> Any:
    *steps, last = path.split("__")
    found: Any = row
    for step in steps:
        found = getattr(found, step)
        if found is None:
            return None
    field: Any = found._meta.get_field(last)
    return getattr(found, field.attname)
