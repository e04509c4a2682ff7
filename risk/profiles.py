"""The profiles that come with the house, and limits in words.

The three presets differ in numbers only; stop required, no adding, no flips and no minimum hold are
the same in all. `raw` checks nothing but margin, the venue's filters and reduce-only: it is for replay
and paper, to see a strategy without a hand on it, and is never used with real money.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from market.domain.numbers import plain, to_decimal
from risk.domain import InvalidLimits, Limits


class UnknownProfile(LookupError):
    """No profile has this name; the message lists those there are."""


_COLUMNS: Final[Mapping[str, tuple[str, str, str]]] = {
    "max_leverage": ("3", "10", "20"),
    "risk_per_trade_fraction": ("0.005", "0.01", "0.02"),
    "max_position_notional_fraction": ("0.25", "0.5", "1"),
    "max_gross_exposure": ("1", "2", "4"),
    "max_net_exposure": ("0.75", "1.5", "3"),
    "max_correlated_exposure": ("0.75", "1.25", "2.5"),
    "max_margin_used_fraction": ("0.3", "0.5", "0.7"),
    "min_reward_risk": ("2", "1.5", "1.2"),
    "min_confidence": ("0.65", "0.55", "0.5"),
    "stop_to_liquidation_fraction": ("0.7", "0.8", "0.9"),
    "max_price_drift_bps": ("30", "50", "100"),
    "max_slippage_bps": ("15", "25", "50"),
    "max_spread_bps": ("10", "20", "40"),
    "max_daily_loss_fraction": ("0.02", "0.04", "0.08"),
    "soft_drawdown_fraction": ("0.04", "0.08", "0.15"),
    "hard_drawdown_fraction": ("0.08", "0.15", "0.25"),
    "max_llm_cost_per_day": ("2", "5", "20"),
    "max_funding_cost_fraction": ("0.0025", "0.005", "0.01"),
}
_COUNTS: Final[Mapping[str, tuple[int, int, int]]] = {
    "max_open_positions": (2, 4, 6),
    "max_trades_per_day": (6, 15, 40),
    "max_opens_per_cycle": (1, 2, 3),
    "max_loss_streak": (3, 4, 6),
    "max_price_age_seconds": (10, 15, 20),
    "max_stale_beats": (4, 6, 8),
    "max_model_failures": (3, 5, 8),
}
_MINUTES: Final[Mapping[str, tuple[int, int, int]]] = {
    "cooldown_after_stop": (60, 30, 10),
    "breaker_cooldown": (240, 120, 60),
    "emergency_interval": (30, 15, 10),
}


def _preset(name: str, column: int) -> Limits:
    values: dict[str, Any] = {
        **{field: Decimal(row[column]) for field, row in _COLUMNS.items()},
        **{field: row[column] for field, row in _COUNTS.items()},
        **{field: timedelta(minutes=row[column]) for field, row in _MINUTES.items()},
    }
    return Limits(name=name, **values)


CONSERVATIVE: Final = _preset("conservative", 0)
BALANCED: Final = _preset("balanced", 1)
AGGRESSIVE: Final = _preset("aggressive", 2)
RAW: Final = Limits(
    name="raw", raw=True, stop_required=False, stop_may_widen=True, allow_adding=True
)
PROFILES: Final[Mapping[str, Limits]] = {
    limits.name: limits for limits in (CONSERVATIVE, BALANCED, AGGRESSIVE, RAW)
}
_KINDS: Final[Mapping[str, str]] = {field.name: str(field.type) for field in fields(Limits)}


def profile(name: str, /, **overrides: object) -> Limits:
    """The named limits with some values replaced. Decimals may be given as text or ints, durations in
    seconds; None switches a limit off where it can be.

    Raises UnknownProfile, or InvalidLimits for a field that does not exist or a value that does not fit.
    """
    if name not in PROFILES:
        raise UnknownProfile(f"no risk profile {name!r}; there are {', '.join(PROFILES)}")
    return changed(PROFILES[name], **overrides)


def changed(limits: Limits, /, **overrides: object) -> Limits:
    """These limits with some values replaced, given as for `profile`. Raises InvalidLimits."""
    unknown = sorted(set(overrides) - _KINDS.keys())
    if unknown:
        raise InvalidLimits(f"no limit is called {unknown[0]!r}; there are {', '.join(_KINDS)}")
    return replace(
        limits, **{field: _converted(field, value) for field, value in overrides.items()}
    )


def _converted(field: str, value: object) -> Any:
    kind = _KINDS[field]
    try:
        if value is None:
            if "None" in kind:
                return None
        elif "Decimal" in kind:
            return to_decimal(value)
        elif "timedelta" in kind:
            return value if isinstance(value, timedelta) else timedelta(seconds=int(str(value)))
        elif "tuple" in kind:
            if isinstance(value, (list, tuple)):
                return tuple(str(window) for window in value)
        elif "frozenset" in kind:
            if isinstance(value, (frozenset, set, list, tuple)):
                return frozenset(str(symbol) for symbol in value)
        elif "int" in kind:
            return int(str(value))
        elif isinstance(value, bool if "bool" in kind else str):
            return value
    except ValueError as error:
        raise InvalidLimits(f"{field}: {error}") from None
    raise InvalidLimits(f"{field} can't be {value!r}")


# --- In words --------------------------------------------------------------------------------------


def _share(value: Decimal) -> str:
    return f"{plain(value * 100)}%"


def _times(value: Decimal) -> str:
    return f"{plain(value)}×"


def _bps(value: Decimal) -> str:
    return f"{plain(value)} bps"


def _span(value: timedelta) -> str:
    seconds = value // timedelta(seconds=1)
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"


def _symbols(value: frozenset[str]) -> str:
    return ", ".join(sorted(value)) or "none"


def _windows(value: tuple[str, ...]) -> str:
    return "; ".join(value)


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"


SENTENCES: Final[Mapping[str, tuple[str, Callable[..., str]]]] = {
    "allowed_symbols": ("Only these instruments may be traded", _symbols),
    "allow_shorts": ("Short positions are allowed", _yes_no),
    "allow_adding": ("An open position may be added to", _yes_no),
    "allow_flips": ("An entry against an open position closes it", _yes_no),
    "stop_required": ("Every entry must bring a stop", _yes_no),
    "stop_may_widen": ("A stop may be moved away from the market", _yes_no),
    "stop_to_liquidation_fraction": (
        "A stop uses at most this part of the way from entry to liquidation",
        _share,
    ),
    "min_reward_risk": (
        "Reward to risk, measured from the market price after fees, at least",
        plain,
    ),
    "min_confidence": ("Confidence of an entry, at least", plain),
    "risk_per_trade_fraction": ("Equity lost if a stop is hit, costs included, at most", _share),
    "max_leverage": ("Leverage, at most", _times),
    "max_position_notional_fraction": ("Notional of one position, of equity, at most", _share),
    "max_price_age_seconds": ("Age of the price at an entry, in seconds, at most", str),
    "max_price_drift_bps": ("Move of the mark price since it was shown, at most", _bps),
    "max_spread_bps": ("Spread at an entry, at most", _bps),
    "max_slippage_bps": ("Slippage of an entry, at most", _bps),
    "max_open_positions": ("Open positions, at most", str),
    "max_gross_exposure": ("Gross exposure, of equity, at most", _times),
    "max_net_exposure": ("Net exposure, of equity, at most", _times),
    "max_correlated_exposure": (
        "Net exposure to assets that move together, of equity, at most",
        _times,
    ),
    "max_margin_used_fraction": ("Margin used, of equity, at most", _share),
    "max_trades_per_day": ("Entries per day, at most", str),
    "max_opens_per_cycle": ("Entries per cycle, at most", str),
    "cooldown_after_stop": ("No entry on an instrument after its stop was hit, for", _span),
    "min_hold": ("A position is held before its trader may close it, for", _span),
    "no_trade_windows": ("No entry, in the owner's time, during", _windows),
    "no_trade_around_funding": ("No entry so near to a payment of funding", _span),
    "max_daily_loss_fraction": (
        "Loss of a day after which nothing is opened until the next",
        _share,
    ),
    "soft_drawdown_fraction": ("Drawdown at which nothing is opened any more", _share),
    "hard_drawdown_fraction": ("Drawdown at which everything is closed and trading halts", _share),
    "max_loss_streak": ("Losing trades in a row after which nothing is opened", str),
    "max_stale_beats": ("Checks without fresh prices after which nothing is opened", str),
    "max_model_failures": ("Failed decisions in a row after which nothing is opened", str),
    "max_llm_cost_per_day": ("Model cost of a day after which nothing is opened", plain),
    "max_funding_cost_fraction": (
        "Funding paid in a day, of its opening equity, after which nothing is opened",
        _share,
    ),
    "breaker_cooldown": (
        "After a drawdown or a losing streak nothing is opened until flat for",
        _span,
    ),
    "emergency_interval": ("In a drawdown, close-or-keep is asked again at most every", _span),
    "size": ("Every entry is this multiple of equity, at market", _times),
}
"""What each limit says to a trader, and how its value is written."""


def describe(limits: Limits) -> tuple[tuple[str, str], ...]:
    """(sentence, value) of every limit in force, in the order of the fields; for prompts and pages."""
    said = [_said(name, getattr(limits, name)) for name in SENTENCES if _in_force(name, limits)]
    if limits.raw:
        said.append(("Limits beyond margin and the venue's own", "none"))
    return tuple(said)


def in_words(name: str, value: object) -> str:
    """The value of one limit, one that is switched off included."""
    if value is None:
        return "all" if name == "allowed_symbols" else "no limit"
    if value in (timedelta(0), ()):
        return "none"
    return SENTENCES[name][1](value)


def _said(name: str, value: object) -> tuple[str, str]:
    sentence, shown = SENTENCES[name]
    return sentence, shown(value)


def _in_force(name: str, limits: Limits) -> bool:
    value = getattr(limits, name)
    if name == "size":
        return limits.raw
    if name == "breaker_cooldown":
        return limits.soft_drawdown_fraction is not None or limits.max_loss_streak is not None
    if name == "emergency_interval":
        return limits.soft_drawdown_fraction is not None
    if isinstance(value, bool):
        return not limits.raw
    return value not in (None, timedelta(0), ())
