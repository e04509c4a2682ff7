"""What of the alerts moves on pages: the inbox, and on every page the count of what was not acknowledged.

The same parts are on the page, by polling and on the socket. The trap avoided: a button in a part that needs the
viewer's token; those of the inbox belong to a form that stands outside it.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from django.db.models import Count, Max, Sum

from bots.alerts import queries
from bots.alerts.models import Alert
from bots.live.topics import Part, Sign, Topic, register
from tradingagent.accounts.access import NotYours
from tradingagent.accounts.models import User

INBOX: Final = "alerts"
UNREAD: Final = "unread"


def find(user: Any, key: str = "") -> User:
    """Whose alerts: the asker's own. Raises NotYours for nobody, and for any key."""
    if key or not isinstance(user, User):
        raise NotYours("everybody has one inbox, their own")
    return user


def signs_of(users: Collection[int]) -> Mapping[int, Sign]:
    """A sign of each user's alerts: whatever happens to one that is shown makes or ends one that is not
    acknowledged, or is counted in it. One query, of the index of those alone."""
    open_ones = Alert.objects.filter(owner__in=users, acknowledged_at__isnull=True)
    found = open_ones.values_list("owner").annotate(
        Count("pk"), Max("pk"), Max("last_at"), Sum("count")
    )
    return {owner: tuple(sign) for owner, *sign in found.order_by()}


def inbox_of(user: Any, after: str = "") -> dict[str, Any]:
    """What the inbox shows, from its beginning or after a page of it. Two queries. Raises ValueError for an
    `after` that no page gave."""
    return {"inbox": queries.inbox(user, after=after), "after": after, **unread_of(user)}


def unread_of(user: Any) -> dict[str, Any]:
    """How many alerts were not acknowledged. One query."""
    return {"unread": queries.unread_count(user)}


def register_topics() -> None:
    """Make the parts known. Once, when the app is ready."""
    register(_topic(INBOX, inbox=Part(template="alerts.html#inbox", context=inbox_of)))
    side, top = (Part(template=f"_unread.html#{name}", context=unread_of) for name in SHOWN)
    register(_topic(UNREAD, side=side, top=top))


SHOWN: Final = ("side", "top")
"""Where the count stands: in the menu at the side, and on a phone on the bell above."""


def _topic(kind: str, **parts: Part) -> Topic:
    return Topic(kind=kind, find=find, bots_of=lambda _: (), parts=parts, signs_of=signs_of)
