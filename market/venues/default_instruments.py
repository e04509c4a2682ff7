"""Built-in instruments for replays and the simulated market, when nobody gives a venue's own.

Rounded from what large venues list: they are stated, not current. A live venue's filters never come
from here. The trap avoided: guessing steps and margins for an unknown base would make a replay that
looks exact; it is refused with the way to say it.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from market.domain.enums import InstrumentKind
from market.domain.instruments import Instrument, UnsupportedInstrument, margin_tiers

_SYMBOL = re.compile(r"([A-Z0-9]+)/([A-Z0-9]+)(?::([A-Z0-9]+)(-[0-9A-Z.-]+)?)?")
_QUOTES = ("USDT", "USDC", "USD")
_MIN_NOTIONAL = Decimal(5)
_MAKER_FEE, _TAKER_FEE, _SPOT_FEE = Decimal("0.0002"), Decimal("0.0005"), Decimal("0.001")
_LIQUIDATION_FEE = Decimal("0.0125")
_FUNDING_INTERVAL = timedelta(hours=8)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listing:
    """What is stated for one base: steps in quote and base units, bands as (notional cap, rate)."""

    price_step: str
    quantity_step: str
    spot_quantity_step: str
    max_leverage: int
    bands: tuple[tuple[str | None, str], ...]


_LISTINGS = {
    "BTC": _Listing(
        price_step="0.1",
        quantity_step="0.001",
        spot_quantity_step="0.00001",
        max_leverage=125,
        bands=(("50000", "0.004"), ("250000", "0.005"), (None, "0.01")),
    ),
    "ETH": _Listing(
        price_step="0.01",
        quantity_step="0.001",
        spot_quantity_step="0.0001",
        max_leverage=100,
        bands=(("50000", "0.004"), ("250000", "0.005"), (None, "0.01")),
    ),
    "SOL": _Listing(
        price_step="0.01",
        quantity_step="0.01",
        spot_quantity_step="0.001",
        max_leverage=75,
        bands=(("10000", "0.005"), ("100000", "0.01"), (None, "0.02")),
    ),
    "BNB": _Listing(
        price_step="0.01",
        quantity_step="0.01",
        spot_quantity_step="0.001",
        max_leverage=75,
        bands=(("10000", "0.005"), ("100000", "0.01"), (None, "0.02")),
    ),
    "XRP": _Listing(
        price_step="0.0001",
        quantity_step="0.1",
        spot_quantity_step="0.1",
        max_leverage=75,
        bands=(("10000", "0.005"), ("100000", "0.01"), (None, "0.02")),
    ),
    "DOGE": _Listing(
        price_step="0.00001",
        quantity_step="1",
        spot_quantity_step="1",
        max_leverage=75,
        bands=(("10000", "0.005"), ("100000", "0.01"), (None, "0.02")),
    ),
}

DEFAULT_BASES = tuple(_LISTINGS)


def default_instrument(symbol: str) -> Instrument:
    """Return the stated default for a linear perpetual (`BTC/USDT:USDT`) or spot (`BTC/USDT`).

    Perpetuals: maker 0.02 %, taker 0.05 %, liquidation fee 1.25 % of notional, funding every 8 hours,
    isolated margin with three maintenance bands. Spot: 0.1 % both ways. Minimum notional 5. Raises
    UnsupportedInstrument for inverse, quanto, dated and option symbols, and for an unknown base.
    """
    match = _SYMBOL.fullmatch(symbol)
    if match is None:
        raise UnsupportedInstrument(
            f"{symbol!r} is no symbol: it is written like BTC/USDT:USDT (perpetual) or BTC/USDT (spot)"
        )
    base, quote, settle, dated = match.groups()
    if dated is not None:
        raise UnsupportedInstrument(
            f"UNSUPPORTED_INSTRUMENT {symbol}: dated futures and options are not traded"
        )
    if settle is not None and settle != quote:
        kind = "inverse" if settle == base else "quanto"
        raise UnsupportedInstrument(
            f"UNSUPPORTED_INSTRUMENT {symbol}: {kind} contracts are not traded"
        )
    if base not in _LISTINGS or quote not in _QUOTES:
        raise UnsupportedInstrument(
            f"there is no built-in instrument for {symbol}: describe it in a file and give it "
            f"with --instrument (built in: {', '.join(_LISTINGS)} against {', '.join(_QUOTES)})"
        )
    listing = _LISTINGS[base]
    return (
        _spot(symbol, base, quote, listing)
        if settle is None
        else (_perpetual(symbol, base, quote, listing))
    )


def _spot(symbol: str, base: str, quote: str, listing: _Listing) -> Instrument:
    return Instrument(
        symbol=symbol,
        base=base,
        quote=quote,
        settle=quote,
        kind=InstrumentKind.SPOT,
        price_step=Decimal(listing.price_step),
        quantity_step=Decimal(listing.spot_quantity_step),
        min_quantity=Decimal(listing.spot_quantity_step),
        min_notional=_MIN_NOTIONAL,
        maker_fee=_SPOT_FEE,
        taker_fee=_SPOT_FEE,
    )


def _perpetual(symbol: str, base: str, quote: str, listing: _Listing) -> Instrument:
    return Instrument(
        symbol=symbol,
        base=base,
        quote=quote,
        settle=quote,
        kind=InstrumentKind.PERPETUAL,
        price_step=Decimal(listing.price_step),
        quantity_step=Decimal(listing.quantity_step),
        min_quantity=Decimal(listing.quantity_step),
        min_notional=_MIN_NOTIONAL,
        max_leverage=Decimal(listing.max_leverage),
        maker_fee=_MAKER_FEE,
        taker_fee=_TAKER_FEE,
        liquidation_fee=_LIQUIDATION_FEE,
        margin_tiers=margin_tiers(*listing.bands),
        funding_interval=_FUNDING_INTERVAL,
    )
