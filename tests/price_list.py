"""`make prices`: makes `llm/price_list.json` of the data of genai-prices. A tool of development, not of the product.

What the list says is looked at before it is committed. Only names that a pattern can hold are taken. OpenRouter
is left out: it has thousands, and says itself what a request cost.
"""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from genai_prices.data import providers
from genai_prices.types import ClauseEquals, ClauseOr, ClauseRegex, ClauseStartsWith

from llm.hosts import Provider

TARGET: Final = Path(__file__).parent.parent / "llm" / "price_list.json"
NAMES: Final = {
    "anthropic": Provider.ANTHROPIC,
    "openai": Provider.OPENAI,
    "deepseek": Provider.DEEPSEEK,
    "x-ai": Provider.XAI,
    "google": Provider.GEMINI,
    "mistral": Provider.MISTRAL,
}
_NO_TEXT = re.compile(
    r"tts|image|audio|voice|video|embed|realtime|transcri|moderation|live|dall-e|whisper|rerank"
)
SINCE_EVER: Final = date(2024, 1, 1)
_DATED = re.compile(r"\^([\w.\-\\]+)-\\d\{8\}\$")


def main() -> None:
    """Write the list, one price a line. A price that changed is a new line from today on: what was paid before
    stays what it was."""
    before = json.loads(TARGET.read_text(encoding="utf-8")) if TARGET.exists() else []
    known = {_key(row): row for row in before}
    for row in _rows():
        there = known.setdefault(_key(row), row)
        if there != row and _prices(_newest(known.values(), row)) != _prices(row):
            later = row | {"valid_from": datetime.now(UTC).date().isoformat()}
            known[_key(later)] = later
    rows = sorted(known.values(), key=_key)
    lines = ",\n".join(json.dumps(row) for row in rows)
    TARGET.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def _key(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["provider"], row["model_pattern"], row["valid_from"]


def _prices(row: dict[str, Any]) -> list[Any]:
    return [row[name] for name in ("input_price", "output_price", "cached_price", "written_price")]


def _newest(rows: Iterable[dict[str, Any]], of: dict[str, Any]) -> dict[str, Any]:
    same = [row for row in rows if _key(row)[:2] == _key(of)[:2]]
    return max(same, key=lambda row: row["valid_from"])


def _rows() -> Iterator[dict[str, Any]]:
    seen = set()
    for source in providers:
        provider = NAMES.get(source.id)
        if provider is None:
            continue
        for model in source.models:
            if _NO_TEXT.search(model.id):
                continue
            for pattern in _patterns(model.match):
                for since, price in _dated(model.prices):
                    key = (provider, pattern, since)
                    if key not in seen and (found := _price(price)) is not None:
                        seen.add(key)
                        yield {
                            "provider": provider,
                            "model_pattern": pattern,
                            "valid_from": since.isoformat(),
                            **found,
                        }


def _patterns(clause: Any) -> Iterable[str]:
    match clause:
        case ClauseEquals(equals=name):
            yield name
        case ClauseStartsWith(starts_with=name):
            yield f"{name}*"
        case ClauseRegex(regex=regex) if (dated := _DATED.fullmatch(regex)) is not None:
            yield dated[1].replace("\\", "") + "-" + "[0-9]" * 8
        case ClauseOr(or_=clauses):
            for one in clauses:
                yield from _patterns(one)


def _dated(prices: Any) -> Iterable[tuple[date, Any]]:
    """(from when, price) of each price of a model; those of an hour of the day are left out."""
    if not isinstance(prices, list):
        yield SINCE_EVER, prices
        return
    for one in prices:
        constraint = one.constraint
        if constraint is None:
            yield SINCE_EVER, one.prices
        elif hasattr(constraint, "start_date"):
            yield constraint.start_date, one.prices


def _price(price: Any) -> dict[str, str | None] | None:
    given = _base(price.input_mtok), _base(price.output_mtok)
    if given[0] is None or given[1] is None:
        return None
    cached, written = _base(price.cache_read_mtok), _base(price.cache_write_mtok)
    if cached is None or cached > given[0]:
        cached = given[0]
    return {
        "input_price": str(given[0]),
        "output_price": str(given[1]),
        "cached_price": str(cached),
        "written_price": None if written is None else str(written),
    }


def _base(price: Any) -> Decimal | None:
    """A price, or of one that depends on the length of the prompt the lowest: prompts here are short."""
    return price if price is None or isinstance(price, Decimal) else price.base


if __name__ == "__main__":
    main()
