"""Facts and a template into a prompt: pure, and byte for byte the same from stored facts (P6).

The token estimate is UTF-8 bytes ÷ `bytes_per_token` (2.5: prompts are mostly digits, which cost more
tokens than prose), rounded up. Over the budget, parts are left out in one stated order until it fits;
`Prompt.trimmed` names them. The clock, the positions, the limits and the owner's words always stay.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal
from typing import Any

from llm.domain import Prompt, ReplyForm
from llm.prompts.builtin import EMERGENCY, built_in_template
from llm.prompts.sections import SECTION, Cut, Facts
from llm.prompts.template import PromptSettings, PromptTemplate, TemplateError

TRIM_STEPS: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("series shortened to 5", {"series": 5}),
    ("series shortened to 3", {"series": 3}),
    ("context series left out", {"context_series": True}),
    ("closed trades left out", {"closed_trades": True}),
    ("denials left out", {"denials": True}),
    ("series left out", {"series": 0}),
    ("context left out", {"context": True}),
)
"""What is left out first, each step on top of those before it."""


def render(facts: Mapping[str, object], template: PromptTemplate) -> Prompt:
    """Render facts. Raises TemplateError when they were made for another template."""
    made_for = facts["template"]
    if not isinstance(made_for, Mapping) or made_for["hash"] != template.hash:
        raise TemplateError(f"these facts were not made for {template.name} {template.version}")
    budget = facts["token_budget"]
    cut = Cut()
    prompt = _render(facts, template, cut)
    trimmed: list[str] = []
    for name, change in TRIM_STEPS:
        if not isinstance(budget, int) or prompt.estimated_tokens <= budget:
            break
        cut = replace(cut, **change)
        shorter = _render(facts, template, cut)
        if len(shorter.user) < len(prompt.user):
            trimmed.append(name)
            prompt = shorter
    return replace(prompt, trimmed=tuple(trimmed)) if trimmed else prompt


def render_facts(facts: Mapping[str, object]) -> Prompt:
    """Render stored facts with the built-in template they name. Raises TemplateError."""
    made_for = facts["template"]
    if not isinstance(made_for, Mapping):
        raise TemplateError("these facts name no template")
    return render(facts, built_in_template(str(made_for["name"]), int(str(made_for["version"]))))


def render_emergency_prompt(
    facts: Mapping[str, object], template: PromptTemplate = EMERGENCY
) -> Prompt:
    """Render the close-or-keep question. Raises TemplateError for a template without a reason."""
    if "emergency" not in template.sections:
        raise TemplateError(f"{template.name} is no emergency template: it shows no reason")
    return render(facts, template)


def with_repair(prompt: Prompt, repair: str) -> Prompt:
    """The prompt of the second try: the first one, and what was wrong with its answer."""
    user = (
        f"{prompt.user}\n\n# Your last answer could not be used\n{repair}\n"
        "Answer again, with the JSON object only."
    )
    ratio = Decimal(max(1, prompt.estimated_tokens)) / max(1, _size(prompt.system, prompt.user))
    tokens = (ratio * _size(prompt.system, user)).to_integral_value(ROUND_CEILING)
    return replace(
        prompt,
        user=user,
        content_hash=_hash(prompt.system, user),
        estimated_tokens=int(tokens),
    )


def question(system: str, user: str) -> Prompt:
    """A prompt made of no template: a plain question."""
    settings = PromptSettings()
    return Prompt(
        system=system,
        user=user,
        template_name="",
        template_version=0,
        template_hash="",
        content_hash=_hash(system, user),
        estimated_tokens=estimate_tokens(system + user, settings.bytes_per_token),
    )


def estimate_tokens(text: str, bytes_per_token: Decimal) -> int:
    """UTF-8 bytes ÷ bytes per token, rounded up."""
    return int((len(text.encode()) / bytes_per_token).to_integral_value(ROUND_CEILING))


def _render(facts: Facts, template: PromptTemplate, cut: Cut) -> Prompt:
    user = template.fill({name: SECTION[name](facts, cut) for name in template.sections})
    size = _size(template.system, user)
    tokens = (size / template.settings.bytes_per_token).to_integral_value(ROUND_CEILING)
    return Prompt(
        system=template.system,
        user=user,
        template_name=template.name,
        template_version=template.version,
        template_hash=template.hash,
        content_hash=_hash(template.system, user),
        estimated_tokens=int(tokens),
        reply=ReplyForm.EMERGENCY if "emergency" in template.sections else ReplyForm.DECISION,
    )


def _size(*texts: str) -> int:
    return sum(len(text.encode()) for text in texts)


def _hash(system: str, user: str) -> str:
    """SHA-256 over both texts, and over where one ends."""
    return hashlib.sha256(system.encode() + b"\x00" + user.encode()).hexdigest()
