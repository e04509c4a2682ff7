"""Who answers, and how each host differs: the one table of model providers.

A host that speaks OpenAI's chat completions is one member of `Provider` and one row of `HOSTS`; nothing else
names it. It sends nothing. The trap: a host that ignores what it does not know, so a wrong field here is
answered as if nothing had been asked for; each row is what the host's own documentation says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Provider(StrEnum):
    """Who answers. SCRIPTED plays a file of completions."""

    SCRIPTED = "SCRIPTED"
    ANTHROPIC = "ANTHROPIC"
    OPENAI = "OPENAI"
    DEEPSEEK = "DEEPSEEK"
    XAI = "XAI"
    QWEN = "QWEN"
    GEMINI = "GEMINI"
    MISTRAL = "MISTRAL"
    OPENROUTER = "OPENROUTER"
    OLLAMA = "OLLAMA"
    VLLM = "VLLM"
    LLAMACPP = "LLAMACPP"
    OPENAI_COMPATIBLE = "OPENAI_COMPATIBLE"


class Structure(StrEnum):
    """How a host is held to the form of the reply: by its schema, to any JSON object, or by words alone."""

    SCHEMA = "schema"
    OBJECT = "object"
    WORDS = "words"


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One provider's ways. `base_url` empty: it has to be given. `key_variable` empty: it needs no key.

    `most_tokens` is the parameter that caps the answer, `effort` the one that says how hard to think, `reasoning`
    the fields of an answer that may hold the thinking, `cached` where in `usage` the tokens stand that were read
    from the host's cache (dots lead inside), `cost` where the host says what the request costs in US dollars.
    """

    label: str
    base_url: str = ""
    key_variable: str = ""
    structure: Structure = Structure.SCHEMA
    most_tokens: str = "max_tokens"
    effort: str = ""
    reasoning: tuple[str, ...] = ("reasoning_content", "reasoning")
    cached: tuple[str, ...] = ("prompt_tokens_details.cached_tokens",)
    cost: str = ""

    @property
    def is_own_machine(self) -> bool:
        """A server that people run themselves: it asks for no key."""
        return self.base_url.startswith("http://localhost")


HOSTS: Final[Mapping[Provider, Host]] = MappingProxyType(
    {
        Provider.ANTHROPIC: Host(
            label="Anthropic",
            base_url="https://api.anthropic.com",
            key_variable="ANTHROPIC_API_KEY",
            effort="effort",
        ),
        Provider.OPENAI: Host(
            label="OpenAI",
            base_url="https://api.openai.com/v1",
            key_variable="OPENAI_API_KEY",
            most_tokens="max_completion_tokens",
            effort="reasoning_effort",
        ),
        Provider.DEEPSEEK: Host(
            label="DeepSeek",
            base_url="https://api.deepseek.com",
            key_variable="DEEPSEEK_API_KEY",
            structure=Structure.OBJECT,
            effort="reasoning_effort",
            cached=("prompt_cache_hit_tokens", "prompt_tokens_details.cached_tokens"),
        ),
        Provider.XAI: Host(
            label="xAI",
            base_url="https://api.x.ai/v1",
            key_variable="XAI_API_KEY",
            most_tokens="max_completion_tokens",
            effort="reasoning_effort",
        ),
        Provider.QWEN: Host(
            label="Qwen",
            base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
            key_variable="DASHSCOPE_API_KEY",
            structure=Structure.OBJECT,
        ),
        Provider.GEMINI: Host(
            label="Gemini",
            base_url="https://generativelanguage.googleapis.com/v1beta/openai",
            key_variable="GEMINI_API_KEY",
            effort="reasoning_effort",
        ),
        Provider.MISTRAL: Host(
            label="Mistral",
            base_url="https://api.mistral.ai/v1",
            key_variable="MISTRAL_API_KEY",
        ),
        Provider.OPENROUTER: Host(
            label="OpenRouter",
            base_url="https://openrouter.ai/api/v1",
            key_variable="OPENROUTER_API_KEY",
            effort="reasoning_effort",
            reasoning=("reasoning", "reasoning_content"),
            cost="cost",
        ),
        Provider.OLLAMA: Host(label="Ollama", base_url="http://localhost:11434/v1"),
        Provider.VLLM: Host(label="vLLM", base_url="http://localhost:8000/v1"),
        Provider.LLAMACPP: Host(label="llama.cpp", base_url="http://localhost:8080/v1"),
        Provider.OPENAI_COMPATIBLE: Host(
            label="Another host that speaks OpenAI's chat completions", structure=Structure.OBJECT
        ),
    }
)
"""Every provider that is asked over the network."""


def find_host(provider: str) -> Host | None:
    """A provider's row; None for one that is asked nothing over the network, or that there is not."""
    return next((host for member, host in HOSTS.items() if member == provider), None)
