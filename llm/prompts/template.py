"""Prompt templates: two texts with placeholders, and the settings that say what is shown.

A template is immutable and its hash covers every byte of it, so a stored prompt names exactly what it
was made from. Placeholders stand in the *template* only; what is put in is never read for more.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property

from market.domain.canonical import content_hash

RENDERER_VERSION = 1
"""Raised whenever a section comes out otherwise for the same facts; part of every template's hash."""

SECTIONS = frozenset(
    {"clock", "instruments", "account", "positions", "closed_trades", "denials", "limits",
     "owner_words", "emergency"}
)  # fmt: skip
_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_SPEC = re.compile(r"(?:ta:)?[a-z][a-z0-9_]*(?::[0-9]+(?:\.[0-9]+)?)*")


class TemplateError(ValueError):
    """A template that can't be rendered; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSettings:
    """What the market section shows.

    Indicators are written `name` or `name:parameter[:parameter]` (`ema:20`, `macd`, `macd:12:26:9`);
    `ta:name[:length]` takes one from the wider catalogue. `mid` in a series is the close of each bar.
    The timeframes are the feed's; the texts name them as they are.
    """

    series_length: int = 10
    indicators: tuple[str, ...] = (
        "ema:20", "macd", "rsi:7", "rsi:14", "atr:14", "bollinger", "stochastic",
    )  # fmt: skip
    series: tuple[str, ...] = ("mid", "ema:20", "macd", "rsi:7", "rsi:14")
    context_indicators: tuple[str, ...] = ("ema:20", "ema:50", "atr:3", "atr:14")
    context_series: tuple[str, ...] = ("macd", "rsi:14")
    volume_average_bars: int = 20
    bytes_per_token: Decimal = Decimal("2.5")

    def __post_init__(self) -> None:
        if not 1 <= self.series_length <= 200:
            raise TemplateError(f"series_length must be 1 to 200, not {self.series_length}")
        if self.bytes_per_token <= 0 or self.volume_average_bars < 1:
            raise TemplateError("bytes_per_token and volume_average_bars must be above zero")
        for spec in (
            *self.indicators, *self.series, *self.context_indicators, *self.context_series,
        ):  # fmt: skip
            if not _SPEC.fullmatch(spec):
                raise TemplateError(f"{spec!r} is not an indicator's name with its parameters")


@dataclass(frozen=True, kw_only=True)
class PromptTemplate:
    """A named version of a prompt. `user` must hold at least one placeholder, `system` holds none:
    it is the same for every call, so hosts can cache it. Raises TemplateError."""

    name: str
    version: int
    system: str
    user: str
    settings: PromptSettings = field(default_factory=PromptSettings)

    def __post_init__(self) -> None:
        if _PLACEHOLDER.search(self.system):
            raise TemplateError("the system text of a template can't hold placeholders")
        found = _PLACEHOLDER.findall(self.user)
        if not found:
            raise TemplateError("the user text of a template holds no placeholder")
        for placeholder in found:
            if placeholder not in SECTIONS:
                raise TemplateError(
                    f"no section {placeholder!r}; there are {', '.join(sorted(SECTIONS))}"
                )

    @cached_property
    def sections(self) -> frozenset[str]:
        """The sections that this template shows."""
        return frozenset(_PLACEHOLDER.findall(self.user))

    @cached_property
    def hash(self) -> str:
        """SHA-256 over name, version, both texts, every setting and the renderer's version."""
        return content_hash(
            {
                "renderer": RENDERER_VERSION,
                "name": self.name,
                "version": self.version,
                "system": self.system,
                "user": self.user,
                "settings": self.settings,
            }
        )

    def fill(self, texts: Mapping[str, str]) -> str:
        """The user text with every placeholder replaced, once: what is put in is not read again."""
        return _PLACEHOLDER.sub(lambda match: texts[match.group(1)], self.user)
