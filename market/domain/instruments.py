"""Instruments: what may be traded and in which steps. The instrument rounds; nobody else does.

Out, and refused by name: inverse, quanto, dated, options. Margin is isolated.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, Self

from market.domain import numbers
from market.domain.enums import InstrumentKind, InstrumentStatus, RejectCode, TriggerBasis
from market.domain.numbers import ONE, ZERO


class UnsupportedInstrument(ValueError):
    """UNSUPPORTED_INSTRUMENT: not a linear perpetual or spot, or its numbers make no sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginTier:
    """One maintenance band: notionals up to `notional_cap` (None: no end) pay `maintenance_rate`
    less `deduction`, which makes the requirement continuous at the band's edge."""

    notional_cap: Decimal | None
    maintenance_rate: Decimal
    deduction: Decimal = ZERO
    max_leverage: Decimal | None = None


def margin_tiers(*bands: tuple[str | None, str]) -> tuple[MarginTier, ...]:
    """Build tiers from (cap, rate) pairs, lowest first, computing each deduction:
    k₁ = 0, kₙ = kₙ₋₁ + capₙ₋₁ × (rₙ − rₙ₋₁)."""
    tiers: list[MarginTier] = []
    deduction, floor, rate_below = ZERO, ZERO, ZERO
    for cap, rate_text in bands:
        rate = Decimal(rate_text)
        deduction += floor * (rate - rate_below) if tiers else ZERO
        tiers.append(
            MarginTier(
                notional_cap=None if cap is None else Decimal(cap),
                maintenance_rate=rate,
                deduction=deduction,
            )
        )
        floor, rate_below = Decimal(cap or 0), rate
    return tuple(tiers)


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """One instrument of one venue. `symbol` in ccxt's unified form (`BTC/USDT:USDT`, `BTC/USDT`).

    Quantities are in contracts; `contract_size` base units each. Fees are fractions of notional.
    `price_band` is the widest allowed distance of a limit price from mark, as a fraction.
    """

    symbol: str
    base: str
    quote: str
    settle: str
    kind: InstrumentKind
    price_step: Decimal
    quantity_step: Decimal
    min_quantity: Decimal
    min_notional: Decimal
    contract_size: Decimal = ONE
    max_leverage: Decimal = ONE
    max_quantity: Decimal | None = None
    max_market_quantity: Decimal | None = None
    maker_fee: Decimal = Decimal("0.0002")
    taker_fee: Decimal = Decimal("0.0005")
    liquidation_fee: Decimal = ZERO
    margin_tiers: tuple[MarginTier, ...] = ()
    status: InstrumentStatus = InstrumentStatus.TRADING
    delisting_at: datetime | None = None
    price_band: Decimal | None = None
    max_open_orders: int | None = None
    trigger_bases: frozenset[TriggerBasis] = frozenset(TriggerBasis)
    funding_interval: timedelta | None = None
    next_funding_at: datetime | None = None
    as_of: datetime | None = None

    def __post_init__(self) -> None:
        _check_fields(self)
        _check_tiers(self.symbol, self.margin_tiers)
        if self.kind is InstrumentKind.PERPETUAL:
            if self.settle != self.quote:
                raise UnsupportedInstrument(
                    f"UNSUPPORTED_INSTRUMENT {self.symbol}: settles in {self.settle}, quoted in {self.quote}; "
                    "only linear contracts are traded"
                )
            if not self.margin_tiers:
                raise UnsupportedInstrument(f"{self.symbol}: a perpetual needs its margin tiers")
        elif self.max_leverage != ONE:
            raise UnsupportedInstrument(f"{self.symbol}: spot has leverage 1")

    @cached_property
    def is_spot(self) -> bool:
        return self.kind is InstrumentKind.SPOT

    def round_quantity(self, quantity: Decimal) -> Decimal:
        """Down to the step; never up, so rounding can't break a limit."""
        return numbers.floor_to_step(quantity, self.quantity_step)

    def round_price(self, price: Decimal) -> Decimal:
        """To the nearest tick."""
        return numbers.round_to_tick(price, self.price_step)

    def notional(self, quantity: Decimal, price: Decimal) -> Decimal:
        """|quantity| × contract_size × price, in the settlement currency."""
        return abs(quantity) * self.contract_size * price

    def tier(self, notional: Decimal) -> MarginTier:
        """The maintenance tier of a position of this notional; the last one has no upper end."""
        for tier in self.margin_tiers:
            if tier.notional_cap is None or notional <= tier.notional_cap:
                return tier
        return self.margin_tiers[-1]

    def quantity_refusal(self, quantity: Decimal, *, is_market: bool) -> RejectCode | None:
        """The venue's quantity filters, in the order venues check them. None: all pass."""
        if quantity <= 0 or quantity < self.min_quantity:
            return RejectCode.MIN_QUANTITY
        if not numbers.is_multiple(quantity, self.quantity_step):
            return RejectCode.QUANTITY_STEP
        cap = (
            self.max_market_quantity
            if is_market and self.max_market_quantity
            else self.max_quantity
        )
        if cap is not None and quantity > cap:
            return RejectCode.MAX_QUANTITY
        return None

    def is_dust(self, quantity: Decimal, price: Decimal) -> bool:
        """True when what is held can't be sold: under the step, the minimum quantity or notional."""
        sellable = self.round_quantity(abs(quantity))
        return sellable < max(self.min_quantity, self.quantity_step) or self.notional(
            sellable, price
        ) < (self.min_notional)

    @classmethod
    def from_mapping(cls, raw: Mapping[str, object]) -> Self:
        """Read an instrument from plain JSON (`replay --instrument FILE`).

        Numbers may be text or JSON numbers; `margin_tiers` is a list of [cap or null, rate] pairs;
        `funding_interval` is in seconds. Raises UnsupportedInstrument with the first thing wrong.
        """
        values = dict(raw)
        unknown = sorted(set(values) - set(cls.__dataclass_fields__))
        if unknown:
            raise UnsupportedInstrument(f"unknown field {unknown[0]!r} in the instrument")
        missing = [name for name in _REQUIRED if values.get(name) is None]
        if missing:
            raise UnsupportedInstrument(f"the instrument lacks {missing[0]!r}")
        try:
            for name, convert in _CONVERSIONS.items():
                if values.get(name) is not None:
                    values[name] = convert(values[name])
            return cls(**values)  # type: ignore[arg-type]
        except UnsupportedInstrument:
            raise
        except (ValueError, TypeError, KeyError) as error:
            raise UnsupportedInstrument(f"{values.get('symbol')}: {error}") from None


def _check_fields(instrument: Instrument) -> None:
    """Every field that is there has a value that can be computed with."""
    for name in ("symbol", "base", "quote", "settle"):
        text = getattr(instrument, name)
        if not isinstance(text, str) or not text.strip():
            raise UnsupportedInstrument(f"{instrument.symbol}: {name} is a text, not {text!r}")
    for name in _NEVER_NONE:
        if getattr(instrument, name) is None:
            raise UnsupportedInstrument(f"{instrument.symbol}: {name} may be left out, not null")
    for names, fits, words in _RANGES:
        for name in names:
            value = getattr(instrument, name)
            if value is not None and not fits(value):
                raise UnsupportedInstrument(f"{instrument.symbol}: {name} {words}")


def _check_tiers(symbol: str, tiers: tuple[MarginTier, ...]) -> None:
    """Caps rise, only the last may be None, and rates are fractions below 1."""
    floor = ZERO
    for place, tier in enumerate(tiers):
        if not ZERO <= tier.maintenance_rate < ONE:
            raise UnsupportedInstrument(f"{symbol}: a maintenance rate of {tier.maintenance_rate}")
        if tier.notional_cap is None:
            if place < len(tiers) - 1:
                raise UnsupportedInstrument(f"{symbol}: only the last margin tier has no end")
        elif tier.notional_cap <= floor:
            raise UnsupportedInstrument(f"{symbol}: the caps of the margin tiers must rise")
        else:
            floor = tier.notional_cap


def _tiers_from(raw: object) -> tuple[MarginTier, ...]:
    if not isinstance(raw, (list, tuple)):
        raise UnsupportedInstrument("margin_tiers is a list of [cap or null, rate] pairs")
    bands: list[tuple[str | None, str]] = []
    for band in raw:
        if not isinstance(band, (list, tuple)) or len(band) != 2:
            raise UnsupportedInstrument("margin_tiers is a list of [cap or null, rate] pairs")
        cap, rate = band
        bands.append(
            (None if cap is None else str(numbers.to_decimal(cap)), str(numbers.to_decimal(rate)))
        )
    return margin_tiers(*bands)


def _instant(raw: object) -> datetime:
    instant = datetime.fromisoformat(str(raw))
    if instant.tzinfo is None:
        raise UnsupportedInstrument(f"{raw!r} needs a time zone")
    return instant


_REQUIRED = (
    "symbol", "base", "quote", "settle", "kind", "price_step", "quantity_step", "min_quantity", "min_notional",
)  # fmt: skip
_DECIMALS = (
    "price_step", "quantity_step", "min_quantity", "min_notional", "contract_size", "max_leverage", "max_quantity",
    "max_market_quantity", "maker_fee", "taker_fee", "liquidation_fee", "price_band",
)  # fmt: skip
_NEVER_NONE = (
    "contract_size", "max_leverage", "maker_fee", "taker_fee", "liquidation_fee", "margin_tiers", "status",
    "trigger_bases",
)  # fmt: skip
_ABSURD = Decimal("1E18")
_STEPS = ("price_step", "quantity_step", "contract_size")
_RANGES: tuple[tuple[tuple[str, ...], Callable[[Any], bool], str], ...] = (
    (_DECIMALS, lambda value: abs(value) < _ABSURD, "is too large a number"),
    (_STEPS, lambda value: value > 0, "must be above zero"),
    (_STEPS, lambda value: value * _ABSURD >= 1, "is too small a number"),
    (
        ("max_quantity", "max_market_quantity", "price_band", "max_open_orders"),
        lambda value: value > 0,
        "must be above zero, or left out",
    ),
    (
        ("min_quantity", "min_notional", "liquidation_fee"),
        lambda value: value >= 0,
        "is never below zero",
    ),
    (("max_leverage",), lambda value: value >= ONE, "is at least 1"),
    (
        ("maker_fee", "taker_fee", "liquidation_fee"),
        lambda value: -ONE < value < ONE,
        "is a fraction of notional",
    ),
    (("trigger_bases",), bool, "names at least one price"),
    (("funding_interval",), lambda value: value > timedelta(0), "must be above zero"),
)
_CONVERSIONS: dict[str, Callable[[Any], object]] = {
    **dict.fromkeys(_DECIMALS, numbers.to_decimal),
    "kind": InstrumentKind,
    "status": InstrumentStatus,
    "margin_tiers": _tiers_from,
    "trigger_bases": lambda raw: frozenset(TriggerBasis(item) for item in raw),
    "funding_interval": lambda raw: timedelta(seconds=int(str(raw))),
    "delisting_at": _instant,
    "next_funding_at": _instant,
    "as_of": _instant,
    "max_open_orders": int,
}
