"""Rules, what they found, and what is to be sent of it: rows that survive whoever works on them.

An alert is what stands in the inbox; a delivery is one message of it to one channel. The traps avoided are
in the constraints: two open alerts of one rule and bot, a message that is made twice, a claim without an end.
"""

from uuid import uuid4

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from bots.alerts.domain import (
    ALWAYS_ABOVE,
    KINDS,
    WITH_THRESHOLD,
    AlertKind,
    Direction,
    Severity,
)
from bots.alerts.wording import unmarked
from market.fields import AmountField, EnumField
from tradingagent.accounts.access import register
from tradingagent.accounts.secrets import EncryptedTextField

SHORTEST_COOLDOWN = 10
LONGEST_COOLDOWN = 7 * 24 * 3600


class ChannelKind(models.TextChoices):
    """How a message leaves."""

    EMAIL = "EMAIL", "E-mail"
    APPRISE = "APPRISE", "Another service, by its apprise address"


class AlertChannel(models.Model):
    """Where messages go. The address holds tokens, so it is encrypted; `scheme` is what may be shown of it."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="alert_channels"
    )
    name = models.CharField(max_length=60)
    kind = models.CharField(max_length=8, choices=ChannelKind.choices)
    scheme = models.CharField(max_length=24, help_text="The service, such as tgram or mailto.")
    address = EncryptedTextField()
    is_enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="channel_name_once_per_owner"),
            models.CheckConstraint(condition=~Q(name=""), name="channel_has_a_name"),
        ]

    def __str__(self) -> str:
        return self.name


class AlertRule(models.Model):
    """What to tell, of which bot (none: of all), and how often. Quiet hours are of the owner's wall clock."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="alert_rules"
    )
    kind = EnumField(AlertKind)
    bot = models.ForeignKey(
        "bots.Bot", null=True, blank=True, on_delete=models.CASCADE, related_name="alert_rules"
    )
    symbol = models.CharField(max_length=60, blank=True, help_text="Of a price: which.")
    threshold = AmountField(null=True, blank=True)
    direction = EnumField(Direction, default=Direction.ABOVE)
    severity = EnumField(Severity)
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_to = models.TimeField(null=True, blank=True)
    cooldown_seconds = models.PositiveIntegerField(default=900)
    channels = models.ManyToManyField(AlertChannel, blank=True, related_name="rules")
    is_enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=WITH_THRESHOLD, threshold__isnull=False)
                | (~Q(kind__in=WITH_THRESHOLD) & Q(threshold__isnull=True)),
                name="rule_has_the_threshold_of_its_kind",
            ),
            models.CheckConstraint(
                condition=~Q(kind__in=ALWAYS_ABOVE) | Q(direction=Direction.ABOVE),
                name="rule_looks_the_way_of_its_kind",
            ),
            models.CheckConstraint(
                condition=~Q(kind=AlertKind.PRICE) | ~Q(symbol=""),
                name="rule_of_a_price_names_it",
            ),
            models.CheckConstraint(
                condition=Q(quiet_from__isnull=True, quiet_to__isnull=True)
                | (
                    Q(quiet_from__isnull=False, quiet_to__isnull=False)
                    & ~Q(quiet_from=F("quiet_to"))
                ),
                name="rule_quiet_from_and_to",
            ),
            models.CheckConstraint(
                condition=Q(
                    cooldown_seconds__gte=SHORTEST_COOLDOWN,
                    cooldown_seconds__lte=LONGEST_COOLDOWN,
                ),
                name="rule_cooldown_makes_sense",
            ),
        ]

    def __str__(self) -> str:
        return f"rule {self.pk}: {self.kind}"

    @property
    def title(self) -> str:
        """When it tells, as a heading: A stop was hit."""
        name = KINDS[AlertKind(self.kind)].name
        return f"{name[:1].upper()}{name[1:]}"

    @property
    def unit(self) -> str:
        """What its threshold counts; empty where it has none."""
        return KINDS[AlertKind(self.kind)].unit


class Alert(models.Model):
    """What a rule found. While it is open it counts what follows; `told` of `count` stand in a message.

    `until`: no other message leaves before. `parts`: the messages made of it. `key` names what is told once,
    such as a day.
    """

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="alerts"
    )
    rule = models.ForeignKey(
        AlertRule, null=True, blank=True, on_delete=models.SET_NULL, related_name="alerts"
    )
    bot = models.ForeignKey(
        "bots.Bot", null=True, blank=True, on_delete=models.CASCADE, related_name="alerts"
    )
    kind = EnumField(AlertKind)
    severity = EnumField(Severity)
    key = models.CharField(max_length=40, blank=True)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    count = models.PositiveBigIntegerField(default=1)
    told = models.PositiveBigIntegerField(default=0)
    parts = models.PositiveIntegerField(default=0)
    until = models.DateTimeField()
    is_open = models.BooleanField(default=True)
    title = models.CharField(max_length=200)
    text = models.TextField(blank=True)
    path = models.CharField(max_length=200, blank=True)
    read_at = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "bot"],
                condition=Q(is_open=True, bot__isnull=False),
                name="alert_one_open_per_rule_and_bot",
            ),
            models.UniqueConstraint(
                fields=["rule", "key"], condition=~Q(key=""), name="alert_once_per_key"
            ),
            models.CheckConstraint(
                condition=Q(count__gte=1, told__lte=F("count")), name="alert_tells_what_it_counted"
            ),
            models.CheckConstraint(
                condition=Q(last_at__gte=F("first_at")), name="alert_first_before_last"
            ),
        ]
        indexes = [
            models.Index(fields=["owner", "-id"], name="alert_latest"),
            models.Index(
                fields=["owner"], condition=Q(acknowledged_at__isnull=True), name="alert_unread"
            ),
            models.Index(fields=["until"], condition=Q(is_open=True), name="alert_open_until"),
            models.Index(fields=["last_at"], condition=Q(is_open=False), name="alert_over"),
        ]

    def __str__(self) -> str:
        return f"alert {self.pk}: {self.kind}"

    @property
    def headline(self) -> str:
        """Its title where the severity stands beside it."""
        return unmarked(self.title, Severity(self.severity))


class DeliveryStatus(models.TextChoices):
    """How far a message got. FAILED: given up after a day. DROPPED: its channel is off or gone."""

    PENDING = "PENDING"
    CLAIMED = "CLAIMED"
    SENT = "SENT"
    FAILED = "FAILED"
    DROPPED = "DROPPED"


class Delivery(models.Model):
    """One message of an alert to one channel. The holder of a claim is known by `claimed_until`.

    `message_id` is the same at every try, so that a receiver can know a message that it has had.
    """

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.ForeignKey(
        AlertChannel, null=True, blank=True, on_delete=models.SET_NULL, related_name="deliveries"
    )
    channel_name = models.CharField(max_length=60)
    part = models.PositiveIntegerField()
    text = models.TextField()
    message_id = models.UUIDField(unique=True, default=uuid4, editable=False)
    status = models.CharField(
        max_length=8, choices=DeliveryStatus.choices, default=DeliveryStatus.PENDING
    )
    created_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField()
    claimed_until = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=200, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["alert", "channel", "part"], name="delivery_once_per_channel_and_part"
            ),
            models.CheckConstraint(
                condition=Q(status="CLAIMED", claimed_until__isnull=False)
                | (~Q(status="CLAIMED") & Q(claimed_until__isnull=True)),
                name="delivery_claim_has_an_end",
            ),
            models.CheckConstraint(
                condition=Q(status="SENT", sent_at__isnull=False)
                | (~Q(status="SENT") & Q(sent_at__isnull=True)),
                name="delivery_sent_has_its_time",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_at"], condition=Q(status="PENDING"), name="delivery_pending"
            ),
            models.Index(
                fields=["claimed_until"], condition=Q(status="CLAIMED"), name="delivery_claimed"
            ),
            models.Index(fields=["created_at"], name="delivery_oldest"),
        ]
        verbose_name_plural = "deliveries"

    def __str__(self) -> str:
        return f"part {self.part} of alert {self.alert_id} to {self.channel_name}"


class AlertCursor(models.Model):
    """How far a bot's events have been read, and what its measures were at the last look.

    Whoever scans a bot holds this row. `beyond`: the rules and instruments whose level is passed, as
    "rule:level:symbol"; `awake_at`: when the bot was last started.
    """

    bot = models.OneToOneField(
        "bots.Bot", primary_key=True, on_delete=models.CASCADE, related_name="alert_cursor"
    )
    sequence = models.PositiveBigIntegerField(default=0)
    beyond = models.JSONField(default=list, blank=True)
    awake_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"cursor of {self.bot_id}"


for _model in (AlertChannel, AlertRule, Alert):
    register(_model, "owner")
register(Delivery, "alert__owner")
register(AlertCursor, "bot__owner")
