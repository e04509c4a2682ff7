"""Budgets: what is set aside, settled and kept adds up, and together nobody spends more than is allowed."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import connections
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.domain import DecisionOutcome, Usage
from llm.errors import BudgetExhausted
from llm.hosts import Provider
from llm.models import Budget, BudgetDay
from llm.prices import at_most, cost_of, micros
from llm.services import Allowance, DailyTill, allowances_of, set_budget
from tests.concurrency.stage import at_once
from tests.llm.hosts.server import says
from tests.llm.hosts.stage import DAY, Asking, priced, profile_of
from tests.llm.hosts.wires import OPENAI, PRICE
from tradingagent.accounts.models import AuditEntry, User

BOT, USER = "bot:1", "user:1"
USAGE = Usage(input_tokens=1000, output_tokens=500)
STEP = micros(at_most(USAGE, PRICE) or Decimal(0))
"""What `USAGE` sets aside: 1000 × 3.75 + 500 × 15 millionths."""


def an_allowance(center: str, money: str | None = None, calls: int | None = None) -> Allowance:
    return Allowance(
        cost_center=center,
        whose=center,
        money_per_day=None if money is None else Decimal(money),
        calls_per_day=calls,
    )


def till(*allowances: Allowance, price=PRICE, day: date = DAY) -> DailyTill:
    return DailyTill(allowances=lambda: allowances, day=lambda: day, price=lambda: price)


def spent(center: str, day: date = DAY) -> tuple[int, int]:
    """(millionths, calls) of a center's day."""
    row = BudgetDay.objects.filter(cost_center=center, day=day).first()
    return (0, 0) if row is None else (row.money, row.calls)


def is_let(chest: DailyTill, usage: Usage = USAGE) -> bool:
    try:
        chest.reserve(usage)
    except BudgetExhausted:
        return False
    return True


# --- Alone -----------------------------------------------------------------------------------------


def test_what_is_set_aside_is_the_dearest_that_can_come():
    assert STEP == 11_250
    assert at_most(USAGE, None) is None


@pytest.mark.django_db
def test_what_is_settled_stands_in_the_place_of_what_was_set_aside():
    chest = till(an_allowance(BOT), an_allowance(USER))
    settle = chest.reserve(USAGE)
    assert spent(BOT) == spent(USER) == (STEP, 1)
    came_to = Usage(input_tokens=1000, output_tokens=10, cached_tokens=900)

    assert settle(came_to) == cost_of(came_to, PRICE) == Decimal("0.00072")

    assert spent(BOT) == spent(USER) == (720, 1)


@pytest.mark.django_db
def test_what_was_not_charged_is_given_back_but_counts_as_a_call():
    assert till(an_allowance(BOT)).reserve(USAGE)(None) == 0
    assert spent(BOT) == (0, 1)


@pytest.mark.django_db
def test_an_unknown_price_is_an_unknown_cost():
    settle = till(an_allowance(BOT, "0", 2), price=None).reserve(USAGE)
    assert settle(USAGE) is None
    assert spent(BOT) == (0, 1)
    assert is_let(till(an_allowance(BOT, "0", 2), price=None))
    assert not is_let(till(an_allowance(BOT, "0", 2), price=None))


@pytest.mark.django_db
@pytest.mark.parametrize("tight", [BOT, USER])
@pytest.mark.parametrize(("money", "calls"), [("0.001", None), (None, 0)])
def test_both_are_reserved_or_none(tight, money, calls):
    other = USER if tight == BOT else BOT
    chest = till(an_allowance(tight, money, calls), an_allowance(other))
    assert not is_let(chest)
    assert spent(BOT) == spent(USER) == (0, 0)


@pytest.mark.django_db
def test_the_last_millionth_may_be_spent():
    exact = str(Decimal(2 * STEP) / 1_000_000)
    chest = till(an_allowance(BOT, exact))
    assert [is_let(chest) for _ in range(3)] == [True, True, False]
    with pytest.raises(BudgetExhausted) as told:
        chest.reserve(USAGE)
    assert str(told.value) == (
        "bot:1 may spend 0.0225 US dollars a day on models: 0.0225 are spent or set aside, "
        "and this request may take 0.0112"
    )


@pytest.mark.django_db
def test_another_day_is_another_budget_and_a_late_answer_is_booked_on_its_own():
    late = till(an_allowance(BOT, "0.012")).reserve(USAGE)
    tomorrow = till(an_allowance(BOT, "0.012"), day=DAY + timedelta(days=1))
    assert is_let(tomorrow) and not is_let(tomorrow)
    late(Usage(input_tokens=1))
    assert spent(BOT) == (3, 1)
    assert spent(BOT, DAY + timedelta(days=1)) == (STEP, 1)


@pytest.mark.django_db
def test_budgets_are_read_audited_and_checked():
    ann = User.objects.create_user("ann@example.org")
    set_budget(owner=ann, cost_center=USER, money_per_day=Decimal(3), calls_per_day=None, by=ann)
    set_budget(owner=ann, cost_center=USER, money_per_day=Decimal(4), calls_per_day=9, by=ann)

    user, bot = allowances_of({USER: "All", BOT: "One"})

    assert user == replace(an_allowance(USER, "4", 9), whose="All")
    assert (bot.money_per_day, bot.calls_per_day) == (None, None)
    entries = AuditEntry.objects.filter(action="set_budget")
    assert [entry.before is None for entry in entries.order_by("pk")] == [True, False]
    with pytest.raises(ValidationError):
        set_budget(
            owner=ann, cost_center=BOT, money_per_day=Decimal(-1), calls_per_day=None, by=ann
        )
    assert Budget.objects.count() == 1


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["settled", "not charged", "kept"]),
        st.integers(0, 3000),
        st.integers(0, 1000),
        st.integers(0, 100),
    ),
    max_size=12,
)
LIMITS = st.tuples(
    st.none() | st.integers(0, 60_000), st.none() | st.integers(0, 8)
)  # (millionths, calls)


@pytest.mark.django_db
@settings(max_examples=30)
@given(OPERATIONS, LIMITS, LIMITS)
def test_the_books_are_those_of_a_plain_sum(operations, of_bot, of_user):
    BudgetDay.objects.all().delete()
    limits = {BOT: of_bot, USER: of_user}
    chest = till(
        *(
            an_allowance(one, None if money is None else str(Decimal(money) / 1_000_000), calls)
            for one, (money, calls) in limits.items()
        )
    )
    money, calls = 0, 0
    for end, sent, answered, percent in operations:
        most = Usage(input_tokens=sent, output_tokens=answered)
        aside = micros(at_most(most, PRICE) or Decimal(0))
        fits = all(
            (cap is None or money + aside <= cap) and (times is None or calls < times)
            for cap, times in limits.values()
        )
        try:
            settle = chest.reserve(most)
        except BudgetExhausted:
            assert not fits
            continue
        assert fits
        calls += 1
        came_to = Usage(input_tokens=sent, output_tokens=answered * percent // 100)
        match end:
            case "settled":
                money += micros(cost_of(came_to, PRICE) or Decimal(0))
                settle(came_to)
            case "not charged":
                settle(None)
            case _:
                money += aside
        for center in limits:
            assert spent(center) == (money, calls)


# --- Together --------------------------------------------------------------------------------------

WORKERS, EACH = 8, 6


def together(act, workers: int = WORKERS) -> list:
    """Do it in so many threads at once, each with a connection of its own."""

    def alone(number: int):
        try:
            return act(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(alone, range(workers)))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("money", "calls", "most"), [(Decimal(13 * STEP) / 10**6, None, 13), (None, 17, 17)]
)
def test_many_workers_can_t_overshoot_together(money, calls, most):
    """Of bots with one owner: the owner's budget holds, and each bot's own counts agree with it."""
    whole = an_allowance(USER, None if money is None else str(money), calls)

    def work(number: int) -> int:
        chest = till(an_allowance(f"bot:{number}"), whole)
        return sum(is_let(chest) for _ in range(EACH))

    assert sum(together(work)) == most
    assert spent(USER) == (most * STEP, most)
    of_bots = [spent(f"bot:{number}") for number in range(WORKERS)]
    assert sum(money for money, _ in of_bots) == most * STEP
    assert sum(calls for _, calls in of_bots) == most


@pytest.mark.django_db(transaction=True)
def test_many_processes_can_t_either():
    def work() -> int:
        return sum(is_let(till(an_allowance(USER, None, 9))) for _ in range(EACH))

    assert sum(at_once(*[work] * 4)) == 9
    assert spent(USER) == (9 * STEP, 9)


@pytest.mark.django_db(transaction=True)
def test_settling_at_once_loses_nothing():
    def work(number: int) -> None:
        for _ in range(EACH):
            till(an_allowance(BOT)).reserve(USAGE)(Usage(input_tokens=number + 1))

    together(work)

    assert spent(BOT) == (EACH * sum(3 * (number + 1) for number in range(WORKERS)), 48)


@pytest.mark.django_db(transaction=True)
def test_many_models_asked_at_once_send_no_more_than_is_paid_for(host):
    host.answer_with(says(OPENAI.no_usage))  # what is set aside stays so
    priced(Provider.OPENAI)
    profile = profile_of(host, Provider.OPENAI)
    one = Asking(profile).decide()
    room = Decimal(4 * one.set_aside) / 10**6  # three more

    def work(_: int) -> DecisionOutcome:
        return Asking(profile, money=room).decide().decision.outcome

    outcomes = together(work, 6)

    assert sorted(outcomes) == [DecisionOutcome.DECIDED] * 3 + [DecisionOutcome.OVER_BUDGET] * 3
    assert len(host.requests) == 4
    assert one.spent == 4 * one.set_aside
