"""Budgets in money and calls: what a request can cost at most is set aside before it leaves, and settled after.

One conditional UPDATE for each cost center, so that many workers can't overshoot together. A request whose end
nobody knows keeps what was set aside. The trap avoided: to add up rows and then decide, with fifty others adding
meanwhile.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db import transaction
from django.db.models import F

from llm.domain import Usage
from llm.errors import BudgetExhausted
from llm.models import Budget, BudgetDay
from llm.prices import Price, at_most, cost_of, micros
from llm.providers.patient import Settle
from tradingagent.accounts.models import User
from tradingagent.accounts.services import audit, facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a cost center may spend in a day; None: no limit. `whose` names it in sentences. `is_told` False: what
    it spent is not for whoever is paid from it to read. `day`: its own, where it is not that of the till."""

    cost_center: str
    whose: str
    money_per_day: Decimal | None = None
    calls_per_day: int | None = None
    is_told: bool = True
    day: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyTill:
    """The till of one model: `allowances` that a request is paid from, the day they count in, and the price of
    that day. All three are asked anew for each request."""

    allowances: Callable[[], Sequence[Allowance]]
    day: Callable[[], date]
    price: Callable[[], Price | None]

    def reserve(self, usage: Usage) -> Settle:
        """Set the most that `usage` can cost aside, of every allowance or of none; what settles it. Raises
        BudgetExhausted."""
        price = self.price()
        dollars = at_most(usage, price)
        money = None if dollars is None else micros(dollars)
        day, allowances = self.day(), sorted(self.allowances(), key=lambda one: one.cost_center)
        with transaction.atomic():
            for allowance in allowances:
                _set_aside(allowance, allowance.day or day, money)

        def settle(came_to: Usage | None, told: Decimal | None = None) -> Decimal | None:
            made = Decimal(0) if came_to is None else cost_of(came_to, price)
            cost = made if told is None else told
            if cost is not None and micros(cost) != (money or 0):
                for (
                    one
                ) in allowances:  # row by row: no two requests wait for each other in a circle
                    its = BudgetDay.objects.filter(cost_center=one.cost_center, day=one.day or day)
                    its.update(money=F("money") + micros(cost) - (money or 0))
            return cost

        return settle


def allowances_of(centers: Mapping[str, str]) -> tuple[Allowance, ...]:
    """The allowances of these cost centers (each with whose it is, for sentences), as their budgets say."""
    budgets = {row.cost_center: row for row in Budget.objects.filter(cost_center__in=centers)}
    return tuple(
        Allowance(
            cost_center=center,
            whose=whose,
            money_per_day=budgets[center].money_per_day if center in budgets else None,
            calls_per_day=budgets[center].calls_per_day if center in budgets else None,
        )
        for center, whose in centers.items()
    )


def set_budget(
    *,
    owner: User,
    cost_center: str,
    money_per_day: Decimal | None,
    calls_per_day: int | None,
    by: User,
) -> Budget:
    """Limit what a cost center spends in a day. Raises ValidationError."""
    row = Budget.objects.filter(cost_center=cost_center).first()
    before = None if row is None else facts(row)
    row = row or Budget(owner=owner, cost_center=cost_center)
    row.money_per_day, row.calls_per_day = money_per_day, calls_per_day
    row.full_clean()
    with transaction.atomic():
        row.save()
        audit(by, "set_budget", row, before, facts(row))
    return row


def _set_aside(allowance: Allowance, day: date, money: int | None) -> None:
    """One request of an allowance. Raises BudgetExhausted."""
    BudgetDay.objects.bulk_create(
        [BudgetDay(cost_center=allowance.cost_center, day=day)], ignore_conflicts=True
    )
    left = BudgetDay.objects.filter(cost_center=allowance.cost_center, day=day)
    if allowance.calls_per_day is not None:
        left = left.filter(calls__lt=allowance.calls_per_day)
    if allowance.money_per_day is not None and money is not None:
        left = left.filter(money__lte=int(allowance.money_per_day * 1_000_000) - money)
    if not left.update(calls=F("calls") + 1, money=F("money") + (money or 0)):
        raise BudgetExhausted(_sentence(allowance, day, money))


def _sentence(allowance: Allowance, day: date, money: int | None) -> str:
    if not allowance.is_told:
        return f"{allowance.whose} have asked models today as much as they may"
    spent = BudgetDay.objects.get(cost_center=allowance.cost_center, day=day)
    calls = allowance.calls_per_day
    if calls is not None and spent.calls >= calls:
        return f"{allowance.whose} may ask models {calls} times a day, and has"
    return (
        f"{allowance.whose} may spend {allowance.money_per_day} US dollars a day on models: "
        f"{_dollars(spent.money)} are spent or set aside, and this request may take {_dollars(money or 0)}"
    )


def _dollars(amount: int) -> str:
    return f"{Decimal(amount) / 1_000_000:.4f}"
