"""Every limit blocks something, and a test here shows it; profiles hold the values they promise."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

import pytest

from risk import breakers
from risk.domain import (
    BreakerInput,
    BreakerState,
    Code,
    HeldProtection,
    InvalidLimits,
    Limits,
    RiskContext,
    Tempo,
)
from risk.engine import review
from risk.profiles import PROFILES, SENTENCES, UnknownProfile, describe, profile
from risk.sizing import EntryWish, size_entry
from tests.risk.build import (
    BTC,
    ETH,
    LONG,
    NOW,
    SHORT,
    D,
    context,
    entry,
    leave,
    move,
    open_limits,
    position,
    quote,
)

FLAT = context()
HELD = context([position(3)], protection={BTC: HeldProtection(stop_price=D(90), opened_at=NOW)},
               atr={BTC: D(1)})  # fmt: skip


@dataclass(frozen=True)
class Says:
    """What an intent meets under given limits."""

    intent: Any
    where: RiskContext

    def texts(self, limits: Limits) -> dict[Code, str]:
        """Denials and clamps as they are written, by their code."""
        verdict = review([self.intent], self.where, limits)
        clamps = {clamp.code: str(clamp) for ruling in verdict.rulings for clamp in ruling.clamps}
        return clamps | {denial.code: str(denial) for denial in verdict.denials}

    def __call__(self, limits: Limits) -> set[Code]:
        return set(self.texts(limits))


def says(intent, where: RiskContext = FLAT) -> Says:
    return Says(intent, where)


def trips(**state) -> Callable[[Limits], set[Code]]:
    """The breakers that trip within two beats at NAV 90, after a peak and day's open of 100."""
    given = BreakerInput(now=NOW, local_day="d", nav=D(90), is_flat=False, is_stale=True)
    start = BreakerState(day="d", counted_day="d", day_open_nav=D(100), peak_nav=D(100), soft_peak_nav=D(100),
                         last_nav=D(100), **state)  # fmt: skip

    def probe(limits: Limits) -> set[Code]:
        first = breakers.beat(start, given, limits)
        return {*first.tripped, *breakers.beat(first.state, given, limits).tripped}

    return probe


def opened_against(limits: Limits) -> set[Code]:
    """Denials of an entry against a position; where flips are allowed it closes the position."""
    return {denial.code for denial in review([entry(SHORT)], HELD, limits).denials}


def waits(limits: Limits) -> set[Code]:
    """What still holds an hour after a loss streak tripped in a flat book."""
    flat = BreakerInput(now=NOW, local_day="d", nav=D(100), is_flat=True)
    later = BreakerInput(now=NOW + timedelta(hours=1), local_day="d", nav=D(100), is_flat=True)
    tripped = breakers.beat(BreakerState(loss_streak=9), flat, limits).state
    return set(breakers.beat(tripped, later, limits).state.reasons)


def asks(limits: Limits) -> set[Code | None]:
    """Whether close-or-keep is asked again ten minutes after the first time."""
    low = BreakerInput(now=NOW, local_day="d", nav=D(90), is_flat=False)
    later = BreakerInput(now=NOW + timedelta(minutes=10), local_day="d", nav=D(90), is_flat=False)
    start = BreakerState(
        day="d", day_open_nav=D(100), peak_nav=D(100), soft_peak_nav=D(100), last_nav=D(100)
    )
    first = breakers.beat(start, low, limits)
    assert first.ask_emergency is Code.SOFT_DRAWDOWN
    again = breakers.beat(first.state, later, limits).ask_emergency
    return {Code.SOFT_DRAWDOWN} if again is None else set()


STREAK = {"max_loss_streak": 3}
SOFT = {"soft_drawdown_fraction": D("0.1")}
BIG = entry(quantity="100", stop_price=D(95), target_price=D(104), confidence=D("0.5"))
OLD = context(quotes={BTC: quote(at=NOW - timedelta(seconds=11), bid=D("99.9"), ask=D("100.1"))},
              prompt_marks={BTC: D(99)}, tempo=Tempo(entries_today=3, opens_this_cycle=1,
              stopped_at={BTC: NOW}))  # fmt: skip

BLOCKS: dict[str, tuple[object, object, Callable[[Limits], set[Any]], Code]] = {
    "allowed_symbols": (None, frozenset({ETH}), says(BIG), Code.INSTRUMENT_NOT_ALLOWED),
    "allow_shorts": (True, False, says(entry(SHORT)), Code.SIDE_NOT_ALLOWED),
    "allow_adding": (True, False, says(entry(), HELD), Code.ADD_NOT_ALLOWED),
    "allow_flips": (True, False, opened_against, Code.FLIP),
    "stop_required": (False, True, says(entry()), Code.STOP_REQUIRED),
    "stop_may_widen": (True, False, says(move(stop_price=D(89)), context(
        [position(3, leverage=5)], protection=HELD.protection)), Code.STOP_WIDENED),
    "stop_to_liquidation_fraction": (None, D("0.5"), says(BIG), Code.STOP_PAST_LIQUIDATION),
    "min_reward_risk": (None, D(1), says(BIG), Code.REWARD_RISK),
    "min_confidence": (None, D("0.6"), says(BIG), Code.MIN_CONFIDENCE),
    "risk_per_trade_fraction": (None, D("0.01"), says(BIG), Code.RISK_PER_TRADE),
    "max_leverage": (None, D(5), says(BIG), Code.MAX_LEVERAGE),
    "max_position_notional_fraction": (None, D("0.5"), says(BIG), Code.POSITION_NOTIONAL),
    "max_price_age_seconds": (None, 10, says(BIG, OLD), Code.STALE),
    "max_price_drift_bps": (None, D(50), says(BIG, OLD), Code.PRICE_MOVED),
    "max_spread_bps": (None, D(10), says(BIG, OLD), Code.SPREAD),
    "max_slippage_bps": (None, D(10), says(entry(reference_price=D(101))), Code.SLIPPAGE),
    "max_open_positions": (None, 1, says(entry(symbol=ETH), HELD), Code.MAX_POSITIONS),
    "max_gross_exposure": (None, D("0.5"), says(BIG), Code.GROSS_EXPOSURE),
    "max_net_exposure": (None, D("0.5"), says(BIG), Code.NET_EXPOSURE),
    "max_correlated_exposure": (None, D("0.5"), says(BIG), Code.CORRELATED_EXPOSURE),
    "max_margin_used_fraction": (None, D("0.05"), says(BIG), Code.MARGIN_USED),
    "max_trades_per_day": (None, 3, says(BIG, OLD), Code.TRADES_PER_DAY),
    "max_opens_per_cycle": (None, 1, says(BIG, OLD), Code.OPENS_PER_CYCLE),
    "cooldown_after_stop": (timedelta(0), timedelta(minutes=1), says(BIG, OLD), Code.COOLDOWN),
    "min_hold": (timedelta(0), timedelta(minutes=1), says(leave("3"), HELD), Code.MIN_HOLD),
    "no_trade_windows": ((), ("sun",), says(BIG), Code.NO_TRADE_WINDOW),
    "no_trade_around_funding": (timedelta(0), timedelta(minutes=5), says(BIG, context(
        next_funding={BTC: NOW + timedelta(minutes=5)})), Code.NO_TRADE_WINDOW),
    "max_daily_loss_fraction": (None, D("0.1"), trips(), Code.DAILY_LOSS),
    "soft_drawdown_fraction": (None, D("0.1"), trips(), Code.SOFT_DRAWDOWN),
    "hard_drawdown_fraction": (None, D("0.1"), trips(), Code.HARD_DRAWDOWN),
    "max_loss_streak": (None, 3, trips(loss_streak=3), Code.LOSS_STREAK),
    "max_stale_beats": (None, 2, trips(), Code.STALE_DATA),
    "max_model_failures": (None, 3, trips(model_failures=3), Code.MODEL_FAILURES),
    "max_llm_cost_per_day": (None, D(2), trips(llm_cost_today=D(2)), Code.LLM_BUDGET),
    "max_funding_cost_fraction": (None, D("0.01"), trips(funding_today=D(-1)), Code.FUNDING_COST),
    "breaker_cooldown": (timedelta(hours=1), timedelta(hours=2), waits, Code.LOSS_STREAK),
    "emergency_interval": (timedelta(minutes=10), timedelta(minutes=11), asks, Code.SOFT_DRAWDOWN),
}  # fmt: skip
ALSO_NEEDED: dict[str, dict[str, Any]] = {"breaker_cooldown": STREAK, "emergency_interval": SOFT}
NOT_LIMITS = {"name", "version", "raw", "size"}


@pytest.mark.parametrize("name", BLOCKS)
def test_every_limit_blocks(name):
    off, on, probe, code = BLOCKS[name]
    others = ALSO_NEEDED.get(name, {})

    assert code not in probe(open_limits(**{**others, name: off}))
    assert code in probe(open_limits(**{**others, name: on}))


def test_every_field_of_limits_is_here_and_is_described():
    names = {field.name for field in fields(Limits)}

    assert set(BLOCKS) == names - NOT_LIMITS
    assert set(SENTENCES) == names - NOT_LIMITS | {"size"}


def test_size_sizes():
    wish = EntryWish(symbol=BTC, side=LONG)

    assert size_entry(wish, FLAT, profile("raw", size="0.5")).quote_quantity == 5_000


# --- Profiles --------------------------------------------------------------------------------------

PROMISED: dict[str, tuple[Any, ...]] = {
    "max_leverage": (3, 10, 20),
    "risk_per_trade_fraction": ("0.005", "0.01", "0.02"),
    "max_position_notional_fraction": ("0.25", "0.5", 1),
    "max_gross_exposure": (1, 2, 4),
    "max_net_exposure": ("0.75", "1.5", 3),
    "max_correlated_exposure": ("0.75", "1.25", "2.5"),
    "max_margin_used_fraction": ("0.3", "0.5", "0.7"),
    "max_open_positions": (2, 4, 6),
    "min_reward_risk": (2, "1.5", "1.2"),
    "min_confidence": ("0.65", "0.55", "0.5"),
    "stop_to_liquidation_fraction": ("0.7", "0.8", "0.9"),
    "max_price_drift_bps": (30, 50, 100),
    "max_slippage_bps": (15, 25, 50),
    "max_trades_per_day": (6, 15, 40),
    "max_opens_per_cycle": (1, 2, 3),
    "max_loss_streak": (3, 4, 6),
    "max_daily_loss_fraction": ("0.02", "0.04", "0.08"),
    "soft_drawdown_fraction": ("0.04", "0.08", "0.15"),
    "hard_drawdown_fraction": ("0.08", "0.15", "0.25"),
}


@pytest.mark.parametrize("column", range(3))
def test_presets_hold_the_values_of_the_design(column):
    limits = profile(("conservative", "balanced", "aggressive")[column])

    for name, row in PROMISED.items():
        assert getattr(limits, name) == D(row[column]), name
    assert limits.cooldown_after_stop == timedelta(minutes=(60, 30, 10)[column])
    assert limits.stop_required
    assert not (limits.allow_adding or limits.allow_flips or limits.min_hold or limits.raw)


def test_every_preset_sets_every_limit():
    optional = {"allowed_symbols"}
    for name in ("conservative", "balanced", "aggressive"):
        unset = {f.name for f in fields(Limits) if getattr(profile(name), f.name) is None}
        assert unset == optional


def test_raw_sets_none():
    raw = profile("raw")

    assert raw.raw
    assert all(getattr(raw, name) is None for name, row in BLOCKS.items() if row[0] is None)


def test_overrides():
    limits = profile("balanced", max_leverage="5", max_open_positions="1", min_confidence=None,
                     cooldown_after_stop=90, allowed_symbols=[BTC], allow_shorts=False,
                     min_hold=timedelta(minutes=3), name="mine", version=7)  # fmt: skip

    assert limits.max_leverage == D(5)
    assert limits.max_open_positions == 1
    assert limits.min_confidence is None
    assert limits.cooldown_after_stop == timedelta(seconds=90)
    assert limits.allowed_symbols == frozenset({BTC})
    assert limits.min_hold == timedelta(minutes=3)
    assert (limits.name, limits.version, limits.allow_shorts) == ("mine", 7, False)


def test_an_unknown_profile_is_named_with_those_there_are():
    with pytest.raises(UnknownProfile, match="'bold'; there are conservative, balanced"):
        profile("bold")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"max_levrage": 5}, "no limit is called 'max_levrage'"),
        ({"max_leverage": "ten"}, "max_leverage: 'ten' is not a number"),
        ({"max_leverage": "NaN"}, "not a finite number"),
        ({"max_leverage": "0.5"}, "max_leverage is 0.5; it must be from 1"),
        ({"risk_per_trade_fraction": "1.01"}, "risk_per_trade_fraction is 1.01"),
        ({"risk_per_trade_fraction": "0"}, "risk_per_trade_fraction is 0"),
        ({"min_confidence": "-0.1"}, "min_confidence is -0.1"),
        ({"max_open_positions": "2.5"}, "max_open_positions"),
        ({"max_open_positions": -1}, "max_open_positions is -1"),
        ({"allow_shorts": "no"}, "allow_shorts can't be 'no'"),
        ({"allow_shorts": None}, "allow_shorts can't be None"),
        ({"allowed_symbols": BTC}, "allowed_symbols can't be"),
        ({"min_hold": -1}, "min_hold is below zero"),
        ({"soft_drawdown_fraction": "0.2"}, "soft_drawdown_fraction 0.2 is above"),
        ({"size": "2"}, "size belongs to profile raw"),
        ({"raw": True}, "profile raw has no stop_required"),
    ],
)
def test_overrides_that_make_no_sense(overrides, message):
    with pytest.raises(InvalidLimits, match=message):
        profile("balanced", **overrides)


def test_raw_takes_no_limit_that_nobody_would_read():
    with pytest.raises(InvalidLimits, match="profile raw has no max_leverage"):
        profile("raw", max_leverage=3)
    with pytest.raises(InvalidLimits, match="profile raw has no max_open_positions"):
        profile("raw", max_open_positions=0)
    assert profile("raw", hard_drawdown_fraction="0.2").hard_drawdown_fraction == D("0.2")


def test_limits_themselves_refuse_what_is_no_number():
    with pytest.raises(InvalidLimits):
        Limits(name="x", max_leverage=D("NaN"))


# --- In words --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROFILES)
def test_limits_in_force_are_said_in_order(name):
    said = describe(profile(name))

    sentences = [sentence for sentence, _ in SENTENCES.values()]
    places = [sentences.index(sentence) for sentence, _ in said if sentence in sentences]
    assert places == sorted(places)
    assert all(sentence and value for sentence, value in said)
    assert len(dict(said)) == len(said)


def test_words():
    said = dict(describe(profile("balanced", allowed_symbols=[ETH, BTC], min_hold=90)))

    assert said["Leverage, at most"] == "10×"
    assert said["Equity lost if a stop is hit, costs included, at most"] == "1%"
    assert said["Only these instruments may be traded"] == f"{BTC}, {ETH}"
    assert said["No entry on an instrument after its stop was hit, for"] == "30 min"
    assert said["A position is held before its trader may close it, for"] == "90 s"
    assert said["An open position may be added to"] == "no"


def test_what_is_off_is_not_said():
    loose = describe(Limits(name="none", stop_required=False))

    assert dict(loose) == {
        "Short positions are allowed": "yes",
        "An open position may be added to": "no",
        "An entry against an open position closes it": "no",
        "Every entry must bring a stop": "no",
        "A stop may be moved away from the market": "no",
    }
    assert describe(profile("raw", size="2")) == (
        ("Every entry is this multiple of equity, at market", "2×"),
        ("Limits beyond margin and the venue's own", "none"),
    )
