"""An entry that nobody makes, in numbers: as it was wished for, beside what the limits leave of it."""

from dataclasses import dataclass
from typing import Any

from bots.pages.codes import clamp_words, denial_words
from bots.services import Sized, WhatIf
from bots.templatetags.figures import UNKNOWN, leverage, money, price, quantity
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
    denial = found.denial
    return {
        "found": found,
        "lines": [
            SizedLine(name=name, wanted=text, allowed=allowed.get(name, UNKNOWN))
            for name, text in wanted.items()
        ],
        "denial_said": "" if denial is None else denial_words(denial.code, denial.context),
        "clamps_said": [(clamp_words(one.code, limits), one) for one in found.clamps],
    }


def _numbers(sized: Sized, found: WhatIf) -> dict[str, str]:
    tick = found.instrument.price_step
    return {
        "Quantity": quantity(sized.quantity),
        "Notional": money(sized.notional),
        "Leverage": leverage(sized.leverage),
        "Margin": money(sized.margin),
        "Lost at the stop": UNKNOWN if sized.at_stop is None else money(sized.at_stop),
        "Liquidation": "none" if sized.liquidation is None else price(sized.liquidation, tick),
    }
