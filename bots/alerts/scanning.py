"""Events and measures become alerts, and alerts become messages to send: one transaction per bot.

Cursor, alerts and deliveries of a bot are written together, by whoever holds the bot's cursor: what was read
is told, once, whoever dies. It sends nothing. The trap avoided: a scanner that comes second works on what it
read before the first one wrote; everything that decides is read again under the lock.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Prefetch, Q
from django.urls import reverse
from django.utils import timezone

from bots import models as desk
from bots import wake
from bots.alerts import domain, wording
from bots.alerts.domain import KINDS, AlertKind, CycleFacts, Direction, Occurrence, Severity
from bots.alerts.measures import Reading, readings_of
from bots.alerts.models import Alert, AlertChannel, AlertCursor, AlertRule, Delivery
from bots.alerts.timing import Window, advance, quiet_until
from bots.domain.bot import BotStatus
from bots.domain.events import EventKind
from bots.enqueue import enqueue
from market.domain.numbers import plain

logger = logging.getLogger(__name__)

BATCH: Final = 1000
"""Events read in one transaction."""
MOST_BATCHES: Final = 50
OLDEST_TOLD: Final = timedelta(hours=1)
"""Of a bot that is looked at for the first time: what lies further back is passed over."""
DELIVER: Final = "alerts.deliver"


@dataclass(slots=True)
class Scan:
    """What a scan did."""

    events: int = 0
    alerts: int = 0
    deliveries: int = 0
    failed: list[UUID] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What is known of a bot before its cursor is held."""

    bot: desk.Bot
    rules: tuple[AlertRule, ...]
    readings: tuple[Reading, ...]
    now: datetime


def scan(now: datetime | None = None) -> Scan:
    """Read what is new of every bot, and write what is to be told of it. Harmless twice, and at once."""
    now = now or timezone.now()
    rules = active_rules()
    bots = _bots_of_interest(rules)
    measuring = [rule for rule in rules if KINDS[AlertKind(rule.kind)].is_measured]
    measured = {bot.pk for bot in bots if any(_covers(rule, bot) for rule in measuring)}
    readings = readings_of(measured, measuring, now)
    due = set(
        Alert.objects.filter(is_open=True, until__lte=now, bot__isnull=False).values_list(
            "bot_id", flat=True
        )
    )
    done = Scan()
    for bot in bots:
        mine = tuple(rule for rule in rules if _covers(rule, bot))
        look = _Look(bot=bot, rules=mine, readings=tuple(readings.get(bot.pk, ())), now=now)
        if bot.pk in due or _is_behind(bot) or _has_moved(look):
            _scan_safely(look, done)
    return done


def active_rules() -> list[AlertRule]:
    """Every rule that is on, with its owner and the channels that are. Two queries."""
    channels = AlertChannel.objects.filter(is_enabled=True).order_by("pk")
    rules = AlertRule.objects.filter(is_enabled=True, owner__is_active=True)
    return list(
        rules.select_related("owner")
        .prefetch_related(Prefetch("channels", channels.only("pk", "name")))
        .order_by("pk")
    )


def quiet_end(rule: AlertRule, now: datetime) -> datetime | None:
    """When the quiet hours end in which this rule is now; None when it may speak."""
    if rule.severity == Severity.CRITICAL:
        return None
    return quiet_until(now, rule.owner.time_zone, rule.quiet_from, rule.quiet_to)


def messages_of(alert: Alert, rule: AlertRule, text: str, now: datetime) -> list[Delivery]:
    """A message of the alert's part to each channel of the rule, not saved."""
    return [
        Delivery(
            alert=alert,
            channel=channel,
            channel_name=channel.name,
            part=alert.parts,
            text=text,
            created_at=now,
            next_at=now,
        )
        for channel in rule.channels.all()
    ]


def _bots_of_interest(rules: Sequence[AlertRule]) -> list[desk.Bot]:
    """Bots that are watched by a rule, or whose events were not read yet, or that have an open alert."""
    owners = {rule.owner_id for rule in rules}
    behind = Q(alert_cursor__isnull=True) | Q(event_sequence__gt=F("alert_cursor__sequence"))
    watched = Q(owner__in=owners) & ~Q(status=BotStatus.ARCHIVED)
    open_still = Q(pk__in=Alert.objects.filter(is_open=True).values("bot"))
    rows = desk.Bot.objects.filter(behind | watched | open_still).select_related("alert_cursor")
    columns = (
        "owner_id", "name", "status", "currency", "event_sequence",
        "alert_cursor__sequence", "alert_cursor__beyond", "alert_cursor__awake_at",
    )  # fmt: skip
    return list(rows.only(*columns).order_by("pk"))


def _covers(rule: AlertRule, bot: desk.Bot) -> bool:
    return rule.owner_id == bot.owner_id and rule.bot_id in (None, bot.pk)


def _cursor(bot: desk.Bot) -> AlertCursor | None:
    return getattr(bot, "alert_cursor", None)


def _is_behind(bot: desk.Bot) -> bool:
    cursor = _cursor(bot)
    return cursor is None or bot.event_sequence > cursor.sequence


def _has_moved(look: _Look) -> bool:
    cursor = _cursor(look.bot)
    return sorted(_beyond(look, cursor)[0]) != (sorted(cursor.beyond) if cursor else [])


def _scan_safely(look: _Look, done: Scan) -> None:
    """One bot that can't be scanned does not stop the others."""
    try:
        for _ in range(MOST_BATCHES):
            if not _scan_batch(look, done):
                return
    except Exception:
        logger.exception("the events of bot %s could not be told", look.bot.pk)
        done.failed.append(look.bot.pk)


def _scan_batch(look: _Look, done: Scan) -> bool:
    """Read a batch and write all that comes of it; whether there may be more."""
    with transaction.atomic():
        cursor = _locked_cursor(look.bot.pk, look.now)
        if cursor is None:
            return False  # somebody else is at it
        events = list(
            desk.Event.objects.filter(bot=look.bot.pk, sequence__gt=cursor.sequence).order_by(
                "sequence"
            )[:BATCH]
        )
        is_last = len(events) < BATCH
        found = _found(events, look.rules)
        woke_at = _awake_at(events)
        if is_last:
            beyond, crossed = _beyond(look, cursor, has_woken=woke_at is not None)
            cursor.beyond = sorted(beyond)
            for rule_id, happened in crossed.items():
                found[rule_id] += happened
        messages = _write(look, found)
        if events:
            cursor.sequence = events[-1].sequence
            cursor.awake_at = woke_at or cursor.awake_at
        cursor.save(update_fields=["sequence", "beyond", "awake_at"])
        if messages:
            enqueue(DELIVER)
    done.events += len(events)
    done.deliveries += messages
    done.alerts += sum(map(bool, found.values()))
    return not is_last


def _locked_cursor(bot_id: UUID, now: datetime) -> AlertCursor | None:
    """The bot's cursor, held until the transaction ends; None while somebody else holds it."""
    if not AlertCursor.objects.filter(pk=bot_id).exists():
        old = desk.Event.objects.filter(bot=bot_id, at__lt=now - OLDEST_TOLD)
        last = old.order_by("-sequence").values_list("sequence", flat=True).first()
        AlertCursor.objects.bulk_create(
            [AlertCursor(bot_id=bot_id, sequence=last or 0)], ignore_conflicts=True
        )
    skips = connection.features.has_select_for_update_skip_locked
    return AlertCursor.objects.select_for_update(skip_locked=skips).filter(pk=bot_id).first()


def _awake_at(events: Iterable[desk.Event]) -> datetime | None:
    starts = [one.at for one in events if one.payload.get("act") == domain.START_ACT]
    return max(starts, default=None)


def _found(events: Sequence[desk.Event], rules: Sequence[AlertRule]) -> dict[int, list[Occurrence]]:
    """What the events are, by the rule that asked for it."""
    found: dict[int, list[Occurrence]] = defaultdict(list)
    wanted = {kind for rule in rules for kind in KINDS[AlertKind(rule.kind)].feeds}
    if not events or not wanted:
        return found
    cycles = _cycles(events) if EventKind.CYCLE in wanted else {}
    by_kind: dict[AlertKind, list[Occurrence]] = defaultdict(list)
    for event in events:
        told = domain.Told(at=event.at, kind=EventKind(event.kind), payload=event.payload)
        for one in domain.occurrences(told, cycles):
            by_kind[one.kind].append(one)
    for rule in rules:
        found[rule.pk] = list(by_kind.get(AlertKind(rule.kind), ()))
    return found


def _cycles(events: Iterable[desk.Event]) -> Mapping[str, CycleFacts]:
    ids = [one.payload.get("id") for one in events if one.kind == EventKind.CYCLE]
    if not ids:
        return {}
    rows = desk.TradingCycle.objects.filter(pk__in=ids)
    return {
        str(pk): CycleFacts(
            decision=decision,
            reason=reason,
            denials=tuple((str(one.get("symbol")), str(one.get("code"))) for one in denials),
        )
        for pk, decision, reason, denials in rows.values_list("pk", "decision", "reason", "denials")
    }


def _beyond(
    look: _Look, cursor: AlertCursor | None, *, has_woken: bool = False
) -> tuple[set[str], dict[int, list[Occurrence]]]:
    """The levels that are passed now, and what was passed since the last look, by rule. A position without
    a stop counts from the second look on: a stop that is being replaced is gone for a moment. A bot that was
    started a moment ago is not silent."""
    before = set(cursor.beyond) if cursor else set()
    beyond: set[str] = set()
    crossed: dict[int, list[Occurrence]] = defaultdict(list)
    for rule in look.rules:
        kind = AlertKind(rule.kind)
        for one in look.readings:
            if one.kind is not kind or (kind is AlertKind.PRICE and one.of != rule.symbol):
                continue
            if has_woken and kind is AlertKind.BOT_SILENT:
                continue
            key = f"{rule.pk}:{_level(rule)}:{one.of}"
            if kind is AlertKind.NAKED_POSITION:
                if key not in before and f"{key}?" not in before:
                    beyond.add(f"{key}?")
                    continue
            elif not domain.is_beyond(one.value, rule.threshold, Direction(rule.direction)):
                continue
            beyond.add(key)
            if key not in before:
                text = wording.measured(
                    kind, one.value, rule.threshold or one.value, Direction(rule.direction),
                    one.of, look.bot.currency,
                )  # fmt: skip
                crossed[rule.pk].append(Occurrence(kind=kind, at=look.now, text=text))
    return beyond, crossed


def _level(rule: AlertRule) -> str:
    """What a rule waits for. One that is changed waits anew: what is passed already is told."""
    if rule.threshold is None:
        return str(rule.kind)
    side = ">" if rule.direction == Direction.ABOVE else "<"
    return f"{rule.kind}{side}{plain(rule.threshold)}"


def _write(look: _Look, found: Mapping[int, Sequence[Occurrence]]) -> int:
    """Count what was found in the open alerts of the bot, and make the messages that are due; how many."""
    rules = {rule.pk: rule.kind for rule in look.rules}
    open_ones: dict[int, Alert] = {}
    new: list[Alert] = []
    changed: list[Alert] = []
    speaking: list[tuple[Alert, AlertRule, str]] = []
    held = Alert.objects.select_for_update().filter(bot=look.bot.pk, is_open=True).order_by("pk")
    for one in held:  # their owner may be acknowledging them
        if one.rule_id is not None and rules.get(one.rule_id) == one.kind:
            open_ones[one.rule_id] = one
        else:  # its rule was switched off, deleted, or is about something else now
            one.is_open = False
            changed.append(one)
    for rule in look.rules:
        alert, happened = open_ones.get(rule.pk), found.get(rule.pk, ())
        window = None
        if alert is not None:
            window = Window(count=alert.count, told=alert.told, until=alert.until)
        cooldown = timedelta(seconds=rule.cooldown_seconds)
        turn = advance(window, len(happened), look.now, cooldown, quiet_end(rule, look.now))
        if alert is None and turn.window is None:
            continue
        before = alert
        alert = alert or _new_alert(look, rule, happened)
        told_before, since = alert.told, alert.until - cooldown if alert.told else alert.first_at
        _count(alert, look, happened, turn.window, is_new=before is None)
        (new if before is None else changed).append(alert)
        if turn.speaks:
            alert.parts += 1
            link = wording.link_to(settings.SITE_URL, alert.path)
            more = alert.count - told_before - 1
            speaking.append((alert, rule, wording.message_of(alert.text, more, since, link)))
    if changed:  # first: a rule has one open alert of a bot
        Alert.objects.bulk_update(changed, _CHANGES)
    Alert.objects.bulk_create(new)
    if new or changed:
        wake.after_commit()
    messages = [
        message
        for alert, rule, text in speaking
        for message in messages_of(alert, rule, text, look.now)
    ]
    Delivery.objects.bulk_create(messages)
    return len(messages)


_CHANGES: Final = (
    "first_at", "last_at", "count", "told", "parts", "until", "is_open", "text", "path",
    "read_at", "acknowledged_at",
)  # fmt: skip


def _new_alert(look: _Look, rule: AlertRule, happened: Sequence[Occurrence]) -> Alert:
    kind, severity = AlertKind(rule.kind), Severity(rule.severity)
    return Alert(
        owner_id=rule.owner_id,
        rule=rule,
        bot=look.bot,
        kind=kind,
        severity=severity,
        title=wording.title_of(kind, severity, look.bot.name),
        first_at=min(one.at for one in happened),
        last_at=max(one.at for one in happened),
        until=look.now,
        told=0,
    )


def _count(
    alert: Alert,
    look: _Look,
    happened: Sequence[Occurrence],
    window: Window | None,
    *,
    is_new: bool,
) -> None:
    """Bring the alert in line with its window and with what happened last."""
    if window is None:
        alert.is_open = False
    else:
        alert.count, alert.told, alert.until = window.count, window.told, window.until
    if not happened:
        return
    latest = happened[-1]
    alert.first_at = min(alert.first_at, *(one.at for one in happened))
    alert.last_at = max(alert.last_at, *(one.at for one in happened))
    alert.text = wording.clean(latest.text)
    alert.path = _path(look.bot.pk, latest)
    if not is_new:  # what was acknowledged did not include this
        alert.read_at = alert.acknowledged_at = None


def _path(bot_id: UUID, latest: Occurrence) -> str:
    arguments: list[Any] = [bot_id]
    if latest.cycle_id:
        return reverse("decision", args=[*arguments, latest.cycle_id])
    return reverse("bot", args=arguments)
