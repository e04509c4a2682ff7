"""All that an entry would meet: the veto's own ruling first, then what it would meet if that were lifted."""

from datetime import timedelta

from hypothesis import given

from risk.domain import OrderIntent, TradingState
from risk.engine import review
from risk.objections import LIFTED, objections
from tests.risk.build import BTC, LONG, NOW, SHORT, D, context, entry, open_limits, position
from tests.risk.test_p4 import MANY, cases


def codes(intent, where, limits) -> list[str]:
    ruling, besides = objections(intent, where, limits)
    return [one.code for one in (ruling.denial, *besides) if one is not None]


def test_every_limit_that_denies_is_named_once_in_the_order_of_the_veto():
    limits = open_limits(
        allow_shorts=False, stop_required=True, min_confidence=D("0.6"), min_reward_risk=D(2),
        no_trade_windows=("sun",), no_trade_around_funding=timedelta(minutes=5),
    )  # fmt: skip
    where = context(state=TradingState.REDUCING, next_funding={BTC: NOW})

    assert codes(entry(SHORT, target_price=D(90)), where, limits) == [
        "BOT_NOT_ACTIVE", "SIDE_NOT_ALLOWED", "NO_TRADE_WINDOW", "STOP_REQUIRED", "MIN_CONFIDENCE",
    ]  # fmt: skip


def test_what_no_limit_is_about_ends_it():
    limits = open_limits(min_confidence=D("0.6"))

    assert codes(entry(stop_price=D(101)), context(), limits) == ["STOP_WRONG_SIDE"]
    assert codes(entry(SHORT), context([position(3)]), limits) == ["FLIP"]


def test_an_approved_entry_meets_nothing():
    ruling, besides = objections(entry(LONG), context(), LIFTED)

    assert ruling.approved == entry(LONG) and besides == ()


@MANY
@given(cases())
def test_the_ruling_is_the_veto_s_for_any_entry(case):
    intents, where, limits = case
    for intent in intents:
        if isinstance(intent, OrderIntent) and not limits.raw:
            ruling, besides = objections(intent, where, limits)
            assert repr(ruling) == repr(review([intent], where, limits).rulings[0])
            named = [ruling.denial, *besides] if ruling.denial else []
            assert len({one.code for one in named}) >= len(named) - 2  # STALE may be said anew
