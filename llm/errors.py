"""Why a model gave no usable answer. Each becomes a recorded hold, never a guess."""

from datetime import timedelta


class ModelUnavailable(Exception):
    """The host can't be reached, answers an error, or has no such model.

    `is_temporary`: asking again may help, not before `retry_after` where the host named a time. `may_be_charged`:
    the request may have reached the model, and nobody knows whether it will be on the bill. `is_about_key`: the
    host refused the key or its credit, so every other request with it fails, too.
    """

    def __init__(
        self,
        text: str = "",
        *,
        is_temporary: bool = False,
        retry_after: timedelta | None = None,
        may_be_charged: bool = False,
        is_about_key: bool = False,
    ) -> None:
        super().__init__(text)
        self.is_temporary = is_temporary
        self.retry_after = retry_after
        self.may_be_charged = may_be_charged
        self.is_about_key = is_about_key


class ModelTimedOut(Exception):
    """No answer before the deadline. What was sent may be on the bill."""


class ModelRefused(Exception):
    """The model declined to answer."""


class BudgetExhausted(Exception):
    """The call was not made: it would go over the budget in money, calls or tokens."""


class DecisionUnreadable(ValueError):
    """The text states no valid decision; the message says why, in words that a repair try can use."""
