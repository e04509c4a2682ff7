"""One real question to a model, and the prompt that it would see: on the market as it is, with an empty account.

Nothing is traded and no bot is touched. What a probe costs is booked like any other call.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

from bots import runtime
from llm.domain import (
    AccountView,
    Completion,
    Decision,
    DecisionOutcome,
    DecisionView,
    Prompt,
)
from llm.errors import BudgetExhausted, ModelRefused, ModelTimedOut, ModelUnavailable
from llm.models import ModelProfile, PromptTemplate
from llm.prompts import STANDARD, prompt_facts, render
from llm.services import allowances_of, greeting, record_calls, trader_for, try_connection
from market.domain.data import MarketSnapshot
from market.domain.numbers import ZERO
from risk.models import RiskProfile
from risk.profiles import describe
from tradingagent.accounts.models import User
from tradingagent.accounts.outward import before_speaking_outward

SIMULATED: Final = "simulated"
CAPITAL: Final = Decimal(10_000)
TIMEFRAME: Final = timedelta(minutes=3)
LIMITS: Final = "balanced"
ALL_BOTS: Final = "All bots together"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a probe looks at."""

    venue: str = SIMULATED
    symbols: tuple[str, ...] = ()
    timeframe: timedelta = TIMEFRAME
    owner_words: str = ""


def probe_model(
    profile: ModelProfile, sight: Sight, *, by: User | None, template: PromptTemplate | None = None
) -> Decision:
    """Ask a model for one decision on the market as it is. `by`: whose budget pays; None: nobody's.

    Never raises for what the model says or fails to say. Raises ProviderNotAvailable, TemplateError,
    CannotTrade for a symbol that is not there, VenueUnavailable, ValueError for a venue nobody knows.
    """
    center = "probe" if by is None else cost_center_of(by)
    centers = {} if by is None else {center: ALL_BOTS}
    trader = trader_for(
        profile,
        template,
        sight.owner_words,
        allowances=lambda: allowances_of(centers),
        today=None if by is None else partial(day_of, by),
    )
    view = view_of(sight)
    before_speaking_outward()
    decision = trader.decide(view)
    record_calls(center, decision, profile, runtime.clock().now())
    return decision


def try_model(profile: ModelProfile, *, by: User) -> Completion:
    """Ask a model whether it answers, paid from the user's budget and booked like any other call. Raises
    ProviderNotAvailable, and the errors of `llm.errors`, each with a sentence for people."""
    center = cost_center_of(by)
    before_speaking_outward()
    try:
        answer = try_connection(
            profile, lambda: allowances_of({center: ALL_BOTS}), partial(day_of, by)
        )
    except tuple(_OUTCOMES) as failure:
        booked = Decision(
            trader=profile.name,
            outcome=_OUTCOMES[type(failure)],
            reason=str(failure),
            prompts=(greeting(),),
        )
        record_calls(center, booked, profile, runtime.clock().now())
        raise
    booked = Decision(trader=profile.name, prompts=(greeting(),), completions=(answer,))
    record_calls(center, booked, profile, runtime.clock().now())
    return answer


_OUTCOMES: Final[dict[type[Exception], DecisionOutcome]] = {
    ModelUnavailable: DecisionOutcome.UNAVAILABLE,
    ModelTimedOut: DecisionOutcome.TIMED_OUT,
    ModelRefused: DecisionOutcome.REFUSED,
    BudgetExhausted: DecisionOutcome.OVER_BUDGET,
}


def cost_center_of(user: User) -> str:
    """What is booked for all bots of a user together, and for what they ask themselves."""
    return f"user:{user.pk}"


def day_of(user: User) -> date:
    """The user's day, in which budgets count."""
    return runtime.clock().now().astimezone(ZoneInfo(user.time_zone)).date()


def preview_prompt(
    template: PromptTemplate | None, sight: Sight, *, token_budget: int | None = None
) -> Prompt:
    """What a model would be sent now by this template (None: the built-in one), cut down to `token_budget`.
    Raises as `probe_model`."""
    drawn = STANDARD if template is None else template.to_domain()
    return render(prompt_facts(view_of(sight), drawn, token_budget=token_budget), drawn)


def view_of(sight: Sight) -> DecisionView:
    """The market of `sight` as it is, and an account that holds nothing yet."""
    symbols = sight.symbols or runtime.simulated_symbols()[:3]
    market = market_of(sight, symbols)
    limits = RiskProfile.objects.get(owner=None, name=LIMITS).limits()
    return DecisionView(
        market=market,
        account=AccountView(
            currency=market.instruments[0].instrument.settle,
            opening_equity=CAPITAL,
            cash=CAPITAL,
            available=CAPITAL,
            equity=CAPITAL,
            total_return_fraction=ZERO,
            fees_paid=ZERO,
            funding=ZERO,
            llm_cost=ZERO,
        ),
        limits=describe(limits),
        started_at=market.as_of,
        owner_words=sight.owner_words,
    )


def market_of(sight: Sight, symbols: Sequence[str]) -> MarketSnapshot:
    """What can be seen of these instruments now. Raises CannotTrade, VenueUnavailable, ValueError."""
    feed = runtime.feed_of(sight.venue, sight.timeframe)
    known = runtime.listed(sight.venue, symbols, feed)
    missing = [symbol for symbol in symbols if symbol not in known]
    if missing:
        raise runtime.CannotTrade(f"{sight.venue} does not list {', '.join(missing)}")
    return feed.snapshot(symbols, runtime.clock().now())
