"""What the ledger writes down: money entries, finished round trips, equity points and notices."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from market.domain.enums import OrderPurpose, PositionSide
from market.domain.numbers import ZERO


class EntryKind(StrEnum):
    """Every way in which money moves. The amounts of all entries add up to cash, exactly."""

    DEPOSIT = "DEPOSIT"
    WITHDRAWAL = "WITHDRAWAL"
    REALIZED_PNL = "REALIZED_PNL"
    FEE = "FEE"
    FUNDING = "FUNDING"
    ADJUSTMENT = "ADJUSTMENT"
    LLM_COST = "LLM_COST"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One movement of cash: amount > 0 in, < 0 out, 1e-8 exact. `key` is unique within its kind."""

    sequence: int
    at: datetime
    kind: EntryKind
    amount: Decimal
    symbol: str
    key: str


class ExitReason(StrEnum):
    """Why a round trip ended."""

    CLOSE = "CLOSE"
    REDUCE = "REDUCE"
    STOP = "STOP"
    TARGET = "TARGET"
    LIQUIDATION = "LIQUIDATION"
    ADL = "ADL"
    SETTLEMENT = "SETTLEMENT"
    EXTERNAL_CLOSE = "EXTERNAL_CLOSE"
    END_OF_DATA = "END_OF_DATA"
    FLIP = "FLIP"
    LADDER = "LADDER"
    TIME_STOP = "TIME_STOP"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTrip:
    """A position's life so far: from flat until flat again. Notionals in settlement currency."""

    symbol: str
    side: PositionSide
    opened_at: datetime
    entry_quantity: Decimal = ZERO
    entry_notional: Decimal = ZERO
    exit_quantity: Decimal = ZERO
    exit_notional: Decimal = ZERO
    realized_pnl: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    adjustments: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedTrade:
    """A finished round trip. `net_pnl` = realized − fees + funding + adjustments. Prices are means over
    all entries and exits; `quantity` is all that was entered, in contracts."""

    symbol: str
    side: PositionSide
    opened_at: datetime
    closed_at: datetime
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal
    realized_pnl: Decimal
    fees: Decimal
    funding: Decimal
    adjustments: Decimal
    net_pnl: Decimal
    exit_reason: ExitReason

    @property
    def held(self) -> timedelta:
        return self.closed_at - self.opened_at


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitPlan:
    """Where a position's stop and target must rest, what its trader said would prove it wrong, and
    whether it is being closed (`closing_as`: the purpose of the orders that close it).

    What managed exits remember: the stop that it was entered with, which measures its risk; the closest
    that they have moved the stop, which nobody loosens; and how many rungs of the ladder were taken.
    """

    stop_price: Decimal | None = None
    target_price: Decimal | None = None
    invalidation_condition: str = ""
    is_closing: bool = False
    closing_as: OrderPurpose = OrderPurpose.CLOSE
    first_stop_price: Decimal | None = None
    managed_stop_price: Decimal | None = None
    rungs_taken: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over all entries since the start, in settlement currency; fees and LLM cost as amounts paid."""

    deposits: Decimal = ZERO
    withdrawals: Decimal = ZERO
    realized_pnl: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    adjustments: Decimal = ZERO
    llm_cost: Decimal = ZERO

    @property
    def cash(self) -> Decimal:
        """The identity without the open part: what cash must be."""
        return (
            self.deposits - self.withdrawals + self.realized_pnl - self.fees
            + self.funding + self.adjustments - self.llm_cost
        )  # fmt: skip


class NoticeKind(StrEnum):
    """Things a person should hear of. Alerts are made of these."""

    LATE_FILL = "LATE_FILL"
    FOREIGN_FILL = "FOREIGN_FILL"
    CONTRADICTION = "CONTRADICTION"
    EXTERNAL_CLOSE = "EXTERNAL_CLOSE"
    LIQUIDATION = "LIQUIDATION"
    ORDER_REJECTED = "ORDER_REJECTED"
    ORDER_UNKNOWN = "ORDER_UNKNOWN"
    ORDER_NEVER_ARRIVED = "ORDER_NEVER_ARRIVED"
    PROTECTION_FAILED = "PROTECTION_FAILED"
    PROTECTION_TIGHTENED = "PROTECTION_TIGHTENED"
    BREAKER_TRIPPED = "BREAKER_TRIPPED"
    BREAKER_CLEARED = "BREAKER_CLEARED"
    MODEL_COST_UNKNOWN = "MODEL_COST_UNKNOWN"
    MANAGED_EXIT = "MANAGED_EXIT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing worth telling, in plain words."""

    at: datetime
    kind: NoticeKind
    symbol: str
    text: str
