"""What a model is shown: versioned templates, the facts of one moment, and the text made of them.

`prompt_facts(view, template)` takes all that the prompt will show out of a view, as plain data that is
stored; `render(facts, template)` makes the same bytes of it today and in a year (P6). Neither decides
anything, reads a clock or asks anyone.
"""

from llm.prompts.builtin import EMERGENCY, STANDARD, built_in_template
from llm.prompts.facts import prompt_facts
from llm.prompts.render import (
    estimate_tokens,
    question,
    render,
    render_emergency_prompt,
    render_facts,
    with_repair,
)
from llm.prompts.template import PromptSettings, PromptTemplate, TemplateError

__all__ = [
    "EMERGENCY",
    "STANDARD",
    "PromptSettings",
    "PromptTemplate",
    "TemplateError",
    "built_in_template",
    "estimate_tokens",
    "prompt_facts",
    "question",
    "render",
    "render_emergency_prompt",
    "render_facts",
    "with_repair",
]
