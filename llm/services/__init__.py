"""What is done with models: rows are written, models asked, and what it cost is booked."""

from llm.providers.parameters import EFFORTS, MOST_OUTPUT
from llm.services.asking import (
    ProviderNotAvailable,
    chat_model,
    greeting,
    made_of,
    trader_for,
    try_connection,
)
from llm.services.budgets import Allowance, DailyTill, allowances_of, set_budget
from llm.services.calls import record_calls
from llm.services.profiles import (
    StillUsed,
    add_model_profile,
    add_prompt_version,
    change_model_profile,
    delete_model_profile,
    delete_prompt_template,
    delete_provider_key,
)
from llm.services.rows import (
    change_provider_key,
    create_model_profile,
    create_provider_key,
    save_model_price,
    save_model_profile,
    save_prompt_template,
    sync_builtin_templates,
    sync_price_list,
)

__all__ = [
    "EFFORTS",
    "MOST_OUTPUT",
    "Allowance",
    "DailyTill",
    "ProviderNotAvailable",
    "StillUsed",
    "add_model_profile",
    "add_prompt_version",
    "allowances_of",
    "change_model_profile",
    "change_provider_key",
    "chat_model",
    "create_model_profile",
    "create_provider_key",
    "delete_model_profile",
    "delete_prompt_template",
    "delete_provider_key",
    "greeting",
    "made_of",
    "record_calls",
    "save_model_price",
    "save_model_profile",
    "save_prompt_template",
    "set_budget",
    "sync_builtin_templates",
    "sync_price_list",
    "trader_for",
    "try_connection",
]
