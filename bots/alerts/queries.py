"""Reads of alerts, for pages: always of one user, paged by key, a fixed number of queries."""

from typing import Any

from bots.alerts.models import Alert, AlertChannel, AlertRule, Delivery
from bots.queries.paging import PAGE, Page, by_number
from tradingagent.accounts.access import NotYours, visible


def unread_count(user: Any) -> int:
    """How many alerts the user has not acknowledged. One query."""
    return visible(Alert, user).filter(acknowledged_at__isnull=True).count()


def inbox(user: Any, *, unread: bool = False, after: str = "", limit: int = PAGE) -> Page[Alert]:
    """The user's alerts with their bots, the latest first; `unread`: those not acknowledged. One query.
    Raises ValueError for an `after` that no page gave."""
    rows = visible(Alert, user).select_related("bot")
    if unread:
        rows = rows.filter(acknowledged_at__isnull=True)
    return by_number(rows.defer("bot__owner_words"), "id", after, limit, _itself)


def delivery_log(user: Any, *, after: str = "", limit: int = PAGE) -> Page[Delivery]:
    """The messages of the user's alerts, the latest first. One query. Raises ValueError as `inbox`."""
    rows = visible(Delivery, user).select_related("alert")
    return by_number(rows, "id", after, limit, _itself)


def channels_of(user: Any) -> list[AlertChannel]:
    """The user's channels, in name order, without their addresses. One query."""
    return list(visible(AlertChannel, user).defer("address").order_by("name"))


def rules_of(user: Any) -> list[AlertRule]:
    """The user's rules with their bots and channels. Two queries."""
    rows = visible(AlertRule, user).select_related("bot").prefetch_related("channels")
    return list(rows.order_by("kind", "pk"))


def channel_of(user: Any, key: int) -> AlertChannel:
    """One of the user's channels. Raises NotYours."""
    found = visible(AlertChannel, user).select_related("owner").filter(pk=key).first()
    if found is None:
        raise NotYours("there is no such channel")
    return found


def rule_of(user: Any, key: int) -> AlertRule:
    """One of the user's rules, with its owner. Raises NotYours."""
    found = visible(AlertRule, user).select_related("owner").filter(pk=key).first()
    if found is None:
        raise NotYours("there is no such rule")
    return found


def _itself(row: Any) -> Any:
    return row
