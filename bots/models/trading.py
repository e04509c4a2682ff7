"""What was decided, ordered, filled, held and booked: written by the ledger alone, read by all.

Every row belongs to a bot. Uniqueness is what makes a repeated delivery harmless.
"""

from django.db import models
from django.db.models import F, Q

from bots.domain.entries import EntryKind, ExitReason
from bots.domain.records import CycleOutcome
from bots.models.bot import Bot
from market.domain.enums import (
    FillReason,
    Liquidity,
    OrderPurpose,
    OrderSide,
    OrderStatus,
    OrderType,
    PositionSide,
    TimeInForce,
    TriggerBasis,
)
from market.domain.orders import OPEN_STATUSES
from market.fields import AmountField, EnumField, ExactDecimalField
from risk.domain import TradingState
from tradingagent.accounts.access import register

LIVING_STATUSES = (OrderStatus.INITIALIZED, *sorted(OPEN_STATUSES))
"""Statuses of orders whose life has not ended."""


class Blob(models.Model):
    """Bytes that many records share, stored once per content: compressed canonical JSON by its SHA-256."""

    hash = models.CharField(max_length=64, primary_key=True)
    data = models.BinaryField()

    def __str__(self) -> str:
        return self.hash


class CycleStatus(models.TextChoices):
    """Where a cycle stands. ABANDONED: whoever ran it is gone."""

    RUNNING = "RUNNING"
    DONE = "DONE"
    ABANDONED = "ABANDONED"


class TradingCycle(models.Model):
    """One decision of a slot, and its audit record.

    `id` is derived from (bot, slot). `record` is the whole record as compressed canonical JSON, what
    many records share taken out to blobs. The other columns are read off it for lists.
    """

    id = models.UUIDField(primary_key=True)
    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="cycles")
    slot = models.CharField(
        max_length=80, help_text="The due instant, or run: and the request's id."
    )
    status = models.CharField(
        max_length=10, choices=CycleStatus.choices, default=CycleStatus.RUNNING
    )
    owner = models.CharField(max_length=40)
    lease_until = models.DateTimeField()
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    outcome = EnumField(CycleOutcome, null=True, blank=True)
    reason = models.TextField(blank=True)
    trading_state = EnumField(TradingState, null=True, blank=True)
    trader = models.CharField(max_length=120, blank=True)
    decision = models.CharField(max_length=24, blank=True, help_text="How the decision came about.")
    summary = models.TextField(blank=True)
    actions = models.JSONField(default=list, help_text="What was wanted; not mentioned is held.")
    denials = models.JSONField(default=list)
    clamps = models.JSONField(default=list, help_text="What was held to a limit: before, after.")
    order_ids = models.JSONField(default=list)
    equity = ExactDecimalField(null=True)
    llm_cost = ExactDecimalField(null=True)
    profile = models.CharField(max_length=100, blank=True, help_text="Risk profile and version.")
    record = models.BinaryField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["bot", "slot"], name="cycle_once_per_slot"),
            models.UniqueConstraint(
                fields=["bot"], condition=Q(status="RUNNING"), name="cycle_one_running"
            ),
        ]
        indexes = [
            models.Index(fields=["bot", "-started_at"], name="cycle_latest"),
            models.Index(
                fields=["lease_until"], condition=Q(status="RUNNING"), name="cycle_running_until"
            ),
            models.Index(
                fields=["ended_at"], condition=Q(record__isnull=False), name="cycle_recorded"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.slot} of {self.bot_id}"


class Order(models.Model):
    """An order of ours, named before it was sent. `filled_quantity` is the sum of its fills."""

    client_order_id = models.CharField(max_length=36, primary_key=True)
    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="orders")
    cycle = models.ForeignKey(
        TradingCycle, null=True, blank=True, on_delete=models.SET_NULL, related_name="orders"
    )
    symbol = models.CharField(max_length=60)
    base = models.CharField(max_length=24)
    contract_size = AmountField()
    side = EnumField(OrderSide)
    order_type = EnumField(OrderType)
    purpose = EnumField(OrderPurpose)
    quantity = AmountField()
    quote_quantity = AmountField(null=True, blank=True)
    price = AmountField(null=True, blank=True)
    trigger_price = AmountField(null=True, blank=True)
    trigger_basis = EnumField(TriggerBasis, null=True, blank=True)
    time_in_force = EnumField(TimeInForce)
    reduce_only = models.BooleanField()
    leverage = AmountField()
    parent_id = models.CharField(max_length=36, blank=True)
    stop_price = AmountField(null=True, blank=True)
    target_price = AmountField(null=True, blank=True)
    note = models.TextField(blank=True)
    created_at = models.DateTimeField()
    submitted_at = models.DateTimeField(null=True, blank=True)
    status = EnumField(OrderStatus)
    filled_quantity = AmountField()
    filled_notional = ExactDecimalField()
    venue_order_id = models.CharField(max_length=80, blank=True)
    reason = models.TextField(blank=True)
    lookups = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(quantity__gte=0)
                & Q(filled_quantity__gte=0)
                & Q(filled_quantity__lte=F("quantity")),
                name="order_filled_within_quantity",
            ),
            models.CheckConstraint(
                condition=Q(status__in=[OrderStatus.INITIALIZED, OrderStatus.DENIED, OrderStatus.CANCELED])
                | Q(submitted_at__isnull=False),
                name="order_sent_before_it_lives",
            ),
        ]  # fmt: skip
        indexes = [
            models.Index(fields=["bot", "-created_at"], name="order_latest"),
            models.Index(
                fields=["bot"],
                condition=Q(status__in=LIVING_STATUSES),
                name="order_still_open",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} {self.symbol}"


class Fill(models.Model):
    """One trade at the venue. A fill that no order of ours made has no order."""

    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="fills")
    order = models.ForeignKey(
        Order, null=True, blank=True, on_delete=models.CASCADE, related_name="fills"
    )
    sequence = models.PositiveBigIntegerField(
        help_text="The ledger's last entry once it was booked."
    )
    symbol = models.CharField(max_length=60)
    venue_trade_id = models.CharField(max_length=100)
    side = EnumField(OrderSide)
    quantity = AmountField()
    price = AmountField()
    fee = AmountField()
    fee_currency = models.CharField(max_length=24)
    liquidity = EnumField(Liquidity)
    reason = EnumField(FillReason)
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["bot", "symbol", "venue_trade_id"], name="fill_booked_once"
            ),
            models.CheckConstraint(
                condition=Q(quantity__gt=0) & Q(price__gt=0), name="fill_above_zero"
            ),
        ]
        indexes = [models.Index(fields=["bot", "-at"], name="fill_latest")]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} {self.symbol} at {self.price}"


class Position(models.Model):
    """What a bot holds of an instrument: a fold of its fills. Gone when flat.

    `quantity` is signed, in contracts. `is_dust`: a spot rest too small to sell.
    """

    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="positions")
    symbol = models.CharField(max_length=60)
    base = models.CharField(max_length=24)
    contract_size = AmountField()
    quantity = AmountField()
    entry_cost = AmountField()
    margin = AmountField()
    leverage = AmountField()
    opened_at = models.DateTimeField(null=True)
    is_dust = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["bot", "symbol"], name="position_once_per_symbol"),
            models.CheckConstraint(condition=~Q(quantity=0), name="position_is_not_flat"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} {self.symbol}"


class LedgerEntry(models.Model):
    """One movement of cash. The amounts of all entries of a bot add up to its cash, exactly."""

    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="entries")
    sequence = models.PositiveBigIntegerField()
    at = models.DateTimeField()
    kind = EnumField(EntryKind)
    amount = AmountField()
    symbol = models.CharField(max_length=60, blank=True)
    key = models.CharField(max_length=160)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["bot", "sequence"], name="entry_sequence_once"),
            models.UniqueConstraint(fields=["bot", "kind", "key"], name="entry_booked_once"),
            models.CheckConstraint(condition=~Q(amount=0), name="entry_moves_money"),
        ]
        indexes = [models.Index(fields=["bot", "at"], name="entry_by_time")]
        verbose_name_plural = "ledger entries"

    def __str__(self) -> str:
        return f"{self.kind} {self.amount}"


class ClosedTrade(models.Model):
    """A finished round trip: a fold of fills, funding and adjustments from flat to flat."""

    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="closed_trades")
    symbol = models.CharField(max_length=60)
    side = EnumField(PositionSide)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField()
    quantity = AmountField()
    entry_price = ExactDecimalField()
    exit_price = ExactDecimalField()
    realized_pnl = AmountField()
    fees = AmountField()
    funding = AmountField()
    adjustments = AmountField()
    net_pnl = AmountField()
    exit_reason = EnumField(ExitReason)

    class Meta:
        indexes = [models.Index(fields=["bot", "-id"], name="closed_trade_latest")]

    def __str__(self) -> str:
        return f"{self.side} {self.symbol} {self.net_pnl}"


class EquityPoint(models.Model):
    """Equity of a bot at an instant, in its settlement currency."""

    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="equity_points")
    at = models.DateTimeField()
    equity = AmountField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["bot", "at"], name="equity_point_once"),
        ]

    def __str__(self) -> str:
        return f"{self.equity} at {self.at}"


for _model in (TradingCycle, Order, Fill, Position, LedgerEntry, ClosedTrade, EquityPoint):
    register(_model, "bot__owner")
