"""The two wire formats, as their hosts document them: what each answers, in JSON."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from llm.hosts import Provider
from llm.prices import Price

HOLD = '{"summary": "Nothing to do.", "decisions": []}'
PRICE = Price(input=Decimal(3), output=Decimal(15), cached=Decimal("0.3"), written=Decimal("3.75"))
CLAUDE_USAGE = {
    "input_tokens": 100,
    "output_tokens": 50,
    "cache_read_input_tokens": 200,
    "cache_creation_input_tokens": 300,
}
CHAT_USAGE = {
    "prompt_tokens": 600,
    "completion_tokens": 50,
    "total_tokens": 650,
    "prompt_tokens_details": {"cached_tokens": 200},
}
CLAUDE_COST = (
    Decimal(100 * 3 + 50 * 15) / 10**6
    + Decimal("0.3") * 200 / 10**6
    + Decimal("3.75") * 300 / 10**6
)
CHAT_COST = Decimal(400 * 3 + 50 * 15) / 10**6 + Decimal("0.3") * 200 / 10**6


def claude(text: str = HOLD, stop: str = "end_turn", **changes: Any) -> dict[str, Any]:
    """A message of Anthropic's."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m-1-dated",
        "content": [{"type": "text", "text": text}],
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": CLAUDE_USAGE,
        **changes,
    }


def chat(
    text: str | None = HOLD, stop: str = "stop", message: Any = None, **changes: Any
) -> dict[str, Any]:
    """A chat completion of OpenAI's."""
    said = {"role": "assistant", "content": text, **(message or {})}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m-1-dated",
        "choices": [{"index": 0, "message": said, "finish_reason": stop}],
        "usage": CHAT_USAGE,
        **changes,
    }


@dataclass(frozen=True)
class Wire:
    """One of the two, with the answers that its host gives."""

    provider: Provider
    path: str
    base: str
    cost: Decimal
    says: Callable[..., dict[str, Any]]
    refusal: dict[str, Any]
    cut_off: dict[str, Any]
    of_parts: dict[str, Any]
    empty: dict[str, Any]
    usage_only: dict[str, Any]
    no_usage: dict[str, Any]

    def error(self, message: str, code: str = "some_error") -> dict[str, Any]:
        if self.provider is Provider.ANTHROPIC:
            return {"type": "error", "error": {"type": code, "message": message}}
        return {"error": {"message": message, "type": code, "param": None, "code": code}}


ANTHROPIC = Wire(
    provider=Provider.ANTHROPIC,
    path="/v1/messages",
    base="",
    cost=CLAUDE_COST,
    says=claude,
    refusal=claude("", "refusal", content=[]),
    cut_off=claude(HOLD, "max_tokens"),
    of_parts=claude(
        content=[
            {"type": "thinking", "thinking": "Let me see.", "signature": "s"},
            {"type": "text", "text": HOLD[:10]},
            {"type": "text", "text": HOLD[10:]},
        ]
    ),
    empty=claude(content=None),
    usage_only={"usage": CLAUDE_USAGE},
    no_usage=claude(usage=None),
)
OPENAI = Wire(
    provider=Provider.OPENAI,
    path="/v1/chat/completions",
    base="/v1",
    cost=CHAT_COST,
    says=chat,
    refusal=chat(None, message={"refusal": "I can't help with that."}),
    cut_off=chat(HOLD, "length"),
    of_parts=chat(
        message={
            "content": [{"type": "text", "text": HOLD[:10]}, {"type": "text", "text": HOLD[10:]}],
            "reasoning_content": "Let me see.",
        }
    ),
    empty=chat(None),
    usage_only={"usage": CHAT_USAGE},
    no_usage=chat(usage=None),
)
WIRES = (ANTHROPIC, OPENAI)
