"""Messages leave: claimed one by one, sent with no transaction open, and marked.

A claim is a conditional update that is committed before anything is said; its holder is known by the instant
until which it holds. Whoever dies with a claim loses it then, and the message is sent by the next. The traps
avoided: a channel that takes ten seconds to fail, once for each of its hundred messages, so a channel that
fails is left alone for the rest of the round; and an error that quotes an address, so errors are our own words.
"""

import logging
import smtplib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from bots.alerts import apprise_line
from bots.alerts.models import AlertChannel, ChannelKind, Delivery, DeliveryStatus
from bots.alerts.timing import GIVE_UP_AFTER, wait_after
from tradingagent.accounts.outward import before_speaking_outward
from tradingagent.accounts.secrets import KeysUnusable, Secret

logger = logging.getLogger(__name__)

CLAIM: Final = timedelta(minutes=3)
"""Longer than anything a send may take."""
ROUND_SECONDS: Final = 60.0
MAIL_SECONDS: Final = 20


@dataclass(slots=True)
class Round:
    """What a round of deliveries did."""

    sent: int = 0
    delayed: int = 0
    failed: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is sent. `id` is the same at every try."""

    title: str
    text: str
    id: str


def deliver(clock: Callable[[], datetime] = timezone.now) -> Round:
    """Send what is due, until nothing is, or a minute has gone. Harmless twice, and at once."""
    done, sore = Round(), set[int]()
    ends_at = time.monotonic() + ROUND_SECONDS
    while time.monotonic() < ends_at:
        delivery = claim(clock(), sore)
        if delivery is None:
            break
        _carry_out(delivery, clock, done, sore)
    return done


def claim(now: datetime, sore: set[int] | None = None) -> Delivery | None:
    """Take the delivery that is due longest, not to one of the `sore` channels; None when there is none."""
    due = _due(now).exclude(channel__in=sore or ())
    while (pk := due.order_by("next_at", "pk").values_list("pk", flat=True).first()) is not None:
        until = now + CLAIM
        taken = (
            _due(now)
            .filter(pk=pk)
            .update(status=DeliveryStatus.CLAIMED, claimed_until=until, attempts=F("attempts") + 1)
        )
        if taken:
            return Delivery.objects.select_related("alert", "channel__owner").get(pk=pk)
    return None


def _due(now: datetime) -> QuerySet[Delivery]:
    return Delivery.objects.filter(
        Q(status=DeliveryStatus.PENDING, next_at__lte=now)
        | Q(status=DeliveryStatus.CLAIMED, claimed_until__lte=now)
    )


def _carry_out(
    delivery: Delivery, clock: Callable[[], datetime], done: Round, sore: set[int]
) -> None:
    channel = delivery.channel
    if channel is None or not channel.is_enabled:
        why = "the channel is off" if channel else "the channel is gone"
        done.dropped += _end(delivery, DeliveryStatus.DROPPED, error=why)
        return
    message = Message(title=delivery.alert.title, text=delivery.text, id=str(delivery.message_id))
    error = spoken(channel, message)
    if error is None:
        done.sent += _end(delivery, DeliveryStatus.SENT, sent_at=clock(), error="")
        return
    sore.add(channel.pk)
    now = clock()
    logger.warning("delivery %s was not sent at try %s", delivery.pk, delivery.attempts)
    if now - delivery.created_at >= GIVE_UP_AFTER:
        done.failed += _end(delivery, DeliveryStatus.FAILED, error=error)
    else:
        next_at = now + wait_after(delivery.attempts)
        done.delayed += _end(delivery, DeliveryStatus.PENDING, error=error, next_at=next_at)


def _end(delivery: Delivery, status: DeliveryStatus, **values: object) -> int:
    """Let the claim go, if it is still ours; 1 if it was."""
    mine = Delivery.objects.filter(
        pk=delivery.pk,
        status=DeliveryStatus.CLAIMED,
        claimed_until=delivery.claimed_until,
        attempts=delivery.attempts,
    )
    return mine.update(status=status, claimed_until=None, **values)


def spoken(channel: AlertChannel, message: Message) -> str | None:
    """Send a message to a channel now, once; None, or a sentence on why it did not get through. With no
    transaction open. The sentence holds no address."""
    private = may_reach_private(channel)
    before_speaking_outward()
    try:
        if channel.kind == ChannelKind.EMAIL:
            _mail(channel.address, message)
            return None
        return apprise_line.send(
            channel.address,
            title=message.title,
            text=message.text,
            message_id=message.id,
            may_reach_private=private,
        )
    except KeysUnusable:
        return "the address can't be read: its encryption key is missing"
    except smtplib.SMTPResponseException as error:
        return f"the mail server answered {error.smtp_code}"
    except Exception as error:  # noqa: BLE001 - one message that can't be sent stops no other
        return f"it could not be sent ({type(error).__name__})"


def may_reach_private(channel: AlertChannel) -> bool:
    """Whether messages of this channel may go to this machine and its private networks."""
    return bool(settings.ALERTS_MAY_REACH_PRIVATE) or channel.owner.is_staff


def _mail(address: Secret, message: Message) -> None:
    host = urlsplit(settings.SITE_URL).hostname or "localhost"
    mail = EmailMessage(
        subject=message.title,
        body=message.text,
        to=[address.reveal()],
        headers={"Message-ID": f"<alert-{message.id}@{host}>"},
        connection=get_connection(timeout=MAIL_SECONDS),
    )
    mail.send()
