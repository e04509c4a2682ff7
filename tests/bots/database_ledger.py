"""The database's ledger with the memory ledger's windows, so that both play the same tests."""

import json
from datetime import datetime
from uuid import UUID

import numpy as np

from bots import models, rows
from bots.books import differences, open_books
from bots.domain.bot import BotConfig, BotMode, BotStatus
from bots.domain.entries import ClosedTrade, EntryKind, ExitReason, LedgerEntry, Notice, NoticeKind
from bots.ledger import DjangoLedger
from bots.memory_ledger import scaled_equity
from market.domain.data import to_milliseconds
from market.domain.enums import PositionSide
from market.models import SimAccount
from risk.domain import Code, Denial
from risk.models import RiskProfile
from tradingagent.accounts.models import User


def bot_row(config: BotConfig, *, owner: User | None = None, **fields) -> models.Bot:
    """A saved ACTIVE paper bot of that configuration, with a simulated account and a preset."""
    owner = owner or User.objects.get_or_create(email="owner@example.org")[0]
    account = SimAccount.objects.create(
        currency=config.currency, opening_cash=config.capital, settings="{}", state="{}"
    )
    values = {
        "id": config.id, "owner": owner, "name": str(config.id), "mode": BotMode.PAPER,
        "status": BotStatus.ACTIVE, "venue": "simulated", "symbols": list(config.symbols),
        "currency": config.currency, "capital": config.capital, "trader": "flat",
        "risk_profile": RiskProfile.objects.get(owner=None, name="balanced"),
        "interval_seconds": config.interval.total_seconds(),
        "timeframe_seconds": config.timeframe.total_seconds(),
        "sim_account": account, "shard_key": config.id.int % models.SHARD_KEYS,
    }  # fmt: skip
    return models.Bot.objects.create(**{**values, **fields})


class DatabaseLedger(DjangoLedger):
    """A DjangoLedger whose rows can be looked at, and that takes the desk for a call from outside."""

    @classmethod
    def opened(cls, config: BotConfig, instruments, at: datetime) -> "DatabaseLedger":
        bot_row(config)
        open_books(config, at)
        ledger = cls(config, instruments)
        ledger.heal()
        return ledger

    def heal(self) -> None:
        """Let the next holder come and go."""
        assert self.take_desk()
        self.release_desk()

    def __getattribute__(self, name: str):
        found = super().__getattribute__(name)
        if name not in ("apply", "write_orders", "claim", "set_plan", "set_breakers", "notify",
                        "record_equity", "move_order", "count_lookup", "charge_llm"):  # fmt: skip
            return found

        def held(*args, **options):
            if self._lease.held:
                return found(*args, **options)
            assert self.take_desk()
            try:
                return found(*args, **options)
            finally:
                self.release_desk()

        return found if name == "charge_llm" and self.cycle_id is not None else held

    def differences(self) -> list[str]:
        return differences(self.bot, models.BotState.objects.get(pk=self.bot.id), self._instruments)

    # -- windows ----------------------------------------------------------------------------------

    @property
    def orders(self):
        found = models.Order.objects.filter(bot_id=self.bot.id).order_by("created_at", "pk")
        return {row.client_order_id: rows.order_from(row) for row in found}

    @property
    def entries(self):
        return [
            LedgerEntry(
                sequence=row.sequence, at=row.at, kind=EntryKind(row.kind), amount=row.amount,
                symbol=row.symbol, key=row.key,
            )
            for row in models.LedgerEntry.objects.filter(bot_id=self.bot.id).order_by("sequence")
        ]  # fmt: skip

    @property
    def fills(self):
        return list(models.Fill.objects.filter(bot_id=self.bot.id).order_by("id"))

    @property
    def closed_trades(self):
        return [
            ClosedTrade(
                symbol=row.symbol, side=PositionSide(row.side), opened_at=row.opened_at,
                closed_at=row.closed_at, quantity=row.quantity, entry_price=row.entry_price,
                exit_price=row.exit_price, realized_pnl=row.realized_pnl, fees=row.fees,
                funding=row.funding, adjustments=row.adjustments, net_pnl=row.net_pnl,
                exit_reason=ExitReason(row.exit_reason),
            )
            for row in models.ClosedTrade.objects.filter(bot_id=self.bot.id).order_by("id")
        ]  # fmt: skip

    @property
    def notices(self):
        told = models.Event.objects.filter(bot_id=self.bot.id, kind="NOTICE").order_by("sequence")
        return [
            Notice(
                at=row.at, kind=NoticeKind(row.payload["kind"]), symbol=row.payload["symbol"],
                text=row.payload["text"],
            )
            for row in told
        ]  # fmt: skip

    @property
    def denials(self):
        cycles = models.TradingCycle.objects.filter(bot_id=self.bot.id).order_by("started_at")
        return [
            (
                cycle.ended_at,
                Denial(symbol=one["symbol"], code=Code(one["code"]), context=one["context"]),
            )
            for cycle in cycles
            for one in cycle.denials
        ]

    @property
    def opening_allowed(self) -> bool:
        return models.Bot.objects.get(pk=self.bot.id).status == BotStatus.ACTIVE

    @opening_allowed.setter
    def opening_allowed(self, allowed: bool) -> None:
        status = BotStatus.ACTIVE if allowed else BotStatus.PAUSED
        models.Bot.objects.filter(pk=self.bot.id).update(status=status)

    def forget_slots(self) -> None:
        models.TradingCycle.objects.filter(bot_id=self.bot.id).delete()

    def equity_curve(self):
        points = models.EquityPoint.objects.filter(bot_id=self.bot.id).order_by("at")
        return (
            np.array([to_milliseconds(point.at) for point in points], np.int64),
            np.array([scaled_equity(point.equity) for point in points], np.int64),
        )


def day_navs(bot_id: UUID) -> list[str]:
    return json.loads(models.BotState.objects.get(pk=bot_id).day_navs)
