"""Every write that a door may ask of the desk, named for the act. Doors hold no logic; this holds it."""

from bots.services.acting import (
    close_position,
    flatten_bot,
    order_by_hand,
    perform_action,
)
from bots.services.creating import (
    BotRefused,
    BotWish,
    NewBot,
    check_wish,
    create_bot,
    free_name,
    manage_exits_of,
    prepare_bot,
    store_bot,
    update_bot,
)
from bots.services.ending import discard_replies, take_over
from bots.services.halting import Halted, NothingToResume, halt, resume
from bots.services.lifecycle import (
    NotNow,
    archive_bot,
    pause_bot,
    pause_together,
    run_now,
    start_bot,
    start_together,
)
from bots.services.marking import mark_shard
from bots.services.probing import (
    Sight,
    cost_center_of,
    day_of,
    preview_prompt,
    probe_model,
    try_model,
)
from bots.services.running import Run, run_requested, run_slot, sweep
from bots.services.sizing import EntryAsked, ExitAt, ExitBy, Holder, Sized, WhatIf, what_if

__all__ = [
    "BotRefused", "BotWish", "EntryAsked", "ExitAt", "ExitBy", "Halted", "Holder", "NewBot", "NotNow",
    "NothingToResume", "Run", "Sight", "Sized", "WhatIf",
    "archive_bot", "check_wish", "close_position", "cost_center_of", "create_bot", "day_of", "discard_replies",
    "flatten_bot", "free_name", "halt", "manage_exits_of", "mark_shard",
    "order_by_hand", "pause_bot", "pause_together", "perform_action", "prepare_bot", "preview_prompt",
    "probe_model", "resume", "run_now", "run_requested",
    "run_slot", "start_bot", "start_together", "store_bot", "sweep", "take_over", "try_model", "update_bot", "what_if",
]  # fmt: skip
