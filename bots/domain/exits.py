"""Exits that a bot manages by itself between two decisions: what is due at a price, and at which price next.

Pure, and almost without a memory: a stop only ever comes closer to the market, so the stop that rests
*is* the best price seen. The trap avoided: a peak that is kept beside the stop, and lost on a restart.
Everything is measured in R, the distance from the entry to the stop that the position was entered with.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from bots.domain.entries import ExitPlan
from market.domain.enums import PositionSide
from market.domain.numbers import ONE, ZERO, ceil_to_tick, floor_to_tick, plain

TRAIL_STEP: Final = Decimal("0.1")
"""A trailing stop moves when it would come closer by this share of its distance: each move is two requests."""
MOST_RUNGS: Final = 5
LARGEST_R: Final = Decimal(100)
LEAST_TRAIL, LARGEST_TRAIL = Decimal("0.001"), Decimal("0.5")
SHORTEST_HOLD, LONGEST_HOLD = timedelta(minutes=1), timedelta(days=365)


TRAILING, BREAK_EVEN, LADDER = "trailing stop", "break-even", "ladder"


class InvalidExits(ValueError):
    """A rule of exits that makes no sense. `about`: the field of `ExitRules` that it is about."""

    def __init__(self, sentence: str, about: str) -> None:
        super().__init__(sentence)
        self.about = about


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One partial take-profit: at `at_r` × R of profit, `fraction` of all that was entered is closed."""

    at_r: Decimal
    fraction: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRules:
    """What a bot does with an open position by itself. None, or no rung, switches a rule off.

    `trailing_fraction`: the stop follows the mark price at this fraction of it, from a profit of
    `trailing_from_r` × R on (None: from the entry). `break_even_at_r`: at that profit the stop moves to where
    nothing is lost after both taker fees. `ladder`: nearest rung first. `time_stop`: closed when held so
    long. Raises InvalidExits.
    """

    trailing_fraction: Decimal | None = None
    trailing_from_r: Decimal | None = None
    break_even_at_r: Decimal | None = None
    ladder: tuple[Rung, ...] = ()
    time_stop: timedelta | None = None

    def __post_init__(self) -> None:
        trail = self.trailing_fraction
        if trail is not None and not LEAST_TRAIL <= trail <= LARGEST_TRAIL:
            raise InvalidExits(
                f"a stop trails at {_pct(LEAST_TRAIL)} to {_pct(LARGEST_TRAIL)} of the price, not {_pct(trail)}",
                "trailing_fraction",
            )
        if trail is None and self.trailing_from_r is not None:
            raise InvalidExits(
                "a stop that trails from some profit on needs its distance", "trailing_from_r"
            )
        _check_r(self.trailing_from_r, "trailing_from_r", least=ZERO)
        _check_r(self.break_even_at_r, "break_even_at_r")
        _check_ladder(self.ladder)
        held = self.time_stop
        if held is not None and not SHORTEST_HOLD <= held <= LONGEST_HOLD:
            raise InvalidExits("a time stop is from one minute to 365 days", "time_stop")

    @property
    def is_off(self) -> bool:
        return self == _OFF


def _check_r(value: Decimal | None, about: str, least: Decimal | None = None) -> None:
    if value is None:
        return
    low_enough = value >= least if least is not None else value > 0
    if not (low_enough and value <= LARGEST_R):
        floor = "from 0" if least is not None else "above 0"
        raise InvalidExits(
            f"a profit in R is {floor}, and at most {LARGEST_R}, not {plain(value)}", about
        )


def _check_ladder(ladder: tuple[Rung, ...]) -> None:
    if len(ladder) > MOST_RUNGS:
        raise InvalidExits(f"a ladder has at most {MOST_RUNGS} rungs, not {len(ladder)}", "ladder")
    last = ZERO
    for rung in ladder:
        _check_r(rung.at_r, "ladder")
        if rung.at_r <= last:
            raise InvalidExits(
                f"each rung of a ladder is higher than the one before: {plain(rung.at_r)} R comes after"
                f" {plain(last)} R",
                "ladder",
            )
        if not 0 < rung.fraction <= 1:
            raise InvalidExits(
                f"a rung closes a share above 0 and at most 1, not {plain(rung.fraction)}", "ladder"
            )
        last = rung.at_r
    whole = sum((rung.fraction for rung in ladder), ZERO)
    if whole > 1:
        raise InvalidExits(
            f"the rungs of a ladder close {_pct(whole)}, and there is no more than 100%", "ladder"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """An open position as its rules see it. Prices per unit of the base; `taker_fee` a fraction."""

    side: PositionSide
    entry_price: Decimal
    plan: ExitPlan
    taker_fee: Decimal
    price_step: Decimal

    @property
    def risk(self) -> Decimal | None:
        """R: how far the first stop was from the entry; None where there was none, or it was past it."""
        first = self.plan.first_stop_price
        if first is None:
            return None
        distance = self.sign * (self.entry_price - first)
        return distance if distance > 0 else None

    @property
    def sign(self) -> int:
        return 1 if self.side is PositionSide.LONG else -1

    def profit_price(self, at_r: Decimal) -> Decimal | None:
        """The price at which a profit of `at_r` × R is reached; None without R."""
        return None if self.risk is None else self.entry_price + self.sign * at_r * self.risk

    def is_closer(self, price: Decimal, than: Decimal | None) -> bool:
        """True for a stop that is closer to the market than another, or the first."""
        return than is None or self.sign * (price - than) > 0

    def is_reached(self, price: Decimal, mark: Decimal) -> bool:
        return self.sign * (mark - price) >= 0

    def away(self, price: Decimal) -> Decimal:
        """On a tick, away from the market as seen from a stop."""
        rounded = floor_to_tick if self.side is PositionSide.LONG else ceil_to_tick
        return rounded(price, self.price_step)

    def beyond(self, price: Decimal) -> Decimal:
        """On a tick, in the direction of profit."""
        rounded = ceil_to_tick if self.side is PositionSide.LONG else floor_to_tick
        return rounded(price, self.price_step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Something that becomes due when the mark price reaches `price`: a closer stop (`rule` says whose), or
    the next rung of the ladder (`rung`, from 1)."""

    price: Decimal
    rule: str
    rung: int = 0


def watched(rules: ExitRules, held: Holding) -> Iterator[Watch]:
    """What is waited for, and at which mark price. Each is due once: done, its price lies further away."""
    step = _trail_due_at(rules, held)
    if step is not None:
        yield Watch(price=step, rule=TRAILING)
    even = _break_even_due_at(rules, held)
    if even is not None:
        yield Watch(price=even, rule=BREAK_EVEN)
    taken = held.plan.rungs_taken
    if taken < len(rules.ladder):
        price = held.profit_price(rules.ladder[taken].at_r)
        if price is not None:
            yield Watch(price=price, rule=LADDER, rung=taken + 1)


def next_price(rules: ExitRules, held: Holding) -> Decimal | None:
    """The nearest mark price at which something is due; None when nothing is waited for."""
    prices = [watch.price for watch in watched(rules, held)]
    if not prices:
        return None
    return min(prices) if held.side is PositionSide.LONG else max(prices)


def closer_stop(rules: ExitRules, held: Holding, mark: Decimal) -> tuple[Decimal, str] | None:
    """Where the stop must move at a mark price, and by which rule; None to leave it. Never looser."""
    best: tuple[Decimal, str] | None = None
    for watch in watched(rules, held):
        if watch.rung or not held.is_reached(watch.price, mark):
            continue
        price = _trailed(rules, held, mark) if watch.rule == TRAILING else break_even_price(held)
        if held.is_closer(price, best[0] if best else held.plan.stop_price):
            best = price, watch.rule
    return best


def rung_due(rules: ExitRules, held: Holding, mark: Decimal) -> int:
    """The number of the rung to take at a mark price, from 1; 0 for none."""
    for watch in watched(rules, held):
        if watch.rung and held.is_reached(watch.price, mark):
            return watch.rung
    return 0


def is_loosened(held: Holding) -> bool:
    """True when somebody moved the stop away from where these rules had moved it."""
    managed = held.plan.managed_stop_price
    return managed is not None and (
        held.plan.stop_price is None or held.is_closer(managed, held.plan.stop_price)
    )


def overdue_at(rules: ExitRules, opened_at: datetime | None) -> datetime | None:
    """When a position has been held for too long; None without a time stop."""
    if rules.time_stop is None or opened_at is None:
        return None
    return opened_at + rules.time_stop


def break_even_price(held: Holding) -> Decimal:
    """Where an exit pays both taker fees and no more: long entry × (1 + f) ÷ (1 − f), short its mirror.
    Slippage and funding are not in it."""
    fee = held.sign * held.taker_fee
    return held.beyond(held.entry_price * (ONE + fee) / (ONE - fee))


def _break_even_due_at(rules: ExitRules, held: Holding) -> Decimal | None:
    """The profit that was asked for, and at least one tick past where the stop will rest."""
    if rules.break_even_at_r is None:
        return None
    profit, stop = held.profit_price(rules.break_even_at_r), break_even_price(held)
    if profit is None or not held.is_closer(stop, held.plan.stop_price):
        return None
    past = stop + held.sign * held.price_step
    return profit if held.is_closer(profit, past) else past


def _trailed(rules: ExitRules, held: Holding, mark: Decimal) -> Decimal:
    """The stop that follows a mark price, a whole tick further away at most."""
    distance = rules.trailing_fraction or ZERO
    return held.away(mark * (ONE - held.sign * distance))


def _trail_due_at(rules: ExitRules, held: Holding) -> Decimal | None:
    """Where the stop that follows is closer than the one that rests by a step worth its requests, and by a
    tick at least."""
    distance = rules.trailing_fraction
    if distance is None:
        return None
    from_profit: Decimal | None = None
    if rules.trailing_from_r is not None:
        from_profit = held.profit_price(rules.trailing_from_r)
        if from_profit is None:
            return None
    stop = held.plan.stop_price
    if stop is None:
        return from_profit if from_profit is not None else held.sign * _AT_ONCE
    step = max(held.price_step, stop * distance * TRAIL_STEP)
    due_at = held.beyond((stop + held.sign * step) / (ONE - held.sign * distance))
    if from_profit is not None and held.is_closer(from_profit, due_at):
        return from_profit
    return due_at


def in_words(rules: ExitRules) -> tuple[tuple[str, str], ...]:
    """The rules in force as (sentence, value) rows, for prompts and pages. Empty when all are off."""
    rows: list[tuple[str, str]] = []
    if rules.trailing_fraction is not None:
        start = (
            "" if rules.trailing_from_r is None else f" from {plain(rules.trailing_from_r)} R on"
        )
        rows.append(("Stop trails the mark price", f"at {_pct(rules.trailing_fraction)}{start}"))
    if rules.break_even_at_r is not None:
        rows.append(("Stop moves to break-even", f"at {plain(rules.break_even_at_r)} R"))
    if rules.ladder:
        rungs = ", ".join(f"{_pct(one.fraction)} at {plain(one.at_r)} R" for one in rules.ladder)
        rows.append(("Takes partial profits", rungs))
    if rules.time_stop is not None:
        rows.append(("Closes what was held for", span_words(rules.time_stop)))
    return tuple(rows)


def ladder_from(text: str) -> tuple[Rung, ...]:
    """Rungs as they are written: `1:50%, 2:0.25` closes half at 1 R and a quarter at 2 R. Raises
    InvalidExits."""
    rungs = []
    for part in text.replace(";", ",").split(","):
        if not part.strip():
            continue
        at_r, found, share = part.partition(":")
        try:
            if not found:
                raise ValueError
            rungs.append(Rung(at_r=_number(at_r.upper().replace("R", "")), fraction=_share(share)))
        except (ValueError, ArithmeticError):
            raise InvalidExits(
                f"a rung is written as 1:50% (half at 1 R), not {part.strip()!r}", "ladder"
            ) from None
    return tuple(rungs)


def ladder_text(ladder: tuple[Rung, ...]) -> str:
    """Rungs as `ladder_from` reads them."""
    return ", ".join(f"{plain(one.at_r)}:{_pct(one.fraction)}" for one in ladder)


def span_words(span: timedelta) -> str:
    """90 minutes → 1 h 30 min."""
    minutes = int(span.total_seconds() // 60)
    parts = ((minutes // 1440, "d"), (minutes % 1440 // 60, "h"), (minutes % 60, "min"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 min"


def _number(text: str) -> Decimal:
    number = Decimal(text.strip())
    if not number.is_finite():
        raise ValueError
    return number


def _share(text: str) -> Decimal:
    text = text.strip()
    return _number(text[:-1]) / 100 if text.endswith("%") else _number(text)


def _pct(fraction: Decimal) -> str:
    return f"{plain(fraction * 100)}%"


_OFF: Final = ExitRules()
_AT_ONCE: Final = Decimal("-Infinity")
"""Below every price, as a long sees it."""
