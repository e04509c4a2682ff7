"""Which items a JSON value holds, whatever shape the model gave it.

Known shapes: `{summary, decisions: [...]}`, a bare list, lists in a list, one item, one object for each
symbol (also with the arena's `trade_signal_args` inside), a bare action word for each symbol, and any of
these wrapped in one more object or list. It reads no value: what an item says is `items.py`'s.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from llm.errors import DecisionUnreadable
from llm.parsing.scalars import ACTION_OF, snake
from llm.parsing.symbols import is_ours

MAX_ITEMS = 200
MAX_WRAPPERS = 4

ACTION_KEYS = frozenset({"action", "signal", "decision", "operation", "trade_signal"})
_LIST_KEYS = frozenset(
    {"decisions", "actions", "trades", "orders", "signals", "decision", "trading_decisions", "trade_decisions"}
)  # fmt: skip
_SUMMARY_KEYS = frozenset({"summary", "overall_summary", "market_summary"})
_INNER_KEYS = frozenset({"trade_signal_args", "args", "exit_plan"})


class RawItem(NamedTuple):
    """One item as said: the key it stood under (None: none), and its fields by snake-case name."""

    key: str | None
    fields: Mapping[str, object]


class RawReply(NamedTuple):
    """All items of one JSON value, and the summary beside them. `is_one`: a lone item, so that
    several of them beside each other may make up one answer."""

    summary: object
    items: tuple[RawItem, ...]
    is_one: bool


def raw_reply(value: object, symbols: tuple[str, ...]) -> RawReply | None:
    """The items of a JSON value, or None when it holds no decisions at all.

    Raises DecisionUnreadable when it holds decisions and something that can't be one.
    """
    reply = _reply(value, symbols, 0)
    if reply is not None and len(reply.items) > MAX_ITEMS:
        raise DecisionUnreadable(f"the answer holds more than {MAX_ITEMS} decisions")
    return reply


def _reply(value: object, symbols: tuple[str, ...], depth: int) -> RawReply | None:
    if depth > MAX_WRAPPERS:
        return None
    if isinstance(value, list):
        if len(value) != 1:
            return _of_list(value, symbols)
        found = _reply(value[0], symbols, depth + 1)
        return found and found._replace(is_one=False)
    if not isinstance(value, dict):
        return None
    fields = _flat(value)
    summary = next((fields[key] for key in fields if key in _SUMMARY_KEYS), None)
    if _states_action(fields):
        return RawReply(summary, (RawItem(None, fields),), True)
    listed = [key for key in fields if key in _LIST_KEYS and isinstance(fields[key], (list, dict))]
    if len(listed) > 1:
        raise DecisionUnreadable(f"the answer has both {listed[0]} and {listed[1]}")
    if listed:
        inner = fields[listed[0]]
        found = RawReply(None, (), False) if not inner else _reply(inner, symbols, depth + 1)
        if found is None:
            raise DecisionUnreadable(f"{listed[0]} holds nothing that states an action")
        return found._replace(summary=summary or found.summary, is_one=False)
    by_symbol = _by_symbol(value, symbols)
    if by_symbol:
        return RawReply(summary, by_symbol, False)
    wrapped = [inner for inner in value.values() if isinstance(inner, (dict, list))]
    if len(wrapped) == 1:
        found = _reply(wrapped[0], symbols, depth + 1)
        return found and found._replace(summary=found.summary or summary)
    return None


def _of_list(value: list[object], symbols: tuple[str, ...]) -> RawReply | None:
    items: list[RawItem] = []
    others = 0
    elements = list(_unnested(value))
    for element in elements:
        if not isinstance(element, dict):
            others += 1
            continue
        fields = _flat(element)
        if _states_action(fields):
            items.append(RawItem(None, fields))
        elif by_symbol := _by_symbol(element, symbols):
            items.extend(by_symbol)
        else:
            others += 1
    if not items:
        return None
    if others:
        raise DecisionUnreadable(f"{others} of the {len(elements)} decisions state no action")
    return RawReply(None, tuple(items), False)


def _unnested(value: list[object], depth: int = 0) -> Iterator[object]:
    for element in value:
        if isinstance(element, list) and depth < MAX_WRAPPERS:
            yield from _unnested(element, depth + 1)
        else:
            yield element


def _by_symbol(value: Mapping[str, object], symbols: tuple[str, ...]) -> tuple[RawItem, ...]:
    """Items of an object whose keys are symbols; empty when it is no such object."""
    items: list[RawItem] = []
    silent: list[str] = []
    for key, inner in value.items():
        if isinstance(inner, dict):
            fields = _flat(inner)
            if _states_action(fields):
                items.append(RawItem(key, fields))
            elif is_ours(key, symbols):
                silent.append(key)
        elif isinstance(inner, str) and is_ours(key, symbols):
            if snake(inner) in ACTION_OF:
                items.append(RawItem(key, {"action": inner}))
            else:
                silent.append(key)
        elif inner is not None and is_ours(key, symbols):
            silent.append(key)
    if items and silent:
        raise DecisionUnreadable(f"{silent[0]}: no action is stated")
    return tuple(items)


def _states_action(fields: Mapping[str, object]) -> bool:
    return any(isinstance(fields.get(key), str) for key in ACTION_KEYS & fields.keys())


def _flat(value: Mapping[str, object]) -> dict[str, object]:
    """Fields by snake-case name, with the arena's inner objects laid open.

    Raises DecisionUnreadable when two spellings of one name differ.
    """
    fields: dict[str, object] = {}
    inner: list[Mapping[str, object]] = []
    for key, item in value.items():
        name = snake(key)
        if name in _INNER_KEYS and isinstance(item, dict):
            inner.append(item)
        elif fields.setdefault(name, item) != item:
            raise DecisionUnreadable(f"{name} is stated twice with different values")
    for item in inner:
        for name, found in _flat(item).items():
            if fields.setdefault(name, found) != found:
                raise DecisionUnreadable(f"{name} is stated twice with different values")
    return fields
