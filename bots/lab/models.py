"""An arena: bots that trade beside each other under the same conditions, from one start.

The conditions stand once, in the arena; an entrant brings only its mind. The traps avoided are in the
constraints: a bot that is entered twice, a place that two hold, a stop before the start.
"""

from uuid import uuid4

from django.conf import settings
from django.db import models
from django.db.models import Q

from market.fields import AmountField
from tradingagent.accounts.access import register


class Arena(models.Model):
    """What all entrants have in common. `cohort` is that of their bots; `started_at` their one start.

    `stopped_at` is set while the arena is stopped: all of its bots were told to pause.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    name = models.CharField(max_length=80)
    venue = models.CharField(max_length=40)
    symbols = models.JSONField(help_text="Symbols in ccxt's unified form, in name order.")
    currency = models.CharField(max_length=24)
    capital = AmountField(help_text="What each entrant starts with, in the settlement currency.")
    interval_seconds = models.PositiveIntegerField()
    timeframe_seconds = models.PositiveIntegerField()
    risk_profile = models.ForeignKey("risk.RiskProfile", on_delete=models.PROTECT)
    cohort = models.UUIDField(unique=True, default=uuid4, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="arena_name_once_per_owner"),
            models.CheckConstraint(condition=Q(capital__gt=0), name="arena_has_capital"),
            models.CheckConstraint(
                condition=Q(interval_seconds__gte=5) & Q(timeframe_seconds__gte=60),
                name="arena_interval_makes_sense",
            ),
            models.CheckConstraint(
                condition=Q(stopped_at__isnull=True) | Q(started_at__isnull=False),
                name="arena_stops_after_its_start",
            ),
        ]
        indexes = [models.Index(fields=["owner", "-created_at"], name="arena_latest")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_running(self) -> bool:
        """Started, and not told to stop."""
        return self.started_at is not None and self.stopped_at is None


class Entrant(models.Model):
    """A bot in an arena. `place` counts in the order of joining and says nothing of who is better.

    `is_baseline`: a rule that needs no model, the control group of the others.
    """

    arena = models.ForeignKey(Arena, on_delete=models.CASCADE, related_name="entrants")
    bot = models.OneToOneField("bots.Bot", on_delete=models.PROTECT, related_name="entrant")
    place = models.PositiveSmallIntegerField()
    label = models.CharField(max_length=60)
    is_baseline = models.BooleanField()
    joined_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["arena", "place"], name="entrant_place_once"),
            models.UniqueConstraint(fields=["arena", "label"], name="entrant_label_once"),
            models.CheckConstraint(condition=Q(place__gte=1), name="entrant_place_from_one"),
            models.CheckConstraint(condition=~Q(label=""), name="entrant_has_a_label"),
        ]
        ordering = ["arena_id", "place"]

    def __str__(self) -> str:
        return self.label


register(Arena, "owner")
register(Entrant, "arena__owner")
