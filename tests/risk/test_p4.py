"""P4, unbreakable limits: for any reply and any account, approved orders satisfy every limit.

Random accounts, resting entries, prices, profiles and replies, good and broken ones, against an oracle
that shares no measure with the veto; and relations that hold whatever the measures are.
"""

import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import event, given, settings
from hypothesis import strategies as st

from market.domain.account import Account
from market.domain.data import Quote
from market.domain.enums import InstrumentKind, InstrumentStatus, OrderPurpose, PositionSide
from market.domain.instruments import Instrument, MarginTier, margin_tiers
from market.domain.positions import Position
from risk.domain import (
    Code,
    HeldProtection,
    Intent,
    Limits,
    OrderIntent,
    ProtectionIntent,
    Requester,
    RestingEntry,
    RiskContext,
    Tempo,
    TradingState,
)
from risk.engine import review
from risk.profiles import PROFILES, profile
from tests.risk.build import NOW
from tests.risk.oracle import broken

D = Decimal
MANY = settings(max_examples=max(200, settings().max_examples))
SYMBOLS = ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT", "WIF/USDT:USDT", "BTC/USDT")
PRICES = {"BTC": "46377.1", "ETH": "3712.44", "SOL": "171.23", "WIF": "0.8123"}
STEPS = {"BTC": "0.001", "ETH": "0.01", "SOL": "0.1", "WIF": "1"}
TICKS = {"BTC": "0.1", "ETH": "0.01", "SOL": "0.01", "WIF": "0.0001"}
SMALL_TIERS = (
    MarginTier(notional_cap=D(2000), maintenance_rate=D("0.01"), max_leverage=D(25)),
    MarginTier(
        notional_cap=D(9000), maintenance_rate=D("0.02"), deduction=D(20), max_leverage=D(10)
    ),
    MarginTier(notional_cap=None, maintenance_rate=D("0.05"), deduction=D(290), max_leverage=D(4)),
)


class Draw:
    """Random values that hypothesis owns and can shrink; mostly sensible, sometimes not."""

    def __init__(self, source: random.Random) -> None:
        self.source = source

    def chance(self, share: int) -> bool:
        """True in `share` of 100 cases."""
        return self.source.randrange(100) < share

    def number(self, low: str, high: str, step: str = "0.0001") -> Decimal:
        unit = D(step)
        return self.source.randint(int(D(low) / unit), int(D(high) / unit)) * unit

    def pick(self, *values):
        return values[self.source.randrange(len(values))]

    # --- The world

    def instrument(self, symbol: str) -> Instrument:
        base, is_spot = symbol.split("/")[0], ":" not in symbol
        tiers = self.pick(SMALL_TIERS, margin_tiers(("50000", "0.004"), (None, "0.01")))
        return Instrument(
            symbol=symbol,
            base=base,
            quote="USDT",
            settle="USDT",
            kind=InstrumentKind.SPOT if is_spot else InstrumentKind.PERPETUAL,
            price_step=D(TICKS[base]),
            quantity_step=D(STEPS[base]),
            min_quantity=D(STEPS[base]) * self.pick(1, 1, 3),
            min_notional=D(self.pick(5, 20)),
            contract_size=D(1) if is_spot else D(self.pick("1", "1", "0.1", "10")),
            max_leverage=D(1) if is_spot else D(self.pick(5, 20, 50, 125)),
            max_quantity=self.pick(None, None, D(STEPS[base]) * 500),
            taker_fee=D(self.pick("0", "0.0005", "0.001")),
            margin_tiers=() if is_spot else tiers,
            status=InstrumentStatus.REDUCE_ONLY if self.chance(3) else InstrumentStatus.TRADING,
        )

    def quote(self, symbol: str) -> Quote:
        tick = D(TICKS[symbol.split("/")[0]])
        mark = D(PRICES[symbol.split("/")[0]])
        half = tick * self.pick(0, 1, 1, 3, 0, 1, 1, 9)
        shift = tick * self.pick(0, 0, 1, -2)
        late = timedelta(seconds=self.pick(0, 0, 0, 0, 1, 10, 15, 16, 60))
        return Quote(
            symbol=symbol, at=NOW - late, bid=mark + shift - half, ask=mark + shift + half,
            last=mark, mark=mark,
        )  # fmt: skip

    def quantity(self, instrument: Instrument, mark: Decimal, largest: int) -> Decimal:
        money = self.number("1", str(largest), "1")
        step = instrument.quantity_step
        return max(step, instrument.round_quantity(money / (mark * instrument.contract_size)))

    def position(self, instrument: Instrument, mark: Decimal) -> Position:
        entry = mark * self.number("0.9", "1.1", "0.01")
        quantity = self.quantity(instrument, mark, 6000)
        cost = quantity * instrument.contract_size * entry
        leverage = D(1) if instrument.is_spot else D(self.pick(1, 2, 3, 5, 10))
        sign = 1 if instrument.is_spot else self.pick(1, -1)
        return Position(
            symbol=instrument.symbol,
            quantity=sign * quantity,
            entry_cost=cost,
            margin=D(0) if instrument.is_spot else cost / leverage,
            leverage=leverage,
            opened_at=NOW - timedelta(minutes=self.pick(1, 50)),
        )

    def context(self) -> RiskContext:
        instruments = {symbol: self.instrument(symbol) for symbol in SYMBOLS}
        quotes = {symbol: self.quote(symbol) for symbol in SYMBOLS}
        held = {
            symbol: self.position(instruments[symbol], quotes[symbol].mark)
            for symbol in SYMBOLS
            if self.chance(25)
        }
        protection = {
            symbol: HeldProtection(
                stop_price=self.pick(None, self.price(position, quotes[symbol].mark, -1)),
                target_price=self.pick(None, self.price(position, quotes[symbol].mark, 1)),
            )
            for symbol, position in held.items()
            if self.chance(80)
        }
        account = Account(
            cash=self.number("2000", "20000", "0.01"),
            positions=held,
            instruments=instruments,
            marks={symbol: quote.mark for symbol, quote in quotes.items()},
        )
        return RiskContext(
            now=NOW,
            state=self.pick(*[TradingState.ACTIVE] * 12, TradingState.REDUCING),
            account=account,
            equity=account.equity if self.chance(97) else -account.equity,
            quotes=quotes,
            prompt_marks={
                symbol: quote.mark * self.pick(D(1), D(1), D(1), D("0.997"), D("1.004"))
                for symbol, quote in quotes.items()
            },
            instruments=instruments,
            resting_entries=tuple(
                RestingEntry(
                    symbol=symbol,
                    side=PositionSide.LONG if ":" not in symbol else self.side(),
                    quantity=self.quantity(instruments[symbol], quotes[symbol].mark, 3000),
                    price=self.pick(D(0), quotes[symbol].ask),
                    leverage=D(1) if ":" not in symbol else D(self.pick(1, 5, 10)),
                    is_unresolved=self.chance(20),
                )
                for symbol in SYMBOLS
                if self.chance(10)
            ),
            protection=protection,
            unusable={self.pick(*SYMBOLS): "frozen"} if self.chance(8) else {},
            tempo=Tempo(
                entries_today=self.pick(0, 0, 3, 5, 14),
                opens_this_cycle=self.pick(0, 0, 0, 1),
                stopped_at={self.pick(*SYMBOLS): NOW - timedelta(minutes=self.pick(5, 30, 60))},
            ),
            groups=self.pick({}, {}, {"WIF": "BTC"}),
            atr={symbol: quote.mark / 100 for symbol, quote in quotes.items()},
            next_funding={symbol: NOW + timedelta(minutes=self.pick(3, 30)) for symbol in SYMBOLS},
            time_zone=self.pick("UTC", "UTC", "Asia/Tokyo"),
        )

    # --- The reply

    def side(self) -> PositionSide:
        return self.pick(PositionSide.LONG, PositionSide.SHORT)

    def price(self, position: Position, mark: Decimal, way: int) -> Decimal:
        sign = 1 if position.quantity > 0 else -1
        return (mark * (1 + sign * way * self.number("0.01", "0.2", "0.01"))).quantize(D("0.0001"))

    def trigger(self, mark: Decimal, way: int) -> Decimal | None:
        if self.chance(4):
            return self.pick(None, D("NaN"), D(0), D(-1), mark, mark * (1 - D(way) / 50))
        return mark * (1 + way * self.number("0.005", "0.12", "0.0001"))

    def entry(self, context: RiskContext) -> OrderIntent:
        symbol, side = self.pick(*SYMBOLS), self.side()
        if ":" not in symbol and self.chance(80):
            side = PositionSide.LONG
        quote, instrument = context.quotes[symbol], context.instruments[symbol]
        touch = quote.ask if side is PositionSide.LONG else quote.bid
        leverage = self.number("1", "30", "1") if ":" in symbol else D(1)
        return OrderIntent(
            symbol=symbol if self.chance(98) else "XXX/USDT:USDT",
            purpose=OrderPurpose.ENTRY,
            side=side if self.chance(98) else PositionSide.FLAT,
            quantity=self.quantity(instrument, quote.mark, self.pick(300, 3000, 3000, 60_000))
            if self.chance(98)
            else self.pick(D("NaN"), D(0), D(-5), D("1E+40"), D("0.0000001")),
            quote_quantity=None if self.chance(92) else self.number("-1", "20000", "0.1"),
            leverage=leverage if self.chance(99) else self.pick(D(0), D("0.5"), D("Infinity")),
            reference_price=touch * self.pick(D(1), D(1), D("1.001"), D("0.998")),
            stop_price=self.trigger(quote.mark, -side.sign),
            target_price=self.trigger(quote.mark, 2 * side.sign),
            confidence=self.pick(*[D("0.9")] * 7, D("0.5"), D("0.55"), None),
            requester=self.pick(*Requester),
        )

    def intent(self, context: RiskContext) -> Intent:
        if self.chance(65) or not (context.account.positions or self.chance(20)):
            return self.entry(context)
        held = self.pick(*context.account.positions) if context.account.positions else SYMBOLS[0]
        symbol = held if self.chance(90) else self.pick(*SYMBOLS)
        position = context.account.positions.get(symbol, Position(symbol=symbol, quantity=D(5)))
        if self.chance(40):
            mark = context.quotes[symbol].mark
            return ProtectionIntent(
                symbol=symbol,
                stop_price=self.pick(None, self.price(position, mark, self.pick(-1, -1, 1))),
                target_price=self.pick(None, self.price(position, mark, self.pick(1, 1, -1))),
            )
        side = position.side if self.chance(95) else self.side()
        return OrderIntent(
            symbol=symbol,
            purpose=self.pick(OrderPurpose.CLOSE, OrderPurpose.REDUCE),
            side=side,
            quantity=abs(position.quantity) * self.pick(D(1), D(1), D("0.5"), D(3), D("NaN")),
            reference_price=context.quotes[symbol].mark,
            requester=self.pick(*Requester),
        )

    def limits(self) -> Limits:
        name = self.pick("conservative", "balanced", "aggressive", "aggressive", "raw")
        if name == "raw":
            return profile("raw", size=self.pick("0.3", "1", "2.5"))
        changes: dict[str, object] = {
            "allow_adding": self.chance(50),
            "allow_flips": self.chance(30),
            "allow_shorts": self.chance(90),
            "stop_may_widen": self.chance(30),
            "min_hold": timedelta(minutes=self.pick(0, 0, 30)),
            "no_trade_windows": self.pick(
                (),
                (),
                (),
                (),
                ("mon,tue", "daily 21:00-21:30"),
                ("sun 09:00-12:00",),
                ("daily 11:59-12:01",),
            ),
            "no_trade_around_funding": timedelta(minutes=self.pick(0, 0, 0, 0, 5)),
        }
        off = [
            field
            for field in ("min_reward_risk", "min_confidence", "risk_per_trade_fraction",
                          "stop_to_liquidation_fraction", "max_price_age_seconds",
                          "max_price_drift_bps", "max_spread_bps", "max_slippage_bps",
                          "max_open_positions", "max_trades_per_day", "max_opens_per_cycle",
                          "max_position_notional_fraction", "max_gross_exposure",
                          "max_leverage", "max_net_exposure", "max_correlated_exposure",
                          "max_margin_used_fraction")
            if self.chance(30)
        ]  # fmt: skip
        if self.chance(20):
            changes["stop_required"] = False
        if self.chance(10):
            changes["allowed_symbols"] = SYMBOLS[:3]
        return profile(name, **changes, **dict.fromkeys(off))


@st.composite
def cases(draw):
    """(intents, context, limits)."""
    source = Draw(draw(st.randoms(use_true_random=False)))
    return _case(source)


def _case(source: Draw) -> tuple[list[Intent], RiskContext, Limits]:
    context = source.context()
    intents = [source.intent(context) for _ in range(source.pick(1, 2, 3, 5, 8))]
    return intents, context, source.limits()


@MANY
@given(cases())
def test_approved_orders_satisfy_every_limit(case):
    intents, context, limits = case

    verdict = review(intents, context, limits)

    assert broken(verdict, context, limits) == []
    assert sorted(map(repr, intents)) == sorted(repr(ruling.intent) for ruling in verdict.rulings)
    for ruling in verdict.rulings:
        event(f"{type(ruling.intent).__name__} {ruling.denial.code if ruling.denial else 'passes'}")


def test_many_worlds():
    """The same over two thousand seeded worlds, and proof that they are worth it: enough is approved,
    enough is clamped, and nearly every code is met."""
    approved, met = 0, set()
    for seed in range(2000):
        intents, context, limits = _case(Draw(random.Random(seed)))
        verdict = review(intents, context, limits)
        assert broken(verdict, context, limits) == [], seed
        for ruling in verdict.rulings:
            is_entry = getattr(ruling.approved, "purpose", None) is OrderPurpose.ENTRY
            approved += is_entry
            met |= {clamp.code for clamp in ruling.clamps}
        met |= {denial.code for denial in verdict.denials}
    assert approved >= 1000
    assert not EXPECTED - met


EXPECTED = {
    Code.INVALID, Code.NO_EQUITY, Code.INSTRUMENT_UNUSABLE, Code.INSTRUMENT_NOT_ALLOWED, Code.SIDE_NOT_ALLOWED,
    Code.STOP_WRONG_SIDE, Code.STOP_WIDENED, Code.STOP_PAST_LIQUIDATION, Code.TARGET_WRONG_SIDE,
    Code.REWARD_RISK, Code.MIN_CONFIDENCE, Code.RISK_PER_TRADE, Code.MAX_LEVERAGE,
    Code.POSITION_NOTIONAL, Code.MIN_SIZE, Code.MAX_QUANTITY, Code.STALE, Code.PRICE_MOVED,
    Code.ADD_NOT_ALLOWED, Code.FLIP, Code.NO_SIZE, Code.ORDER_UNRESOLVED,
    Code.AVAILABLE_MARGIN, Code.NOTHING_HELD, Code.REDUCE_ONLY, Code.MAX_POSITIONS,
    Code.GROSS_EXPOSURE, Code.NET_EXPOSURE, Code.CORRELATED_EXPOSURE, Code.MARGIN_USED,
    Code.TRADES_PER_DAY, Code.OPENS_PER_CYCLE, Code.COOLDOWN, Code.MIN_HOLD, Code.SLIPPAGE,
    Code.BOT_NOT_ACTIVE, Code.NO_TRADE_WINDOW, Code.SPREAD, Code.STOP_REQUIRED, Code.NO_TARGET,
}  # fmt: skip


@MANY
@given(cases())
def test_the_same_again_gives_the_same(case):
    intents, context, limits = case

    assert repr(review(intents, context, limits)) == repr(review(intents, context, limits))


@MANY
@given(cases())
def test_what_was_approved_is_approved_unchanged(case):
    intents, context, limits = case
    first = [r.approved for r in review(intents, context, limits).rulings if r.approved is not None]

    again = review(first, context, limits)

    assert [ruling.approved for ruling in again.rulings] == first
    assert [ruling.clamps for ruling in again.rulings] == [()] * len(first)


BAD: tuple[Intent, ...] = (
    OrderIntent(symbol="NO/SUCH:THING", purpose=OrderPurpose.ENTRY, side=PositionSide.LONG,
                quantity=D(1), reference_price=D(1)),
    OrderIntent(symbol=SYMBOLS[0], purpose=OrderPurpose.ENTRY, side=PositionSide.LONG,
                quantity=D("NaN"), reference_price=D("NaN")),
    OrderIntent(symbol=SYMBOLS[1], purpose=OrderPurpose.ENTRY, side=PositionSide.SHORT,
                quantity=D("1E+999999"), reference_price=D("1E-999999"), leverage=D("Infinity")),
    OrderIntent(symbol="NO/SUCH:THING", purpose=OrderPurpose.CLOSE, side=PositionSide.LONG,
                quantity=D("NaN"), reference_price=D(0)),
    OrderIntent(symbol=SYMBOLS[2], purpose=OrderPurpose.CLOSE, side=PositionSide.FLAT,
                quantity=D("-1"), reference_price=D(0)),
    ProtectionIntent(symbol="NO/SUCH:THING", stop_price=D("NaN")),
    ProtectionIntent(symbol=SYMBOLS[0], stop_price=D("-Infinity"), target_price=D("NaN")),
    ProtectionIntent(symbol=SYMBOLS[0], stop_price=D("1E+999999")),
)  # fmt: skip


@MANY
@given(cases(), st.sampled_from(BAD), st.integers(0, 8))
def test_a_bad_item_voids_no_neighbour(case, bad, place):
    intents, context, limits = case
    spoiled = [*intents[:place], bad, *intents[place:]]

    alone = review(intents, context, limits).rulings
    among = review(spoiled, context, limits).rulings

    kept = [ruling for ruling in among if ruling.intent is not bad]
    assert repr(kept) == repr(list(alone))
    (theirs,) = [ruling for ruling in among if ruling.intent is bad]
    assert theirs.approved is None


@MANY
@given(cases(), st.sampled_from(sorted(PROFILES)))
def test_no_limit_on_opening_touches_a_close(case, name):
    """Whatever the profile and the entries around them, closes come out as they do alone and unlimited."""
    intents, context, _ = case
    closes = [
        intent
        for intent in intents
        if isinstance(intent, OrderIntent) and intent.purpose is not OrderPurpose.ENTRY
    ]
    spare = replace(context, state=TradingState.ACTIVE, unusable={})

    unlimited = review(closes, spare, Limits(name="none", stop_required=False)).rulings
    limited = review(intents, context, profile(name)).rulings

    assert repr(limited[: len(closes)]) == repr(unlimited)
