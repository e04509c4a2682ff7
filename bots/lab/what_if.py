"""What would become of a reply: a model's text, an account and a market in, the orders that would leave out.

The very parser, planner and veto of the cycle, on values that were typed; nothing is asked, stored or sent. The
documents are strict: a field that nobody would read is refused, so that no figure is believed to count and does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bots.domain.records import Plan
from bots.planning import in_two, plan_decision
from llm.domain import Decision, DecisionOutcome
from llm.errors import DecisionUnreadable
from llm.parsing import parse_decision
from market.domain.account import Account, MissingMark
from market.domain.data import Quote
from market.domain.instruments import Instrument, UnsupportedInstrument
from market.domain.numbers import ONE, ZERO, plain
from market.domain.positions import Position
from market.venues.default_instruments import default_instrument
from risk.domain import HeldProtection, Limits, RiskContext, TradingState, Verdict
from risk.engine import review

_Price = Annotated[Decimal, Field(ge=Decimal("1E-15"), le=Decimal("1E+15"), allow_inf_nan=False)]
_Amount = Annotated[Decimal, Field(ge=0, le=Decimal("1E+15"), allow_inf_nan=False)]
Form = TypeVar("Form", bound="_Document")
_SIGNS: Final = {"LONG": 1, "SHORT": -1}


class DocumentRefused(ValueError):
    """An account or a market that can't be reckoned with; one sentence says what is wrong and where."""


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PricedInstrument(_Document):
    """An instrument of the market with its prices. `bid`, `ask` and `last` are the mark where left out;
    `instrument` changes fields of the built-in description (or is a whole one for a symbol that has none)."""

    symbol: str
    mark: _Price
    bid: _Price | None = None
    ask: _Price | None = None
    last: _Price | None = None
    shown: _Price | None = None
    instrument: dict[str, Any] = Field(default_factory=dict)


class MarketDocument(_Document):
    """`--snapshot`: the market. `shown` of an instrument: its mark when the model was asked, if it moved since."""

    as_of: datetime | None = None
    instruments: Annotated[list[PricedInstrument], Field(min_length=1)]


class HeldPosition(_Document):
    """An open position. `quantity` in contracts, above zero."""

    symbol: str
    side: Literal["LONG", "SHORT"]
    quantity: _Price
    entry_price: _Price
    leverage: Annotated[Decimal, Field(ge=1, le=1000, allow_inf_nan=False)] = ONE
    margin: _Price | None = None
    stop_loss: _Price | None = None
    take_profit: _Price | None = None
    liquidation_price: _Price | None = None
    opened_at: datetime | None = None


class AccountDocument(_Document):
    """`--account`: the wallet (what stands as margin included) and what is held. `liquidation_prices`: the
    venue's, by symbol, also of what is not held yet."""

    cash: _Amount
    positions: list[HeldPosition] = Field(default_factory=list)
    liquidation_prices: dict[str, _Price] = Field(default_factory=dict)
    state: TradingState = TradingState.ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """A reply and what would become of it. Without a decision (`decision.outcome`), the rest is empty."""

    decision: Decision
    plan: Plan
    verdict: Verdict
    context: RiskContext


def read_market(raw: object) -> MarketDocument:
    """Raises DocumentRefused."""
    return _read(MarketDocument, raw, "the snapshot")


def read_account(raw: object) -> AccountDocument:
    """Raises DocumentRefused."""
    return _read(AccountDocument, raw, "the account")


def what_if(reply: str, account: AccountDocument, market: MarketDocument, limits: Limits) -> WhatIf:
    """Read, plan and judge a reply as a cycle does. Raises DocumentRefused for an account that does not fit its
    market; for what the reply says, nothing."""
    context = _context(account, market)
    held = {symbol: position.side for symbol, position in context.account.positions.items()}
    try:
        parsed = parse_decision(reply, tuple(context.instruments), equity=context.equity, held=held)
    except DecisionUnreadable as error:
        unread = Decision(trader="reply", outcome=DecisionOutcome.UNREADABLE, reason=str(error))
        return WhatIf(decision=unread, plan=Plan(), verdict=Verdict(rulings=()), context=context)
    decision = Decision(
        trader="reply", summary=parsed.summary, items=parsed.items, void=parsed.void,
        notes=parsed.notes,
    )  # fmt: skip
    plan = plan_decision(decision, context, limits)
    first, later = in_two(plan.intents)
    rulings = (
        *review(first, context, limits).rulings,
        *review(later, context, limits).rulings,
    )
    return WhatIf(decision=decision, plan=plan, verdict=Verdict(rulings=rulings), context=context)


def _context(account: AccountDocument, market: MarketDocument) -> RiskContext:
    now = market.as_of or datetime.now(UTC)
    if now.tzinfo is None:
        raise DocumentRefused("the snapshot: as_of needs a time zone, as 2026-01-31T12:00:00Z")
    instruments = {one.symbol: _instrument(one) for one in market.instruments}
    if len(instruments) < len(market.instruments):
        raise DocumentRefused("the snapshot: a symbol stands there twice")
    quotes = {one.symbol: _quote(one, now) for one in market.instruments}
    positions = {one.symbol: _position(one, instruments) for one in account.positions}
    if len(positions) < len(account.positions):
        raise DocumentRefused("the account: a symbol is held twice")
    told = dict(account.liquidation_prices) | {
        one.symbol: one.liquidation_price for one in account.positions if one.liquidation_price
    }
    wallet = Account(
        cash=account.cash,
        positions=positions,
        instruments=instruments,
        marks={symbol: quote.mark for symbol, quote in quotes.items()},
        liquidations=told,
    )
    try:
        equity = wallet.equity
    except MissingMark as error:  # _position has looked
        raise DocumentRefused(f"the account: {error}") from None
    if equity < 0:
        raise DocumentRefused(
            f"the account: its equity is {plain(equity)}: what is held has lost more than the wallet has"
        )
    return RiskContext(
        now=now,
        state=account.state,
        account=wallet,
        equity=equity,
        quotes=quotes,
        prompt_marks={one.symbol: one.shown or one.mark for one in market.instruments},
        instruments=instruments,
        protection={
            one.symbol: HeldProtection(
                stop_price=one.stop_loss, target_price=one.take_profit, opened_at=one.opened_at
            )
            for one in account.positions
        },
    )


def _instrument(one: PricedInstrument) -> Instrument:
    try:
        known = _as_mapping(default_instrument(one.symbol))
    except UnsupportedInstrument:
        if not one.instrument:
            raise DocumentRefused(
                f"the snapshot: {one.symbol} has no built-in description: give one as `instrument`"
            ) from None
        known = {"symbol": one.symbol}
    try:
        return Instrument.from_mapping({**known, **one.instrument})
    except UnsupportedInstrument as error:
        raise DocumentRefused(f"the snapshot: {error}") from None


def _as_mapping(instrument: Instrument) -> Mapping[str, Any]:
    tiers = [[tier.notional_cap, tier.maintenance_rate] for tier in instrument.margin_tiers]
    names = (
        "symbol", "base", "quote", "settle", "kind", "price_step", "quantity_step", "min_quantity",
        "min_notional", "contract_size", "max_leverage", "maker_fee", "taker_fee", "liquidation_fee",
    )  # fmt: skip
    values = {name: getattr(instrument, name) for name in names}
    return values | ({"margin_tiers": tiers} if tiers else {})


def _quote(one: PricedInstrument, now: datetime) -> Quote:
    bid, ask = one.bid or one.mark, one.ask or one.mark
    if bid > ask:
        raise DocumentRefused(
            f"the snapshot: {one.symbol} has a bid of {bid} above its ask of {ask}"
        )
    return Quote(
        symbol=one.symbol, at=now, bid=bid, ask=ask, last=one.last or one.mark, mark=one.mark
    )


def _position(one: HeldPosition, instruments: Mapping[str, Instrument]) -> Position:
    instrument = instruments.get(one.symbol)
    if instrument is None:
        raise DocumentRefused(
            f"the account: {one.symbol} is held, and the snapshot has no price of it"
        )
    if one.opened_at is not None and one.opened_at.tzinfo is None:
        raise DocumentRefused(f"the account: opened_at of {one.symbol} needs a time zone")
    cost = instrument.notional(one.quantity, one.entry_price)
    margin = one.margin if one.margin is not None else cost / one.leverage
    return Position(
        symbol=one.symbol,
        quantity=one.quantity * _SIGNS[one.side],
        entry_cost=cost,
        margin=ZERO if instrument.is_spot else margin,
        leverage=one.leverage,
        opened_at=one.opened_at,
    )


def _read(form: type[Form], raw: object, whose: str) -> Form:
    try:
        return form.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        said = _WORDS.get(first["type"], first["msg"]).format_map(first.get("ctx", {}))
        raise DocumentRefused(f"{whose}: {where}: {said}") from None


_WORDS: Final = {
    "missing": "it is missing",
    "extra_forbidden": "there is no such field",
    "model_type": "it must be an object",
    "model_attributes_type": "it must be an object",
    "list_type": "it must be a list",
    "dict_type": "it must be an object",
    "string_type": "it must be a text",
    "too_short": "it must not be empty",
    "decimal_type": "it must be a number",
    "decimal_parsing": "it must be a number",
    "finite_number": "it must be a finite number",
    "greater_than_equal": "it must be at least {ge}",
    "less_than_equal": "it must be at most {le}",
    "enum": "it must be {expected}",
    "literal_error": "it must be {expected}",
}
"""What pydantic says to programmers, for people."""
