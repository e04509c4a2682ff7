"""Where the owner of the desk's rows is found (`access`). Imported once, when the app is ready.

Not registered: `Blob`, which many records share and nobody owns, and `TradingHalt`, which covers a bot, a
user or everybody: no one path leads to those whom it concerns. `queries.halts_over` reads it.
"""

from bots import models
from tradingagent.accounts.access import register

OF_A_BOT = (
    models.BotState, models.TradingCycle, models.Order, models.Fill, models.Position, models.LedgerEntry,
    models.ClosedTrade, models.EquityPoint, models.Event, models.ModelCharge, models.ManualAction,
)  # fmt: skip


def register_owners() -> None:
    """Say it for every model of the desk."""
    register(models.Bot, "owner")
    for model in OF_A_BOT:
        register(model, "bot__owner")
