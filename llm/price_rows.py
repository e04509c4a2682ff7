"""The price of a model at an instant, out of the table."""

from datetime import UTC, datetime
from fnmatch import fnmatchcase

from llm.hosts import Provider
from llm.models import ModelPrice


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
