"""An entry that nobody makes, in numbers: as it was wished for, beside what the limits leave of it."""

from dataclasses import dataclass
from typing import Any

from bots.pages.codes import clamp_words, denial_words
from bots.services import Sized, WhatIf
from bots.templatetags.figures import UNKNOWN, leverage, money, percent, price, quantity
from risk.domain import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class SizedLine:
    """One number of an entry, before and after the limits."""

    name: str
    wanted: str
    allowed: str


def sized_context(found: WhatIf, limits: Limits) -> dict[str, Any]:
    """What the page shows of it."""
    wanted = _numbers(found.wanted, found)
    allowed = {} if found.allowed is None else _numbers(found.allowed, found)
    denials = () if found.denial is None else (found.denial, *found.besides)
    return {
        "found": found,
        "lines": [
            SizedLine(name=name, wanted=text, allowed=allowed.get(name, UNKNOWN))
            for name, text in wanted.items()
        ],
        "denials_said": [(denial_words(one.code, one.context), one) for one in denials],
        "clamps_said": [(clamp_words(one.code, limits), one) for one in found.clamps],
    }


def _numbers(sized: Sized, found: WhatIf) -> dict[str, str]:
    tick, ratio = found.instrument.price_step, found.reward_risk
    away = "" if sized.liquidation_away is None else f" ({percent(sized.liquidation_away)} away)"
    return {
        "Quantity": quantity(sized.quantity),
        "Notional": money(sized.notional),
        "Leverage": leverage(sized.leverage),
        "Margin": money(sized.margin),
        "Free cash carries at most": quantity(sized.carried),
        "1 R: lost at the stop, costs included": money(sized.at_stop),
        "Won at the target, after fees": UNKNOWN
        if sized.at_target is None
        else money(sized.at_target),
        "Both fees, if the stop is hit": money(sized.fees),
        "Reward to risk after fees": UNKNOWN if ratio is None else f"{money(ratio)} to 1",
        "Liquidation": "none"
        if sized.liquidation is None
        else f"{price(sized.liquidation, tick)}{away}",
    }
