"""What a bot's trader said of its confidence, beside what became of those trades."""

from decimal import Decimal
from typing import Final

from bots import models
from bots.domain.calibration import Bin, calibration
from llm.domain import DecisionAction
from market.domain.enums import OrderPurpose, PositionSide

MOST: Final = 1000
_ENTRY: Final = {
    PositionSide.LONG: DecisionAction.BUY_TO_ENTER,
    PositionSide.SHORT: DecisionAction.SELL_TO_ENTER,
}


def calibration_of(bot: models.Bot) -> tuple[Bin, ...]:
    """The last 1,000 closed trades whose first fill came of a decision that stated a confidence. Two queries."""
    trades = models.ClosedTrade.objects.filter(bot=bot).order_by("-id")[:MOST]
    closed = list(trades.values_list("symbol", "side", "opened_at", "net_pnl"))
    if not closed:
        return ()
    entries = models.Fill.objects.filter(
        bot=bot,
        order__purpose=OrderPurpose.ENTRY,
        order__cycle__isnull=False,
        at__gte=min(opened_at for _, _, opened_at, _ in closed),
    ).values_list("symbol", "at", "order__cycle__actions")
    stated = {(symbol, at): actions for symbol, at, actions in entries.iterator()}
    return calibration(
        (confidence, net > 0)
        for symbol, side, opened_at, net in closed
        if (confidence := _confidence(stated.get((symbol, opened_at)), symbol, side)) is not None
    )


def _confidence(actions: list[dict[str, str]] | None, symbol: str, side: str) -> Decimal | None:
    """What was said with the entry of this symbol and side; None where nothing was."""
    wanted = _ENTRY.get(PositionSide(side))
    for one in actions or ():
        if one.get("symbol") == symbol and one.get("action") == wanted and one.get("confidence"):
            return Decimal(one["confidence"])
    return None
