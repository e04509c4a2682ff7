"""One real question to a model, and the prompt that it would see: on the market as it is, with an empty account.

Nothing is traded and no bot is touched. What a probe costs is booked like any other call.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final

from bots import runtime
from llm.domain import AccountView, Decision, DecisionView, Prompt
from llm.models import ModelProfile, PromptTemplate
from llm.prompts import STANDARD, prompt_facts, render
from llm.services import allowances_of, record_calls, trader_for
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
    center = "probe" if by is None else f"user:{by.pk}"
    centers = {} if by is None else {center: "All bots together"}
    trader = trader_for(
        profile, template, sight.owner_words, allowances=lambda: allowances_of(centers)
    )
    view = view_of(sight)
    before_speaking_outward()
    decision = trader.decide(view)
    record_calls(center, decision, profile, runtime.clock().now())
    return decision


def preview_prompt(template: PromptTemplate | None, sight: Sight) -> Prompt:
    """What a model would be sent now by this template (None: the built-in one). Raises as `probe_model`."""
    drawn = STANDARD if template is None else template.to_domain()
    return render(prompt_facts(view_of(sight), drawn), drawn)


def view_of(sight: Sight) -> DecisionView:
    """The market of `sight` as it is, and an account that holds nothing yet."""
    symbols = sight.symbols or runtime.simulated_symbols()[:3]
    market = _market(sight, symbols)
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


def _market(sight: Sight, symbols: Sequence[str]) -> MarketSnapshot:
    feed = runtime.feed_of(sight.venue, sight.timeframe)
    known = runtime.listed(sight.venue, symbols, feed)
    missing = [symbol for symbol in symbols if symbol not in known]
    if missing:
        raise runtime.CannotTrade(f"{sight.venue} does not list {', '.join(missing)}")
    return feed.snapshot(symbols, runtime.clock().now())
