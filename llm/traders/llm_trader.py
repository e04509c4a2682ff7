"""A model as a trader: view → facts → prompt → ChatModel → parser → Decision.

It holds no state and reads no clock. It corrects nothing of what the model wants; the plan and the veto
come after. The trap avoided: a prompt over the model's budget that is sent all the same.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from llm.decider import ask
from llm.domain import Decision, DecisionOutcome, DecisionView, StopRequirement
from llm.ports import ChatModel
from llm.prompts import (
    EMERGENCY,
    STANDARD,
    PromptTemplate,
    prompt_facts,
    render,
    render_emergency_prompt,
)

DEADLINE = timedelta(seconds=60)


@dataclass(frozen=True, kw_only=True)
class LLMTrader:
    """Asks `chat` at every decision. `deadline` covers both tries; `token_budget` is the largest prompt
    in estimated tokens (None: no limit). `owner_words` stand in when the view carries none."""

    chat: ChatModel
    template: PromptTemplate = STANDARD
    emergency_template: PromptTemplate = EMERGENCY
    owner_words: str = ""
    deadline: timedelta = DEADLINE
    token_budget: int | None = None

    @property
    def name(self) -> str:
        return self.chat.name

    @property
    def stop(self) -> StopRequirement:
        """The prompt asks for a stop with every entry."""
        return StopRequirement.REQUIRED

    def decide(self, view: DecisionView) -> Decision:
        """Ask and read. Raises nothing for what the model says or fails to say; TemplateError when the
        template names an indicator that there is not."""
        if not view.owner_words and self.owner_words:
            view = replace(view, owner_words=self.owner_words)
        template = self.template if view.emergency is None else self.emergency_template
        facts = prompt_facts(view, template, token_budget=self.token_budget)
        draw = render if view.emergency is None else render_emergency_prompt
        prompt = draw(facts, template)
        if self.token_budget is not None and prompt.estimated_tokens > self.token_budget:
            return Decision(
                trader=self.name,
                outcome=DecisionOutcome.OVER_BUDGET,
                reason=(
                    f"the prompt needs about {prompt.estimated_tokens} tokens "
                    f"of {self.token_budget}, even when trimmed"
                ),
                prompts=(prompt,),
                facts=facts,
            )
        return ask(self.chat, prompt, facts, deadline=self.deadline, trader=self.name)
