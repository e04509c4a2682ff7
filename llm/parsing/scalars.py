"""One value at a time: numbers, fractions, actions and texts, as models spell them.

A spelling is taken only when it can mean one thing. `1,234` is a thousand and so is `1.234k`; `0,5`,
`1.234,5`, `~46k`, `2m`, `-2%` for a price and `46000-47000` are refused. Nothing is ever rounded up or made
larger. The trap avoided: patterns that look for an end go wrong on long texts, so those come to none.
"""

import re
from decimal import Decimal
from functools import lru_cache

from llm.domain import DecisionAction
from market.domain.enums import PositionSide

SMALLEST_EXPONENT, LARGEST_EXPONENT, MOST_DIGITS = -20, 18, 40
LONGEST_NUMBER = 64
SHOWN = 60

_PLAIN = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_GROUPED = re.compile(
    r"[+-]?[1-9][0-9]{0,2}(?:([,_' \u00a0\u202f\u2009’])[0-9]{3}(?:\1[0-9]{3})*)(?:\.[0-9]+)?"
)
_THOUSANDS = re.compile(r"(\+?[0-9]+(?:\.[0-9]+)?)[kK]")
_CURRENCY = re.compile(
    r"^(?:\$|(?:usdt|usdc|usd)\b)\s*|\s*(?:\$|\b(?:usdt|usdc|usd))$", re.IGNORECASE
)
_TIMES = re.compile(r"^[x×]\s*|\s*[x×]$", re.IGNORECASE)
_GROUPING = re.compile(r"[,_' \u00a0\u202f\u2009’]")
_WORD_BREAK = re.compile(r"[^a-z0-9]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

NOT_SAID = frozenset(
    {"", "n/a", "na", "n.a.", "n.a", "null", "none", "nil", "nan", "-", "--", "—", "–", "undefined",
     "not applicable", "unset", "not set"}
)  # fmt: skip

_ACTIONS = {
    DecisionAction.BUY_TO_ENTER: "buy_to_enter buy long open_long enter_long go_long buy_long "
    "buy_to_open long_entry enter_buy open_buy",
    DecisionAction.SELL_TO_ENTER: "sell_to_enter sell short open_short enter_short go_short "
    "sell_short sell_to_open short_entry enter_sell open_sell short_sell",
    DecisionAction.HOLD: "hold wait keep none no_action do_nothing nothing skip stay neutral "
    "hold_position keep_position no_trade stay_flat maintain n_a na null pass",
    DecisionAction.CLOSE: "close close_position exit exit_position close_long close_short exit_long "
    "exit_short sell_to_close buy_to_close sell_to_exit buy_to_exit flatten close_all",
    DecisionAction.REDUCE: "reduce reduce_position partial_close close_partial trim scale_out "
    "reduce_long reduce_short partial_exit",
    DecisionAction.ADJUST: "adjust adjust_position adjust_stop adjust_stop_loss update_stop "
    "update_stop_loss move_stop modify modify_position update update_position trail_stop",
}  # fmt: skip
ACTION_OF = {word: action for action, words in _ACTIONS.items() for word in words.split()}

SIDE_OF = {
    "long": PositionSide.LONG, "buy": PositionSide.LONG,
    "short": PositionSide.SHORT, "sell": PositionSide.SHORT,
}  # fmt: skip
"""A side as a field of its own. An action may name it too (`close_long`): see `named_side`."""

OPENING_WORDS = frozenset({"open", "enter", "entry", "open_position", "enter_position"})
_SELLS_OR_BUYS = {"sell": PositionSide.LONG, "buy": PositionSide.SHORT}
_NAMED_SIDE = {
    **dict.fromkeys(
        ("close_long", "exit_long", "sell_to_close", "sell_to_exit", "reduce_long"),
        PositionSide.LONG,
    ),
    **dict.fromkeys(
        ("close_short", "exit_short", "buy_to_close", "buy_to_exit", "reduce_short"),
        PositionSide.SHORT,
    ),
}


class BadValue(ValueError):
    """A value that can't be taken; the message says what was expected."""


def snake(key: str) -> str:
    """`stopLoss`, `Stop Loss`, `stop-loss` → `stop_loss`."""
    return _snake(key.strip()[:100])


@lru_cache(maxsize=1024)
def _snake(key: str) -> str:
    return _WORD_BREAK.sub("_", _HUMP.sub("_", key).lower()).strip("_")


def shown(value: object) -> str:
    """A value as a message quotes it: short, one line, no control characters."""
    text = value if isinstance(value, str) else type(value).__name__
    return repr(clean_text(str(text), SHOWN).replace("\n", " "))


def is_said(value: object) -> bool:
    """False for null and for the words that models write instead of it."""
    if isinstance(value, str):
        return value.strip().lower() not in NOT_SAID
    return value is not None


def number(value: object) -> tuple[Decimal, bool] | None:
    """A number and whether it was written with a percent sign; None when nothing was said.

    Raises BadValue for anything ambiguous or outside what a price or an amount can be.
    """
    if not isinstance(value, str):
        if value is None:
            return None
        raise BadValue(f"must be a number, not {shown(value)}")
    if _PLAIN.fullmatch(value):
        return _decimal(value), False
    if not is_said(value):
        return None
    text = value.strip().replace("−", "-")
    if len(text) > LONGEST_NUMBER:
        raise BadValue(f"must be a plain number, not {shown(value)}")
    percent = text.endswith("%")
    text = _TIMES.sub("", _CURRENCY.sub("", text.removesuffix("%").strip()))
    if thousands := _THOUSANDS.fullmatch(text):
        text = thousands.group(1) + "e3"
    elif not _PLAIN.fullmatch(text):
        if not _GROUPED.fullmatch(text):
            raise BadValue(f"must be a plain number, not {shown(value)}")
        text = _GROUPING.sub("", text)
    return _decimal(text), percent


def _decimal(text: str) -> Decimal:
    if len(text) > MOST_DIGITS:
        raise BadValue(f"must be a number of at most {MOST_DIGITS} characters")
    value = Decimal(text)
    if value and not SMALLEST_EXPONENT <= value.adjusted() <= LARGEST_EXPONENT:
        raise BadValue(f"must be a number of ordinary size, not {shown(text)}")
    return value


def plain_number(value: object) -> Decimal | None:
    """A number that is no percentage. Raises BadValue."""
    found = number(value)
    if found is None:
        return None
    if found[1]:
        raise BadValue(f"must be a number, not a percentage: {shown(value)}")
    return found[0]


def action_of(value: object, held: PositionSide | None) -> tuple[DecisionAction | None, str]:
    """The action that a word means, and a note where the position held decided it.

    `held` None: unknown. A bare *sell* with a long held (or *buy* with a short) ends the position;
    it does not open the other side. `close_long` with a short held means nothing we hold: hold.
    None as action: the word only opens, and the side must be said elsewhere.
    """
    word = snake(value) if isinstance(value, str) else ""
    if isinstance(value, str) and not is_said(value):
        return DecisionAction.HOLD, ""
    if word in OPENING_WORDS:
        return None, ""
    action = ACTION_OF.get(word)
    if action is None:
        raise BadValue(f"must be one of {', '.join(DecisionAction)}, not {shown(value)}")
    if held is not None and held is not PositionSide.FLAT:
        if _SELLS_OR_BUYS.get(word) is held:
            return DecisionAction.CLOSE, f"{word} while {held.value.lower()} is read as close"
        if _NAMED_SIDE.get(word, held) is not held:
            return DecisionAction.HOLD, f"{word} while {held.value.lower()} is read as hold"
    return action, ""


def clean_text(value: object, cap: int) -> str:
    """A text without control characters or broken surrogates, at most `cap` characters long."""
    if isinstance(value, (list, tuple)):
        value = "; ".join(part for part in value[:20] if isinstance(part, str))
    if not isinstance(value, str):
        return ""
    text = str(value).strip()
    if not text.isprintable():
        text = _CONTROL.sub(" ", text.replace("\r\n", "\n")).strip()
    return text if len(text) <= cap else text[: cap - 1].rstrip() + "…"
