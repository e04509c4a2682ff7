"""What a bot's page is made of: shares of limits as the rules measure them, codes in words, prices as floats."""

import string
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.domain.book import Book
from bots.pages.chart_data import candle_json
from bots.pages.codes import DENIED, clamp_words, denial_words, readable
from bots.pages.limits import limit_uses
from bots.queries.charts import CandleChart
from bots.queries.worth import Worth
from market.domain.data import Candle
from risk.domain import BreakerState, Code, Limits
from risk.profiles import BALANCED, RAW

AT = datetime(2026, 5, 3, 12, tzinfo=UTC)


def standing(**changes: Any) -> Any:
    """A bot of 10,000 with one position worth 4,000 on 400 of margin, 100 below its peak, 2% down today."""
    values: dict[str, Any] = {
        "worth": Worth(
            equity=D(10_000), unrealized_pnl=D(0), gross_exposure=D(4_000), net_exposure=D(-4_000),
            as_of=AT, is_current=True,
        ),
        "positions": (SimpleNamespace(notional=D(4_000), margin=D(400), entry_cost=D(4_000), is_dust=False),),
        "book": Book(breakers=BreakerState(loss_streak=3, llm_cost_today=D("1.25"), funding_today=D(-10))),
        "today": SimpleNamespace(start=D(10_000), net=D(-200)),
        "drawdown": D("0.06"), "entries_today": 3, "counts_today": True,
        "bot": SimpleNamespace(model_profile_id=1),
    }  # fmt: skip
    return SimpleNamespace(**{**values, **changes})


def uses(limits: Limits = BALANCED, **changes: Any) -> dict[str, Any]:
    return {one.name: one for one in limit_uses(standing(**changes), limits)}


# --- limits ------------------------------------------------------------------------------------------


def test_every_limit_is_measured_as_its_rule_measures_it():
    found = uses()

    assert {name: (one.now, one.of, one.used) for name, one in found.items()} == {
        "Largest position": ("40.0%", "50.0%", D("0.8")),
        "Losses in a row": ("3", "4", D("0.75")),
        "Loss today": ("2.0%", "4.0%", D("0.5")),
        "Drawdown": ("6.0%", "15.0%", D("0.4")),
        "Open positions": ("1", "4", D("0.25")),
        "Net exposure": ("0.40×", "1.50×", D("0.4") / D("1.5")),
        "Model cost today": ("1.25", "5.00", D("0.25")),
        "Gross exposure": ("0.40×", "2.00×", D("0.2")),
        "Funding today": ("0.10%", "0.50%", D("0.2")),
        "Entries today": ("3", "15", D("0.2")),
        "Margin used": ("4.0%", "50.0%", D("0.08")),
        "Failed decisions in a row": ("0", "5", D(0)),
    }
    assert found["Drawdown"].soft == D("0.08") / D("0.15")


def test_the_nearest_comes_first():
    used = [one.used for one in limit_uses(standing(), BALANCED)]

    assert used == sorted(used, reverse=True)


def test_a_limit_that_is_off_is_left_out():
    assert limit_uses(standing(), RAW) == ()
    some = replace(BALANCED, max_open_positions=None, max_daily_loss_fraction=None)
    assert {"Open positions", "Loss today"} & uses(some).keys() == set()


def test_a_rule_has_no_costs_of_a_model():
    rule = uses(bot=SimpleNamespace(model_profile_id=None))

    assert {"Model cost today", "Failed decisions in a row"} & rule.keys() == set()


def test_what_was_counted_yesterday_is_nothing_today():
    found = uses(counts_today=False)

    assert (found["Model cost today"].used, found["Funding today"].used) == (0, 0)


def test_a_gain_is_no_loss_and_nothing_left_is_no_error():
    assert uses(today=SimpleNamespace(start=D(10_000), net=D(50)))["Loss today"].used == 0
    broke = Worth(
        equity=D(-5), unrealized_pnl=D(0), gross_exposure=D(9), net_exposure=D(9), as_of=AT,
        is_current=True,
    )  # fmt: skip
    assert "Largest position" not in uses(worth=broke, today=SimpleNamespace(start=D(0), net=D(-5)))


def test_a_limit_of_nothing_is_full():
    assert uses(replace(BALANCED, max_open_positions=0))["Open positions"].used == 1


def test_no_limit_that_can_be_used_up_is_forgotten():
    """A new limit must be shown as a share, or be said here to be none of a state that lasts."""
    each_entry = {
        "name", "version", "raw", "allowed_symbols", "allow_shorts", "allow_adding", "allow_flips",
        "stop_required", "stop_may_widen", "stop_to_liquidation_fraction", "min_reward_risk", "min_confidence",
        "risk_per_trade_fraction", "max_leverage", "max_price_age_seconds", "max_price_drift_bps",
        "max_spread_bps", "max_slippage_bps", "max_correlated_exposure", "max_opens_per_cycle",
        "cooldown_after_stop", "min_hold", "breaker_cooldown", "emergency_interval", "size",
        "max_stale_beats", "no_trade_windows", "no_trade_around_funding",
    }  # fmt: skip
    of_a_state = {one.name for one in fields(Limits)} - each_entry
    shown = len(uses())

    assert shown == len(of_a_state) - 1  # both drawdowns are one meter
    for name in of_a_state - {"soft_drawdown_fraction", "hard_drawdown_fraction"}:
        off: dict[str, Any] = {name: None}
        assert len(uses(replace(BALANCED, **off))) == shown - 1, name


# --- codes -------------------------------------------------------------------------------------------


def test_every_code_has_words():
    assert set(DENIED) == set(Code)


@pytest.mark.parametrize("code", Code)
def test_words_do_without_numbers_that_are_missing(code):
    names = {name for _, name, *_ in string.Formatter().parse(DENIED[code]) if name}
    whole = denial_words(code, dict.fromkeys(names, "1234.5"))

    assert whole.endswith(".") and "{" not in whole and "…" not in whole
    assert denial_words(code, {}).count("…") == DENIED[code].count("{")


def test_a_code_without_words_has_none():
    assert denial_words("NEW_CODE", {"a": "1"}) == clamp_words("NEW_CODE", BALANCED) == ""


@pytest.mark.parametrize(
    ("code", "limits", "words"),
    [
        ("MAX_LEVERAGE", BALANCED, "Leverage, at most: 10×."),
        ("POSITION_NOTIONAL", BALANCED, "Notional of one position, of equity, at most: 50%."),
        ("MAX_LEVERAGE", RAW, "This instrument allows no more."),
        ("MAX_QUANTITY", BALANCED, "The venue takes no more in one order."),
        ("MAX_LEVERAGE", None, ""),
    ],
)
def test_a_clamp_names_the_limit_that_held(code, limits, words):
    assert clamp_words(code, limits) == words


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("12345.678901", "12,345.7"), ("100420.0", "100,420"), ("0.0000123456789", "0.0000123457"),
        ("-0.0", "0"), ("1E+5", "100,000"), ("NaN", "NaN"), ("none", "none"),
        ("2026-11-22T14:05:09+00:00", "22 Nov, 14:05 UTC"), ("2026-11-22T14:05:09", "2026-11-22T14:05:09"),
    ],
)  # fmt: skip
def test_numbers_in_sentences_can_be_read(text, shown):
    assert readable(text) == shown


# --- prices as floats --------------------------------------------------------------------------------


def chart(close: D, step: D | None) -> CandleChart:
    bar = Candle(opened_at=AT, open=close, high=close, low=close, close=close, volume=D(1))
    return CandleChart(
        symbol="X/Y:Y", timeframe=timedelta(minutes=1), candles=(bar,), price_step=step
    )


@given(st.decimals("0.00000001", "999999999", places=8, allow_nan=False))
def test_no_price_loses_a_digit_that_counts(close):
    told = candle_json(chart(close, None), (), None)

    shown = f"{told['candles'][0][4]:.{told['decimals']}f}"
    digits = shown.replace(".", "").lstrip("0")
    assert told["candles"][0][4] == float(close)
    assert len(digits) >= 5
    assert abs(D(shown) - close) <= close / 10**4


@pytest.mark.parametrize(
    ("close", "step", "decimals"),
    [
        ("42379.3", "0.1", 1),
        ("1.5", "0.01", 4),
        ("0.000012345", None, 9),
        ("120000", "10", 0),
        ("3", "0.00001", 5),
    ],
)
def test_an_axis_has_the_digits_of_the_tick_and_five_at_least(close, step, decimals):
    assert candle_json(chart(D(close), step and D(step)), (), None)["decimals"] == decimals
