"""Database columns of the trading vocabulary: exact decimals, and choices made from domain enums.

SQLite keeps 15 significant digits of a number and PostgreSQL rounds what a column can't hold, both in
silence. Here a value that would come back changed is refused before it is saved.
"""

from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

SQLITE_DIGITS = 15


class AmountDoesNotFit(ValueError):
    """A number that this database or column can't hold exactly; the message says what to do."""


def choices(enum: type[StrEnum]) -> list[tuple[str, str]]:
    """(value, label) of every member, for a column of a domain enum."""
    return [(member.value, member.value.replace("_", " ").lower()) for member in enum]


class EnumField(models.CharField):  # type: ignore[type-arg]
    """A text column of one domain enum; the database itself refuses any other word."""

    def __init__(self, enum: type[StrEnum] | None = None, **options: Any) -> None:
        self.enum = enum
        if enum is not None:
            options.setdefault("choices", choices(enum))
            options.setdefault("max_length", max(24, *(len(member.value) for member in enum)))
        super().__init__(**options)

    def from_db_value(self, value: str | None, *_: object) -> StrEnum | str | None:
        if value is None or self.enum is None or value == "":
            return value
        return self.enum(value)

    def deconstruct(self) -> Any:
        name, _, args, options = super().deconstruct()
        options.pop("choices", None)
        return name, "django.db.models.CharField", args, options


class AmountField(models.DecimalField):  # type: ignore[type-arg]
    """Money, a price or a quantity: 18 digits before the point and 12 after it, stored exactly or refused.

    Raises AmountDoesNotFit on saving more digits than the database keeps.
    """

    def __init__(self, **options: Any) -> None:
        options.setdefault("max_digits", 30)
        options.setdefault("decimal_places", 12)
        super().__init__(**options)

    def get_db_prep_value(
        self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False
    ) -> Any:
        if isinstance(value, Decimal):
            check_fits(value, connection.vendor, self.max_digits, self.decimal_places)
        return super().get_db_prep_value(value, connection, prepared)


def check_fits(value: Decimal, vendor: str, max_digits: int, decimal_places: int) -> None:
    """Raise AmountDoesNotFit unless a column of this size keeps `value` to the last digit."""
    if not value.is_finite():
        raise AmountDoesNotFit(f"{value} is no amount")
    _, digits, exponent = value.normalize().as_tuple()
    places = max(0, -int(exponent))
    whole = max(0, len(digits) + int(exponent))
    if places > decimal_places or whole > max_digits - decimal_places:
        raise AmountDoesNotFit(
            f"{value} has more than {decimal_places} decimals or {max_digits - decimal_places} digits"
            " before the point"
        )
    if vendor == "sqlite" and len(digits) > SQLITE_DIGITS:
        raise AmountDoesNotFit(
            f"{value} has {len(digits)} digits and SQLite keeps {SQLITE_DIGITS}:"
            " use PostgreSQL (set DATABASE_URL) for amounts of this size"
        )


class ExactDecimalField(models.CharField):  # type: ignore[type-arg]
    """A Decimal of any length kept as text: for derived figures that are read back whole, never
    compared or summed by the database."""

    if TYPE_CHECKING:  # what the type checker's Django plugin reads
        _pyi_private_set_type: Decimal  # type: ignore[assignment]
        _pyi_private_get_type: Decimal  # type: ignore[assignment]

    def __init__(self, **options: Any) -> None:
        options.setdefault("max_length", 80)
        super().__init__(**options)

    def from_db_value(self, value: str | None, *_: object) -> Decimal | None:
        return None if value is None else Decimal(value)

    def to_python(self, value: Any) -> Any:
        return value if value is None or isinstance(value, Decimal) else Decimal(value)

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else str(value)
