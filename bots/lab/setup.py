"""From what a person asked for to a replay that can run, or one clear sentence why it can't.

Everything is read and checked before anything runs or is written.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Literal
from uuid import UUID, uuid5

from bots.domain.bot import BotConfig
from bots.domain.exits import ExitRules
from bots.lab.runner import ReplaySetup
from llm.domain import StopRequirement
from llm.ports import Trader
from llm.providers.scripted import ScriptedChat
from llm.traders.llm_trader import LLMTrader
from llm.traders.registry import build_trader, trader_names
from market.domain.canonical import canonical_bytes, canonical_value
from market.domain.data import CandleSeries, FundingSeries
from market.domain.instruments import Instrument
from market.domain.numbers import ONE, ZERO, plain
from market.venues.candle_files import load_candles, load_funding, parse_utc_offset
from market.venues.default_instruments import default_instrument
from market.venues.replay_feed import InstrumentHistory
from market.venues.sim_market import histories as simulated_histories
from market.venues.sim_market.days import HORIZON
from market.venues.sim_venue.settings import SimSettings, VolumeUnit
from market.venues.timeframes import aggregate, divides, timeframe_text
from risk.domain import Limits
from risk.profiles import profile

SCRIPTED = "scripted"
"""The trader name that plays completions from a file through the whole model path."""
LONGEST_LATENCY = timedelta(days=7)
_SIMULATED_FROM = datetime(2024, 1, 1, tzinfo=UTC)
_NAMESPACE = UUID("8a1c9a52-3d0f-5c55-9d27-6d1f3a0c7be1")


class ReplayRefused(ValueError):
    """The replay can't be run as asked; the message says why in one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRequest:
    """What `manage.py replay` was asked for. Paths as given; money in settlement currency.

    `funding_tz`, `timestamp` and `volume_unit` are None where nobody said: UTC, opens, base units.
    """

    candles: Sequence[Path] = ()
    symbols: Sequence[str] = ()
    mark: Sequence[Path] = ()
    funding: Sequence[Path] = ()
    funding_tz: str | None = None
    instrument: Path | None = None
    timeframe: timedelta = timedelta(minutes=1)
    interval: timedelta | None = None
    timestamp: Literal["open", "close"] | None = None
    allow_gaps: bool = False
    trader: str = "ema_trend"
    params: Mapping[str, str] = field(default_factory=dict)
    completions: Path | None = None
    risk: str = "balanced"
    size: Decimal | None = None
    cash: Decimal = Decimal(10_000)
    fee: Decimal | None = None
    maker_fee: Decimal | None = None
    slippage_bps: Decimal = Decimal(1)
    spread_bps: Decimal = ZERO
    latency: timedelta = timedelta(0)
    max_volume_fraction: Decimal | None = None
    volume_unit: VolumeUnit | None = None
    seed: int = 1
    simulated_days: int | None = None
    jump: bool = True
    exits: ExitRules = field(default_factory=ExitRules)


def build_setup(request: ReplayRequest) -> ReplaySetup:
    """Load, check and put together. Raises ReplayRefused, CandleFileError, UnsupportedInstrument and
    TraderConfigurationError: all ValueErrors of one sentence."""
    if request.cash <= 0:
        raise ReplayRefused(f"--cash must be above zero, not {plain(request.cash)}")
    if int(request.cash.normalize().as_tuple().exponent) < -8:
        raise ReplayRefused(f"--cash has at most 8 decimals, unlike {plain(request.cash)}")
    sim = _sim_settings(request)
    interval = request.interval or request.timeframe
    if interval % request.timeframe:
        raise ReplayRefused(
            f"the interval of {timeframe_text(interval)} is no multiple of the timeframe of "
            f"{timeframe_text(request.timeframe)}"
        )
    histories = load_histories(request)
    _check_whole_candles(request, histories)
    limits = _limits(request)
    script = _script(request)
    trader = _trader(request, limits) if script is None else LLMTrader(chat=script)
    currencies = {history.instrument.settle for history in histories}
    if len(currencies) > 1:
        raise ReplayRefused(
            f"one settlement currency each replay, not {', '.join(sorted(currencies))}"
        )
    symbols = tuple(sorted(history.instrument.symbol for history in histories))
    bot = BotConfig(
        id=uuid5(_NAMESPACE, _identity(request, histories, script)),
        symbols=symbols,
        interval=interval,
        timeframe=request.timeframe,
        capital=request.cash,
        currency=currencies.pop(),
        exits=request.exits,
    )
    return ReplaySetup(
        bot=bot,
        histories=histories,
        trader=trader,
        limits=limits,
        sim=sim,
        spread_bps=request.spread_bps,
        jump=request.jump,
        is_simulated=request.simulated_days is not None,
    )


def _check_whole_candles(request: ReplayRequest, histories: Sequence[InstrumentHistory]) -> None:
    """A replay whose trader would never see one candle is refused."""
    bars = histories[0].bars
    if divides(bars.timeframe, request.timeframe) and not len(aggregate(bars, request.timeframe)):
        raise ReplayRefused(
            f"{len(bars)} candles of {timeframe_text(bars.timeframe)} hold no whole one of "
            f"{timeframe_text(request.timeframe)}"
        )


def _sim_settings(request: ReplayRequest) -> SimSettings:
    """How the venue fills. The feed quotes the same spread that a fill on a bar pays half of."""
    for name, bps in (
        ("--slippage-bps", request.slippage_bps),
        ("--spread-bps", request.spread_bps),
        ("--slippage-bps and half of --spread-bps", request.slippage_bps + request.spread_bps / 2),
    ):
        if not 0 <= bps < 10_000:
            raise ReplayRefused(f"{name} must be from 0 to below 10000, not {plain(bps)}")
    if not timedelta(0) <= request.latency <= LONGEST_LATENCY:
        raise ReplayRefused(
            f"--latency-ms must be from 0 to {LONGEST_LATENCY // timedelta(milliseconds=1)}"
        )
    fraction = request.max_volume_fraction
    if fraction is not None and not 0 < fraction <= 1:
        raise ReplayRefused(
            f"--max-volume-fraction is above 0 and at most 1, not {plain(fraction)}"
        )
    return SimSettings(
        slippage_bps=request.slippage_bps,
        spread_bps=request.spread_bps,
        latency=request.latency,
        max_volume_fraction=fraction,
        volume_unit=request.volume_unit or VolumeUnit.BASE,
    )


def load_histories(request: ReplayRequest) -> tuple[InstrumentHistory, ...]:
    """The market that is replayed: candle files, or the simulated market."""
    if request.simulated_days is not None:
        return _simulated(request)
    if not request.candles:
        raise ReplayRefused("say what to replay: --candles FILE --symbol SYMBOL, or --simulated")
    if len(request.candles) != len(request.symbols):
        raise ReplayRefused(
            f"each --candles file needs its --symbol: {len(request.candles)} files, "
            f"{len(request.symbols)} symbols"
        )
    for name, files in (("--mark", request.mark), ("--funding", request.funding)):
        if files and len(files) != len(request.candles):
            raise ReplayRefused(
                f"{name} is given {len(files)} times for {len(request.candles)} candle files"
            )
    if request.funding_tz is not None and not request.funding:
        raise ReplayRefused("--funding-tz is the clock of a --funding file, and there is none")
    if len(set(request.symbols)) < len(request.symbols):
        raise ReplayRefused("each --symbol may be given once")
    return tuple(_history(request, index) for index in range(len(request.candles)))


def _history(request: ReplayRequest, index: int) -> InstrumentHistory:
    symbol = request.symbols[index]
    instrument = _with_fees(_instrument(request, symbol), request)

    def load(path: Path) -> CandleSeries:
        return load_candles(
            path,
            timeframe=request.timeframe,
            symbol=symbol,
            timestamp=request.timestamp or "open",
            allow_gaps=request.allow_gaps,
        )

    bars = load(request.candles[index])
    mark = load(request.mark[index]) if request.mark else None
    rates = None
    if request.funding:
        if instrument.is_spot:
            raise ReplayRefused(f"{symbol} is spot: it pays no funding")
        offset = parse_utc_offset(request.funding_tz or "UTC")
        rates = load_funding(request.funding[index], utc_offset=offset, symbol=symbol)
    return InstrumentHistory(instrument=instrument, bars=bars, mark_bars=mark, funding=rates)


def _simulated(request: ReplayRequest) -> tuple[InstrumentHistory, ...]:
    for flag, given in (
        ("--candles", request.candles),
        ("--mark", request.mark),
        ("--funding", request.funding),
        ("--funding-tz", request.funding_tz is not None),
        ("--instrument", request.instrument),
        ("--timestamp", request.timestamp),
        ("--allow-gaps", request.allow_gaps),
        ("--volume-unit", request.volume_unit),
    ):
        if given:
            raise ReplayRefused(f"{flag} is about files, and --simulated reads none")
    days = request.simulated_days or 0
    most = (HORIZON - _SIMULATED_FROM).days
    if not 1 <= days <= most:
        raise ReplayRefused(
            f"--days must be from 1 to {most}: the simulated market is replayed from "
            f"{_SIMULATED_FROM:%Y-%m-%d} and ends before {HORIZON:%Y-%m-%d}"
        )
    made = simulated_histories(
        request.seed,
        _SIMULATED_FROM,
        days * 1440,
        symbols=tuple(request.symbols) or None,
    )
    return tuple(
        replace(history, instrument=_with_fees(history.instrument, request)) for history in made
    )


def _instrument(request: ReplayRequest, symbol: str) -> Instrument:
    if request.instrument is None:
        return default_instrument(symbol)
    try:
        raw = json.loads(request.instrument.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ReplayRefused(f"there is no instrument file {request.instrument}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ReplayRefused(f"{request.instrument} can't be read as JSON: {error}") from None
    rows = raw if isinstance(raw, list) else [raw]
    for row in rows:
        if isinstance(row, dict) and row.get("symbol") == symbol:
            return Instrument.from_mapping(row)
    raise ReplayRefused(f"{request.instrument} has no instrument {symbol}")


def _with_fees(instrument: Instrument, request: ReplayRequest) -> Instrument:
    taker = instrument.taker_fee if request.fee is None else request.fee
    maker = request.maker_fee
    if maker is None:
        maker = instrument.maker_fee if request.fee is None else request.fee
    for name, fee in (("--fee", taker), ("--maker-fee", maker)):
        if not -ONE < fee < ONE:
            raise ReplayRefused(f"{name} is a fraction of notional, not {plain(fee)}")
    return replace(instrument, taker_fee=taker, maker_fee=maker)


def _limits(request: ReplayRequest) -> Limits:
    if request.risk != "raw":
        if request.size is not None:
            raise ReplayRefused(
                "--size belongs to --risk raw: the other profiles size by risk and notional"
            )
        try:
            return profile(request.risk)
        except LookupError as error:
            raise ReplayRefused(str(error)) from None
    size = ONE if request.size is None else request.size
    if size <= 0:
        raise ReplayRefused(f"--size must be above zero, not {plain(size)}")
    return profile("raw", size=size)


def _script(request: ReplayRequest) -> ScriptedChat | None:
    """The scripted trader's completions; None for every other trader."""
    if request.trader == SCRIPTED:
        if request.completions is None:
            raise ReplayRefused("the scripted trader needs --completions FILE")
        if request.params:
            raise ReplayRefused("the scripted trader has no parameters: leave --param out")
        return ScriptedChat.from_file(request.completions)
    if request.completions is not None:
        raise ReplayRefused(f"--completions belongs to --trader {SCRIPTED}")
    return None


def _trader(request: ReplayRequest, limits: Limits) -> Trader:
    params = dict(request.params)
    for name in ("size", "leverage"):
        if limits.raw and name in params:
            raise ReplayRefused(f"with --risk raw the size is --size, not --param {name}")
    if request.trader == "seeded_random":
        params.setdefault("seed", str(request.seed))
    if request.trader not in trader_names():
        raise ReplayRefused(
            f"no trader {request.trader!r}; there are {', '.join((*trader_names(), SCRIPTED))}"
        )
    trader = build_trader(request.trader, params)
    if limits.stop_required and trader.stop is StopRequirement.NONE and trader.name != "flat":
        raise ReplayRefused(
            f"{trader.name} names no stop and the profile {limits.name} requires one: give it one "
            "(--param stop_atr=3 --param reward=2), or use --risk raw"
        )
    return trader


def _identity(
    request: ReplayRequest, histories: Sequence[InstrumentHistory], script: ScriptedChat | None
) -> str:
    """What the bot's id is derived from: the whole configuration and the data, but no file names."""
    return canonical_bytes(
        {
            "timeframe": request.timeframe,
            "interval": request.interval,
            "trader": request.trader,
            "params": dict(request.params),
            "risk": request.risk,
            "size": request.size,
            "cash": request.cash,
            "slippage_bps": request.slippage_bps,
            "spread_bps": request.spread_bps,
            "latency": request.latency,
            "max_volume_fraction": request.max_volume_fraction,
            "volume_unit": request.volume_unit,
            **({} if request.exits.is_off else {"exits": request.exits}),
            "seed": request.seed,
            "instruments": [history.instrument for history in histories],
            "bars": [history.bars.digest() for history in histories],
            "mark_bars": [
                None if history.mark_bars is None else history.mark_bars.digest()
                for history in histories
            ],
            "funding": [_funding_digest(history.funding) for history in histories],
            "completions": None if script is None else _sha256(list(script.lines)),
        }
    ).decode()


def _funding_digest(funding: FundingSeries | None) -> str | None:
    return None if funding is None else _sha256([funding.at.tolist(), funding.rates])


def _sha256(value: object) -> str:
    """SHA-256 of a value as ASCII JSON, which has a spelling even for half a surrogate pair."""
    return hashlib.sha256(json.dumps(canonical_value(value)).encode()).hexdigest()
