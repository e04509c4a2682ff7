"""What a run was worth: numbers from an equity curve, from its closed trades and from its activity.

Pure functions, one frozen result each. It does not estimate how sure a number is (intervals
and verdicts are the lab's) and rounds nothing: pages and reports do.

The trap avoided: a ratio nobody can compare. Every ratio that is annualised is so by the length of a
365-day year (crypto never closes) over the step of the curve, and both stand beside it in the result.
What is undefined is None, never NaN or infinity. Ratios are floats; sums of money stay Decimal.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from bots.domain.entries import ClosedTrade, ExitReason, Totals
from market.domain.enums import PositionSide
from market.domain.numbers import ZERO

FloatColumn = npt.NDArray[np.float64]

YEAR = timedelta(days=365)
MIN_DAYS = 10  # of daily returns, before their Sharpe is told to a model
# A period return is a quotient of two rounded floats: deviations below this are noise, that is, zero.
NOISE = 4 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityMetrics:
    """Numbers of an equity curve; the formulas are in `equity_metrics`. None means undefined.

    `period_seconds` is the step between two points, `periods_per_year` = 365 days ÷ step: the
    annualisation of every ratio here. Shares are fractions of 1 (a 5% loss is −0.05).
    """

    periods: int
    period_seconds: float
    periods_per_year: float
    total_return_fraction: float
    cagr_fraction: float | None
    volatility: float | None
    sharpe_ratio: float | None
    sortino_ratio: float | None
    calmar_ratio: float | None
    max_drawdown_fraction: float
    max_drawdown_duration: timedelta


def equity_metrics(equity: FloatColumn, step: timedelta, *, opening: float) -> EquityMetrics:
    """Measure an equity curve: `equity` (N,) at the close of each of N periods of length `step`,
    `opening` the equity before the first. Both after fees, funding and LLM cost, in one currency. With
    deposits or withdrawals give NAV per unit instead, or flows will pass for returns.

    Let e₀ = opening, r_i = e_i ÷ e_(i−1) − 1 for i = 1…N, and P = 365 days ÷ step.

    - total return = e_N ÷ e₀ − 1; over the whole run, not annualised.
    - CAGR = (e_N ÷ e₀)^(P ÷ N) − 1; per 365-day year. Of a short run it says little.
    - volatility = std(r, ddof 1) × √P; a fraction per √year.
    - Sharpe = mean(r) ÷ std(r, ddof 1) × √P; risk-free rate 0.
    - Sortino = mean(r) ÷ √(Σ min(r_i, 0)² ÷ N) × √P; target 0, all N periods in the deviation.
    - max drawdown = max of 1 − e_i ÷ max(e₀…e_i); ≥ 0, not annualised; over 1 if equity went below 0.
    - max drawdown duration = the longest time from a peak (its last point) to the first point back at
      or above it, or to the end; not necessarily that of the deepest drawdown.
    - Calmar = CAGR ÷ max drawdown; over the whole run, not the last 36 months.

    None: CAGR without a period or past the largest float; volatility, Sharpe and Sortino with fewer
    than two periods; Sharpe when the deviation is zero (to float rounding), Sortino when no period
    lost; Calmar without a drawdown; all five after ruin, when any equity is ≤ 0.
    Raises ValueError unless step and opening are positive and all equity is finite.
    """
    if step <= timedelta(0):
        raise ValueError("the step of an equity curve must be positive")
    if equity.ndim != 1:
        raise ValueError("an equity curve has one dimension")
    if not (math.isfinite(opening) and opening > 0):
        raise ValueError("opening equity must be a positive number")
    curve = np.concatenate((np.array([opening], dtype=np.float64), equity))
    with np.errstate(over="ignore"):
        if not bool(np.isfinite(curve / opening).all()):
            raise ValueError("equity must be finite")
    per_year = YEAR / step
    depth, longest = _drawdown(curve)
    ruined = bool((curve <= 0).any())
    cagr = None if ruined else _cagr(float(curve[-1]) / opening, len(equity) / per_year)
    volatility, sharpe, sortino = (None, None, None) if ruined else _ratios(curve, per_year)
    return EquityMetrics(
        periods=len(equity),
        period_seconds=step.total_seconds(),
        periods_per_year=per_year,
        total_return_fraction=float(curve[-1]) / opening - 1,
        cagr_fraction=cagr,
        volatility=volatility,
        sharpe_ratio=sharpe,
        sortino_ratio=sortino,
        calmar_ratio=None if cagr is None or depth == 0 else _finite(cagr / depth),
        max_drawdown_fraction=depth,
        max_drawdown_duration=longest * step,
    )


def sharpe_of_days(navs: Sequence[Decimal]) -> Decimal | None:
    """Sharpe of `navs`, the opening NAV and then one per day: the formula of `equity_metrics`, the
    period one day, annualised by √365. Rounded to four places, never −0, as it goes into prompts that
    must render the same bytes anywhere. None below ten days, or where Sharpe is undefined.
    """
    if len(navs) <= MIN_DAYS:
        return None
    closes = np.array([float(nav) for nav in navs[1:]])
    sharpe = equity_metrics(closes, timedelta(days=1), opening=float(navs[0])).sharpe_ratio
    return None if sharpe is None else Decimal(f"{sharpe:z.4f}")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _cagr(growth: float, years: float) -> float | None:
    """growth^(1 ÷ years) − 1, through logarithms, so that growth near 1 keeps its digits."""
    if years == 0 or growth == 0:  # equity may be positive and its share of the opening underflow
        return None
    try:
        return math.expm1(math.log(growth) / years)
    except OverflowError:
        return None


def _ratios(curve: FloatColumn, per_year: float) -> tuple[float | None, float | None, float | None]:
    """Volatility, Sharpe and Sortino of a curve that is positive throughout."""
    with np.errstate(over="ignore", invalid="ignore"):
        returns = curve[1:] / curve[:-1] - 1
        count = len(returns)
        if count < 2:
            return None, None, None
        mean = float(returns.mean())
        deviation = float(returns.std(ddof=1))
        losses = np.minimum(returns, 0)
        downside = math.sqrt(float(losses @ losses) / count)
    annual = math.sqrt(per_year)
    return (
        _finite(deviation * annual),
        _finite(mean / deviation * annual) if deviation > NOISE else None,
        _finite(mean / downside * annual) if downside > NOISE else None,
    )


def _drawdown(curve: FloatColumn) -> tuple[float, int]:
    """The deepest fall from a running peak, and the most steps from a peak to recovery or the end."""
    peaks = np.maximum.accumulate(curve)
    depth = max(0.0, 1 - float((curve / peaks).min()))
    at_peak = np.flatnonzero(curve == peaks)
    # The end counts as a recovery. Neighbours at a peak are one step apart: no time under water.
    stretches = np.diff(at_peak, append=len(curve) - 1)
    longest = int(stretches[:-1].max(initial=0))
    return depth, max(longest if longest > 1 else 0, int(stretches[-1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeGroup:
    """Closed trades that share a side, an instrument or an exit reason. Money as in `TradeMetrics`."""

    name: str
    count: int
    wins: int
    net_pnl: Decimal
    fees: Decimal
    funding: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeMetrics:
    """Numbers of closed round trips; the formulas are in `trade_metrics`. None means undefined.

    Money in settlement currency. Nothing here is annualised: the period is the round trip.
    """

    count: int
    wins: int
    losses: int
    scratches: int
    win_rate: float | None
    profit_factor: float | None
    payoff_ratio: float | None
    sqn: float | None
    net_pnl: Decimal
    fees: Decimal
    funding: Decimal
    expectancy: Decimal | None
    average_win: Decimal | None
    average_loss: Decimal | None
    largest_win: Decimal | None
    largest_loss: Decimal | None
    max_loss_streak: int
    average_held: timedelta | None
    median_held: timedelta | None
    long: TradeGroup
    short: TradeGroup
    by_instrument: tuple[TradeGroup, ...]
    by_exit_reason: tuple[TradeGroup, ...]


def trade_metrics(trades: Sequence[ClosedTrade]) -> TradeMetrics:
    """Measure closed round trips. The net of each is its `net_pnl`: after its fees, funding and
    adjustments, before LLM cost, which belongs to no trade. Order does not matter: streaks go by the
    time of closing (ties as given). Per trade over the whole run; nothing is annualised.

    - win: net > 0; loss: net < 0; win rate = wins ÷ count, so a net of exactly 0 is in the count only.
    - scratch: |net| < fees; counted besides, it is a win or a loss all the same.
    - profit factor = Σ net of wins ÷ |Σ net of losses|.
    - expectancy = Σ net ÷ count, money per trade.
    - average win, average loss (< 0): mean net of each; payoff ratio = average win ÷ |average loss|.
    - largest win and loss: the extreme nets of wins and of losses.
    - max loss streak: most losses in a row; a scratch neither counts nor resets.
    - held: from the first fill to the flat; the median of an even count is the mean of the middle two.
    - SQN = √count × mean(net) ÷ std(net, ddof 1); on money, without the cap at 100 trades.
    - fees as amounts paid (> 0 costs), funding as received (< 0 costs); the groups likewise. Instruments
      in the order of their names; exit reasons in the order of `ExitReason`, those that occur.

    None: rates and averages of nothing; profit factor and payoff without a loss (payoff also without a
    win); SQN with fewer than two trades or all nets equal.
    """
    nets = [trade.net_pnl for trade in trades]
    wins = [net for net in nets if net > 0]
    losses = [net for net in nets if net < 0]
    average_win, average_loss = _mean(wins), _mean(losses)
    held = sorted(trade.held for trade in trades)
    count = len(trades)
    return TradeMetrics(
        count=count,
        wins=len(wins),
        losses=len(losses),
        scratches=sum(_is_scratch(trade) for trade in trades),
        win_rate=len(wins) / count if count else None,
        profit_factor=float(sum(wins, ZERO) / -sum(losses, ZERO)) if losses else None,
        payoff_ratio=float(average_win / -average_loss) if average_win and average_loss else None,
        sqn=_sqn(nets),
        net_pnl=sum(nets, ZERO),
        fees=sum((trade.fees for trade in trades), ZERO),
        funding=sum((trade.funding for trade in trades), ZERO),
        expectancy=_mean(nets),
        average_win=average_win,
        average_loss=average_loss,
        largest_win=max(wins, default=None),
        largest_loss=min(losses, default=None),
        max_loss_streak=_max_loss_streak(trades),
        average_held=sum(held, timedelta(0)) / count if count else None,
        median_held=(held[(count - 1) // 2] + held[count // 2]) / 2 if count else None,
        long=_group(PositionSide.LONG, [t for t in trades if t.side is PositionSide.LONG]),
        short=_group(PositionSide.SHORT, [t for t in trades if t.side is PositionSide.SHORT]),
        by_instrument=_groups(trades, "symbol", sorted({trade.symbol for trade in trades})),
        by_exit_reason=_groups(trades, "exit_reason", list(ExitReason)),
    )


def _mean(amounts: Sequence[Decimal]) -> Decimal | None:
    return sum(amounts, ZERO) / len(amounts) if amounts else None


def _is_scratch(trade: ClosedTrade) -> bool:
    return abs(trade.net_pnl) < trade.fees


def _max_loss_streak(trades: Iterable[ClosedTrade]) -> int:
    streak = longest = 0
    for trade in sorted(trades, key=lambda trade: trade.closed_at):
        if not _is_scratch(trade):
            streak = streak + 1 if trade.net_pnl < 0 else 0
            longest = max(longest, streak)
    return longest


def _sqn(nets: Sequence[Decimal]) -> float | None:
    if len(set(nets)) < 2:
        return None
    count, mean = len(nets), sum(nets, ZERO) / len(nets)
    # Subtracted exactly, so that no digit cancels; summed exactly, so that their order cannot matter.
    squares = math.fsum(float(net - mean) ** 2 for net in nets)
    deviation = math.sqrt(squares / (count - 1))
    return _finite(math.sqrt(count) * float(mean) / deviation) if deviation else None


def _group(name: str, trades: Sequence[ClosedTrade]) -> TradeGroup:
    return TradeGroup(
        name=str(name),
        count=len(trades),
        wins=sum(trade.net_pnl > 0 for trade in trades),
        net_pnl=sum((trade.net_pnl for trade in trades), ZERO),
        fees=sum((trade.fees for trade in trades), ZERO),
        funding=sum((trade.funding for trade in trades), ZERO),
    )


def _groups(
    trades: Sequence[ClosedTrade], field: str, names: Sequence[str]
) -> tuple[TradeGroup, ...]:
    """One group per name, in the order of the names, without the empty ones."""
    members: dict[str, list[ClosedTrade]] = {name: [] for name in names}
    for trade in trades:
        members[getattr(trade, field)].append(trade)
    return tuple(_group(name, those) for name, those in members.items() if those)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityMetrics:
    """How much a run traded; the formulas are in `activity_metrics`. None means undefined."""

    bars: int
    bars_in_market: int
    time_in_market_fraction: float | None
    traded_notional: Decimal
    turnover: float | None
    fees: Decimal
    funding: Decimal
    llm_cost: Decimal


def activity_metrics(
    equity: FloatColumn,
    *,
    bars_in_market: int,
    fill_notionals: Iterable[Decimal],
    totals: Totals,
) -> ActivityMetrics:
    """Measure activity over a run of N bars, `equity` (N,) at their closes. Nothing is annualised: the
    period is the whole run.

    - time in market = bars at whose close any position was open ÷ N. How *large* positions were is
      exposure, a different measure, and the risk engine's.
    - turnover = Σ |notional| of every fill, entries and exits, ÷ mean of `equity`: in at 1× and out
      again makes 2.
    - fees, funding and LLM cost: the ledger's totals, open positions' included, so they may exceed the
      sums over closed trades. Fees and LLM cost as amounts paid, funding as received.

    None: both quotients without a bar, turnover also when mean equity is ≤ 0.
    Raises ValueError when more bars were in the market than there are, or equity is not finite.
    """
    bars = len(equity)
    if not 0 <= bars_in_market <= bars:
        raise ValueError(f"{bars_in_market} of {bars} bars cannot be in the market")
    if not bool(np.isfinite(equity).all()):
        raise ValueError("equity must be finite")
    notional = sum((abs(amount) for amount in fill_notionals), ZERO)
    mean_equity = float(equity.mean()) if bars else 0.0
    return ActivityMetrics(
        bars=bars,
        bars_in_market=bars_in_market,
        time_in_market_fraction=bars_in_market / bars if bars else None,
        traded_notional=notional,
        turnover=_finite(float(notional) / mean_equity) if mean_equity > 0 else None,
        fees=totals.fees,
        funding=totals.funding,
        llm_cost=totals.llm_cost,
    )
