"""The catalogue of limits: every column is in it, with the code its rule speaks with, and on the generated page."""

import re
from collections.abc import Collection
from dataclasses import fields, replace
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import models
from django.db.models import Model

from market.domain.enums import InstrumentStatus
from risk.account import AccountCaps, Stake, review_account
from risk.catalogue import ACCOUNT_RULES, ALWAYS, RAW_RULES, RULES, Effect, rules_page
from risk.domain import Code, Limits, RiskContext, TradingState
from risk.engine import review
from risk.models import AccountLimits, RiskProfile
from risk.profiles import profile
from risk.sizing import EntryWish, size_entry
from tests.risk.build import (
    BTC,
    LONG,
    context,
    entry,
    instrument,
    leave,
    open_limits,
    position,
    resting,
)
from tests.risk.test_limits import BLOCKS, Says

PAGE = Path(__file__).parents[2] / "docs" / "risk-rules.md"
WANTED = Stake(base="BTC", notional=D(1000), margin=D(100))
HELD = (
    Stake(base="BTC", notional=D(600), margin=D(60)),
    Stake(base="ETH", notional=D(900), margin=D(90)),
)
ACCOUNT_PAIRS = {
    "max_exposure_per_asset": ("exposure_per_asset", D(1500)),
    "max_gross_exposure": ("gross_exposure", D(2400)),
    "max_margin_used": ("margin_used", D(240)),
    "max_daily_loss": ("daily_loss", D(50)),
}


def test_the_documented_rules_are_those_in_force() -> None:
    assert PAGE.read_text(encoding="utf-8") == rules_page(), (
        "make it anew: python -m risk.catalogue > docs/risk-rules.md"
    )


def unwalked(model: type[Model], rows: Collection[str], bookkeeping: Collection[str]) -> set[str]:
    """Columns without a row of the catalogue, and rows without a column."""
    columns = {field.name for field in model._meta.concrete_fields}
    return (columns - set(bookkeeping)) ^ set(rows)


BOOKKEEPING = {"id", "owner", "name", "version", "created_at", "changed_at"}


def test_every_column_of_a_profile_has_a_rule_that_blocks() -> None:
    assert unwalked(RiskProfile, {*RULES, *RAW_RULES}, BOOKKEEPING) == set()
    assert set(RULES) == set(BLOCKS) and set(RAW_RULES) == set(RAW_PAIRS)
    assert set(RULES) | set(RAW_RULES) == {one.name for one in fields(Limits)} - {"name", "version"}


def test_a_column_that_nobody_walks_fails_the_build() -> None:
    """The walk itself: a column that somebody adds without a rule and a pair is named."""

    class WithOneMore(RiskProfile):
        max_lunar_phase = models.PositiveIntegerField(null=True)

        class Meta:
            app_label = "walked"

    found = unwalked(WithOneMore, {*RULES, *RAW_RULES}, BOOKKEEPING)
    del apps.all_models["walked"]

    assert found == {"max_lunar_phase", "riskprofile_ptr"}
    assert unwalked(RiskProfile, {*RULES}, BOOKKEEPING) == set(RAW_RULES)


@pytest.mark.parametrize(
    ("model", "rules"),
    [
        (RiskProfile, {**RULES, **{name: rule for name, (_, rule) in RAW_RULES.items()}}),
        (AccountLimits, {name: rule for name, (_, rule) in ACCOUNT_RULES.items()}),
    ],
)
def test_every_limit_says_what_it_is_in_which_unit(model, rules) -> None:
    spelled = {"time": "hours:minutes:seconds", "s": "seconds", "bps": "basis points"}
    for name, rule in rules.items():
        field = model._meta.get_field(name)
        has_unit = isinstance(
            field, (models.DecimalField, models.IntegerField, models.DurationField)
        )
        assert field.help_text, name
        assert (f"[{spelled.get(rule.unit, rule.unit)}" in field.help_text) == has_unit, name


# --- what a raw profile sets ------------------------------------------------------------------------


def spends(limits: Limits) -> set[Code]:
    """What an entry of `size` times an equity of 10,000 meets with 5,000 in cash: it needs more leverage for more."""
    where = context(cash=5_000, equity=10_000)
    wish = size_entry(EntryWish(symbol=BTC, side=LONG), where, limits)
    [ruling] = review([wish], where, limits).rulings
    return {clamp.code for clamp in ruling.clamps}


def whole(limits: Limits) -> set[Code]:
    """What an entry without a stop, at 100 times the account, meets: a raw profile cuts it to what cash pays."""
    wish = entry(quantity="0", quote_quantity=D(1_000_000), leverage=D(1))
    [ruling] = review([wish], context(), limits).rulings
    return {clamp.code for clamp in ruling.clamps} if ruling.approved else {ruling.denial.code}


RAW_PAIRS = {
    "raw": (open_limits(stop_required=True), profile("raw"), whole),
    "size": (profile("raw", size="0.4"), profile("raw", size="0.9"), spends),
}


@pytest.mark.parametrize("name", RAW_PAIRS)
def test_what_a_raw_profile_sets_is_read(name) -> None:
    off, on, probe = RAW_PAIRS[name]

    assert RAW_RULES[name][1].code not in probe(off)
    assert probe(on) == {RAW_RULES[name][1].code}


# --- what no profile switches off ---------------------------------------------------------------------

THREE_HELD = context([position(3)])
SMALLER = {BTC: instrument(max_quantity=D(5))}
SHUT = {BTC: instrument(status=InstrumentStatus.REDUCE_ONLY)}
UNKNOWN = context(resting_entries=(resting(LONG, "3", is_unresolved=True),))
REDUCING = context(state=TradingState.REDUCING)
ALWAYS_SAID: dict[Code, tuple[Any, RiskContext]] = {
    Code.INVALID: (entry(stop_price=D("NaN")), context()),
    Code.NO_EQUITY: (entry(), context(equity=0)),
    Code.BOT_NOT_ACTIVE: (entry(), REDUCING),
    Code.VENUE_UNKNOWN: (entry(), replace(REDUCING, state_reason=Code.VENUE_UNKNOWN)),
    Code.INSTRUMENT_UNUSABLE: (entry(), context(instruments=SHUT)),
    Code.ORDER_UNRESOLVED: (entry(), UNKNOWN),
    Code.STOP_WRONG_SIDE: (entry(stop_price=D(101)), context()),
    Code.TARGET_WRONG_SIDE: (entry(target_price=D(99)), context()),
    Code.NO_TARGET: (entry(stop_price=D(95)), context()),
    Code.NO_SIZE: (entry(quantity="0"), context()),
    Code.MIN_SIZE: (entry(quantity="0.04"), context()),
    Code.MAX_QUANTITY: (entry(quantity="10"), context(instruments=SMALLER)),
    Code.AVAILABLE_MARGIN: (entry(quantity="2000"), context()),
    Code.NOTHING_HELD: (leave("3"), context()),
    Code.REDUCE_ONLY: (leave("5"), THREE_HELD),
}


@pytest.mark.parametrize("code", ALWAYS)
def test_what_no_profile_switches_off_speaks_as_the_page_says(code) -> None:
    intent, where = ALWAYS_SAID[code]
    limits = open_limits(min_reward_risk=D(2) if code is Code.NO_TARGET else None)

    said = Says(intent, where).texts(limits)

    assert said[code] == f"{code} {ALWAYS[code][1]}"


@pytest.mark.parametrize(
    "name",
    [n for n, r in RULES.items() if r.effect in (Effect.REDUCES, Effect.HALTS, Effect.TIMES)],
)
def test_a_breaker_denies_entries_as_the_page_says(name) -> None:
    rule = RULES[name]
    state = TradingState.HALTED if rule.effect is Effect.HALTS else TradingState.REDUCING
    where = context(state=state, state_reason=rule.code)

    assert Says(entry(), where).texts(open_limits()) == {rule.code: rule.example}


def test_every_code_is_on_the_page() -> None:
    named = {rule.code for rule in RULES.values()} | {
        rule.code for _, rule in ACCOUNT_RULES.values()
    }
    named.add(Code.OPERATOR_LIMIT)  # whichever of the account's limits it was: no figures

    assert f"`{Code.OPERATOR_LIMIT}`" in rules_page()
    assert named | set(ALWAYS) == set(Code) and not named & set(ALWAYS)


# --- the rows -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RULES)
def test_a_row_names_the_code_of_its_rule(name) -> None:
    assert RULES[name].code == BLOCKS[name][3]
    assert RULES[name].example.startswith(RULES[name].code)


@pytest.mark.parametrize(
    "name", [name for name, (_, _, probe, _) in BLOCKS.items() if isinstance(probe, Says)]
)
def test_an_example_says_what_its_rule_says(name) -> None:
    _, on, probe, code = BLOCKS[name]
    assert isinstance(probe, Says)
    said = probe.texts(open_limits(**{name: on}))[code]

    assert names_in(RULES[name].example) == names_in(said), said


def names_in(text: str) -> list[str]:
    """The names before each `=`."""
    return re.findall(r"(\w+)=", text)


def test_every_column_of_account_limits_has_a_rule() -> None:
    assert unwalked(AccountLimits, ACCOUNT_RULES, {"id", "user", "changed_at"}) == set()
    assert set(ACCOUNT_RULES) == set(ACCOUNT_PAIRS)


@pytest.mark.parametrize("name", ACCOUNT_RULES)
def test_every_account_limit_blocks_while_it_is_on_and_not_while_it_is_off(name) -> None:
    cap, value = ACCOUNT_PAIRS[name]

    def judged(**caps: D):
        return review_account(WANTED, HELD, D(60), AccountCaps(**caps), "BTC/USDT:USDT")

    assert judged() is None
    assert judged(**{cap: D(10_000)}) is None
    denial = judged(**{cap: value})
    rule = ACCOUNT_RULES[name][1]
    assert denial is not None and denial.code == rule.code
    assert names_in(rule.example) == names_in(str(denial))
