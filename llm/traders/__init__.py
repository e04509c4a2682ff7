"""Who decides: `LLMTrader` over any ChatModel, and the baselines it is measured against."""
