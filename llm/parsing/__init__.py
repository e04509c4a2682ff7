"""From a model's text to a decision: lenient in, strict out.

Either a `ParsedDecision` whose every value is in range and was stated by the text, or
`DecisionUnreadable` with a reason that a repair try can use. Nothing here knows limits, prices or
positions well enough to correct a trade; what is ambiguous is refused, never guessed.
"""

from llm.parsing.parse import ParsedDecision, parse_decision
from llm.parsing.schema import EmergencyReply, WireReply, reply_instructions

__all__ = [
    "EmergencyReply",
    "ParsedDecision",
    "WireReply",
    "parse_decision",
    "reply_instructions",
]
