"""The wire schema as hosts take it natively: every field required, nothing beside them, no ranges.

Hosts refuse or drop ranges and lengths, so those stand in the descriptions; the parser enforces them on what
comes back, whatever the host promised.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from llm.domain import ReplyForm
from llm.parsing.schema import EmergencyReply, WireReply

_FORMS = {ReplyForm.DECISION: WireReply, ReplyForm.EMERGENCY: EmergencyReply}
_DROPPED = frozenset(
    {"title", "default", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
)


@cache
def strict_schema(form: ReplyForm) -> dict[str, Any]:
    """The JSON schema of a form of reply. To be read, not changed: it is made once."""
    schema: dict[str, Any] = _strict(_FORMS[form].model_json_schema())
    return schema


def _strict(node: Any) -> Any:
    if isinstance(node, list):
        return [_strict(one) for one in node]
    if not isinstance(node, Mapping):
        return node
    found = {key: _strict(value) for key, value in node.items() if key not in _DROPPED}
    if "$ref" in found:  # some hosts take nothing beside a reference
        return {"$ref": found["$ref"]}
    properties = node.get("properties")
    if isinstance(properties, Mapping):
        found["properties"] = {key: _strict(value) for key, value in properties.items()}
        found["required"] = list(properties)
        found["additionalProperties"] = False
    return found
