"""Everything that an entry would meet, not only what it meets first. For people who try an entry; pure.

The veto stops at the first limit that denies. Here that limit is lifted and the entry judged again, until nothing
that can be lifted is left. The trap avoided: the verdict itself is never taken from here, only what else there is.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from risk.catalogue import RULES
from risk.domain import Code, Denial, Limits, OrderIntent, RiskContext, Ruling, TradingState
from risk.engine import review

LIFTED: Final = Limits(name="lifted", stop_required=False, stop_may_widen=True, allow_adding=True)
"""Every limit as it stands when it is off."""
_LIMITS_OF: Final = {
    code: tuple(name for name, rule in RULES.items() if rule.code is code) for code in Code
} | {
    Code.NO_TARGET: ("min_reward_risk",),
    Code.STOP_REQUIRED: ("stop_required", "min_reward_risk"),
    Code.FLIP: (),  # an entry against a position becomes its close: another thing than was asked
}


def objections(
    intent: OrderIntent, context: RiskContext, limits: Limits
) -> tuple[Ruling, tuple[Denial, ...]]:
    """(the ruling, what would deny the entry besides). With an approval there is nothing besides."""
    [ruling] = review([intent], context, limits).rulings
    return ruling, tuple(_besides(ruling.denial, intent, context, limits))


def _besides(
    denial: Denial | None, intent: OrderIntent, context: RiskContext, limits: Limits
) -> Iterator[Denial]:
    while denial is not None:
        names = _LIMITS_OF[denial.code]
        if context.state is not TradingState.ACTIVE:
            context = replace(context, state=TradingState.ACTIVE, state_reason=None)
        elif any(getattr(limits, name) != getattr(LIFTED, name) for name in names):
            limits = replace(limits, **{name: getattr(LIFTED, name) for name in names})
        else:
            return
        [ruling] = review([intent], context, limits).rulings
        denial = ruling.denial
        if denial is not None:
            yield denial
