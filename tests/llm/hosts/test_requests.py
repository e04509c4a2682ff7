"""What each host is sent and what is read of its answer; and that nothing of the environment leaves."""

from typing import Any

import pytest

from llm.domain import Completion, Prompt, Usage
from llm.errors import ModelUnavailable
from llm.hosts import HOSTS, Provider
from llm.parsing.strict import strict_schema
from llm.prompts import EMERGENCY
from llm.providers.anthropic_chat import usage_of as claude_usage
from llm.providers.one_request import LONGEST_REASONING
from llm.providers.openai_chat import usage_of
from llm.providers.parameters import ParameterError, read_parameters
from llm.services import made_of, try_connection
from tests.llm.hosts.server import Host, says
from tests.llm.hosts.stage import (
    VARIABLE,
    Asking,
    canary,
    profile_of,
    sends,
    unstored_profile,
)
from tests.llm.hosts.wires import ANTHROPIC, HOLD, OPENAI, WIRES, chat, claude
from tests.llm.scenes import emergency, first_view, standard

COMPATIBLE = [provider for provider in HOSTS if provider is not Provider.ANTHROPIC]
FORMS = ("standard", "emergency")


def prompt_of(form: str) -> Prompt:
    return standard(first_view()) if form == "standard" else emergency()


def answer_of(provider: Provider, **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = (claude if provider is Provider.ANTHROPIC else chat)(**changes)
    return made


def complete(
    host: Host, provider: Provider, params: Any = None, form: str = "standard", **changes: Any
) -> Completion:
    """Ask a host of this provider once, with these parameters."""
    host.answer_with(says(answer_of(provider, **changes)))
    base = "" if provider is Provider.ANTHROPIC else "/v1"
    profile = unstored_profile(host, provider, base, params=params or {})
    return sends(profile, prompt_of(form))


# --- What is sent ----------------------------------------------------------------------------------

SCHEMA, OBJECT = "json_schema", "json_object"
WAYS = {
    Provider.OPENAI: ("max_completion_tokens", SCHEMA),
    Provider.DEEPSEEK: ("max_tokens", OBJECT),
    Provider.XAI: ("max_completion_tokens", SCHEMA),
    Provider.QWEN: ("max_tokens", OBJECT),
    Provider.GEMINI: ("max_tokens", SCHEMA),
    Provider.MISTRAL: ("max_tokens", SCHEMA),
    Provider.OPENROUTER: ("max_tokens", SCHEMA),
    Provider.OLLAMA: ("max_tokens", SCHEMA),
    Provider.VLLM: ("max_tokens", SCHEMA),
    Provider.LLAMACPP: ("max_tokens", SCHEMA),
    Provider.OPENAI_COMPATIBLE: ("max_tokens", OBJECT),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("provider", COMPATIBLE)
def test_chat_completions_are_asked_by_the_row_of_their_host(provider, form, host):
    complete(host, provider, {"max_output_tokens": 900}, form)

    prompt, (most_tokens, kind) = prompt_of(form), WAYS[provider]
    expected: dict[str, Any] = {
        "model": "m-1",
        "messages": [
            {"role": "system", "content": prompt.system},
            {"role": "user", "content": prompt.user},
        ],
        most_tokens: 900,
        "response_format": {"type": kind},
    }
    if kind == SCHEMA:
        schema = strict_schema(prompt.reply)
        named = {"name": prompt.reply.value, "strict": True, "schema": schema}
        expected["response_format"]["json_schema"] = named
    assert host.body == expected
    [seen] = host.requests
    assert seen.path == "/v1/chat/completions"
    assert seen.headers["accept-encoding"] == "identity"
    needs_none = provider in (Provider.OLLAMA, Provider.VLLM, Provider.LLAMACPP)
    assert seen.key == ("none" if needs_none else canary())


@pytest.mark.parametrize("form", FORMS)
def test_claude_is_asked_with_a_marked_system_text(form, host):
    completion = complete(host, Provider.ANTHROPIC, {"effort": "low"}, form)

    prompt = prompt_of(form)
    schema = strict_schema(prompt.reply)
    assert host.body == {
        "model": "m-1",
        "max_tokens": 8000,
        "system": [{"type": "text", "text": prompt.system, "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": prompt.user}],
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": schema}},
    }
    [seen] = host.requests
    assert (seen.path, seen.key) == ("/v1/messages", canary())
    assert completion.parameters == (
        ("effort", "low"),
        ("max_tokens", "8000"),
        ("output_format", "json_schema"),
    )


def test_the_two_forms_differ():
    assert prompt_of("emergency").template_name == EMERGENCY.name
    assert strict_schema(prompt_of("standard").reply) != strict_schema(prompt_of("emergency").reply)


@pytest.mark.parametrize("provider", [one for one in HOSTS if HOSTS[one].effort])
def test_effort_goes_where_the_host_takes_it(provider, host):
    complete(host, provider, {"effort": "high"})

    at = host.body["output_config"] if provider is Provider.ANTHROPIC else host.body
    assert at[HOSTS[provider].effort] == "high"


@pytest.mark.parametrize("provider", COMPATIBLE)
def test_temperature_extra_and_structure_are_sent_as_said(provider, host):
    params = {
        "temperature": 0.2,
        "structure": "words",
        "extra": {"top_k": 5, "thinking": {"type": "disabled"}},
    }
    completion = complete(host, provider, params)

    assert host.body["temperature"] == 0.2
    assert (host.body["top_k"], host.body["thinking"]) == (5, {"type": "disabled"})
    assert "response_format" not in host.body
    assert "extra_body" not in host.body
    sent = dict(completion.parameters)
    assert (sent["temperature"], sent["extra.top_k"]) == ("0.2", "5")
    assert "response_format" not in sent and "messages" not in sent


def test_without_a_wish_neither_effort_nor_temperature_is_sent(host):
    complete(host, Provider.OPENAI)
    assert not {"temperature", "reasoning_effort"} & host.body.keys()


def test_claude_in_words_and_with_extra(host):
    complete(host, Provider.ANTHROPIC, {"structure": "words", "extra": {"metadata": {"a": "b"}}})
    assert "output_config" not in host.body
    assert host.body["metadata"] == {"a": "b"}


def test_the_longest_answers_may_be_asked_for(host):
    """The client would refuse to wait so long without being told to."""
    for provider in (Provider.ANTHROPIC, Provider.OPENAI):
        host.answer_with(says(answer_of(provider)))
        profile = unstored_profile(host, provider, params={"max_output_tokens": 200_000})
        assert sends(profile, prompt_of("standard"), 600).text == HOLD


@pytest.mark.parametrize(
    ("provider", "stored", "words"),
    [
        (Provider.ANTHROPIC, {"temperature": 1}, "takes no temperature"),
        (Provider.OPENAI, {"temperature": 2.1}, "from 0 to 2"),
        (Provider.OPENAI, {"temperature": True}, "from 0 to 2"),
        (Provider.QWEN, {"effort": "low"}, "takes no effort"),
        (Provider.OPENAI, {"effort": "huge"}, "effort is one of"),
        (Provider.OPENAI, {"max_output_tokens": 0}, "whole number"),
        (Provider.OPENAI, {"max_output_tokens": True}, "whole number"),
        (Provider.OPENAI, {"structure": "xml"}, "structure is one of"),
        (Provider.OPENAI, {"extra": []}, "extra is an object"),
        (Provider.OPENAI, {"extra": {"max_tokens": 10**6, "n": 5}}, "may not hold max_tokens, n"),
        (Provider.OPENAI, {"extra": {"messages": []}}, "may not hold messages"),
        (Provider.OPENAI, {"tempersture": 1}, "no parameter 'tempersture'"),
    ],
)
def test_parameters_that_make_no_sense(provider, stored, words):
    with pytest.raises(ParameterError, match=words):
        read_parameters(stored, HOSTS[provider])


# --- A host that can't be held to a form -----------------------------------------------------------

REFUSALS = [
    (OPENAI, 400, "Invalid parameter: 'response_format' of type 'json_schema' is not supported"),
    (OPENAI, 422, "response_format.type: unexpected value"),
    (OPENAI, 404, "No endpoints found that support structured outputs: json_schema"),
    (ANTHROPIC, 400, "output_config.format: this model does not support structured outputs"),
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("wire", "status", "words"), REFUSALS)
def test_a_host_that_takes_no_form_is_asked_without_one_from_then_on(wire, status, words, host):
    host.answer_with(says(wire.error(words), status), says(wire.says()))
    asking = Asking(profile_of(host, wire.provider, wire.base))

    first, second = asking.decide(), asking.decide()

    formed, *others = [
        "response_format" in seen.body or "output_config" in seen.body for seen in host.requests
    ]
    assert formed and others == [False, False]
    [why] = first.decision.completions[0].tries
    assert why.endswith("to a form: asked in words from now on")
    assert second.decision.completions[0].tries == ()


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.provider.value)
def test_asked_in_words_already_it_is_not_asked_again(wire, host):
    host.answer_with(says(wire.error("json_schema output_config response_format"), 400))
    profile = unstored_profile(host, wire.provider, wire.base, params={"structure": "words"})
    with pytest.raises(ModelUnavailable, match="refused the request"):
        sends(profile, prompt_of("standard"))
    assert len(host.requests) == 1


# --- What is read ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "raw", "usage"),
    [
        (Provider.OPENAI, {"prompt_tokens": 9, "completion_tokens": 4}, (9, 4, 0)),
        (
            Provider.OPENAI,
            {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13,
             "prompt_tokens_details": {"cached_tokens": 5}},
            (9, 4, 5),
        ),
        (
            Provider.DEEPSEEK,
            {"prompt_tokens": 9, "completion_tokens": 4, "prompt_cache_hit_tokens": 7},
            (9, 4, 7),
        ),
        (
            Provider.DEEPSEEK,
            {"prompt_tokens": 9, "completion_tokens": 4,
             "prompt_tokens_details": {"cached_tokens": 6}},
            (9, 4, 6),
        ),
        (  # thinking beside the answer
            Provider.XAI,
            {"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135,
             "completion_tokens_details": {"reasoning_tokens": 94}},
            (32, 103, 0),
        ),
        (
            Provider.GEMINI,
            {"prompt_tokens": 21, "completion_tokens": 0, "total_tokens": 81},
            (21, 60, 0),
        ),
        (Provider.OPENAI, {"total_tokens": 50}, (0, 0, 0)),
        (Provider.OPENAI, {"prompt_tokens": 9, "total_tokens": 5}, (9, 0, 0)),
        (Provider.OPENAI, {"prompt_tokens": "9", "completion_tokens": 4.0}, (0, 0, 0)),
        (Provider.OPENAI, {"prompt_tokens": 1, "prompt_tokens_details": 3}, (1, 0, 0)),
        (Provider.OPENAI, None, (0, 0, 0)),
        (Provider.OPENAI, [1], (0, 0, 0)),
    ],
)  # fmt: skip
def test_tokens_of_chat_completions(provider, raw, usage):
    found = usage_of(raw, HOSTS[provider])
    assert (found.input_tokens, found.output_tokens, found.cached_tokens) == usage


def test_tokens_of_claude_are_beside_its_cache():
    raw = {
        "input_tokens": 100,
        "output_tokens": 50,
        "cache_read_input_tokens": 200,
        "cache_creation_input_tokens": 300,
    }
    expected = Usage(input_tokens=600, output_tokens=50, cached_tokens=200, written_tokens=300)
    assert claude_usage(raw) == expected
    assert claude_usage({"input_tokens": None}) == claude_usage(None) == Usage()


@pytest.mark.parametrize("provider", list(HOSTS))
def test_an_answer_is_read_whole(provider, host):
    completion = complete(host, provider)

    assert (completion.text, completion.model) == (HOLD, "m-1-dated")
    assert completion.stop_reason == "stop"
    assert (completion.usage.input_tokens, completion.usage.output_tokens) == (600, 50)
    assert completion.usage.cached_tokens == 200
    assert completion.cost is None


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_the_thinking_is_kept(field, host):
    completion = complete(host, Provider.DEEPSEEK, message={field: "First this. " * 1000 + "End."})
    assert len(completion.reasoning) == LONGEST_REASONING
    assert completion.reasoning.startswith("…") and completion.reasoning.endswith("End.")


def test_the_thinking_of_claude_is_kept(host):
    host.answer_with(says(ANTHROPIC.of_parts))
    completion = sends(unstored_profile(host, Provider.ANTHROPIC, ""), prompt_of("standard"))
    assert (completion.reasoning, completion.text) == ("Let me see.", HOLD)


# --- The environment -------------------------------------------------------------------------------

LEAK = "leaked-by-the-environment"
VARIABLES = {
    "ANTHROPIC_API_KEY": LEAK,
    "ANTHROPIC_AUTH_TOKEN": LEAK,
    "ANTHROPIC_BASE_URL": f"http://{LEAK}.invalid",
    "ANTHROPIC_CUSTOM_HEADERS": f"X-Leak: {LEAK}\nX-Api-Key: {LEAK}\nAuthorization: Bearer {LEAK}",
    "OPENAI_API_KEY": LEAK,
    "OPENAI_ADMIN_KEY": LEAK,
    "OPENAI_ORG_ID": LEAK,
    "OPENAI_PROJECT_ID": LEAK,
    "OPENAI_WEBHOOK_SECRET": LEAK,
    "OPENAI_CUSTOM_HEADERS": f"X-Leak: {LEAK}\nAuthorization: Bearer {LEAK}",
    "OPENAI_BASE_URL": f"http://{LEAK}.invalid",
    "HTTP_PROXY": f"http://{LEAK}.invalid:1",
    "http_proxy": f"http://{LEAK}.invalid:1",
    "ALL_PROXY": f"http://{LEAK}.invalid:1",
}


@pytest.mark.parametrize("provider", [Provider.ANTHROPIC, Provider.OPENAI, Provider.OLLAMA])
def test_nothing_of_the_environment_reaches_a_host(provider, host, monkeypatch, tmp_path):
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".netrc").write_text(f"default login {LEAK} password {LEAK}\n")

    assert complete(host, provider).text == HOLD

    [seen] = host.requests
    assert LEAK not in seen.raw
    assert seen.key == ("none" if provider is Provider.OLLAMA else canary())
    assert not any(name.startswith(("openai-org", "openai-proj")) for name in seen.headers)


# --- Trying a profile ------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_connection_is_tried_with_a_greeting(host):
    host.answer_with(says(chat('{"summary": "ready", "decisions": []}')))
    completion = try_connection(profile_of(host, Provider.MISTRAL))
    assert "ready" in completion.text
    assert "BTC" not in str(host.body["messages"])


def test_a_changed_profile_makes_another_model(host):
    profile = unstored_profile(host, Provider.OPENAI)
    before = made_of(profile)
    assert made_of(profile) == before
    profile.params = {"temperature": 0.5}
    assert made_of(profile) != before
    assert VARIABLE in before
