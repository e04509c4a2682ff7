"""Topics: what a page shows that moves, as named parts; one registry for views, polling and sockets.

A part is rendered from its subject alone, never from a viewer: the same bytes go to every socket of a topic,
and the page builds its context with the same functions. The trap avoided: a page and its live fragments that
drift apart because each reads for itself.
"""

import logging
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.template.loader import render_to_string

from tradingagent.accounts.access import NotYours

logger = logging.getLogger(__name__)

Context = Callable[[Any], dict[str, Any]]

Sign = tuple[Any, ...]
"""Equal for as long as nothing has changed."""
SignsOf = Callable[[Collection[int]], Mapping[int, Sign]]
"""Users' ids → a sign of what there is of each. One query, however many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One fragment of a page. `template`: a partial (`bot.html#positions`) whose root element has the id
    `<kind>-<name>`; `context`: subject → what it shows. Parts that name the same function share one call."""

    template: str
    context: Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A kind of page that moves.

    `find`: (user, key) → subject, raises NotYours; asked anew before every rendering, so that a subject is
    never old. `bots_of`: subject → the bots whose events and prices change the page. `signs_of`: what else
    of its user changes it; None: nothing.
    """

    kind: str
    find: Callable[[Any, str], Any]
    bots_of: Callable[[Any], tuple[UUID, ...]]
    parts: Mapping[str, Part]
    signs_of: SignsOf | None = None

    def id_of(self, part: str) -> str:
        """The id of a part's root element."""
        return f"{self.kind}-{part}"


_KIND = re.compile(r"[a-z]+")
_FIRST_TAG = re.compile(r"\s*<[a-z][^>]*>")
_topics: dict[str, Topic] = {}


def register(topic: Topic) -> None:
    """Make a kind known: once, when its app is ready. Raises ValueError for a kind that is known already."""
    if not _KIND.fullmatch(topic.kind):
        raise ValueError(f"{topic.kind!r} is no kind of topic: it is a word like dashboard")
    if topic.kind in _topics:
        raise ValueError(f"the topic {topic.kind} is registered twice")
    _topics[topic.kind] = topic


def topic_of(kind: str) -> Topic:
    """A registered kind. Raises NotYours for any other: a door answers that nothing is there."""
    try:
        return _topics[kind]
    except KeyError:
        raise NotYours(f"there is no topic {kind}") from None


def page_context(kind: str, subject: Any) -> dict[str, Any]:
    """Everything that the parts of a page show, for the template that holds them all. Raises ValueError
    where two parts call different things by one name."""
    context: dict[str, Any] = {}
    for found in _contexts(topic_of(kind), subject).values():
        twice = context.keys() & found.keys()
        if twice:
            raise ValueError(f"parts of {kind} both name {', '.join(sorted(twice))}")
        context |= found
    return context


def rendered(topic: Topic, subject: Any) -> dict[str, str]:
    """Every part's HTML by the id of its root. A part that fails is left out and said in the log: the others
    move on."""
    contexts: dict[Context, dict[str, Any]] = {}
    found = {}
    for name, part in topic.parts.items():
        try:
            if part.context not in contexts:
                contexts[part.context] = part.context(subject)
            found[topic.id_of(name)] = _html(topic, name, contexts[part.context])
        except Exception:
            logger.exception("the part %s of %s could not be rendered", name, topic.kind)
    return found


def _contexts(topic: Topic, subject: Any) -> dict[Context, dict[str, Any]]:
    functions = dict.fromkeys(part.context for part in topic.parts.values())
    return {function: function(subject) for function in functions}


def _html(topic: Topic, name: str, context: dict[str, Any]) -> str:
    """Raises ValueError for a fragment without the id of its root: no page could place it."""
    html = str(render_to_string(topic.parts[name].template, context)).strip()
    root = _FIRST_TAG.match(html)
    if root is None or f'id="{topic.id_of(name)}"' not in root.group():
        raise ValueError(f"its root element has no id {topic.id_of(name)}")
    return html
