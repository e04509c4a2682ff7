"""What is asked about calls. Sums of money are made in Python: SQLite would add floats."""

from datetime import datetime
from decimal import Decimal

from llm.models import LLMCall
from market.domain.numbers import ZERO


def cost_since(cost_center: str, since: datetime) -> Decimal:
    """What the calls of a cost center from `since` on cost, in US dollars; unknown costs count nothing."""
    costs = LLMCall.objects.filter(cost_center=cost_center, at__gte=since, cost__isnull=False)
    return sum((cost for cost in costs.values_list("cost", flat=True) if cost is not None), ZERO)
