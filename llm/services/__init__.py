"""What is done with models: rows are written, models asked, and what it cost is booked."""

from llm.services.asking import (
    ProviderNotAvailable,
    chat_model,
    made_of,
    trader_for,
    try_connection,
)
from llm.services.budgets import Allowance, DailyTill, allowances_of, set_budget
from llm.services.calls import record_calls
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
    "Allowance",
    "DailyTill",
    "ProviderNotAvailable",
    "allowances_of",
    "change_provider_key",
    "chat_model",
    "create_model_profile",
    "create_provider_key",
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
