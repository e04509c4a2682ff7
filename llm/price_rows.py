"""The prices of models at an instant, out of the table."""

from collections.abc import Collection
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from llm.hosts import Provider
from llm.models import ModelPrice


def price_at(provider: Provider, model: str, at: datetime) -> ModelPrice | None:
    """The price of a model at an instant; None when the table has none.

    Of several patterns that fit, the one with the most letters besides `*` counts, then the newest.
    """
    return prices_at([(provider, model)], at)[provider, model]


def prices_at(
    models: Collection[tuple[Provider, str]], at: datetime
) -> dict[tuple[Provider, str], ModelPrice | None]:
    """The same of several models. One query."""
    rows = list(
        ModelPrice.objects.filter(
            provider__in={provider for provider, _ in models},
            valid_from__lte=at.astimezone(UTC).date(),
        )
    )
    return {
        (provider, model): max(
            (
                price
                for price in rows
                if price.provider == provider and fnmatchcase(model, price.model_pattern)
            ),
            key=_closeness,
            default=None,
        )
        for provider, model in models
    }


def names_priced(provider: Provider) -> list[str]:
    """The models of a provider that the table has a price of, in name order. One query."""
    rows = ModelPrice.objects.filter(provider=provider)
    patterns = rows.values_list("model_pattern", flat=True)
    names = {pattern.rstrip("*").rstrip("-@:/") for pattern in patterns}
    return sorted(name for name in names if name and not set(name) & set("*?["))


def _closeness(price: ModelPrice) -> tuple[int, int]:
    return len(price.model_pattern.replace("*", "")), price.valid_from.toordinal()
