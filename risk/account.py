"""Limits over all bots of one user: asked when an opening order is claimed, under the user's lock.

Pure: it is told what all bots hold and what is under way, and judges one more order. Exposure counts
longs and shorts alike: two bots against each other are two risks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from market.domain.numbers import ZERO, plain
from risk.domain import Code, Denial


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountCaps:
    """A user's limits in settlement currency; None: off."""

    exposure_per_asset: Decimal | None = None
    gross_exposure: Decimal | None = None
    margin_used: Decimal | None = None
    daily_loss: Decimal | None = None

    @property
    def is_empty(self) -> bool:
        return (
            self.exposure_per_asset is None
            and self.gross_exposure is None
            and self.margin_used is None
            and self.daily_loss is None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stake:
    """Something held, or an entry that may still fill: its base asset, |notional| and margin."""

    base: str
    notional: Decimal
    margin: Decimal


def review_account(
    wanted: Stake, stakes: Sequence[Stake], lost_today: Decimal, caps: AccountCaps, symbol: str
) -> Denial | None:
    """Deny an entry that would break a limit together with everything else; None lets it pass.

    `lost_today` > 0: what all bots together have lost since their owner's midnight.
    """
    everything = (*stakes, wanted)
    same = sum((stake.notional for stake in everything if stake.base == wanted.base), ZERO)
    gross = sum((stake.notional for stake in everything), ZERO)
    margin = sum((stake.margin for stake in everything), ZERO)
    for code, value, allowed in (
        (Code.ACCOUNT_ASSET_EXPOSURE, same, caps.exposure_per_asset),
        (Code.ACCOUNT_GROSS_EXPOSURE, gross, caps.gross_exposure),
        (Code.ACCOUNT_MARGIN_USED, margin, caps.margin_used),
    ):
        if allowed is not None and value > allowed:
            context = {"wanted": plain(value), "allowed": plain(allowed), "asset": wanted.base}
            return Denial(symbol=symbol, code=code, context=context)
    if caps.daily_loss is not None and lost_today >= caps.daily_loss:
        context = {"lost": plain(lost_today), "allowed": plain(caps.daily_loss)}
        return Denial(symbol=symbol, code=Code.ACCOUNT_DAILY_LOSS, context=context)
    return None
