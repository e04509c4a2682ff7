"""What a profile may set of a request, read from its JSON: known names, values in range, one sentence otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, Final

from llm.hosts import Host, Structure

MOST_OUTPUT: Final = 200_000
OURS: Final = frozenset(
    {
        "max_completion_tokens", "max_tokens", "messages", "model", "n", "output_config",
        "response_format", "service_tier", "stream", "system",
    }
)  # fmt: skip
"""What `extra` can't say: it is set elsewhere, or makes a request dearer than what is put aside for it."""
EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


class ParameterError(ValueError):
    """A parameter that there is not, or a value that it can't take; one sentence says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """`max_output_tokens` caps the answer, thinking included; `effort` how hard to think (empty: the model's own);
    `temperature` None: the model's own; `structure` in place of the host's; `extra` goes into the request as it
    is, for what a host has and nobody else."""

    max_output_tokens: int = 8_000
    effort: str = ""
    temperature: Decimal | None = None
    structure: Structure | None = None
    extra: Mapping[str, Any] | None = None


def read_parameters(stored: Mapping[str, Any], host: Host) -> Parameters:
    """The parameters in a profile's JSON. Raises ParameterError."""
    names = [field.name for field in fields(Parameters)]
    for name in stored:
        if name not in names:
            raise ParameterError(f"there is no parameter {name!r}; there are {', '.join(names)}")
    most = stored.get("max_output_tokens", Parameters().max_output_tokens)
    if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= MOST_OUTPUT:
        raise ParameterError(f"max_output_tokens is a whole number from 1 to {MOST_OUTPUT}")
    effort = stored.get("effort", "")
    if effort and effort not in EFFORTS:
        raise ParameterError(f"effort is one of {', '.join(EFFORTS)}")
    if effort and not host.effort:
        raise ParameterError(f"{host.label} takes no effort")
    extra = stored.get("extra")
    if extra is not None and not isinstance(extra, dict):
        raise ParameterError("extra is an object of names and values")
    ours = sorted(OURS & (extra or {}).keys())
    if ours:
        raise ParameterError(f"extra may not hold {', '.join(ours)}")
    return Parameters(
        max_output_tokens=most,
        effort=effort,
        temperature=_temperature(stored.get("temperature"), host),
        structure=_structure(stored.get("structure")),
        extra=extra,
    )


def _temperature(value: Any, host: Host) -> Decimal | None:
    if value is None:
        return None
    if host.effort == "effort":
        raise ParameterError(f"{host.label} takes no temperature")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 2:
        raise ParameterError("temperature is a number from 0 to 2")
    return Decimal(str(value))


def _structure(value: Any) -> Structure | None:
    if value is None:
        return None
    try:
        return Structure(value)
    except ValueError:
        raise ParameterError(f"structure is one of {', '.join(Structure)}") from None
