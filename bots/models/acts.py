"""What is told of a bot, what it owes for its model, what people asked of it, what they halted.

These rows are written without the desk, so each carries its own claim or key.
"""

from uuid import uuid4

from django.conf import settings
from django.db import models
from django.db.models import Q

from bots.domain.events import EventKind
from bots.models.bot import Bot
from market.fields import EnumField, ExactDecimalField
from tradingagent.accounts.access import register


class Event(models.Model):
    """Something that changed for a bot, numbered without holes, written with the change itself."""

    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="events")
    sequence = models.PositiveBigIntegerField()
    at = models.DateTimeField()
    kind = EnumField(EventKind)
    payload = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["bot", "sequence"], name="event_sequence_once")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.sequence} of {self.bot_id}"


class ModelCharge(models.Model):
    """What a decision cost, put down at once; the next holder of the desk books it. Once per key."""

    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="charges")
    key = models.CharField(max_length=80)
    at = models.DateTimeField()
    cost = ExactDecimalField(null=True)
    ok = models.BooleanField()
    is_booked = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["bot", "key"], name="charge_once")]
        indexes = [
            models.Index(fields=["bot"], condition=Q(is_booked=False), name="charge_to_book")
        ]

    def __str__(self) -> str:
        return f"{self.cost} for {self.key}"


class HaltScope(models.TextChoices):
    """How far a halt reaches."""

    BOT = "BOT"
    USER = "USER"
    ALL = "ALL"


class TradingHalt(models.Model):
    """Nothing that opens may leave, from this row on until a person resumes it."""

    scope = models.CharField(max_length=4, choices=HaltScope.choices)
    bot = models.ForeignKey(Bot, null=True, blank=True, on_delete=models.CASCADE)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="halts",
    )
    reason = models.TextField(blank=True)
    flatten = models.BooleanField(default=False)
    halted_by = models.CharField(max_length=254)
    halted_at = models.DateTimeField()
    resumed_by = models.CharField(max_length=254, blank=True)
    resumed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(scope="BOT", bot__isnull=False, user__isnull=True)
                | Q(scope="USER", bot__isnull=True, user__isnull=False)
                | Q(scope="ALL", bot__isnull=True, user__isnull=True),
                name="halt_names_its_scope",
            ),
        ]
        indexes = [
            models.Index(
                fields=["scope"], condition=Q(resumed_at__isnull=True), name="halt_in_force"
            )
        ]

    def __str__(self) -> str:
        return f"halt of {self.scope} since {self.halted_at:%Y-%m-%d %H:%M}"


class ActionKind(models.TextChoices):
    """What a person may ask of a bot's desk."""

    FLATTEN = "FLATTEN"
    CLOSE = "CLOSE"
    ORDER = "ORDER"


CLOSING = (ActionKind.FLATTEN, ActionKind.CLOSE)
"""What may be begun again: closing what is closed does nothing."""


class ActionStatus(models.TextChoices):
    """How far it got."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"


class ManualAction(models.Model):
    """What a person asked for, and what became of it. The same request id asks once."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="actions")
    kind = models.CharField(max_length=8, choices=ActionKind.choices)
    request_id = models.CharField(max_length=80)
    wanted = models.JSONField(default=dict)
    requested_by = models.CharField(max_length=254)
    requested_at = models.DateTimeField()
    taken_at = models.DateTimeField(null=True, blank=True)
    status = models.CharField(
        max_length=8, choices=ActionStatus.choices, default=ActionStatus.PENDING
    )
    result = models.JSONField(default=dict)
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["bot", "request_id"], name="action_once_per_request")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.bot_id}"


for _model in (Event, ModelCharge, ManualAction, TradingHalt):
    register(_model, "bot__owner")
