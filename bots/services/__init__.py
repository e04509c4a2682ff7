"""Every write that a door may ask of the desk, named for the act. Doors hold no logic; this holds it."""

from bots.services.acting import (
    close_position,
    flatten_bot,
    order_by_hand,
    perform_action,
)
from bots.services.creating import BotRefused, BotWish, create_bot, update_bot
from bots.services.halting import Halted, NothingToResume, halt, resume
from bots.services.lifecycle import NotNow, archive_bot, pause_bot, run_now, start_bot
from bots.services.marking import mark_shard
from bots.services.running import Run, run_requested, run_slot, sweep

__all__ = [
    "BotRefused", "BotWish", "Halted", "NotNow", "NothingToResume", "Run", "archive_bot",
    "close_position", "create_bot", "flatten_bot", "halt", "mark_shard", "order_by_hand", "pause_bot",
    "perform_action", "resume", "run_now", "run_requested", "run_slot", "start_bot", "sweep", "update_bot",
]  # fmt: skip
