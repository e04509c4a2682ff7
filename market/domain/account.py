"""The account: cash, positions, and the measures made of them. One settlement currency each.

`cash` is the wallet balance: it includes what stands as isolated margin. Spot purchases are paid from
it in full, so on spot the position's value, not only its PnL, belongs to equity.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from market.domain.instruments import Instrument
from market.domain.numbers import ZERO
from market.domain.positions import Position, liquidation_price


class MissingMark(LookupError):
    """A position has no mark price now: what it is worth is unknown, so nobody may guess it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Cash and open positions at an instant, with the mark prices they are valued at.

    `dust` is what is left of spot positions below what the venue sells: it is worth something, so it
    counts in every sum, and it is no position, so nobody tries to close it.

    `liquidations` are the venue's own liquidation prices by symbol, where it says them: ours are estimates.

    Spot purchases do not leave `cash` here: cash is the wallet *as if* each purchase were a loan at
    cost, so equity = cash + Σ unrealized holds for both kinds, and `available` subtracts the cost.
    """

    cash: Decimal
    positions: Mapping[str, Position]
    instruments: Mapping[str, Instrument]
    marks: Mapping[str, Decimal]
    dust: Mapping[str, Position] = field(default_factory=dict)
    liquidations: Mapping[str, Decimal] = field(default_factory=dict)

    def mark(self, symbol: str) -> Decimal:
        try:
            return self.marks[symbol]
        except KeyError:
            raise MissingMark(f"no mark price for {symbol}") from None

    def liquidation_price(self, position: Position, instrument: Instrument) -> Decimal | None:
        """Where a position is liquidated: the nearer of our estimate and what the venue says; None for spot."""
        told, estimate = (
            self.liquidations.get(position.symbol),
            liquidation_price(position, instrument),
        )
        if told is None or estimate is None:
            return estimate if told is None else told
        return max(told, estimate) if position.quantity > 0 else min(told, estimate)

    @property
    def open_positions(self) -> tuple[Position, ...]:
        return tuple(
            position for _, position in sorted(self.positions.items()) if position.quantity
        )

    @property
    def unrealized_pnl(self) -> Decimal:
        """Σ unrealized PnL, dust included. Raises MissingMark."""
        return self._unrealized(self.positions) + self._unrealized(self.dust)

    def _unrealized(self, positions: Mapping[str, Position]) -> Decimal:
        total = ZERO
        for symbol, position in positions.items():
            if position.quantity:
                total += position.unrealized_pnl(self.mark(symbol), self.instruments[symbol])
        return total

    @property
    def equity(self) -> Decimal:
        """Cash + unrealized PnL. Raises MissingMark."""
        return self.cash + self.unrealized_pnl

    @property
    def margin_used(self) -> Decimal:
        """Isolated margin behind perpetuals + the cost of what is held on spot."""
        total = ZERO
        for positions in (self.positions, self.dust):
            for symbol, position in positions.items():
                total += locked(position, self.instruments[symbol])
        return total

    @property
    def available(self) -> Decimal:
        """Cash that no position holds. Unrealized gains can't be spent; isolated losses stay in their margin."""
        return self.cash - self.margin_used

    def notional(self, symbol: str) -> Decimal:
        """Signed notional of a symbol at mark. Raises MissingMark when something is held."""
        position = self.positions.get(symbol)
        if position is None or position.quantity == 0:
            return ZERO
        return position.quantity * self.instruments[symbol].contract_size * self.mark(symbol)


def locked(position: Position, instrument: Instrument) -> Decimal:
    """The cash a position keeps from being spent."""
    return position.entry_cost if instrument.is_spot else position.margin
