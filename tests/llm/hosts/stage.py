"""A profile, a budget and a question: what a decision came to, what was booked for it, and where its key is not."""

import logging
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from llm.domain import Completion, Decision, DecisionOutcome, Prompt, Usage
from llm.hosts import HOSTS, Provider
from llm.models import BudgetDay, LLMCall, ModelPrice, ModelProfile
from llm.prices import at_most, micros
from llm.providers.patient import PatientChat
from llm.services import Allowance, chat_model, record_calls
from llm.traders.llm_trader import LLMTrader
from tests.llm.hosts.server import Host
from tests.llm.hosts.wires import PRICE, Wire
from tests.llm.scenes import first_view

DAY = date(2026, 3, 1)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
VARIABLE = "A_KEY_OF_TESTS"
CENTER = "bot:1"


def canary() -> str:
    """A key without any mark of a key, as some hosts give them."""
    return "Q7wXzcanary5d1e0b77c3Kp9Tr2Lm"


def unstored_profile(
    host: Host, provider: Provider, base: str = "/v1", **columns: Any
) -> ModelProfile:
    """A shared profile whose host is the one of the test."""
    needs_key = HOSTS[provider].key_variable or provider is Provider.OPENAI_COMPATIBLE
    return ModelProfile(
        **{
            "name": f"{provider}",
            "provider": provider,
            "model": "m-1",
            "base_url": host.url + base,
            "key_env": VARIABLE if needs_key else "",
            **columns,
        }
    )


def profile_of(host: Host, provider: Provider, base: str = "/v1", **columns: Any) -> ModelProfile:
    """The same, as a row."""
    profile = unstored_profile(host, provider, base, **columns)
    profile.save()
    return profile


def sends(profile: ModelProfile, prompt: Prompt, seconds: float = 20) -> Completion:
    """One request of a profile's adapter: no tries, no budget, no database."""
    chat = chat_model(profile)
    assert isinstance(chat, PatientChat)
    return chat.request.send(prompt, timedelta(seconds=seconds))


def priced(provider: Provider) -> None:
    ModelPrice.objects.create(
        provider=provider,
        model_pattern="*",
        valid_from=date(2020, 1, 1),
        input_price=PRICE.input,
        output_price=PRICE.output,
        cached_price=PRICE.cached,
        written_price=PRICE.written,
    )


@dataclass
class Asked:
    """What became of one decision."""

    decision: Decision
    took: float
    pauses: list[float]

    @property
    def rows(self) -> list[LLMCall]:
        return list(LLMCall.objects.order_by("pk"))

    @property
    def spent(self) -> int:
        """Millionths of a dollar that are spent or set aside."""
        return BudgetDay.objects.get(cost_center=CENTER, day=DAY).money

    @property
    def set_aside(self) -> int:
        """What one of its requests sets aside."""
        [prompt, *_] = self.decision.prompts
        most = at_most(Usage(input_tokens=prompt.estimated_tokens, output_tokens=8000), PRICE)
        assert most is not None
        return micros(most)


@dataclass
class Asking:
    """Asks a profile's model as a bot does; pauses between tries take no time."""

    profile: ModelProfile
    money: Decimal | None = Decimal(10)
    calls: int | None = None
    pauses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        allowance = Allowance(
            cost_center=CENTER, whose="The bot", money_per_day=self.money, calls_per_day=self.calls
        )
        chat = chat_model(self.profile, lambda: (allowance,), lambda: DAY)
        assert isinstance(chat, PatientChat)
        chat.sleep = self.pauses.append
        self.chat = chat

    def decide(self, seconds: float = 20, view: Any = None) -> Asked:
        trader = LLMTrader(chat=self.chat, deadline=timedelta(seconds=seconds))
        began = time.monotonic()
        decision = trader.decide(view or first_view())
        took = time.monotonic() - began
        record_calls(CENTER, decision, self.profile, NOON)
        return Asked(decision, took, self.pauses)


def asked(wire: Wire, host: Host, seconds: float = 20) -> Asked:
    """One decision through a wire, by a priced model."""
    priced(wire.provider)
    return Asking(profile_of(host, wire.provider, wire.base)).decide(seconds)


def assert_no_key(*shown: object, records: Sequence[logging.LogRecord] = ()) -> None:
    """Neither the key nor half of it stands in any of these, nor in what was logged."""
    key = canary()
    formatter = logging.Formatter()
    texts = [str(one) for one in shown] + [repr(one) for one in shown]
    texts += [formatter.format(record) for record in records]
    texts += [str(record.args) for record in records]
    for text in texts:
        assert key not in text and key[:16] not in text and key[-16:] not in text


def everything_of(asked: Asked) -> list[object]:
    """All that a person may see of a decision."""
    rows = [(row.error, row.trader, row.model) for row in asked.rows]
    return [asked.decision, asked.decision.reason, *rows]


def printed(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def is_hold(decision: Decision) -> bool:
    return not decision.items and (
        decision.outcome is DecisionOutcome.DECIDED or bool(decision.reason)
    )
