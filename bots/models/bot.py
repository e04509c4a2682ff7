"""The bot: what it is told to do, who may write for it now, and the fold of its books.

The traps avoided are in the constraints: they hold whatever the code does.
"""

from decimal import Decimal
from uuid import uuid4

from django.conf import settings
from django.db import models
from django.db.models import F, Q, Value

from bots.domain.bot import BotMode, BotStatus, Schedule
from bots.domain.exits import (
    LARGEST_R,
    LARGEST_TRAIL,
    LEAST_TRAIL,
    LONGEST_HOLD,
    SHORTEST_HOLD,
)
from market.fields import AmountField, EnumField
from risk.domain import TradingState
from tradingagent.accounts.access import register

SHARD_KEYS = 256
_BOOKED = (
    F("deposits") - F("withdrawals") + F("realized_pnl") - F("fees")
    + F("funding") + F("adjustments") - F("llm_cost")
)  # fmt: skip
_FLOAT_ERROR = Decimal("0.000001")


class Bot(models.Model):
    """An AI trader: what it is told to do, and who may write for it now.

    `desk_until`, `desk_owner` and `fence` are the desk lease; `event_sequence` numbers its events;
    `shard_key` spreads marks over tasks. `is_halted` is true while any halt covers the bot.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    name = models.CharField(max_length=80)
    mode = EnumField(BotMode)
    status = EnumField(BotStatus, default=BotStatus.DRAFT)
    venue = models.CharField(max_length=40)
    symbols = models.JSONField(help_text="Symbols in ccxt's unified form, in name order.")
    currency = models.CharField(max_length=24)
    capital = AmountField(help_text="What it starts with, in its settlement currency.")
    trader = models.CharField(max_length=40, blank=True, help_text="A baseline's name.")
    trader_params = models.JSONField(default=dict, blank=True)
    model_profile = models.ForeignKey(
        "llm.ModelProfile", null=True, blank=True, on_delete=models.PROTECT
    )
    prompt_template = models.ForeignKey(
        "llm.PromptTemplate", null=True, blank=True, on_delete=models.PROTECT
    )
    owner_words = models.TextField(blank=True)
    risk_profile = models.ForeignKey("risk.RiskProfile", on_delete=models.PROTECT)
    interval_seconds = models.PositiveIntegerField(default=180)
    timeframe_seconds = models.PositiveIntegerField(default=180)
    schedule = EnumField(Schedule, default=Schedule.BAR_CLOSE)
    charge_llm_cost = models.BooleanField(default=True)
    trailing_fraction = AmountField(
        null=True, blank=True, help_text="Its stops trail the mark price at this fraction of it."
    )
    trailing_from_r = AmountField(
        null=True, blank=True, help_text="From a profit of so many R on. Empty: from the entry."
    )
    break_even_at_r = AmountField(
        null=True, blank=True, help_text="At a profit of so many R its stops move to break-even."
    )
    ladder = models.JSONField(
        default=list, blank=True, help_text="Partial profits: a list of [R, share of the entry]."
    )
    time_stop = models.DurationField(
        null=True, blank=True, help_text="It closes what it has held for so long."
    )
    sim_account = models.OneToOneField(
        "market.SimAccount", null=True, blank=True, on_delete=models.PROTECT
    )
    exchange_account = models.ForeignKey(
        "market.ExchangeAccount", null=True, blank=True, on_delete=models.PROTECT
    )
    cohort = models.UUIDField(
        null=True,
        blank=True,
        editable=False,
        db_index=True,
        help_text="Bots of one cohort decide at one instant, on one snapshot.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    is_halted = models.BooleanField(default=False)
    told_version = models.PositiveIntegerField(
        default=1, help_text="How often it was told what to do."
    )
    skipped_slots = models.PositiveIntegerField(default=0)
    shard_key = models.PositiveSmallIntegerField()
    desk_until = models.DateTimeField(null=True, blank=True)
    desk_owner = models.CharField(max_length=40, blank=True)
    fence = models.PositiveBigIntegerField(default=0)
    event_sequence = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="bot_name_once_per_owner"),
            models.CheckConstraint(condition=Q(capital__gt=0), name="bot_has_capital"),
            models.CheckConstraint(
                condition=Q(interval_seconds__gte=5) & Q(timeframe_seconds__gte=60),
                name="bot_interval_makes_sense",
            ),
            models.CheckConstraint(
                condition=(Q(trader="") & Q(model_profile__isnull=False))
                | (~Q(trader="") & Q(model_profile__isnull=True)),
                name="bot_has_one_trader",
            ),
            models.CheckConstraint(
                condition=Q(mode=BotMode.PAPER, sim_account__isnull=False)
                | Q(mode=BotMode.LIVE, exchange_account__isnull=False, sim_account__isnull=True),
                name="bot_has_the_account_of_its_mode",
            ),
            models.CheckConstraint(
                condition=(
                    Q(trailing_fraction__isnull=True, trailing_from_r__isnull=True)
                    | Q(
                        trailing_fraction__isnull=False,  # nothing is known of NULL, and that would do
                        trailing_fraction__gte=LEAST_TRAIL,
                        trailing_fraction__lte=LARGEST_TRAIL,
                    )
                )
                & (
                    Q(trailing_from_r__isnull=True)
                    | Q(trailing_from_r__gte=0, trailing_from_r__lte=LARGEST_R)
                )
                & (
                    Q(break_even_at_r__isnull=True)
                    | Q(break_even_at_r__gt=0, break_even_at_r__lte=LARGEST_R)
                )
                & (
                    Q(time_stop__isnull=True)
                    | Q(time_stop__gte=SHORTEST_HOLD, time_stop__lte=LONGEST_HOLD)
                ),
                name="bot_exits_make_sense",
            ),
            models.UniqueConstraint(
                fields=["exchange_account"],
                condition=Q(mode=BotMode.LIVE) & ~Q(status=BotStatus.ARCHIVED),
                name="bot_alone_on_a_live_account",
            ),
        ]
        indexes = [models.Index(fields=["status"], name="bot_by_status")]

    def __str__(self) -> str:
        return self.name


class BotState(models.Model):
    """The fold of a bot's ledger, written by the holder of its desk alone.

    `book` is the fold itself (`bots.domain.stored_book`); the columns are read off it for lists and
    pages. `recent` holds what a prompt shows of the past; `day_navs` one closing value per finished day.
    """

    bot = models.OneToOneField(
        Bot, primary_key=True, on_delete=models.CASCADE, related_name="state"
    )
    opened_at = models.DateTimeField()
    book = models.TextField()
    recent = models.TextField()
    day_navs = models.TextField()
    cash = AmountField()
    equity = AmountField()
    equity_at = models.DateTimeField()
    peak_nav = AmountField()
    day_open_nav = AmountField()
    trading_state = EnumField(TradingState)
    loss_streak = models.PositiveIntegerField(default=0)
    deposits = AmountField()
    withdrawals = AmountField()
    realized_pnl = AmountField()
    fees = AmountField()
    funding = AmountField()
    adjustments = AmountField()
    llm_cost = AmountField()
    cycles = models.PositiveBigIntegerField(default=0)
    sequence = models.PositiveBigIntegerField()

    class Meta:
        constraints = [
            # P1 without its open part; SQLite computes it in floats, so it is not exact there.
            models.CheckConstraint(
                condition=Q(
                    cash__gte=_BOOKED - Value(_FLOAT_ERROR), cash__lte=_BOOKED + Value(_FLOAT_ERROR)
                ),
                name="bot_state_identity",
            ),
        ]

    def __str__(self) -> str:
        return f"state of {self.bot_id}"


register(Bot, "owner")
register(BotState, "bot__owner")
