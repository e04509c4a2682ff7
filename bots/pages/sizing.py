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
    tick, round_price = found.instrument.price_step, found.instrument.round_price
    return {
        "found": found,
        "prices": [
            ("Entry, as expected now", price(found.entry, tick)),
            ("Stop", price(found.stop, tick)),
            ("Target", "none" if found.target is None else price(found.target, tick)),
            *([] if found.atr is None else [("ATR(14)", price(round_price(found.atr), tick))]),
        ],
        "lines": [
            SizedLine(name=name, wanted=text, allowed=allowed.get(name, UNKNOWN))
            for name, text in wanted.items()
        ],
        "denials_said": [(denial_words(one.code, one.context), one) for one in denials],
        "clamps_said": [(clamp_words(one.code, limits), one) for one in found.clamps],
    }


def _numbers(sized: Sized, found: WhatIf) -> dict[str, str]:
    """Short names: two columns of numbers stand beside them, on a phone too."""
    tick, ratio, away = found.instrument.price_step, found.reward_risk, sized.liquidation_away
    return {
        "Quantity": quantity(sized.quantity),
        "Notional": money(sized.notional),
        "Leverage": leverage(sized.leverage),
        "Margin": money(sized.margin),
        "Cash carries": quantity(sized.carried),
        "Lost at stop, 1 R": money(sized.at_stop),
        "Won at target": UNKNOWN if sized.at_target is None else money(sized.at_target),
        "Both fees": money(sized.fees),
        "Reward to risk": UNKNOWN if ratio is None else f"{money(ratio)} to 1",
        "Liquidation": "none" if sized.liquidation is None else price(sized.liquidation, tick),
        "Way to it": UNKNOWN if away is None else percent(away),
    }
