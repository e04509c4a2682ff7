"""What is asked about calls. Sums of money are made in Python: SQLite would add floats."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db.models import OuterRef, QuerySet, Subquery

from llm.models import Budget, BudgetDay, LLMCall, ModelProfile
from llm.prices import MILLION
from market.domain.numbers import ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUse:
    """What a model was asked. `cost`: of the calls whose cost is known, in US dollars; `unknown`: how many of the
    others there are."""

    calls: int = 0
    tokens: int = 0
    cost: Decimal = ZERO
    unknown: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetState:
    """What a cost center may spend in a day (None: no limit), and has spent or set aside."""

    money_per_day: Decimal | None
    calls_per_day: int | None
    money: Decimal
    calls: int


def cost_since(cost_center: str, since: datetime) -> Decimal:
    """What the calls of a cost center from `since` on cost, in US dollars; unknown costs count nothing."""
    costs = LLMCall.objects.filter(cost_center=cost_center, at__gte=since, cost__isnull=False)
    return sum((cost for cost in costs.values_list("cost", flat=True) if cost is not None), ZERO)


def use_since(centers: Collection[str], since: datetime) -> dict[int, ModelUse]:
    """What these cost centers asked each model from `since` on, by the profile's id. One query."""
    rows = LLMCall.objects.filter(cost_center__in=centers, at__gte=since, profile__isnull=False)
    found: dict[int, ModelUse] = {}
    for profile_id, sent, received, cost in rows.values_list(
        "profile_id", "input_tokens", "output_tokens", "cost"
    ):
        before = found.get(profile_id or 0, ModelUse())
        found[profile_id or 0] = ModelUse(
            calls=before.calls + 1,
            tokens=before.tokens + sent + received,
            cost=before.cost + (cost or ZERO),
            unknown=before.unknown + (cost is None),
        )
    return found


def with_last_call(
    profiles: QuerySet[ModelProfile], centers: Collection[str]
) -> QuerySet[ModelProfile]:
    """The profiles with `last_outcome` and `last_at` of the latest call that one of these cost centers made."""
    calls = LLMCall.objects.filter(profile=OuterRef("pk"), cost_center__in=centers)
    latest = calls.order_by("-at", "-pk")
    return profiles.annotate(
        last_outcome=Subquery(latest.values("outcome")[:1]),
        last_at=Subquery(latest.values("at")[:1]),
    )


def budget_state(cost_center: str, day: date) -> BudgetState:
    """The budget of a cost center and what is used of it that day. Two queries."""
    budget = Budget.objects.filter(cost_center=cost_center).first()
    used = BudgetDay.objects.filter(cost_center=cost_center, day=day).first()
    return BudgetState(
        money_per_day=None if budget is None else budget.money_per_day,
        calls_per_day=None if budget is None else budget.calls_per_day,
        money=ZERO if used is None else used.money / MILLION,
        calls=0 if used is None else used.calls,
    )
