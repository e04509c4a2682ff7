"""The day in short: once per rule and day of its owner, after local midnight, however late it is looked at.

The trap avoided: two scanners at once. The day is a key that is unique per rule; the second one writes nothing.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from django.conf import settings
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from bots import models as desk
from bots import wake
from bots.alerts import wording
from bots.alerts.domain import AlertKind, Severity
from bots.alerts.models import Alert, AlertRule, Delivery
from bots.alerts.scanning import DELIVER, active_rules, messages_of, quiet_end
from bots.alerts.timing import day_of, midnight_of
from bots.domain.bot import BotStatus
from bots.enqueue import enqueue
from bots.queries.worth import Stand, stands_of
from market.domain.numbers import ZERO

MOST_BOTS: Final = 12
"""Named in one summary; the others are counted."""


def summarize(now: datetime | None = None) -> int:
    """Make the summaries of the day that has ended, where they are wanted and not made yet; how many."""
    now = now or timezone.now()
    rules = [rule for rule in active_rules() if rule.kind == AlertKind.DAILY_SUMMARY]
    keys = {rule.pk: _key(_ended_day(rule, now)) for rule in rules}
    made = set(
        Alert.objects.filter(rule__in=keys, key__in=set(keys.values())).values_list("rule", "key")
    )
    return sum(
        _summarize(rule, now)
        for rule in rules
        if (rule.pk, keys[rule.pk]) not in made and rule.created_at < _end_of(rule, now)
    )


def _ended_day(rule: AlertRule, now: datetime) -> date:
    return day_of(now, rule.owner.time_zone) - timedelta(days=1)


def _end_of(rule: AlertRule, now: datetime) -> datetime:
    return midnight_of(day_of(now, rule.owner.time_zone), rule.owner.time_zone)


def _key(day: date) -> str:
    return f"day:{day.isoformat()}"


def _summarize(rule: AlertRule, now: datetime) -> int:
    day, zone = _ended_day(rule, now), rule.owner.time_zone
    start, end = midnight_of(day, zone), midnight_of(day + timedelta(days=1), zone)
    bots = desk.Bot.objects.filter(owner=rule.owner, state__isnull=False)
    bots = bots.exclude(status__in=[BotStatus.ARCHIVED, BotStatus.DRAFT])
    stands, _ = stands_of(bots if rule.bot_id is None else bots.filter(pk=rule.bot_id))
    if not stands:
        return 0
    severity = Severity(rule.severity)
    alert = Alert(
        owner=rule.owner, rule=rule, bot_id=rule.bot_id, kind=AlertKind.DAILY_SUMMARY,
        severity=severity, key=_key(day), first_at=now, last_at=now, until=now, is_open=False,
        told=1, parts=1, path=reverse("dashboard"), text=_text(stands, day, start, end),
        title=wording.title_of(AlertKind.DAILY_SUMMARY, severity, ""),
    )  # fmt: skip
    link = wording.link_to(settings.SITE_URL, alert.path)
    try:
        with transaction.atomic():
            alert.save(force_insert=True)
            messages = messages_of(alert, rule, f"{alert.text}\n{link}", now)
            for one in messages:
                one.next_at = quiet_end(rule, now) or now
            Delivery.objects.bulk_create(messages)
            enqueue(DELIVER)
            wake.after_commit()
    except IntegrityError:
        return 0  # somebody else was first
    return 1


def _text(stands: Sequence[Stand], day: date, start: datetime, end: datetime) -> str:
    trades: dict[object, list[Decimal]] = defaultdict(list)
    closed = desk.ClosedTrade.objects.filter(
        bot__in=[stand.bot.pk for stand in stands], closed_at__gte=start, closed_at__lt=end
    )
    for bot_id, net in closed.values_list("bot_id", "net_pnl"):
        trades[bot_id].append(net)
    lines = [f"{day:%A, %d %B %Y}."]
    for stand in stands[:MOST_BOTS]:
        bot, mine = stand.bot, trades[stand.bot.pk]
        equity = wording.figure(stand.worth.equity)
        word = "trade" if len(mine) == 1 else "trades"
        result = f", net {wording.figure(sum(mine, ZERO))}" if mine else ""
        name = wording.clean(bot.name, 80)
        lines.append(
            f"{name}: {len(mine)} {word} closed{result}; equity now {equity} {bot.currency}."
        )
    if len(stands) > MOST_BOTS:
        lines.append(f"And {len(stands) - MOST_BOTS} more bots.")
    return "\n".join(lines)
