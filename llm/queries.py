"""What is asked about calls and prices. Sums of money are made in Python: SQLite would add floats."""

from datetime import UTC, datetime
from decimal import Decimal
from fnmatch import fnmatchcase

from llm.models import LLMCall, ModelPrice, Provider
from market.domain.numbers import ZERO


def cost_since(cost_center: str, since: datetime) -> Decimal:
    """What the calls of a cost center from `since` on cost, in US dollars; unknown costs count nothing."""
    costs = LLMCall.objects.filter(cost_center=cost_center, at__gte=since, cost__isnull=False)
    return sum((cost for cost in costs.values_list("cost", flat=True) if cost is not None), ZERO)


def price_at(provider: Provider, model: str, at: datetime) -> ModelPrice | None:
    """The price of a model at an instant; None when the table has none.

    Of several patterns that fit, the one with the most letters besides `*` counts, then the newest.
    """
    fitting = [
        price
        for price in ModelPrice.objects.filter(
            provider=provider, valid_from__lte=at.astimezone(UTC).date()
        )
        if fnmatchcase(model, price.model_pattern)
    ]
    return max(fitting, key=_closeness, default=None)


def _closeness(price: ModelPrice) -> tuple[int, int]:
    return len(price.model_pattern.replace("*", "")), price.valid_from.toordinal()
