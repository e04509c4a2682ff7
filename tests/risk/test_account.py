"""Limits over all bots of a user: each off, each met exactly, each broken by one more order."""

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.account import AccountCaps, Stake, review_account
from risk.domain import Code


def stake(base: str, notional: int | str, margin: int | str = 0) -> Stake:
    return Stake(base=base, notional=D(notional), margin=D(margin))


HELD = (stake("BTC", 3000, 600), stake("ETH", 2000, 400))


@pytest.mark.parametrize(
    ("caps", "code"),
    [
        ({"exposure_per_asset": 4000}, None),
        ({"exposure_per_asset": 3999}, Code.ACCOUNT_ASSET_EXPOSURE),
        ({"gross_exposure": 6000}, None),
        ({"gross_exposure": 5999}, Code.ACCOUNT_GROSS_EXPOSURE),
        ({"margin_used": 1200}, None),
        ({"margin_used": 1199}, Code.ACCOUNT_MARGIN_USED),
        ({"daily_loss": 51}, None),
        ({"daily_loss": 50}, Code.ACCOUNT_DAILY_LOSS),
        ({}, None),
    ],
)
def test_one_more_bitcoin_order(caps: dict, code: Code | None) -> None:
    held_to = AccountCaps(**{name: D(value) for name, value in caps.items()})
    denial = review_account(stake("BTC", 1000, 200), HELD, D(50), held_to, "BTC/USDT:USDT")
    assert (denial.code if denial else None) == code
    assert held_to.is_empty is (caps == {})


def test_the_denial_says_the_numbers() -> None:
    caps = AccountCaps(exposure_per_asset=D("3500.5"))
    denial = review_account(stake("BTC", 1000), HELD, D(0), caps, "BTC/USDT:USDT")
    assert str(denial) == "ACCOUNT_ASSET_EXPOSURE wanted=4000 allowed=3500.5 asset=BTC"


amounts = st.integers(0, 10_000)


@given(st.lists(st.tuples(st.sampled_from("ABC"), amounts, amounts), max_size=12), amounts, amounts)
def test_orders_that_pass_one_by_one_stay_within_all_limits(orders, asset: int, gross: int) -> None:
    caps = AccountCaps(exposure_per_asset=D(asset), gross_exposure=D(gross), margin_used=D(gross))
    taken: list[Stake] = []
    for base, notional, margin in orders:
        wanted = stake(base, notional, margin)
        if review_account(wanted, taken, D(0), caps, base) is None:
            taken.append(wanted)
    for base in "ABC":
        assert sum(one.notional for one in taken if one.base == base) <= asset
    assert sum(one.notional for one in taken) <= gross
    assert sum(one.margin for one in taken) <= gross
