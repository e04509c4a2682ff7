"""A cycle's audit record as compressed bytes, with what many records share stored once per content.

The bytes are canonical JSON: packing the same record twice gives the same bytes, and `unpack` gives
back exactly what was hashed. Snapshots stand in it as their hashes.
"""

import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from bots.domain.records import CycleRecord
from bots.models import Blob

SHARED: Final = frozenset({"instruments", "groups", "limits", "system"})
"""Keys whose values hardly change from cycle to cycle."""
FACTS: Final = "facts"
"""What was shown of the market changes with every cycle: of it only the limits are shared."""
FACTS_SHARED: Final = frozenset({"limits"})
WORTH_SHARING = 300
_WORDS: Final = (Path(__file__).parent / "record_words.txt").read_bytes()
"""What every record says, figures left out: the compressor's preset dictionary. Never to be changed, or no
stored record can be read; other words are another file, under another first byte."""
_FIRST_BYTE: Final = b"1"
NOTHING: Final[frozenset[str]] = frozenset()
JOINED, SEPARATOR = "joined", ", "
"""A series is kept as one text, spelt as in the prompt that shows it: the two are then stored once."""
BLOB, LITERAL = "blob", "literal"
MARKS = (JOINED, BLOB, LITERAL)
"""A mapping of one of these keys alone is ours; one of the record's own is put into a literal."""

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
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, _WORDS)
    return _FIRST_BYTE + packer.compress(content) + packer.flush()


def _plain(data: bytes) -> bytes:
    if data[:1] != _FIRST_BYTE:
        raise ValueError(f"a record that was packed in a way {data[:1]!r} which nobody knows")
    return zlib.decompressobj(-15, _WORDS).decompress(data[1:])


def _bytes(tree: object) -> bytes:
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _without_shared(tree: Any, blobs: dict[str, bytes], shared: frozenset[str] = SHARED) -> Any:
    if isinstance(tree, dict):
        packed = {
            key: _shared(value, blobs)
            if key in shared
            else _without_shared(value, blobs, FACTS_SHARED if key == FACTS else shared)
            for key, value in tree.items()
        }
        return {LITERAL: packed} if _is_marked(tree) else packed
    if isinstance(tree, list):
        if len(tree) > 2 and all(isinstance(value, str) and "," not in value for value in tree):
            return {JOINED: SEPARATOR.join(tree)}
        return [_without_shared(value, blobs, shared) for value in tree]
    return tree


def _shared(value: Any, blobs: dict[str, bytes]) -> Any:
    content = _bytes(value)
    if len(content) < WORTH_SHARING:
        return _without_shared(value, blobs, NOTHING)
    key = hashlib.sha256(content).hexdigest()
    blobs[key] = _compressed(content)
    return {BLOB: key}


def _is_marked(tree: dict[str, Any]) -> bool:
    """True for a mapping that could be taken for one of ours."""
    return len(tree) == 1 and next(iter(tree)) in MARKS


def _references(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        if tree.keys() == {BLOB}:
            yield tree[BLOB]
        else:
            inner = tree[LITERAL] if tree.keys() == {LITERAL} else tree
            for value in inner.values():
                yield from _references(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _references(value)


def _with_shared(tree: Any, blobs: Mapping[str, bytes]) -> Any:
    if isinstance(tree, dict):
        if tree.keys() == {JOINED}:
            return tree[JOINED].split(SEPARATOR)
        if tree.keys() == {BLOB}:
            return json.loads(_plain(blobs[tree[BLOB]]))
        inner = tree[LITERAL] if tree.keys() == {LITERAL} else tree
        return {key: _with_shared(value, blobs) for key, value in inner.items()}
    if isinstance(tree, list):
        return [_with_shared(value, blobs) for value in tree]
    return tree
