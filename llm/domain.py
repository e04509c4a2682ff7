"""What a trader sees and what it says. Pure values; the model's text never gets further than this.

A `DecisionView` is everything a decision may rest on: the market up to `as_of`, the account and the
limits as they stood. A `Decision` is what came back, already strict: one item per instrument.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from market.domain.data import MarketSnapshot
from market.domain.enums import PositionSide
from market.domain.numbers import ZERO


class DecisionAction(StrEnum):
    """What a trader may say about an instrument. Not mentioned means hold."""

    BUY_TO_ENTER = "buy_to_enter"
    SELL_TO_ENTER = "sell_to_enter"
    HOLD = "hold"
    CLOSE = "close"
    REDUCE = "reduce"
    ADJUST = "adjust"

    @property
    def is_entry(self) -> bool:
        return self in (DecisionAction.BUY_TO_ENTER, DecisionAction.SELL_TO_ENTER)


class StopRequirement(StrEnum):
    """Whether a trader names a stop with every entry."""

    REQUIRED = "required"
    NONE = "none"


class DecisionOutcome(StrEnum):
    """How a decision came about. Everything but DECIDED is a recorded hold of all instruments."""

    DECIDED = "DECIDED"
    UNREADABLE = "UNREADABLE"
    REFUSED = "REFUSED"
    TIMED_OUT = "TIMED_OUT"
    UNAVAILABLE = "UNAVAILABLE"
    OVER_BUDGET = "OVER_BUDGET"


class ReplyForm(StrEnum):
    """Which of the two forms of `llm.parsing.schema` an answer has to take."""

    DECISION = "decision"
    EMERGENCY = "emergency"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionItem:
    """One instrument's decision. Fractions are 0–1; `notional` in settlement currency. None: not said."""

    symbol: str
    action: DecisionAction
    confidence: Decimal | None = None
    risk_fraction: Decimal | None = None
    notional: Decimal | None = None
    leverage: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    reduce_fraction: Decimal | None = None
    invalidation_condition: str = ""
    justification: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one call, as the host counted them. Of `input_tokens`, `cached_tokens` were read from the host's
    cache and `written_tokens` put into it; `output_tokens` hold the thinking, too."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            written_tokens=self.written_tokens + other.written_tokens,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A rendered prompt: two texts, the template's identity, and the hash of every byte of it. `reply`: the form
    that the answer has to take."""

    system: str
    user: str
    template_name: str
    template_version: int
    template_hash: str
    content_hash: str
    estimated_tokens: int
    trimmed: tuple[str, ...] = ()
    reply: ReplyForm = ReplyForm.DECISION


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What a model answered. `cost` in US dollars, None when the price is unknown; `latency_ms` from the first
    try to the answer, waits included. `reasoning`: the thinking, where the host shows it. `parameters`: what was
    sent beside the prompt. `tries`: the requests before this one that failed, and why."""

    text: str
    model: str
    usage: Usage = field(default_factory=Usage)
    stop_reason: str = "stop"
    cost: Decimal | None = ZERO
    latency_ms: int = 0
    reasoning: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    tries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A trader's answer. `items` has at most one item per symbol; `void` names symbols whose items
    contradicted each other. `prompts` and `completions` are the evidence (empty for baselines)."""

    trader: str
    outcome: DecisionOutcome = DecisionOutcome.DECIDED
    summary: str = ""
    items: tuple[DecisionItem, ...] = ()
    void: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    reason: str = ""
    prompts: tuple[Prompt, ...] = ()
    completions: tuple[Completion, ...] = ()
    facts: Mapping[str, object] | None = None

    @property
    def cost(self) -> Decimal | None:
        """Σ cost of the calls, None when any is unknown."""
        total = ZERO
        for completion in self.completions:
            if completion.cost is None:
                return None
            total += completion.cost
        return total


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionView:
    """An open position as the trader sees it. Prices in quote currency, money in settlement currency."""

    symbol: str
    side: PositionSide
    quantity: Decimal
    entry_price: Decimal
    mark_price: Decimal
    liquidation_price: Decimal | None
    unrealized_pnl: Decimal
    leverage: Decimal
    margin: Decimal
    stop_loss: Decimal | None
    take_profit: Decimal | None
    opened_at: datetime
    invalidation_condition: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedTradeView:
    """A finished round trip, newest last."""

    symbol: str
    side: PositionSide
    opened_at: datetime
    closed_at: datetime
    entry_price: Decimal
    exit_price: Decimal
    net_pnl: Decimal
    exit_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DenialView:
    """Something the limits refused lately, with its code and numbers."""

    at: datetime
    symbol: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """The account as the trader sees it, in settlement currency; fractions 0–1."""

    currency: str
    opening_equity: Decimal
    cash: Decimal
    available: Decimal
    equity: Decimal
    total_return_fraction: Decimal
    fees_paid: Decimal
    funding: Decimal
    llm_cost: Decimal
    sharpe_ratio: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class DecisionView:
    """Everything one decision may rest on.

    `limits` are (plain sentence, value) pairs as the veto states them. `emergency` is the reason that
    allows close-or-keep decisions only, or None. `owner_words` can change no limit. `closed_trades` are the
    latest of all instruments, `last_trades` the last one of each: rules need to know theirs.
    """

    market: MarketSnapshot
    account: AccountView
    positions: tuple[PositionView, ...] = ()
    closed_trades: tuple[ClosedTradeView, ...] = ()
    last_trades: tuple[ClosedTradeView, ...] = ()
    denials: tuple[DenialView, ...] = ()
    limits: tuple[tuple[str, str], ...] = ()
    started_at: datetime
    invocation: int = 1
    owner_words: str = ""
    emergency: str | None = None

    def position(self, symbol: str) -> PositionView | None:
        return next((position for position in self.positions if position.symbol == symbol), None)

    def last_trade(self, symbol: str) -> ClosedTradeView | None:
        """The last finished round trip of a symbol, however long ago."""
        return next((trade for trade in self.last_trades if trade.symbol == symbol), None)
