"""What the veto reads and what it says.

It never learns whether a model, a person or a stop wanted an order, save where minimum hold must tell a
trader's own close from the others. Limits are checked when they are made: a profile that contradicts
itself can't exist, so no rule has to guess what it meant.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from market.domain.account import Account
from market.domain.data import Quote
from market.domain.enums import OrderPurpose, PositionSide
from market.domain.instruments import Instrument
from market.domain.numbers import ONE, ZERO, plain
from risk.windows import UnreadableWindow, read_window


class TradingState(StrEnum):
    """ACTIVE may open; REDUCING may only close; HALTED is flat or getting flat until a person resumes."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


class Requester(StrEnum):
    """Who wants an order, as far as a tempo rule may care: minimum hold binds a model's close only."""

    TRADER = "TRADER"
    PERSON = "PERSON"
    PROTECTION = "PROTECTION"


class Code(StrEnum):
    """Why something was denied, clamped, or why the trading state changed. Never translated, never hidden."""

    # per order
    INVALID = "INVALID"
    NO_EQUITY = "NO_EQUITY"
    INSTRUMENT_NOT_ALLOWED = "INSTRUMENT_NOT_ALLOWED"
    INSTRUMENT_UNUSABLE = "INSTRUMENT_UNUSABLE"
    SIDE_NOT_ALLOWED = "SIDE_NOT_ALLOWED"
    STOP_REQUIRED = "STOP_REQUIRED"
    STOP_WRONG_SIDE = "STOP_WRONG_SIDE"
    STOP_WIDENED = "STOP_WIDENED"
    STOP_PAST_LIQUIDATION = "STOP_PAST_LIQUIDATION"
    TARGET_WRONG_SIDE = "TARGET_WRONG_SIDE"
    NO_TARGET = "NO_TARGET"
    REWARD_RISK = "REWARD_RISK"
    MIN_CONFIDENCE = "MIN_CONFIDENCE"
    RISK_PER_TRADE = "RISK_PER_TRADE"
    MAX_LEVERAGE = "MAX_LEVERAGE"
    POSITION_NOTIONAL = "POSITION_NOTIONAL"
    MIN_SIZE = "MIN_SIZE"
    MAX_QUANTITY = "MAX_QUANTITY"
    STALE = "STALE"
    PRICE_MOVED = "PRICE_MOVED"
    SPREAD = "SPREAD"
    SLIPPAGE = "SLIPPAGE"
    ADD_NOT_ALLOWED = "ADD_NOT_ALLOWED"
    FLIP = "FLIP"
    NO_SIZE = "NO_SIZE"
    ORDER_UNRESOLVED = "ORDER_UNRESOLVED"
    AVAILABLE_MARGIN = "AVAILABLE_MARGIN"
    NOTHING_HELD = "NOTHING_HELD"
    REDUCE_ONLY = "REDUCE_ONLY"
    # portfolio
    MAX_POSITIONS = "MAX_POSITIONS"
    GROSS_EXPOSURE = "GROSS_EXPOSURE"
    NET_EXPOSURE = "NET_EXPOSURE"
    CORRELATED_EXPOSURE = "CORRELATED_EXPOSURE"
    MARGIN_USED = "MARGIN_USED"
    # tempo
    TRADES_PER_DAY = "TRADES_PER_DAY"
    OPENS_PER_CYCLE = "OPENS_PER_CYCLE"
    COOLDOWN = "COOLDOWN"
    NO_TRADE_WINDOW = "NO_TRADE_WINDOW"
    MIN_HOLD = "MIN_HOLD"
    # state and breakers
    BOT_NOT_ACTIVE = "BOT_NOT_ACTIVE"
    VENUE_UNKNOWN = "VENUE_UNKNOWN"
    DAILY_LOSS = "DAILY_LOSS"
    SOFT_DRAWDOWN = "SOFT_DRAWDOWN"
    HARD_DRAWDOWN = "HARD_DRAWDOWN"
    LOSS_STREAK = "LOSS_STREAK"
    STALE_DATA = "STALE_DATA"
    MODEL_FAILURES = "MODEL_FAILURES"
    LLM_BUDGET = "LLM_BUDGET"
    FUNDING_COST = "FUNDING_COST"
    # over all bots of a user
    ACCOUNT_ASSET_EXPOSURE = "ACCOUNT_ASSET_EXPOSURE"
    ACCOUNT_GROSS_EXPOSURE = "ACCOUNT_GROSS_EXPOSURE"
    ACCOUNT_MARGIN_USED = "ACCOUNT_MARGIN_USED"
    ACCOUNT_DAILY_LOSS = "ACCOUNT_DAILY_LOSS"
    # over all bots of all users
    OPERATOR_LIMIT = "OPERATOR_LIMIT"


class InvalidLimits(ValueError):
    """A limit that makes no sense, named, with the value that was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """A risk profile's limits. None switches a limit off. Fractions are of equity unless named otherwise.

    `raw` judges no entry and sizes each as `size` × equity at market: replay and paper only.
    `max_llm_cost_per_day` is money; `max_funding_cost_fraction` is of the day's opening NAV, per day.
    Raises InvalidLimits when a value is out of its range or two contradict each other.
    """

    name: str
    version: int = 1
    raw: bool = False
    allowed_symbols: frozenset[str] | None = None
    allow_shorts: bool = True
    allow_adding: bool = False
    allow_flips: bool = False
    stop_required: bool = True
    stop_may_widen: bool = False
    stop_to_liquidation_fraction: Decimal | None = None
    min_reward_risk: Decimal | None = None
    min_confidence: Decimal | None = None
    risk_per_trade_fraction: Decimal | None = None
    max_leverage: Decimal | None = None
    max_position_notional_fraction: Decimal | None = None
    max_price_age_seconds: int | None = None
    max_price_drift_bps: Decimal | None = None
    max_spread_bps: Decimal | None = None
    max_slippage_bps: Decimal | None = None
    max_open_positions: int | None = None
    max_gross_exposure: Decimal | None = None
    max_net_exposure: Decimal | None = None
    max_correlated_exposure: Decimal | None = None
    max_margin_used_fraction: Decimal | None = None
    max_trades_per_day: int | None = None
    max_opens_per_cycle: int | None = None
    cooldown_after_stop: timedelta = timedelta(0)
    min_hold: timedelta = timedelta(0)
    no_trade_windows: tuple[str, ...] = ()
    no_trade_around_funding: timedelta = timedelta(0)
    max_daily_loss_fraction: Decimal | None = None
    soft_drawdown_fraction: Decimal | None = None
    hard_drawdown_fraction: Decimal | None = None
    max_loss_streak: int | None = None
    max_stale_beats: int | None = None
    max_model_failures: int | None = None
    max_llm_cost_per_day: Decimal | None = None
    max_funding_cost_fraction: Decimal | None = None
    breaker_cooldown: timedelta = timedelta(hours=1)
    emergency_interval: timedelta = timedelta(minutes=15)
    size: Decimal = ONE

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if value is not None and not (Decimal(value).is_finite() and low <= value <= high):
                raise InvalidLimits(f"{name} is {value}; it must be from {low} to {high}")
        soft, hard = self.soft_drawdown_fraction, self.hard_drawdown_fraction
        if soft is not None and hard is not None and soft > hard:
            raise InvalidLimits(
                f"soft_drawdown_fraction {soft} is above hard_drawdown_fraction {hard}"
            )
        for name in _DURATIONS:
            if getattr(self, name) < timedelta(0):
                raise InvalidLimits(f"{name} is below zero")
        for window in self.no_trade_windows:
            try:
                read_window(window)
            except UnreadableWindow as error:
                raise InvalidLimits(f"no_trade_windows: {error}") from None
        for name in NOT_RAW:
            value = getattr(self, name)
            off = value is None or value is False or value in (timedelta(0), ())
            if self.raw and not off:
                raise InvalidLimits(f"profile raw has no {name}: no code would read it")
        if self.size != ONE and not self.raw:
            raise InvalidLimits("size belongs to profile raw: entries of others bring their own")


_TINY, _MANY = Decimal("1E-9"), Decimal(1_000_000_000)
RANGES: Final[Mapping[str, tuple[Decimal, Decimal]]] = {
    **dict.fromkeys(
        (
            "stop_to_liquidation_fraction", "risk_per_trade_fraction", "max_margin_used_fraction",
            "max_daily_loss_fraction", "soft_drawdown_fraction", "hard_drawdown_fraction",
        ),
        (_TINY, ONE),
    ),
    **dict.fromkeys(("max_loss_streak", "max_stale_beats", "max_model_failures", "max_leverage"), (ONE, _MANY)),
    **dict.fromkeys(
        (
            "min_reward_risk", "max_position_notional_fraction", "max_price_age_seconds",
            "max_price_drift_bps", "max_spread_bps", "max_slippage_bps", "max_open_positions",
            "max_gross_exposure", "max_net_exposure", "max_correlated_exposure", "max_trades_per_day",
            "max_opens_per_cycle", "max_llm_cost_per_day", "max_funding_cost_fraction",
        ),
        (ZERO, _MANY),
    ),
    "min_confidence": (ZERO, ONE),
    "size": (_TINY, _MANY),
}  # fmt: skip
NOT_RAW: Final = (
    "stop_required", "stop_to_liquidation_fraction", "min_reward_risk", "min_confidence",
    "risk_per_trade_fraction", "max_leverage", "max_position_notional_fraction", "max_price_drift_bps",
    "max_spread_bps", "max_slippage_bps", "max_open_positions", "max_gross_exposure", "max_net_exposure",
    "max_correlated_exposure", "max_margin_used_fraction", "max_trades_per_day", "max_opens_per_cycle",
    "cooldown_after_stop", "no_trade_windows", "no_trade_around_funding",
)  # fmt: skip
_DURATIONS: Final = (
    "cooldown_after_stop", "min_hold", "no_trade_around_funding", "breaker_cooldown", "emergency_interval",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderIntent:
    """An order somebody wants, with what it must be judged by.

    `quantity` > 0 in contracts, already rounded; `quote_quantity` instead when sized in money (profile
    raw; `quantity` is 0 then). `side` is that of the position which is opened, or which is closed.
    `reference_price` is the expected fill on our side of the book. `stop_price`/`target_price` are
    those that will rest from the fill on; for ADJUST-like changes see `ProtectionIntent`.
    """

    symbol: str
    purpose: OrderPurpose
    side: PositionSide
    quantity: Decimal
    quote_quantity: Decimal | None = None
    leverage: Decimal = ONE
    reference_price: Decimal
    stop_price: Decimal | None = None
    target_price: Decimal | None = None
    confidence: Decimal | None = None
    requester: Requester = Requester.TRADER


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionIntent:
    """A wish to move the stop or target of an open position. None leaves the old one resting."""

    symbol: str
    stop_price: Decimal | None = None
    target_price: Decimal | None = None
    requester: Requester = Requester.TRADER


Intent = OrderIntent | ProtectionIntent


@dataclass(frozen=True, slots=True, kw_only=True)
class Clamp:
    """A wish held to a limit: the number before and after."""

    code: Code
    before: Decimal
    after: Decimal

    def __str__(self) -> str:
        return f"{self.code} wanted={plain(self.before)} allowed={plain(self.after)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """A wish refused, with the numbers that show why."""

    symbol: str
    code: Code
    context: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join(
            [str(self.code), *(f"{key}={value}" for key, value in self.context.items())]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What became of one intent: `approved` is what may be sent (None: denied, see `denial`).

    A change of protection may be approved in part: the stop or the target that was refused is taken
    out of `approved`, what rests stays, and `refused_parts` says why. With both refused, `denial` is
    the stop's and `refused_parts` the target's.
    """

    intent: Intent
    approved: Intent | None
    clamps: tuple[Clamp, ...] = ()
    denial: Denial | None = None
    refused_parts: tuple[Denial, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All rulings, closes first, in the order in which they must be sent.

    Entries are judged as if the closes and reduces before them had filled. So one may leave only when
    they have: after a close that did not fill, the entries behind it belong to the next cycle.
    """

    rulings: tuple[Ruling, ...] = ()

    @property
    def denials(self) -> tuple[Denial, ...]:
        """Every refusal, of whole intents and of parts, in the order of the rulings."""
        return tuple(
            denial
            for ruling in self.rulings
            for denial in (ruling.denial, *ruling.refused_parts)
            if denial is not None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RestingEntry:
    """An entry of ours that may still fill: it counts as exposure and as a position.

    `price` is its limit; 0 when it goes at market, which is then valued at mark.
    """

    symbol: str
    side: PositionSide
    quantity: Decimal
    price: Decimal
    leverage: Decimal
    is_unresolved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldProtection:
    """What rests for an open position now, and when it was opened."""

    stop_price: Decimal | None = None
    target_price: Decimal | None = None
    opened_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tempo:
    """Counts of the owner's local day and this cycle, folded from the ledger.

    `entries_today` counts entry orders, those that may still fill included; `stopped_at` is when a stop
    or a liquidation last closed each symbol.
    """

    entries_today: int = 0
    opens_this_cycle: int = 0
    stopped_at: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RiskContext:
    """The state that intents are judged in. `quotes` are fresh; `prompt_marks` are the mark prices that
    the trader saw. `unusable` maps symbols to the reason why they must not be opened.
    `atr` maps symbols to their current ATR(14), `next_funding` to when funding is next paid, where known.
    `time_zone` is the owner's."""

    now: datetime
    state: TradingState
    account: Account
    equity: Decimal
    quotes: Mapping[str, Quote]
    prompt_marks: Mapping[str, Decimal]
    instruments: Mapping[str, Instrument]
    resting_entries: tuple[RestingEntry, ...] = ()
    protection: Mapping[str, HeldProtection] = field(default_factory=dict)
    unusable: Mapping[str, str] = field(default_factory=dict)
    tempo: Tempo = field(default_factory=Tempo)
    groups: Mapping[str, str] = field(default_factory=dict)
    atr: Mapping[str, Decimal] = field(default_factory=dict)
    state_reason: Code | None = None
    next_funding: Mapping[str, datetime] = field(default_factory=dict)
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerState:
    """What the breakers remember between beats: a fold of the ledger, never kept in memory alone.

    NAV per unit: equity when no money moves in or out. `hard_breach_beats` counts plausible beats past
    the hard drawdown in a row, and `hard_breach_at` is when the prices of the last one were told: one tick
    never flattens, however often it is looked at. `reducing_since` is when ACTIVE was last left,
    `cooling_since` when a breaker that clears by cooldown last tripped, `flat_since` when the book was
    last seen to become flat. Costs belong to `counted_day`; `funding_today` > 0 is received.

    Two peaks, because the soft drawdown starts over after its cooldown and the hard one must not: a book
    that loses a little, rests, and loses again would never meet it. Only a person's `resume` re-bases
    `peak_nav`; `soft_peak_nav` is re-based by the cooldown as well.
    """

    state: TradingState = TradingState.ACTIVE
    reasons: frozenset[Code] = frozenset()
    peak_nav: Decimal = ZERO
    soft_peak_nav: Decimal = ZERO
    day: str = ""
    day_open_nav: Decimal = ZERO
    last_nav: Decimal = ZERO
    loss_streak: int = 0
    stale_beats: int = 0
    model_failures: int = 0
    llm_cost_today: Decimal = ZERO
    funding_today: Decimal = ZERO
    hard_breach_beats: int = 0
    hard_breach_at: datetime | None = None
    reducing_since: datetime | None = None
    flat_since: datetime | None = None
    emergency_asked_at: datetime | None = None
    cooling_since: datetime | None = None
    counted_day: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerInput:
    """One beat: NAV now, whether the book is flat, and whether its prices can be trusted.

    An implausible NAV (`is_plausible` False) is not looked at: it neither trips, clears nor re-bases.
    `is_stale` counts towards STALE_DATA only. `quoted_at`: when the newest price that NAV rests on was told;
    None where it rests on none, or nobody knows. `may_ask` is False on a beat that asks no trader, so that
    close-or-keep stays due for one that does.
    """

    now: datetime
    local_day: str
    nav: Decimal
    is_flat: bool
    is_plausible: bool = True
    is_stale: bool = False
    quoted_at: datetime | None = None
    may_ask: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerResult:
    """The new state; `tripped` and `cleared` for events; `flatten` when everything must be closed now;
    `ask_emergency` when the close-or-keep prompt is due, with its reason."""

    state: BreakerState
    tripped: tuple[Code, ...] = ()
    cleared: tuple[Code, ...] = ()
    flatten: bool = False
    ask_emergency: Code | None = None
