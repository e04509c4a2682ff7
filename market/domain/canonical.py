"""Canonical bytes: the one spelling of a value that is hashed, stored and compared.

Keys sorted, Decimals as plain text, instants and spans as ISO-8601, no floats: the same value gives the
same bytes on every machine, so a record can be checked years later.
"""

import hashlib
import json
from collections.abc import Mapping, Set
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from uuid import UUID

from market.domain.numbers import plain


def canonical_value(value: object) -> object:
    """Turn a value into JSON's own types. Raises TypeError for a float or anything unknown."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return utc_text(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: canonical_value(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return _canonical_mapping(value)
    if isinstance(value, (list, tuple)):
        return [canonical_value(item) for item in value]
    if isinstance(value, Set):
        return sorted((canonical_value(item) for item in value), key=str)
    return _canonical_text(value)


def _canonical_mapping(value: Mapping[object, object]) -> dict[str, object]:
    """Keys become text; two that become the same text would lose an entry, so that is a ValueError."""
    result = {str(canonical_value(key)): canonical_value(item) for key, item in value.items()}
    if len(result) < len(value):
        raise ValueError(f"two keys of {sorted(map(str, value))} have the same canonical text")
    return result


def _canonical_text(value: object) -> str:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, timedelta):
        return f"PT{plain(Decimal(value // timedelta(microseconds=1)) / 1_000_000)}S"
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no canonical form: {value!r}")


def utc_text(instant: datetime) -> str:
    """An aware instant as `2022-01-01T00:00:00Z`, with microseconds only where there are any."""
    if instant.tzinfo is None:
        raise ValueError(f"naive datetime {instant!r}")
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def canonical_bytes(value: object) -> bytes:
    """The canonical JSON of a value, UTF-8."""
    return json.dumps(
        canonical_value(value),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    ).encode()


def content_hash(value: object) -> str:
    """SHA-256 of the canonical bytes, as 64 hex digits."""
    return hashlib.sha256(canonical_bytes(value)).hexdigest()
