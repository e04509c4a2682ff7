"""The account's measures, and the mark that nobody may guess."""

# mypy: disable-error-code="comparison-overlap"

from decimal import Decimal as D

import pytest

from market.domain.account import Account, MissingMark, locked
from market.domain.positions import Position
from tests.market.sim_broker.venue import PERPETUAL, SPOT, SPOT_COIN, SYMBOL

LONG = Position(symbol=SYMBOL, quantity=D(2), entry_cost=D(200), margin=D(20), leverage=D(10))
SHORT = Position(symbol=SYMBOL, quantity=D(-2), entry_cost=D(200), margin=D(20), leverage=D(10))
COIN = Position(symbol=SPOT, quantity=D(3), entry_cost=D(300))
FLAT = Position(symbol=SYMBOL)


def account(*positions: Position, **marks: int) -> Account:
    return Account(
        cash=D(1000),
        positions={one.symbol: one for one in positions},
        instruments={SYMBOL: PERPETUAL, SPOT: SPOT_COIN},
        marks={SYMBOL: D(110), SPOT: D(90)} | {name: D(value) for name, value in marks.items()},
    )


def test_measures_by_hand() -> None:
    one = account(LONG, COIN)
    assert one.unrealized_pnl == 20 - 30
    assert one.equity == 990
    assert one.margin_used == 20 + 300
    assert one.available == 680
    assert (one.notional(SYMBOL), one.notional(SPOT)) == (220, 270)
    assert [position.symbol for position in one.open_positions] == [SPOT, SYMBOL]
    assert account(SHORT).notional(SYMBOL) == -220
    assert account(SHORT).unrealized_pnl == -20


def test_nothing_held_is_worth_nothing_and_needs_no_mark() -> None:
    empty = Account(cash=D(5), positions={SYMBOL: FLAT}, instruments={SYMBOL: PERPETUAL}, marks={})
    assert (
        empty.equity,
        empty.available,
        empty.margin_used,
        empty.notional(SYMBOL),
        empty.notional("X"),
    ) == (5, 5, 0, 0, 0)
    assert empty.open_positions == ()


@pytest.mark.parametrize("measure", ["unrealized_pnl", "equity"])
def test_without_a_mark_no_value(measure: str) -> None:
    blind = Account(cash=D(5), positions={SYMBOL: LONG}, instruments={SYMBOL: PERPETUAL}, marks={})
    with pytest.raises(MissingMark, match=SYMBOL):
        getattr(blind, measure)
    with pytest.raises(MissingMark):
        blind.notional(SYMBOL)
    assert blind.available == -15  # margin is known without a mark


def test_what_a_position_locks() -> None:
    assert (locked(LONG, PERPETUAL), locked(COIN, SPOT_COIN)) == (20, 300)
