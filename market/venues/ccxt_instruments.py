"""ccxt's market structures as our instruments; what we don't trade is refused with the reason.

Pure: no request is made here. A venue's margin tiers that need a key are replaced by stated,
conservative bands (`default_tiers`). The trap avoided: ccxt tells steps as ticks or as a count of
decimals, depending on the venue; a step of 2 instead of 0.01 rounds every order to nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Any

from market.domain.data import from_milliseconds
from market.domain.enums import InstrumentKind, InstrumentStatus, TriggerBasis
from market.domain.instruments import (
    Instrument,
    MarginTier,
    UnsupportedInstrument,
    margin_tiers,
)
from market.domain.numbers import ONE, ZERO, to_decimal
from market.venues.venue_table import TierUnit, VenueSpec

UNKNOWN_LEVERAGE = Decimal(20)
"""What a perpetual allows where its venue tells nobody without a key."""
UNKNOWN_FEE = Decimal("0.001")
LIQUIDATION_FEE = Decimal("0.0125")
"""Stated: no venue's market list tells its own."""
_BANDS = ((Decimal(250_000), 1), (Decimal(1_000_000), 2), (None, 4))
_MOST_RATE, _RATE_STEP = Decimal("0.5"), Decimal("0.000001")
_NO_DELIVERY = 4_133_404_800_000  # the year 2100: how Binance writes "perpetual"


def instrument_of(
    market: Mapping[str, Any],
    spec: VenueSpec,
    *,
    as_of: datetime,
    decimal_places: bool = False,
) -> Instrument:
    """Read one market. `decimal_places`: the venue's steps are counts of decimals, not ticks.

    A perpetual without a known leverage gets 20, and `default_tiers`. Raises UnsupportedInstrument for
    what is neither a linear perpetual nor spot, or lacks a number that orders need.
    """
    symbol = str(market.get("symbol"))
    kind = _kind(market, symbol)
    try:
        return _instrument(market, spec, symbol, kind, as_of, decimal_places)
    except UnsupportedInstrument:
        raise
    except (ValueError, TypeError, KeyError, ArithmeticError) as error:
        raise UnsupportedInstrument(f"{symbol}: {error}") from None


def instruments_of(
    markets: Mapping[str, Mapping[str, Any]], spec: VenueSpec, *, as_of: datetime
) -> tuple[tuple[Instrument, ...], Mapping[str, str]]:
    """Read a venue's markets: those we can trade, in name order, and symbol → why not for the others."""
    taken: list[Instrument] = []
    refused: dict[str, str] = {}
    for symbol in sorted(markets):
        try:
            taken.append(instrument_of(markets[symbol], spec, as_of=as_of))
        except UnsupportedInstrument as error:
            refused[symbol] = str(error)
    return tuple(taken), refused


def default_tiers(max_leverage: Decimal) -> tuple[MarginTier, ...]:
    """Return stated maintenance bands for a perpetual whose own are not public.

    The lowest rate is half the initial margin at the highest leverage, 1 / (2 × leverage), up to a
    notional of 250,000; twice that up to a million, four times above, never more than one half. That
    is at or above what large venues ask, so a simulated position is liquidated early, not late.
    """
    lowest = (ONE / (2 * max_leverage)).quantize(_RATE_STEP, ROUND_CEILING)
    return margin_tiers(
        *(
            (None if cap is None else str(cap), str(min(lowest * factor, _MOST_RATE)))
            for cap, factor in _BANDS
        )
    )


def published_tiers(
    tiers: Sequence[Mapping[str, Any]], unit: TierUnit, contract_value: Decimal
) -> tuple[MarginTier, ...]:
    """Read ccxt's leverage tiers. `contract_value` is what one contract is worth now: caps told in
    contracts are made notionals with it.

    The last tier gets no end: what is larger than it is kept out by the venue, not by its margin.
    Raises ValueError when there are none or they make no sense.
    """
    factor = contract_value if unit is TierUnit.CONTRACTS else ONE
    bands: list[tuple[str | None, str]] = []
    for tier in tiers:
        rate = to_decimal(tier["maintenanceMarginRate"])
        bands.append((str(to_decimal(tier["maxNotional"]) * factor), str(rate)))
    if not bands:
        raise ValueError("the venue tells no margin tiers")
    bands[-1] = (None, bands[-1][1])
    return margin_tiers(*bands)


def _kind(market: Mapping[str, Any], symbol: str) -> InstrumentKind:
    """Return what it is. Raises UnsupportedInstrument for what we don't trade."""
    if market.get("spot"):
        return InstrumentKind.SPOT
    if market.get("option"):
        reason = "options are not traded"
    elif market.get("future") or market.get("expiry"):
        reason = "dated futures are not traded"
    elif not market.get("swap"):
        reason = f"{market.get('type')!r} is neither a perpetual nor spot"
    elif market.get("inverse"):
        reason = "inverse contracts are not traded"
    elif not market.get("linear") or market.get("settle") != market.get("quote"):
        reason = (
            f"it settles in {market.get('settle')} and is quoted in {market.get('quote')}; "
            "quanto contracts are not traded"
        )
    else:
        return InstrumentKind.PERPETUAL
    raise UnsupportedInstrument(f"UNSUPPORTED_INSTRUMENT {symbol}: {reason}")


def _instrument(
    market: Mapping[str, Any],
    spec: VenueSpec,
    symbol: str,
    kind: InstrumentKind,
    as_of: datetime,
    decimal_places: bool,
) -> Instrument:
    limits = market.get("limits") or {}
    amounts = limits.get("amount") or {}
    quantity_step = _step(market, "amount", decimal_places)
    is_perpetual = kind is InstrumentKind.PERPETUAL
    leverage = _leverage(limits) if is_perpetual else ONE
    return Instrument(
        symbol=symbol,
        base=str(market["base"]),
        quote=str(market["quote"]),
        settle=str(market["settle"] if is_perpetual else market["quote"]),
        kind=kind,
        price_step=_step(market, "price", decimal_places),
        quantity_step=quantity_step,
        min_quantity=max(_number(amounts.get("min")) or ZERO, quantity_step),
        min_notional=_number((limits.get("cost") or {}).get("min")) or ZERO,
        contract_size=_required(market, "contractSize") if is_perpetual else ONE,
        max_leverage=leverage,
        max_quantity=_number(amounts.get("max")) or None,
        max_market_quantity=_most_at_market(market, limits, is_perpetual),
        maker_fee=_fee(market, "maker"),
        taker_fee=_fee(market, "taker"),
        liquidation_fee=LIQUIDATION_FEE if is_perpetual else ZERO,
        margin_tiers=default_tiers(leverage) if is_perpetual else (),
        status=_status(market),
        delisting_at=_delisting_at(market) if is_perpetual else None,
        trigger_bases=spec.trigger_bases if is_perpetual else frozenset({TriggerBasis.LAST}),
        funding_interval=_funding_interval(market, spec) if is_perpetual else None,
        as_of=as_of,
    )


def _number(value: object) -> Decimal | None:
    """Read a number without its trailing zeros, so that a step prints as it is."""
    if value is None or value == "":
        return None
    number = to_decimal(value).normalize()
    return number if int(number.as_tuple().exponent) <= 0 else number.quantize(ONE)


def _required(market: Mapping[str, Any], name: str) -> Decimal:
    number = _number(market.get(name))
    if number is None:
        raise UnsupportedInstrument(f"{market.get('symbol')}: the venue tells no {name}")
    return number


def _step(market: Mapping[str, Any], name: str, decimal_places: bool) -> Decimal:
    """Return a step as a size: 0.01, whether told as 0.01 or as 2 decimals."""
    step = _number((market.get("precision") or {}).get(name))
    if step is None:
        raise UnsupportedInstrument(f"{market.get('symbol')}: the venue tells no step of {name}")
    return ONE.scaleb(-int(step)) if decimal_places else step


def _leverage(limits: Mapping[str, Any]) -> Decimal:
    told = _number((limits.get("leverage") or {}).get("max"))
    return UNKNOWN_LEVERAGE if told is None or told < ONE else told


def _most_at_market(
    market: Mapping[str, Any], limits: Mapping[str, Any], is_perpetual: bool
) -> Decimal | None:
    told = _number((limits.get("market") or {}).get("max"))
    if not told and is_perpetual:
        told = _number((market.get("info") or {}).get("maxMktSz"))  # OKX
    return told or None


def _fee(market: Mapping[str, Any], name: str) -> Decimal:
    fee = _number(market.get(name))
    return UNKNOWN_FEE if fee is None else fee


def _status(market: Mapping[str, Any]) -> InstrumentStatus:
    is_active = market.get("active")
    return InstrumentStatus.SUSPENDED if is_active is False else InstrumentStatus.TRADING


def _delisting_at(market: Mapping[str, Any]) -> datetime | None:
    """Return when a perpetual ends, where its venue has announced it (Binance, OKX, Bybit)."""
    info = market.get("info") or {}
    for name in ("deliveryDate", "expTime", "deliveryTime"):
        told = _number(info.get(name))
        if told is not None and 0 < told < _NO_DELIVERY:
            return from_milliseconds(int(told))
    return None


def _funding_interval(market: Mapping[str, Any], spec: VenueSpec) -> timedelta:
    minutes = _number((market.get("info") or {}).get("fundingInterval"))  # Bybit
    return timedelta(minutes=int(minutes)) if minutes else spec.funding_interval
