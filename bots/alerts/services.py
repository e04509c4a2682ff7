"""Every write that a person may ask of alerts: channels, rules, acknowledging; each with its audit entry.

Doors check whose rows they are (`queries`); what is refused here is refused with a sentence. The trap avoided:
an address in an audit entry. Of a channel only its service is written down.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import time
from decimal import Decimal
from typing import Any, Final
from uuid import uuid4

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from bots import models as desk
from bots import wake
from bots.alerts import delivering
from bots.alerts.apprise_line import judged
from bots.alerts.domain import KINDS, AlertKind, Direction, KindRow, Severity
from bots.alerts.models import (
    LONGEST_COOLDOWN,
    SHORTEST_COOLDOWN,
    Alert,
    AlertChannel,
    AlertRule,
    ChannelKind,
    Delivery,
    DeliveryStatus,
)
from market.fields import AmountDoesNotFit
from tradingagent.accounts.models import User
from tradingagent.accounts.outward import before_speaking_outward
from tradingagent.accounts.secrets import Secret
from tradingagent.accounts.services import SYSTEM, audit

MOST_CHANNELS: Final = 20
MOST_RULES: Final = 100


class AlertRefused(ValueError):
    """The channel or rule can't be so; one sentence says why. `about`: the part of the wish that it is about,
    empty where it is the whole."""

    def __init__(self, sentence: str, about: str = "") -> None:
        super().__init__(sentence)
        self.about = about


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleWish:
    """What is asked of a rule. `bot` None: of all; `direction` and `severity` None: the kind's usual one."""

    owner: User
    kind: AlertKind
    bot: desk.Bot | None = None
    symbol: str = ""
    threshold: Decimal | None = None
    direction: Direction | None = None
    severity: Severity | None = None
    quiet_from: time | None = None
    quiet_to: time | None = None
    cooldown_seconds: int = 900
    channels: tuple[AlertChannel, ...] = ()
    is_enabled: bool = True


# --- channels ----------------------------------------------------------------------------------------


def create_channel(
    *,
    owner: User,
    name: str,
    kind: ChannelKind,
    address: Secret,
    by: User | str,
    to_all_rules: bool = False,
) -> AlertChannel:
    """Store where messages may go; `to_all_rules`: every rule of the owner sends there from now on. Raises
    AlertRefused. Looks the host up, so not in a transaction."""
    name = name.strip()
    if not name:
        raise AlertRefused("a channel needs a name", "name")
    scheme = _checked(owner, kind, address)
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=owner.pk)
        mine = AlertChannel.objects.filter(owner=owner)
        if mine.filter(name=name).exists():
            raise AlertRefused(f"there is a channel {name!r} already", "name")
        if mine.count() >= MOST_CHANNELS:
            raise AlertRefused(f"there may be {MOST_CHANNELS} channels at most")
        channel = AlertChannel(owner=owner, name=name, kind=kind, scheme=scheme, address=address)
        _clean(channel, "owner", "address")
        channel.save(force_insert=True)
        if to_all_rules:
            for rule in AlertRule.objects.filter(owner=owner):
                rule.channels.add(channel)
        audit(by, "create_channel", channel, after=_told(channel))
    return channel


def change_channel(
    channel: AlertChannel,
    *,
    by: User | str,
    name: str | None = None,
    address: Secret | None = None,
    is_enabled: bool | None = None,
) -> AlertChannel:
    """Change what is given. Raises AlertRefused."""
    scheme = None if address is None else _checked(channel.owner, channel.kind, address)
    with transaction.atomic():
        row = AlertChannel.objects.select_for_update().select_related(None).get(pk=channel.pk)
        before = _told(row)
        if name is not None:
            row.name = name.strip()
            others = AlertChannel.objects.filter(owner=row.owner_id, name=row.name)
            if not row.name or others.exclude(pk=row.pk).exists():
                raise AlertRefused("a channel needs a name that no other has")
        if address is not None and scheme is not None:
            row.address, row.scheme = address, scheme
        if is_enabled is not None:
            row.is_enabled = is_enabled
        _clean(row, "owner", "address")
        row.save()
        after = _told(row) | ({"address": "changed"} if address is not None else {})
        audit(by, "change_channel", row, before, after)
    return row


def delete_channel(channel: AlertChannel, *, by: User | str) -> None:
    """Take a channel away. What was to be sent there is dropped; what was sent stays in the log."""
    with transaction.atomic():
        waiting = Delivery.objects.filter(channel=channel, status=DeliveryStatus.PENDING)
        waiting.update(status=DeliveryStatus.DROPPED, error="the channel is gone")
        audit(by, "delete_channel", channel, before=_told(channel))
        channel.delete()


def test_channel(channel: AlertChannel, *, by: User | str) -> str:
    """Send one message there now; a sentence on how it went. Not in a transaction."""
    message = delivering.Message(
        title="A test of your alerts",
        text=f"If you can read this, alerts reach you here.\n{settings.SITE_URL}",
        id=str(uuid4()),
    )
    error = delivering.spoken(channel, message)
    audit(by, "test_channel", channel, after={"name": channel.name, "error": error or ""})
    if error is None:
        return f"A message was sent to {channel.name}."
    return f"Nothing could be sent to {channel.name}: {error}."


test_channel.__test__ = False  # type: ignore[attr-defined]  # its name is no test's


def _checked(owner: User, kind: str, address: Secret) -> str:
    """The service of an address that may be stored. Raises AlertRefused, where no clear text is a local
    variable: error pages show those."""
    before_speaking_outward()
    private = bool(settings.ALERTS_MAY_REACH_PRIVATE) or owner.is_staff
    if kind == ChannelKind.EMAIL:
        scheme, refusal = _judged_mail(owner, address)
    else:
        scheme, refusal = judged(address, may_reach_private=private)
    if refusal:
        raise AlertRefused(refusal, "address")
    return scheme


def _judged_mail(owner: User, address: Secret) -> tuple[str, str]:
    text = address.reveal().strip()
    try:
        validate_email(text)
    except ValidationError:
        return "", "that is no e-mail address"
    if text.lower() != owner.email.lower() and not owner.is_staff:
        return "", "mail is sent to the address that you sign in with"
    return "mailto", ""


def _told(channel: AlertChannel) -> dict[str, Any]:
    return {
        "name": channel.name,
        "kind": channel.kind,
        "scheme": channel.scheme,
        "is_enabled": channel.is_enabled,
    }


# --- rules -------------------------------------------------------------------------------------------


def save_rule(wish: RuleWish, *, by: User | str, rule: AlertRule | None = None) -> AlertRule:
    """Make a rule, or make `rule` say this. Raises AlertRefused."""
    row = KINDS[wish.kind]
    _check_rule(wish, row)
    with transaction.atomic(), _sized():
        User.objects.select_for_update(no_key=True).get(pk=wish.owner.pk)
        mine = AlertRule.objects.filter(owner=wish.owner)
        if rule is None and mine.count() >= MOST_RULES:
            raise AlertRefused(f"there may be {MOST_RULES} rules at most")
        if rule is not None:
            rule = mine.select_for_update().filter(pk=rule.pk).first()
            if rule is None:
                raise AlertRefused("the rule is gone: somebody deleted it")
        before = None if rule is None else _said(rule)
        rule = rule or AlertRule(owner=wish.owner)
        rule.kind, rule.bot, rule.symbol = wish.kind, wish.bot, wish.symbol
        rule.threshold = wish.threshold
        rule.direction = row.direction or wish.direction or Direction.ABOVE
        rule.severity = wish.severity or row.severity
        rule.quiet_from, rule.quiet_to = wish.quiet_from, wish.quiet_to
        rule.cooldown_seconds, rule.is_enabled = wish.cooldown_seconds, wish.is_enabled
        _clean(rule, "owner", "bot")
        rule.save()
        rule.channels.set(wish.channels)
        after = _said(rule)
        if before != after:
            audit(by, "save_rule", rule, before, after)
    return rule


def delete_rule(rule: AlertRule, *, by: User | str) -> None:
    """Take a rule away; what it found stays."""
    with transaction.atomic():
        Alert.objects.filter(rule=rule, is_open=True).update(is_open=False)
        audit(by, "delete_rule", rule, before=_said(rule))
        rule.delete()


def default_rules(user: User, *, by: User | str = SYSTEM) -> int:
    """Make the usual rules for a user who has none; how many. They fill the inbox, and send to the channels
    that the user has."""
    usual = [row for row in KINDS.values() if row.is_usual and bool(row.unit) == bool(row.usual)]
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        if AlertRule.objects.filter(owner=user).exists():
            return 0
        channels = list(AlertChannel.objects.filter(owner=user))
        for row in usual:
            rule = AlertRule.objects.create(
                owner=user,
                kind=row.kind,
                threshold=row.usual,
                direction=row.direction or Direction.ABOVE,
                severity=row.severity,
            )
            rule.channels.set(channels)
        audit(by, "default_rules", user, after={"rules": len(usual)})
    return len(usual)


def welcome() -> int:
    """Make the usual rules for owners whose bots were never looked at; for how many."""
    seen = desk.Bot.objects.filter(alert_cursor__isnull=False).values("owner")
    new = User.objects.filter(is_active=True, alert_rules__isnull=True)
    new = new.filter(pk__in=desk.Bot.objects.values("owner")).exclude(pk__in=seen)
    return sum(bool(default_rules(user)) for user in new)


def _check_rule(wish: RuleWish, row: KindRow) -> None:
    if any(one.owner_id != wish.owner.pk for one in (*wish.channels, wish.bot) if one):
        raise AlertRefused("a rule is about bots of yours and sends to channels of yours")
    _check_threshold(wish.threshold, row)
    _check_symbol(wish)
    if (wish.quiet_from is None) != (wish.quiet_to is None) or (
        wish.quiet_from is not None and wish.quiet_from == wish.quiet_to
    ):
        raise AlertRefused("quiet hours have a beginning and another end", "quiet_to")
    if not SHORTEST_COOLDOWN <= wish.cooldown_seconds <= LONGEST_COOLDOWN:
        raise AlertRefused(
            "between two messages there are 10 seconds to 7 days", "cooldown_seconds"
        )


def _check_threshold(threshold: Decimal | None, row: KindRow) -> None:
    if bool(row.unit) != (threshold is not None):
        what = "needs a level" if row.unit else "has no level"
        raise AlertRefused(f"a rule on {row.kind.lower().replace('_', ' ')} {what}", "threshold")
    if threshold is None:
        return
    if threshold <= 0 and not row.may_be_negative:
        raise AlertRefused(
            "a level of zero or less is always passed: it tells nothing", "threshold"
        )
    if row.most is not None and threshold > row.most:
        raise AlertRefused(f"a level in {row.unit} is {row.most} at most", "threshold")


def _check_symbol(wish: RuleWish) -> None:
    """A price is seen where a bot trades it: a rule on any other would be silent for ever."""
    if (wish.kind is AlertKind.PRICE) != bool(wish.symbol):
        raise AlertRefused(
            "a rule on a price names the instrument, and no other rule does", "symbol"
        )
    if not wish.symbol:
        return
    bots = [wish.bot] if wish.bot else desk.Bot.objects.filter(owner=wish.owner)
    if not any(wish.symbol in bot.symbols for bot in bots):
        who = wish.bot.name if wish.bot else "none of your bots"
        does = "does not trade" if wish.bot else "trades"
        raise AlertRefused(f"{who} {does} {wish.symbol}: its price is not seen", "symbol")


@contextmanager
def _sized() -> Iterator[None]:
    """A level that the database can't keep to the last digit is refused."""
    try:
        yield
    except AmountDoesNotFit as error:
        raise AlertRefused(str(error), "threshold") from None


def _said(rule: AlertRule) -> dict[str, Any]:
    return {
        "kind": rule.kind, "bot": rule.bot_id and str(rule.bot_id), "symbol": rule.symbol,
        "threshold": rule.threshold and str(rule.threshold), "direction": rule.direction,
        "severity": rule.severity, "quiet_from": str(rule.quiet_from or ""),
        "quiet_to": str(rule.quiet_to or ""), "cooldown_seconds": rule.cooldown_seconds,
        "is_enabled": rule.is_enabled, "channels": sorted(rule.channels.values_list("name", flat=True)),
    }  # fmt: skip


def _clean(row: AlertChannel | AlertRule, *but: str) -> None:
    try:
        row.clean_fields(exclude=[*but, "id", "created_at"])
    except ValidationError as error:
        name, messages = next(iter(error.message_dict.items()))
        raise AlertRefused(f"{name}: {messages[0]}", name) from None


# --- the inbox ---------------------------------------------------------------------------------------


def acknowledge(
    user: User, alerts: Collection[int] | None = None, *, up_to: int | None = None
) -> int:
    """Note that the user has seen these alerts of theirs (None: all; `up_to`: none that came after this
    one); how many were not yet."""
    now = timezone.now()
    rows = Alert.objects.filter(owner=user, acknowledged_at__isnull=True)
    if alerts is not None:
        rows = rows.filter(pk__in=alerts)
    if up_to is not None:
        rows = rows.filter(pk__lte=up_to)
    with transaction.atomic():
        count = rows.update(acknowledged_at=now, read_at=now)
        if count:
            audit(user, "acknowledge_alerts", user, after={"alerts": count})
            wake.after_commit()
    return count
