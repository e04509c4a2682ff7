"""Claude, by Anthropic's own API: one request. The fixed part of the prompt is marked for the host's cache.

The trap avoided: Anthropic counts what it read from its cache and what it put there beside the input, not
inside it, so that a bill made from `input_tokens` alone is too small.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import anthropic

from llm.domain import Completion, Prompt, Usage
from llm.errors import ModelUnavailable
from llm.hosts import Structure
from llm.parsing.strict import strict_schema
from llm.providers.failures import of_status
from llm.providers.one_request import LONGEST_TEXT, Address, hush, kept_end, of_line, outward, whole
from llm.providers.replies import body_object, parameters_of, text_of_parts

_NAMES_THE_FORM = ("output_config", "output_format", "json_schema", "structured output")

hush("anthropic")


@dataclass(slots=True, kw_only=True)
class AnthropicChat:
    """A Claude model. One that can't be held to a form is asked without one from then on: the prompt says the
    form in words, too."""

    at: Address
    _takes_no_form: bool = False

    @property
    def model(self) -> str:
        return self.at.model

    @property
    def most_output(self) -> int:
        return self.at.parameters.max_output_tokens

    def send(self, prompt: Prompt, timeout: timedelta) -> Completion:
        """Ask once. Raises ModelUnavailable, ModelTimedOut."""
        body = self._body(prompt)
        with outward(self.at, timeout):
            try:
                raw = self._client(timeout).messages.with_raw_response.create(**body)
                answer = body_object(raw.http_response.content)
            except anthropic.APIStatusError as error:
                raise self._refused(error, body) from None
            except anthropic.APIConnectionError as error:
                raise of_line(error, timeout, self.at.key) from None
        return self._completion(answer, body)

    def _client(self, timeout: timedelta) -> anthropic.Anthropic:
        """The SDK's client, without what it read from the environment: that belongs to another's account."""
        client = anthropic.Anthropic(**self.at.client_options(timeout))
        client._custom_headers = {}
        return client

    def _body(self, prompt: Prompt) -> dict[str, Any]:
        wanted = self.at.parameters
        fixed = {"type": "text", "text": prompt.system, "cache_control": {"type": "ephemeral"}}
        body: dict[str, Any] = {
            "model": self.at.model,
            "max_tokens": wanted.max_output_tokens,
            "system": [fixed],
            "messages": [{"role": "user", "content": prompt.user}],
        }
        config: dict[str, Any] = {"effort": wanted.effort} if wanted.effort else {}
        form = wanted.structure or self.at.host.structure
        if form is not Structure.WORDS and not self._takes_no_form:
            config["format"] = {"type": "json_schema", "schema": strict_schema(prompt.reply)}
        if config:
            body["output_config"] = config
        if wanted.extra:
            body["extra_body"] = dict(wanted.extra)
        return body

    def _refused(self, error: anthropic.APIStatusError, body: dict[str, Any]) -> ModelUnavailable:
        said = _said(error)
        about_form = any(word in said.lower() for word in _NAMES_THE_FORM)
        if error.status_code == 400 and about_form and "format" in body.get("output_config", {}):
            self._takes_no_form = True
            return ModelUnavailable(
                "the model can't be held to a form: asked in words from now on", is_temporary=True
            )
        return of_status(error.status_code, said, error.response.headers, self.at.key)

    def _completion(self, answer: dict[str, Any], body: dict[str, Any]) -> Completion:
        usage = usage_of(answer.get("usage"))
        content = answer.get("content")
        if not isinstance(content, list):
            if not usage.output_tokens:
                raise ModelUnavailable("the host's answer holds no message", may_be_charged=True)
            content = []  # paid for, and says nothing
        stop = text_of_parts(answer.get("stop_reason"))
        return Completion(
            text=text_of_parts(content, "text")[:LONGEST_TEXT],
            model=text_of_parts(answer.get("model"))[:120] or self.at.model,
            usage=usage,
            stop_reason=_STOPS.get(stop, stop) or "stop",
            cost=None,
            reasoning=kept_end(text_of_parts(content, "thinking")),
            parameters=parameters_of(body),
        )


_STOPS = {"end_turn": "stop", "model_context_window_exceeded": "max_tokens"}


def usage_of(raw: object) -> Usage:
    """The tokens of an answer: the input is what was new, what came from the cache and what went into it."""
    if not isinstance(raw, dict):
        return Usage()
    cached = whole(raw.get("cache_read_input_tokens"))
    written = whole(raw.get("cache_creation_input_tokens"))
    return Usage(
        input_tokens=whole(raw.get("input_tokens")) + cached + written,
        output_tokens=whole(raw.get("output_tokens")),
        cached_tokens=cached,
        written_tokens=written,
    )


def _said(error: anthropic.APIStatusError) -> str:
    body = error.body
    inner = body.get("error") if isinstance(body, dict) else None
    found = inner.get("message") if isinstance(inner, dict) else body
    return found if isinstance(found, str) else ""
