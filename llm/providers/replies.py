"""What adapters read of an answer's JSON: nothing is believed of its form."""

import json
from typing import Any

from llm.errors import ModelUnavailable

_NOT_PARAMETERS = frozenset(
    {"model", "messages", "system", "extra_body", "response_format", "output_config"}
)
_LONGEST_VALUE = 80


def body_object(content: bytes) -> dict[str, Any]:
    """An answer's body as an object. Raises ModelUnavailable: it may be charged, and nothing can be read."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise ModelUnavailable(
            "the host's answer is no JSON", is_temporary=True, may_be_charged=True
        ) from None
    if not isinstance(found, dict):
        raise ModelUnavailable("the host's answer is no object", may_be_charged=True)
    return found


def text_of_parts(value: object, name: str = "text") -> str:
    """A text, or the texts called `name` of a list of parts; "" for anything else. Half a character (a lone
    surrogate) and the zero byte are taken out: no record can hold them."""
    if isinstance(value, list):
        parts = (one.get(name) for one in value if isinstance(one, dict))
        value = "".join(part for part in parts if isinstance(part, str))
    if not isinstance(value, str):
        return ""
    return value.replace("\x00", "").encode("utf-8", "replace").decode()


def at_path(raw: dict[str, Any], path: str) -> object:
    """What stands at `a.b.c`; None where there is nothing."""
    found: object = raw
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def parameters_of(body: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """What was sent beside the prompt, as texts in order of their names."""
    said = {name: str(value) for name, value in body.items() if name not in _NOT_PARAMETERS}
    form = body.get("response_format")
    if isinstance(form, dict):
        said["response_format"] = str(form["type"])
    config = body.get("output_config") or {}
    if "format" in config:
        said["output_format"] = str(config["format"]["type"])
    if "effort" in config:
        said["effort"] = str(config["effort"])
    for name, value in (body.get("extra_body") or {}).items():
        said[f"extra.{name}"] = str(value)[:_LONGEST_VALUE]
    return tuple(sorted(said.items()))
