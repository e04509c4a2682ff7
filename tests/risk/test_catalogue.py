"""The catalogue of limits: every column is in it, with the code its rule speaks with, and on the generated page."""

import re
from dataclasses import fields
from decimal import Decimal as D
from pathlib import Path

import pytest

from risk.account import AccountCaps, Stake, review_account
from risk.catalogue import ACCOUNT_RULES, RULES, rules_page
from risk.domain import Limits
from risk.models import AccountLimits, RiskProfile
from tests.risk.build import open_limits
from tests.risk.test_limits import BLOCKS, NOT_LIMITS, Says

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


def test_every_column_of_a_profile_has_a_rule_that_blocks() -> None:
    columns = {field.name for field in RiskProfile._meta.concrete_fields}
    limits = {field.name for field in fields(Limits)} - NOT_LIMITS

    assert set(RULES) == set(BLOCKS) == limits
    assert limits <= columns | {f"{name}_seconds" for name in columns} | columns
    kept = {
        "id", "owner", "name", "version", "raw", "size", "created_at", "changed_at", "is_current",
    }  # fmt: skip
    unknown = {
        name for name in columns - kept if name not in limits and not _is_duration_of(name, limits)
    }
    assert not unknown, f"columns that no rule reads: {unknown}"


def _is_duration_of(column: str, limits: set[str]) -> bool:
    return any(column in (name, f"{name}_seconds") for name in limits)


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
    columns = {field.name for field in AccountLimits._meta.concrete_fields}

    assert columns - {"id", "user", "changed_at"} == set(ACCOUNT_RULES) == set(ACCOUNT_PAIRS)


@pytest.mark.parametrize("name", ACCOUNT_RULES)
def test_every_account_limit_blocks_while_it_is_on_and_not_while_it_is_off(name) -> None:
    cap, value = ACCOUNT_PAIRS[name]

    def judged(**caps: D):
        return review_account(WANTED, HELD, D(60), AccountCaps(**caps), "BTC/USDT:USDT")

    assert judged() is None
    assert judged(**{cap: D(10_000)}) is None
    denial = judged(**{cap: value})
    assert denial is not None and denial.code == ACCOUNT_RULES[name][1].code
