"""A cycle's audit record as compressed bytes, with what many records share stored once per content.

The bytes are canonical JSON: packing the same record twice gives the same bytes, and `unpack` gives
back exactly what was hashed. Snapshots stand in it as their hashes.
"""

import hashlib
import json
import lzma
from collections.abc import Iterator, Mapping
from typing import Any, Final

from bots.domain.records import CycleRecord
from bots.models import Blob

SHARED: Final = frozenset({"instruments", "groups", "limits", "system"})
"""Keys whose values hardly change from cycle to cycle."""
FACTS: Final = "facts"
"""What was shown of the market changes with every cycle: of it only the limits are shared."""
FACTS_SHARED: Final = frozenset({"limits"})
WORTH_SHARING = 300
_FILTERS: Final = [
    {"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 16, "lc": 4, "lp": 0, "pb": 0}
]
"""A record says everything twice, as facts and as a prompt: this finds it, better than zlib does."""
REFERENCE = "blob:"

_stored: set[str] = set()
_STORED_KEPT = 10_000


def pack(record: CycleRecord) -> tuple[bytes, dict[str, bytes]]:
    """The compressed record, and the compressed blobs that it refers to, by their hash."""
    blobs: dict[str, bytes] = {}
    tree = _without_shared(json.loads(record.evidence()), blobs)
    return _compressed(_bytes(tree)), blobs


def unpack(data: bytes, blobs: Mapping[str, bytes] | None = None) -> dict[str, Any]:
    """The record as JSON's own types, whole. Blobs that are not given are read from the database.
    Raises LookupError when one is missing."""
    tree = json.loads(_plain(data))
    wanted = {reference for reference in _references(tree) if reference not in (blobs or {})}
    found = dict(blobs or {})
    if wanted:
        found |= {blob.hash: bytes(blob.data) for blob in Blob.objects.filter(hash__in=wanted)}
    whole: dict[str, Any] = _with_shared(tree, found)
    return whole


def store_blobs(blobs: Mapping[str, bytes]) -> None:
    """Insert the blobs that are not known to be stored. Call `remember` when it was committed."""
    fresh = [Blob(hash=key, data=data) for key, data in blobs.items() if key not in _stored]
    if fresh:
        Blob.objects.bulk_create(fresh, ignore_conflicts=True)


def remember(blobs: Mapping[str, bytes]) -> None:
    """Note that these are stored: nobody needs to insert them again."""
    if len(_stored) > _STORED_KEPT:
        _stored.clear()
    _stored.update(blobs)


def forget() -> None:
    """Know of nothing stored: for a process whose database was emptied."""
    _stored.clear()


def _compressed(content: bytes) -> bytes:
    return lzma.compress(content, format=lzma.FORMAT_RAW, filters=_FILTERS)


def _plain(data: bytes) -> bytes:
    return lzma.decompress(data, format=lzma.FORMAT_RAW, filters=_FILTERS)


def _bytes(tree: object) -> bytes:
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _without_shared(tree: Any, blobs: dict[str, bytes], shared: frozenset[str] = SHARED) -> Any:
    if isinstance(tree, dict):
        return {
            key: _shared(value, blobs)
            if key in shared
            else _without_shared(value, blobs, FACTS_SHARED if key == FACTS else shared)
            for key, value in tree.items()
        }
    if isinstance(tree, list):
        return [_without_shared(value, blobs, shared) for value in tree]
    return tree


def _shared(value: Any, blobs: dict[str, bytes]) -> Any:
    content = _bytes(value)
    if len(content) < WORTH_SHARING:
        return value
    key = hashlib.sha256(content).hexdigest()
    blobs[key] = _compressed(content)
    return f"{REFERENCE}{key}"


def _references(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key in SHARED and _is_reference(value):
                yield value.removeprefix(REFERENCE)
            else:
                yield from _references(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _references(value)


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 69 and value.startswith(REFERENCE)


def _with_shared(tree: Any, blobs: Mapping[str, bytes]) -> Any:
    if isinstance(tree, dict):
        return {
            key: json.loads(_plain(blobs[value.removeprefix(REFERENCE)]))
            if key in SHARED and _is_reference(value)
            else _with_shared(value, blobs)
            for key, value in tree.items()
        }
    if isinstance(tree, list):
        return [_with_shared(value, blobs) for value in tree]
    return tree
