"""Which instrument a model means: its exact symbol, or a spelling that fits exactly one of ours."""

import re
from collections.abc import Mapping
from functools import lru_cache

_NOISE = re.compile(r"[^A-Z0-9]+")
_BASE_SUFFIXES = ("", "PERP", "PERPETUAL")
_PAIR_SUFFIXES = ("", "PERP", "PERPETUAL", "SWAP", "P")


@lru_cache(maxsize=64)
def symbol_index(symbols: tuple[str, ...]) -> Mapping[str, str | None]:
    """Spelling → symbol, None for a spelling that would fit two symbols; exact ones always win.

    For `BTC/USDT:USDT`: itself, `BTC`, `BTC/USDT`, `BTCUSDT`, `BTC-USDT-SWAP`, `BTC-PERP`, in any case.
    """
    meant: dict[str, set[str]] = {}
    for symbol in symbols:
        pair = symbol.partition(":")[0]
        base = pair.partition("/")[0]
        if not base.isascii():  # squeezing would leave a name that is not its own
            continue
        for form, suffixes in (
            (base, _BASE_SUFFIXES),
            (pair, _PAIR_SUFFIXES),
            (symbol, _PAIR_SUFFIXES),
        ):
            for suffix in suffixes:
                meant.setdefault(_squeezed(form) + suffix, set()).add(symbol)
    index = {form: next(iter(fits)) if len(fits) == 1 else None for form, fits in meant.items()}
    index.update({symbol: symbol for symbol in symbols})
    return index


def find_symbol(said: object, symbols: tuple[str, ...]) -> str | None:
    """The symbol that is meant, or None when none or several fit."""
    if not isinstance(said, str) or len(said) > 100:
        return None
    index = symbol_index(symbols)
    found = index.get(said) or index.get(said.strip())
    if found is None and said.isascii():
        found = index.get(_squeezed(said))
    return found


def fits_several(said: object, symbols: tuple[str, ...]) -> bool:
    """True for a spelling that would fit more than one symbol, so that it means none."""
    if not isinstance(said, str) or len(said) > 100 or not said.isascii():
        return False
    form = _squeezed(said)
    index = symbol_index(symbols)
    return form in index and find_symbol(said, symbols) is None


def is_ours(said: object, symbols: tuple[str, ...]) -> bool:
    """True when a name is that of one of our instruments, or could be that of several."""
    return find_symbol(said, symbols) is not None or fits_several(said, symbols)


def _squeezed(said: str) -> str:
    return _NOISE.sub("", said.upper())
