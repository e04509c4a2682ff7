"""The audit record of a cycle: enough to recompute prompt, parse, plan and verdict byte for byte, offline."""

from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from llm.domain import Decision
from market.domain.canonical import canonical_bytes
from market.domain.data import MarketSnapshot
from risk.domain import Intent, Limits, RiskContext, TradingState, Verdict

ENGINE_VERSION = 3
"""Raised whenever prompt, parse, plan or verdict come out otherwise for the same record, or a record gets another
form; each record carries the one that made it. `tests/golden/engine.json` fails when it was forgotten."""


class CycleOutcome(StrEnum):
    """How a cycle ended. SKIPPED wrote nothing."""

    SKIPPED = "SKIPPED"
    DECIDED = "DECIDED"
    HALTED = "HALTED"
    NO_MARKET = "NO_MARKET"
    VENUE_UNAVAILABLE = "VENUE_UNAVAILABLE"
    DISCARDED = "DISCARDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a decision comes to: intents for the veto, and what was only noted."""

    intents: tuple[Intent, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleRecord:
    """One cycle, whole. `context` is what plan and verdict were made from (fresh quotes and account);
    `entry_context` the same after closes had been sent, where entries were judged in it; the prompt's
    own facts stand in `decision`. `snapshots`: at the prompt, and at the plan; the stored record keeps
    their hashes."""

    slot: str
    started_at: datetime
    ended_at: datetime
    outcome: CycleOutcome
    trading_state: TradingState = TradingState.ACTIVE
    snapshots: tuple[MarketSnapshot, ...] = ()
    decision: Decision | None = None
    limits: Limits | None = None
    context: RiskContext | None = None
    entry_context: RiskContext | None = None
    plan: Plan | None = None
    verdict: Verdict | None = None
    order_ids: tuple[str, ...] = ()
    equity: Decimal | None = None
    reason: str = ""
    engine: int = ENGINE_VERSION

    def evidence(self) -> bytes:
        """The record's canonical bytes, the snapshots as their hashes."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["snapshots"] = [snapshot.content_hash for snapshot in self.snapshots]
        return canonical_bytes(values)
