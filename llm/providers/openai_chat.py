"""OpenAI, and every host that speaks its chat completions: one request, by the host's row of `llm.hosts`.

The trap avoided: hosts accept fields that they do not know, and answer with fields that nobody announced; what
is read here is taken with care, and an answer without a choice is no answer.
"""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import openai

from llm.domain import Completion, Prompt, Usage
from llm.errors import ModelUnavailable
from llm.hosts import Host, Structure
from llm.parsing.strict import strict_schema
from llm.providers.failures import of_status, quote
from llm.providers.one_request import (
    LONGEST_TEXT,
    Address,
    dollars,
    hush,
    kept_end,
    of_line,
    outward,
    whole,
)
from llm.providers.replies import at_path, body_object, parameters_of, text_of_parts

_NAMES_THE_FORM = ("response_format", "json_schema", "json_object", "structured output")

hush("openai")


@dataclass(slots=True, kw_only=True)
class OpenAIChat:
    """A model behind chat completions. A host that refuses to hold the answer to a form is asked without one
    from then on: the prompt says the form in words, too."""

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
                raw = self._client(timeout).chat.completions.with_raw_response.create(**body)
                answer = body_object(raw.http_response.content)
            except openai.APIStatusError as error:
                raise self._refused(error, body) from None
            except openai.APIConnectionError as error:
                raise of_line(error, timeout, self.at.key) from None
        return self._completion(answer, body)

    def _client(self, timeout: timedelta) -> openai.OpenAI:
        """The SDK's client, without what it read from the environment: that belongs to another's account."""
        client = openai.OpenAI(**self.at.client_options(timeout))
        client.organization = client.project = None
        client._custom_headers = {}
        return client

    def _body(self, prompt: Prompt) -> dict[str, Any]:
        host, wanted = self.at.host, self.at.parameters
        body: dict[str, Any] = {
            "model": self.at.model,
            "messages": [
                {"role": "system", "content": prompt.system},
                {"role": "user", "content": prompt.user},
            ],
            host.most_tokens: wanted.max_output_tokens,
        }
        if wanted.effort:
            body[host.effort] = wanted.effort
        if wanted.temperature is not None:
            body["temperature"] = float(wanted.temperature)
        match Structure.WORDS if self._takes_no_form else wanted.structure or host.structure:
            case Structure.SCHEMA:
                schema = {
                    "name": prompt.reply,
                    "strict": True,
                    "schema": strict_schema(prompt.reply),
                }
                body["response_format"] = {"type": "json_schema", "json_schema": schema}
            case Structure.OBJECT:
                body["response_format"] = {"type": "json_object"}
            case Structure.WORDS:
                pass
        if wanted.extra:
            body["extra_body"] = dict(wanted.extra)
        return body

    def _refused(self, error: openai.APIStatusError, body: dict[str, Any]) -> ModelUnavailable:
        response = error.response
        said = _said(error)
        about_form = any(word in said.lower() for word in _NAMES_THE_FORM)
        if response.status_code in (400, 404, 422) and about_form and "response_format" in body:
            self._takes_no_form = True
            return ModelUnavailable(
                "the host can't hold the answer to a form: asked in words from now on",
                is_temporary=True,
            )
        return of_status(response.status_code, said, response.headers, self.at.key)

    def _completion(self, answer: dict[str, Any], body: dict[str, Any]) -> Completion:
        usage = usage_of(answer.get("usage"), self.at.host)
        choice = _first(answer.get("choices"))
        message = choice.get("message")
        if not isinstance(message, dict):
            if not usage.output_tokens:
                said = quote(_words_of(answer), self.at.key)
                raise ModelUnavailable(
                    f"the host's answer holds no message{said}", may_be_charged=True
                )
            message = {}  # paid for, and says nothing
        refusal = message.get("refusal")
        stop = choice.get("finish_reason")
        return Completion(
            text=text_of_parts(message.get("content"))[:LONGEST_TEXT],
            model=text_of_parts(answer.get("model"))[:120] or self.at.model,
            usage=usage,
            stop_reason="refusal" if refusal else text_of_parts(stop) or "stop",
            cost=_told_cost(answer.get("usage"), self.at.host),
            reasoning=kept_end(
                next(
                    (
                        text
                        for name in self.at.host.reasoning
                        if (text := text_of_parts(message.get(name)))
                    ),
                    "",
                )
            ),
            parameters=parameters_of(body),
        )


def usage_of(raw: object, host: Host) -> Usage:
    """The tokens of an answer's `usage`, whatever of it is there. xAI and Gemini leave the thinking out of
    `completion_tokens`; what `total_tokens` has beside the input is what they charge as output."""
    if not isinstance(raw, dict):
        return Usage()
    sent = whole(raw.get("prompt_tokens"))
    cached = next((count for path in host.cached if (count := whole(at_path(raw, path)))), 0)
    beside = whole(raw.get("total_tokens")) - sent
    return Usage(
        input_tokens=max(sent, cached),
        output_tokens=max(whole(raw.get("completion_tokens")), beside if sent else 0),
        cached_tokens=cached,
    )


def _told_cost(raw: object, host: Host) -> Decimal | None:
    return dollars(at_path(raw, host.cost)) if host.cost and isinstance(raw, dict) else None


def _said(error: openai.APIStatusError) -> str:
    """What the host said."""
    return _words_of(error.body)


def _words_of(body: object) -> str:
    """The words and the code of an error, however it is wrapped: Gemini sends a list of one."""
    if isinstance(body, list) and body:
        body = body[0]
    if isinstance(body, dict):
        inner = body.get("error")
        found = inner.get("message") if isinstance(inner, dict) else inner or body.get("message")
        code = body.get("code") or (inner.get("code") if isinstance(inner, dict) else "")
        return " ".join(text_of_parts(part) for part in (found, code) if text_of_parts(part))
    return text_of_parts(body)


def _first(choices: object) -> dict[str, Any]:
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return choices[0]
    return {}
