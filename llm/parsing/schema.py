"""The reply on the wire: the pydantic schema, and the instructions written from it.

The one place that states which fields a reply has and their ranges: providers ask for it natively,
the parser validates against it, and the prompt describes it, so the three can't drift apart.
"""

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from llm.domain import DecisionAction

LARGEST = Decimal(10) ** 15

Fraction = Annotated[
    Decimal,
    Field(ge=0, le=1),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1}),
]
Share = Annotated[
    Decimal,
    Field(gt=0, le=1),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
]
Price = Annotated[
    Decimal,
    Field(gt=0, le=LARGEST),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0}),
]
Money = Annotated[
    Decimal, Field(ge=0, le=LARGEST), WithJsonSchema({"type": "number", "minimum": 0})
]
Multiple = Annotated[
    Decimal, Field(ge=1, le=1000), WithJsonSchema({"type": "number", "minimum": 1})
]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid")


class WireItem(_Wire):
    """One instrument's decision."""

    symbol: Annotated[str, Field(description="the instrument, spelled as above")]
    action: Annotated[
        DecisionAction,
        Field(
            description="buy_to_enter opens or adds to a long, sell_to_enter a short; close ends the "
            "position, reduce closes reduce_fraction of it, adjust moves its stop_loss and "
            "take_profit, hold changes nothing"
        ),
    ]
    confidence: Annotated[
        Fraction | None,
        Field(description="probability that the trade makes money after costs (entries: always)"),
    ] = None
    risk_fraction: Annotated[
        Fraction | None,
        Field(
            description="share of equity lost if the stop is hit, 0.01 for one percent (entries)"
        ),
    ] = None
    notional: Annotated[
        Money | None,
        Field(description="size of the position in account currency, if not by risk_fraction"),
    ] = None
    leverage: Annotated[Multiple | None, Field(description="wanted leverage (entries)")] = None
    stop_loss: Annotated[Price | None, Field(description="stop price (entries, adjust)")] = None
    take_profit: Annotated[Price | None, Field(description="target price (entries, adjust)")] = None
    reduce_fraction: Annotated[
        Share | None, Field(description="share of the position to close (reduce)")
    ] = None
    invalidation_condition: Annotated[
        str, Field(description="what would prove the plan wrong, in one sentence")
    ] = ""
    justification: Annotated[str, Field(description="why, in one or two sentences")] = ""


class WireReply(_Wire):
    """A whole reply."""

    summary: Annotated[str, Field(description="a few sentences for people")] = ""
    decisions: Annotated[
        list[WireItem],
        Field(description="at most one item per instrument; what is not mentioned is held"),
    ]


class EmergencyItem(_Wire):
    """One position's decision in an emergency."""

    symbol: Annotated[str, Field(description="the instrument, spelled as above")]
    action: Annotated[
        Literal["close", "hold"], Field(description="close ends the position, hold keeps it")
    ]
    confidence: Annotated[
        Fraction | None, Field(description="how sure you are that this is right")
    ] = None
    justification: Annotated[str, Field(description="why, in one or two sentences")] = ""


class EmergencyReply(_Wire):
    """A whole reply in an emergency."""

    summary: Annotated[str, Field(description="a few sentences for people")] = ""
    decisions: Annotated[
        list[EmergencyItem],
        Field(description="at most one item per position; what is not mentioned is kept"),
    ]


@lru_cache
def reply_instructions(model: type[BaseModel] = WireReply) -> str:
    """What a prompt says about the form of the reply, written from the schema."""
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    (item,) = (one for one in definitions.values() if one["type"] == "object")
    lines = [
        "Answer with one JSON object and nothing else: no prose around it, no code fence.",
        *_fields(schema["properties"], definitions, ""),
        "Each item of `decisions` is an object with:",
        *_fields(item["properties"], definitions, "  "),
        "Prices and amounts are plain JSON numbers without separators or units.",
        "Use null for what does not apply.",
    ]
    return "\n".join(lines)


def _fields(
    properties: Mapping[str, Mapping[str, object]],
    definitions: Mapping[str, Mapping[str, object]],
    indent: str,
) -> list[str]:
    return [
        f"{indent}- `{name}` ({_type(field, definitions)}): {field['description']}"
        for name, field in properties.items()
    ]


def _type(field: Mapping[str, object], definitions: Mapping[str, Mapping[str, object]]) -> str:
    """A JSON schema type in words."""
    options = field.get("anyOf")
    if isinstance(options, list):
        return " or ".join(_type(option, definitions) for option in options)
    reference = field.get("$ref")
    if isinstance(reference, str):
        return _type(definitions[reference.rpartition("/")[2]], definitions)
    choices = field.get("enum")
    if isinstance(choices, list):
        return "one of " + ", ".join(choices)
    if field["type"] != "number":
        return {"string": "text", "array": "list"}.get(str(field["type"]), str(field["type"]))
    words = ["number"]
    for key, word in (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to")):
        if key in field:
            words += [word, str(field[key])]
    return " ".join(words)
