"""Every limit once: its unit, what it does, and the code it speaks with. `docs/risk-rules.md` is made of this.

Nothing here decides. A test walks the columns: one without a row here, or whose row names another code than the
rule speaks with, fails the build; so does a code that no row names.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from risk.domain import Code, Limits
from risk.profiles import PROFILES, SENTENCES
from risk.rules.entry import ALT, GROUPS


class Effect(StrEnum):
    """What a limit does to a wish, or to the bot."""

    DENIES = "denies"
    CLAMPS = "clamps, or denies where no room is left"
    REDUCES = "opens nothing more"
    HALTS = "closes everything and halts"
    TIMES = "sets how long"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A limit in the catalogue. `example`: what a denial or clamp of it looks like."""

    unit: str
    effect: Effect
    code: Code
    example: str


def _rule(unit: str, effect: Effect, code: Code, example: str = "") -> Rule:
    return Rule(unit=unit, effect=effect, code=code, example=f"{code} {example}".strip())


_YES_NO, _SHARE, _TIMES, _BPS = "yes or no", "share of equity", "× equity", "bps"
_REDUCING: Final = "state=REDUCING"
RULES: Final[Mapping[str, Rule]] = {
    "allowed_symbols": _rule("symbols", Effect.DENIES, Code.INSTRUMENT_NOT_ALLOWED),
    "allow_shorts": _rule(
        _YES_NO, Effect.DENIES, Code.SIDE_NOT_ALLOWED, "side=SHORT reason=shorts are off"
    ),
    "allow_adding": _rule(_YES_NO, Effect.DENIES, Code.ADD_NOT_ALLOWED, "held=3"),
    "allow_flips": _rule(_YES_NO, Effect.DENIES, Code.FLIP, "held=3"),
    "stop_required": _rule(_YES_NO, Effect.DENIES, Code.STOP_REQUIRED),
    "stop_may_widen": _rule(_YES_NO, Effect.DENIES, Code.STOP_WIDENED, "stop=89 resting=90"),
    "stop_to_liquidation_fraction": _rule(
        "share of the way",
        Effect.DENIES,
        Code.STOP_PAST_LIQUIDATION,
        "stop=95 liquidation=90.36 allowed_fraction=0.5",
    ),
    "min_reward_risk": _rule(
        "ratio", Effect.DENIES, Code.REWARD_RISK, "ratio=0.1 reward=100 risk=1000 needed=2"
    ),
    "min_confidence": _rule("0 to 1", Effect.DENIES, Code.MIN_CONFIDENCE, "stated=0.5 needed=0.6"),
    "risk_per_trade_fraction": _rule(
        _SHARE, Effect.CLAMPS, Code.RISK_PER_TRADE, "wanted=500 allowed=100"
    ),
    "max_leverage": _rule("×", Effect.CLAMPS, Code.MAX_LEVERAGE, "wanted=25 allowed=10"),
    "max_position_notional_fraction": _rule(
        _SHARE, Effect.CLAMPS, Code.POSITION_NOTIONAL, "wanted=100 allowed=50"
    ),
    "max_price_age_seconds": _rule(
        "s", Effect.DENIES, Code.STALE, "age=0:00:11 allowed_seconds=10"
    ),
    "max_price_drift_bps": _rule(
        _BPS, Effect.DENIES, Code.PRICE_MOVED, "seen=99 mark=100 allowed_bps=50"
    ),
    "max_spread_bps": _rule(_BPS, Effect.DENIES, Code.SPREAD, "bid=99.9 ask=100.1 allowed_bps=10"),
    "max_slippage_bps": _rule(
        _BPS, Effect.DENIES, Code.SLIPPAGE, "expected=101 best=100 allowed_bps=10"
    ),
    "max_open_positions": _rule(
        "positions", Effect.DENIES, Code.MAX_POSITIONS, "wanted=5 allowed=4"
    ),
    "max_gross_exposure": _rule(
        _TIMES, Effect.CLAMPS, Code.GROSS_EXPOSURE, "wanted=100 allowed=50"
    ),
    "max_net_exposure": _rule(_TIMES, Effect.CLAMPS, Code.NET_EXPOSURE, "wanted=100 allowed=50"),
    "max_correlated_exposure": _rule(
        _TIMES, Effect.CLAMPS, Code.CORRELATED_EXPOSURE, "wanted=100 allowed=50"
    ),
    "max_margin_used_fraction": _rule(
        _SHARE, Effect.CLAMPS, Code.MARGIN_USED, "wanted=100 allowed=50"
    ),
    "max_trades_per_day": _rule(
        "entries", Effect.DENIES, Code.TRADES_PER_DAY, "wanted=16 allowed=15"
    ),
    "max_opens_per_cycle": _rule(
        "entries", Effect.DENIES, Code.OPENS_PER_CYCLE, "wanted=3 allowed=2"
    ),
    "cooldown_after_stop": _rule(
        "time", Effect.DENIES, Code.COOLDOWN, "until=2026-01-01T12:30:00Z"
    ),
    "min_hold": _rule("time", Effect.DENIES, Code.MIN_HOLD, "until=2026-01-01T12:30:00Z"),
    "no_trade_windows": _rule(
        "owner's calendar", Effect.DENIES, Code.NO_TRADE_WINDOW, "window=sat,sun"
    ),
    "no_trade_around_funding": _rule("time", Effect.DENIES, Code.NO_TRADE_WINDOW, "window=funding"),
    "max_daily_loss_fraction": _rule(
        "share of the day's start", Effect.REDUCES, Code.DAILY_LOSS, _REDUCING
    ),
    "soft_drawdown_fraction": _rule(
        "share of the peak", Effect.REDUCES, Code.SOFT_DRAWDOWN, _REDUCING
    ),
    "hard_drawdown_fraction": _rule(
        "share of the peak", Effect.HALTS, Code.HARD_DRAWDOWN, "state=HALTED"
    ),
    "max_loss_streak": _rule("trades", Effect.REDUCES, Code.LOSS_STREAK, _REDUCING),
    "max_stale_beats": _rule("checks", Effect.REDUCES, Code.STALE_DATA, _REDUCING),
    "max_model_failures": _rule("decisions", Effect.REDUCES, Code.MODEL_FAILURES, _REDUCING),
    "max_llm_cost_per_day": _rule("US dollars", Effect.REDUCES, Code.LLM_BUDGET, _REDUCING),
    "max_funding_cost_fraction": _rule(
        "share of the day's start", Effect.REDUCES, Code.FUNDING_COST, _REDUCING
    ),
    "breaker_cooldown": _rule("time", Effect.TIMES, Code.LOSS_STREAK, _REDUCING),
    "emergency_interval": _rule("time", Effect.TIMES, Code.SOFT_DRAWDOWN, _REDUCING),
}
"""Every limit of a risk profile, in the order of its columns."""

ACCOUNT_RULES: Final[Mapping[str, tuple[str, Rule]]] = {
    "max_exposure_per_asset": (
        "Notional in one base asset over all bots, longs and shorts added, at most",
        _rule(
            "settlement currency",
            Effect.DENIES,
            Code.ACCOUNT_ASSET_EXPOSURE,
            "wanted=6000 allowed=5000 asset=BTC",
        ),
    ),
    "max_gross_exposure": (
        "Notional of all positions of all bots, at most",
        _rule(
            "settlement currency",
            Effect.DENIES,
            Code.ACCOUNT_GROSS_EXPOSURE,
            "wanted=6000 allowed=5000 asset=BTC",
        ),
    ),
    "max_margin_used": (
        "Margin of all positions of all bots, at most",
        _rule(
            "settlement currency",
            Effect.DENIES,
            Code.ACCOUNT_MARGIN_USED,
            "wanted=600 allowed=500 asset=BTC",
        ),
    ),
    "max_daily_loss": (
        "Loss of all bots in a day after which nothing is opened until the next",
        _rule(
            "settlement currency", Effect.DENIES, Code.ACCOUNT_DAILY_LOSS, "lost=300 allowed=250"
        ),
    ),
}
"""Every limit over all bots of a user: what it says, and its row."""

RAW_RULES: Final[Mapping[str, tuple[str, Rule]]] = {
    "raw": (
        "Entries meet margin, the venue's filters and reduce-only alone; for replay and paper, never with real money",
        _rule(_YES_NO, Effect.CLAMPS, Code.AVAILABLE_MARGIN, "wanted=12000 allowed=10000"),
    ),
    "size": (
        "Every entry of a raw profile is this multiple of equity, at market",
        _rule(_TIMES, Effect.CLAMPS, Code.AVAILABLE_MARGIN, "wanted=12000 allowed=10000"),
    ),
}
"""The two columns that only a raw profile sets: what each says, and its row."""

ALWAYS: Final[Mapping[Code, tuple[str, str]]] = {
    Code.INVALID: (
        "Every number is finite, above zero where it must be, and can be reckoned with",
        "stop_price=NaN",
    ),
    Code.NO_EQUITY: ("Nothing is opened without equity above zero", "equity=0"),
    Code.BOT_NOT_ACTIVE: (
        "Only an active bot opens; while a breaker holds, its code stands here",
        _REDUCING,
    ),
    Code.VENUE_UNKNOWN: (
        "Nothing is opened while the venue's own state can't be read",
        _REDUCING,
    ),
    Code.INSTRUMENT_UNUSABLE: (
        "An instrument is known, trading, not about to be delisted, and seen with sound data",
        "reason=status REDUCE_ONLY",
    ),
    Code.ORDER_UNRESOLVED: (
        "No entry beside an earlier one on its instrument whose fate is unknown",
        "quantity=3",
    ),
    Code.STOP_WRONG_SIDE: (
        "A stop is on the losing side of the mark price and of the expected fill",
        "stop=101 mark=100",
    ),
    Code.TARGET_WRONG_SIDE: (
        "A target is on the winning side of both",
        "target=99 mark=100",
    ),
    Code.NO_TARGET: ("Where reward to risk is asked for, an entry names a target", "needed=2"),
    Code.NO_SIZE: ("A size is stated: a risk with a stop, or a notional", "quantity=0"),
    Code.MIN_SIZE: (
        "What rounding and clamps leave is at least the venue's minimum",
        "wanted=0.04 allowed=0.04 min_quantity=0.01 min_notional=5",
    ),
    Code.MAX_QUANTITY: ("An order is at most what the venue takes; clamped", "wanted=10 allowed=5"),
    Code.AVAILABLE_MARGIN: (
        "Margin and fee come from cash that nothing else holds; clamped",
        "wanted=2000 allowed=1000",
    ),
    Code.NOTHING_HELD: (
        "Only what is held can be closed, reduced or given another stop",
        "side=LONG held=0",
    ),
    Code.REDUCE_ONLY: ("A close closes at most what is held; clamped", "wanted=5 allowed=3"),
}
"""What no profile can switch off: what it says, and what its denial or clamp looks like."""

_PRESETS: Final = ("conservative", "balanced", "aggressive")
_HEAD: Final = """\
# Risk rules

Every limit of a risk profile and of an account. This page is made of the rules themselves (`python -m
risk.catalogue`); a test fails when it differs. Each limit has a code path that blocks, and a test that shows it
passing what it should while it is off and blocking while it is on.

Closes and reduces pass every limit on opening; only a model's own close may have to wait for `min_hold`. A limit on
size clamps, every other one denies; a denied item never voids its neighbours. Drawdowns, losses and streaks are folds
of the ledger, so a restart changes nothing.
"""


_TAIL: Final = """\
## How they are measured

- Prices: mark for stops, targets, liquidation and exposure; for the entry itself the expected fill, which is its
  reference price and never better than the best price on its side of the book.
- A position, an entry that rests or is under way, and what this reply was already allowed count alike; what it closes
  counts no more. Dust on spot counts as flat. Equity includes unrealized PnL.
- Costs of a way out: the taker fee of the entry and of the exit. Reward to risk: (target − entry − costs) ÷ (entry −
  stop + costs), mirrored for a short.
- Risk of a trade: contracts held and wanted × (|entry − stop| + costs + the slippage allowed). Without a stop it is the
  margin and both fees.
- Leverage is at most the least of profile, instrument and the margin tier of the whole position at the dearer of fill
  and mark. What is held keeps its leverage.
- Gross: Σ|notional| ÷ equity. Net: |Σ signed notional| ÷ equity. Correlated: the same over one group. Margin used:
  initial margin ÷ equity. Cash must cover margin and taker fee at the dearest fill that the slippage allows.
- A stop uses |entry − stop| of the way |entry − liquidation|, both of the whole position at its mean entry; the venue's
  own liquidation price counts where it is nearer than our estimate.
- Price drift: |mark − mark shown| ÷ mark shown. Spread: (ask − bid) ÷ their middle. Slippage: expected fill against the
  best price on its own side.
- Days begin at the owner's midnight. A loss of a day is from its first NAV, a drawdown from its peak, funding from the
  day's opening NAV. A breaker trips at its limit; the hard drawdown on the second plausible beat in a row.
- Groups: {groups}; any other asset is {alt}.

## Windows

`no_trade_windows` is a list of texts, in the owner's time zone: `sat,sun`; `mon-fri 22:00-02:00`, which belongs to the
day on which it begins; `daily 08:25-08:35`; `2026-12-16 13:00/2026-12-16 15:00` for an event. The wall clock counts,
also when the clocks change. Closes, stops and targets go on in all of them."""


def rules_page() -> str:
    """The page, as it stands in docs/risk-rules.md."""
    parts = (*_profile_part(), "", *_raw_part(), "", *_account_part(), "", *_always_part())
    tail = _TAIL.replace("{groups}", _groups()).replace("{alt}", ALT)
    return "\n".join((*parts, "", tail)) + "\n"


def _groups() -> str:
    members: dict[str, list[str]] = {}
    for base, group in GROUPS.items():
        members.setdefault(group, []).append(base)
    return "; ".join(f"{group} ({', '.join(bases)})" for group, bases in members.items())


def _profile_part() -> Iterator[str]:
    yield _HEAD
    yield "## Of a risk profile"
    yield ""
    yield f"| limit | what it says | unit | {' | '.join(_PRESETS)} | what it does | code, and an example |"
    yield "|---" * (6 + len(_PRESETS) - 1) + "|---|"
    for name, rule in RULES.items():
        sentence, _ = SENTENCES[name]
        values = " | ".join(_value(PROFILES[preset], name) for preset in _PRESETS)
        yield (
            f"| `{name}` | {sentence} | {rule.unit} | {values} | {rule.effect} | `{rule.example}` |"
        )


def _raw_part() -> Iterator[str]:
    yield "## Of a raw profile"
    yield ""
    yield "| column | what it says | unit | raw | what it does | code, and an example |"
    yield "|---|---|---|---|---|---|"
    for name, (sentence, rule) in RAW_RULES.items():
        value = "yes" if name == "raw" else _value(PROFILES["raw"], name)
        yield f"| `{name}` | {sentence} | {rule.unit} | {value} | {rule.effect} | `{rule.example}` |"


def _always_part() -> Iterator[str]:
    yield "## Always"
    yield ""
    yield "No profile switches these off."
    yield ""
    yield "| what it says | code, and an example |"
    yield "|---|---|"
    for code, (sentence, example) in ALWAYS.items():
        yield f"| {sentence} | `{code} {example}` |"


def _account_part() -> Iterator[str]:
    yield "## Over all bots of a user"
    yield ""
    yield "Checked again under a lock when an opening order is claimed, so that of five bots which decide at one"
    yield "instant each sees the ones before it. Off until somebody sets them. A day that lost what it may is stopped"
    yield "by the next mark until it is over, whatever prices do then. The operator's own row binds the bots of all"
    yield "users together, and denies with `OPERATOR_LIMIT` and no figures."
    yield ""
    yield "| limit | what it says | unit | what it does | code, and an example |"
    yield "|---|---|---|---|---|"
    for name, (sentence, rule) in ACCOUNT_RULES.items():
        yield f"| `{name}` | {sentence} | {rule.unit} | {rule.effect} | `{rule.example}` |"


def _value(limits: Limits, name: str) -> str:
    value = getattr(limits, name)
    if value in (None, timedelta(0), ()):
        return "off"
    shown: str = SENTENCES[name][1](value)
    return shown


if __name__ == "__main__":
    print(rules_page(), end="")
