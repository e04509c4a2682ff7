"""Codes of the limits in plain words, with the numbers that stand beside them.

The code itself is always shown beside these words, never instead of it and never translated. The trap
avoided: a code that nobody wrote words for; it shows as it is, with its own numbers.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from market.domain.numbers import significant
from risk.domain import Code, Limits
from risk.profiles import SENTENCES, describe

DENIED: Final[Mapping[Code, str]] = {
    Code.INVALID: "It held a number that can't be reckoned with.",
    Code.NO_EQUITY: "Nothing is left to risk: equity is not above zero.",
    Code.INSTRUMENT_NOT_ALLOWED: "This profile does not trade that instrument.",
    Code.INSTRUMENT_UNUSABLE: "That instrument could not be traded safely just then: {reason}.",
    Code.SIDE_NOT_ALLOWED: "Not that side: {reason}.",
    Code.STOP_REQUIRED: "Every entry must bring a stop, and this one had none.",
    Code.STOP_WRONG_SIDE: "A stop at {stop} is on the wrong side of the market, which stood at {mark}.",
    Code.STOP_WIDENED: "{stop} is further from the market than the stop at {resting}; it may only come closer.",
    Code.STOP_PAST_LIQUIDATION: "A stop at {stop} is too close to liquidation at {liquidation}, or past it.",
    Code.TARGET_WRONG_SIDE: "A target at {target} is on the wrong side of the market, which stood at {mark}.",
    Code.NO_TARGET: "Without a target its reward can't be weighed; {needed} for 1 of risk is asked.",
    Code.REWARD_RISK: "After fees it could win {reward} for {risk} at risk; {needed} for 1 is asked.",
    Code.MIN_CONFIDENCE: "It stated a confidence of {stated}; an entry needs {needed}.",
    Code.RISK_PER_TRADE: "Its stop would have cost {wanted}; {allowed} may be lost at most.",
    Code.MAX_LEVERAGE: "It wanted {wanted}×; {allowed}× is the most.",
    Code.POSITION_NOTIONAL: "The position would have been worth {wanted}; {allowed} is the most.",
    Code.MIN_SIZE: "It came to less than the venue's smallest order.",
    Code.MAX_QUANTITY: "{wanted} is more than the venue takes in one order.",
    Code.STALE: "Its price was too old, or not to be had.",
    Code.PRICE_MOVED: "The price had moved too far from the {seen} that it was shown, to {mark}.",
    Code.SPREAD: "Bid {bid} and ask {ask} stood too far apart.",
    Code.SLIPPAGE: "It would have filled near {expected}, too far from the best price of {best}.",
    Code.ADD_NOT_ALLOWED: "That instrument is held or on order already, and nothing is added.",
    Code.FLIP: "It would have turned what is held around in one step.",
    Code.NO_SIZE: "No size could be made of what it asked for.",
    Code.ORDER_UNRESOLVED: "An earlier order there has not been answered for yet.",
    Code.AVAILABLE_MARGIN: "There was not enough free cash for its margin and fee.",
    Code.NOTHING_HELD: "Nothing was held that this could change.",
    Code.REDUCE_ONLY: "It would have closed more than is held.",
    Code.MAX_POSITIONS: "That would have been position number {wanted}; {allowed} may be open at once.",
    Code.GROSS_EXPOSURE: "Longs and shorts together would have come to {wanted}; {allowed} is the most.",
    Code.NET_EXPOSURE: "Longs less shorts would have come to {wanted}; {allowed} is the most.",
    Code.CORRELATED_EXPOSURE: "Assets that move together would have come to {wanted}; {allowed} is the most.",
    Code.MARGIN_USED: "Margin would have come to {wanted}; {allowed} is the most.",
    Code.TRADES_PER_DAY: "That would have been entry number {wanted} of the day; {allowed} is the most.",
    Code.OPENS_PER_CYCLE: "That would have been entry number {wanted} at once; {allowed} is the most.",
    Code.COOLDOWN: "A stop was hit there; nothing is opened on it before {until}.",
    Code.NO_TRADE_WINDOW: "Nothing is opened in this window: {window}.",
    Code.MIN_HOLD: "It may not close this position by itself before {until}.",
    Code.BOT_NOT_ACTIVE: "The bot was not to open anything just then.",
    Code.VENUE_UNKNOWN: "The venue's own state could not be read, so nothing was opened.",
    Code.DAILY_LOSS: "The day's loss is used up; nothing is opened before tomorrow.",
    Code.SOFT_DRAWDOWN: "It stands too far below its peak; nothing is opened until it has rested.",
    Code.HARD_DRAWDOWN: "It fell too far below its peak: all is closed until a person resumes it.",
    Code.LOSS_STREAK: "Too many trades in a row lost; nothing is opened until it has rested.",
    Code.STALE_DATA: "Fresh prices failed to come, several times in a row.",
    Code.MODEL_FAILURES: "The model failed to answer, several times in a row.",
    Code.LLM_BUDGET: "What the model may cost in a day is spent; nothing is opened before tomorrow.",
    Code.FUNDING_COST: "Funding has cost what it may in a day; nothing is opened before tomorrow.",
    Code.ACCOUNT_ASSET_EXPOSURE: "All your bots together would have held {wanted} of {asset}; {allowed} is the most.",
    Code.ACCOUNT_GROSS_EXPOSURE: "All your bots together would have come to {wanted}; {allowed} is the most.",
    Code.ACCOUNT_MARGIN_USED: "Margin of all your bots would have come to {wanted}; {allowed} is the most.",
    Code.ACCOUNT_DAILY_LOSS: "All your bots together have lost {lost} today; {allowed} is the most.",
    Code.OPERATOR_LIMIT: "The operator's limits over all users leave no room for it now.",
}  # fmt: skip
"""Why a wish was refused, or why nothing is opened; names in braces are those of the denial's context."""

LIMIT_OF: Final[Mapping[Code, str]] = {
    Code.RISK_PER_TRADE: "risk_per_trade_fraction",
    Code.MAX_LEVERAGE: "max_leverage",
    Code.POSITION_NOTIONAL: "max_position_notional_fraction",
    Code.GROSS_EXPOSURE: "max_gross_exposure",
    Code.NET_EXPOSURE: "max_net_exposure",
    Code.CORRELATED_EXPOSURE: "max_correlated_exposure",
    Code.MARGIN_USED: "max_margin_used_fraction",
}
"""The limit that a clamp holds a wish to."""

_OTHER_CLAMPS: Final[Mapping[Code, str]] = {
    Code.MAX_QUANTITY: "The venue takes no more in one order.",
    Code.AVAILABLE_MARGIN: "Free cash covers no more, margin and fee counted.",
    Code.REDUCE_ONLY: "No more than that is held.",
    Code.FLIP: "It closes what is held, and opens nothing against it in the same step.",
}


def denial_words(code: str, context: Mapping[str, str]) -> str:
    """A sentence for a denial; "" for a code that has none."""
    try:
        template = DENIED[Code(code)]
    except (KeyError, ValueError):
        return ""
    return template.format_map(_Shown(context))


def clamp_words(code: str, limits: Limits | None) -> str:
    """Why a wish was made smaller: the limit as the profile states it; "" where there are no words."""
    try:
        known = Code(code)
    except ValueError:
        return ""
    name = LIMIT_OF.get(known)
    if name is None or limits is None:
        return _OTHER_CLAMPS.get(known, "")
    sentence = SENTENCES[name][0]
    value = dict(describe(limits)).get(sentence)
    if value is None:  # what the instrument allows was less
        return "This instrument allows no more."
    return f"{sentence}: {value}."


class _Shown(dict[str, str]):
    """A context with its numbers made readable; a name that is missing shows as three dots."""

    def __init__(self, context: Mapping[str, str]) -> None:
        super().__init__({name: readable(value) for name, value in context.items()})

    def __missing__(self, key: str) -> str:
        return "…"


def readable(text: str) -> str:
    """A value of a denial's context for a sentence: numbers with thousands apart and at least six digits,
    never with an exponent; instants to the minute. Anything else is itself."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return _instant(text)
    if not number.is_finite():
        return text
    shown = significant(number, 6)
    whole, _, rest = shown.partition(".")
    return f"{int(whole):,}{'.' + rest if rest else ''}" if int(whole) else shown


def _instant(text: str) -> str:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{at.astimezone(UTC):%d %b, %H:%M} UTC" if at.tzinfo else text
