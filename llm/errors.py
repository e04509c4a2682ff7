"""Why a model gave no usable answer. Each becomes a recorded hold, never a guess."""


class ModelUnavailable(Exception):
    """The host can't be reached, answers an error, or has no such model."""


class ModelTimedOut(Exception):
    """No answer before the deadline."""


class ModelRefused(Exception):
    """The model declined to answer."""


class BudgetExhausted(Exception):
    """The call was not made: it would go over the budget in money, calls or tokens."""


class DecisionUnreadable(ValueError):
    """The text states no valid decision; the message says why, in words that a repair try can use."""
