"""Rows of the venue: accounts at exchanges, what can be traded, what was seen, and the simulated account.

Nothing here knows a bot. Decimals are exact columns; whatever is hashed or refolded is canonical text.
"""

from enum import StrEnum

from django.conf import settings
from django.db import models
from django.db.models import Q

from market.domain.enums import InstrumentKind, InstrumentStatus
from market.fields import AmountField, EnumField
from tradingagent.accounts.access import register
from tradingagent.accounts.append_only import AppendOnlyModel
from tradingagent.accounts.secrets import EncryptedTextField


def one_of(column: str, enum: type[StrEnum]) -> Q:
    """The check that a column holds a word of its enum and no other."""
    return Q(**{f"{column}__in": [member.value for member in enum]})


class ExchangeAccount(models.Model):
    """A user's account at a venue. `uid` is the venue's own id of it: one live bot each, not one per key.

    Key and secret are there both or neither; a passphrase only where the venue asks for one.
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    name = models.CharField(max_length=80)
    venue = models.CharField(max_length=40)
    uid = models.CharField(max_length=120, blank=True)
    api_key = EncryptedTextField(null=True)  # type: ignore[misc]
    api_secret = EncryptedTextField(null=True)  # type: ignore[misc]
    passphrase = EncryptedTextField(null=True)  # type: ignore[misc]
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="exchange_account_name_once"),
            models.UniqueConstraint(
                fields=["venue", "uid"], condition=~Q(uid=""), name="exchange_account_uid_once"
            ),
            models.CheckConstraint(
                condition=Q(api_key__isnull=False, api_secret__isnull=False)
                | Q(api_key__isnull=True, api_secret__isnull=True, passphrase__isnull=True),
                name="exchange_account_keys_whole",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.venue})"


class Instrument(models.Model):
    """What a venue lists, as it was last told. `data` is the canonical form of the domain's Instrument."""

    venue = models.CharField(max_length=40)
    symbol = models.CharField(max_length=60)
    kind = EnumField(InstrumentKind)
    status = EnumField(InstrumentStatus)
    base = models.CharField(max_length=24)
    settle = models.CharField(max_length=24)
    price_step = AmountField()
    quantity_step = AmountField()
    data = models.TextField()
    as_of = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["venue", "symbol"], name="instrument_once"),
            models.CheckConstraint(
                condition=Q(price_step__gt=0) & Q(quantity_step__gt=0), name="instrument_steps"
            ),
            models.CheckConstraint(
                condition=one_of("kind", InstrumentKind) & one_of("status", InstrumentStatus),
                name="instrument_words",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.venue} {self.symbol}"


class Candle(models.Model):
    """One closed bar of recorded data. `is_mark` tells the mark price's bars from those of trades."""

    venue = models.CharField(max_length=40)
    symbol = models.CharField(max_length=60)
    timeframe_seconds = models.PositiveIntegerField()
    is_mark = models.BooleanField(default=False)
    opened_at = models.DateTimeField()
    open = AmountField()
    high = AmountField()
    low = AmountField()
    close = AmountField()
    volume = AmountField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["venue", "symbol", "timeframe_seconds", "is_mark", "opened_at"],
                name="candle_once",
            ),
            models.CheckConstraint(
                condition=Q(low__gt=0)
                & Q(high__gte=models.F("low"))
                & Q(high__gte=models.F("open"))
                & Q(high__gte=models.F("close"))
                & Q(low__lte=models.F("open"))
                & Q(low__lte=models.F("close"))
                & Q(volume__gte=0)
                & Q(timeframe_seconds__gt=0),
                name="candle_makes_sense",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.venue} {self.symbol} {self.opened_at:%Y-%m-%d %H:%M}"


class FundingRate(models.Model):
    """One settled funding rate; `at` rounded to the minute."""

    venue = models.CharField(max_length=40)
    symbol = models.CharField(max_length=60)
    at = models.DateTimeField()
    rate = AmountField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["venue", "symbol", "at"], name="funding_rate_once")
        ]

    def __str__(self) -> str:
        return f"{self.venue} {self.symbol} {self.at:%Y-%m-%d %H:%M}"


class LatestPrice(models.Model):
    """What an instrument was last seen at: for pages, never for decisions. Written by whoever looks."""

    venue = models.CharField(max_length=40)
    symbol = models.CharField(max_length=60)
    mark_price = AmountField()
    last_price = AmountField()
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["venue", "symbol"], name="latest_price_once"),
            models.CheckConstraint(
                condition=Q(mark_price__gt=0) & Q(last_price__gt=0), name="latest_price_above_zero"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.venue} {self.symbol}"


class SimAccount(models.Model):
    """The simulated venue's own memory of one account, apart from any ledger.

    Written by the simulated broker alone, by compare-and-swap on `version`, before it answers. `told` is
    how far its owner has surely heard of its records.
    """

    currency = models.CharField(max_length=24)
    opening_cash = AmountField()
    settings = models.TextField(help_text="How it fills: canonical JSON of the settings.")
    state = models.TextField(help_text="Cash, positions, live orders: canonical JSON.")
    version = models.PositiveBigIntegerField(default=0)
    last_sequence = models.PositiveBigIntegerField(default=0)
    told = models.PositiveBigIntegerField(default=0)
    asked_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When it last answered that it knew no such order: none claimed long before may come.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(told__lte=models.F("last_sequence")), name="sim_account_told_is_past"
            )
        ]

    def __str__(self) -> str:
        return f"simulated account {self.pk} ({self.currency})"


class SimRecordKind(StrEnum):
    """What a record of the simulated venue tells."""

    FILL = "FILL"
    FUNDING = "FUNDING"
    ADJUSTMENT = "ADJUSTMENT"
    ENDED = "ENDED"


class SimRecord(AppendOnlyModel):
    """Something that happened at the simulated venue, kept for ever: it can be asked for again."""

    account = models.ForeignKey(SimAccount, on_delete=models.CASCADE, related_name="records")
    sequence = models.PositiveBigIntegerField()
    kind = EnumField(SimRecordKind)
    client_order_id = models.CharField(max_length=64, blank=True)
    payload = models.TextField()
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "sequence"], name="sim_record_once"),
            models.UniqueConstraint(
                fields=["account", "client_order_id"],
                condition=Q(kind=SimRecordKind.ENDED.value),
                name="sim_record_an_order_ends_once",
            ),
            models.CheckConstraint(
                condition=one_of("kind", SimRecordKind), name="sim_record_words"
            ),
        ]
        indexes = [models.Index(fields=["account", "client_order_id"], name="sim_record_of_order")]

    def __str__(self) -> str:
        return f"{self.kind} {self.sequence} of {self.account_id}"


register(ExchangeAccount, "owner")
