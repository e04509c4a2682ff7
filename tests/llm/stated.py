"""What a text states, found without the parser: the oracle of the fuzz tests.

It knows no JSON. It looks for a key in quotes, a colon, and a number that ends where a value ends; so a
number in a sentence, or in the value of another key, is not stated for a field. It may find more than a
careful reader would, never less: what it misses, the parser must not have found.
"""

import re
from decimal import ROUND_DOWN, Decimal

QUOTES = "\"'“”„‘’«»＂"
SPACE = r"(?:\s|//[^\n]*+|/\*.*?\*/|#[^\n]*+)*+"
NUMBER = (
    r"(?:[1-9][0-9]{0,2}(?:[,_' \u00a0\u202f\u2009’][0-9]{3})+(?:\.[0-9]+)?(?![0-9])"
    r"|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
)
STATED = re.compile(
    rf"(?=[{QUOTES}](?P<key>.{{1,100}}?)[{QUOTES}]{SPACE}[:：]{SPACE}[{QUOTES}]?\s*"
    rf"(?:(?:\$|usd[tc]?|x|×)\s*)*\+?(?P<number>{NUMBER})(?P<k>k)?\s*(?:%|\$|usd[tc]?|x|×|\s)*"
    rf"(?:[{QUOTES},，\]}}/#]|$))",
    re.IGNORECASE | re.DOTALL,
)
SEPARATORS = re.compile(r"[,_' \u00a0\u202f\u2009’]")
ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|([nrtfb])|(\W|_))")
THOUGHT = re.compile(r"<think>.*?(?:</think>|$)", re.IGNORECASE | re.DOTALL)

KEYS = {
    "stop_loss": "stoploss stop sl stopprice stoplossprice",
    "take_profit": "takeprofit profittarget tp target targetprice takeprofitprice",
    "leverage": "leverage",
    "notional": "notional notionalusd notionalusdt notionalvalue positionsizeusd",
    "confidence": "confidence confidencescore confidencelevel conviction"
    " confidencepct confidencepercent confidencepercentage",
    "risk_fraction": "riskfraction riskpct riskpercent riskpercentage",
    "reduce_fraction": "reducefraction reducepct reducepercent reducepercentage",
    "risk_usd": "riskusd riskamount riskusdt",
}
FIELD_OF = {key: name for name, keys in KEYS.items() for key in keys.split()}
FRACTIONS = ("confidence", "risk_fraction", "reduce_fraction")


def _unescaped(match):
    code, space, sign = match.groups()
    return chr(int(code, 16)) if code else " " if space else sign


def spellings(text):
    """The text as it is, without its thoughts, and as it is when it was written as a JSON text of a JSON text."""
    text = text.replace("\x00", "")
    found = {text, THOUGHT.sub("\n", text)}
    for _ in range(3):
        found |= {ESCAPE.sub(_unescaped, one) for one in found}
    return found | {THOUGHT.sub("\n", one) for one in found}


def numbers(text):
    """Every number that the text states for a field: field → values."""
    stated: dict[str, set[Decimal]] = {name: set() for name in KEYS}
    for spelling in spellings(text):
        for found in STATED.finditer(spelling):
            name = FIELD_OF.get(re.sub(r"[^a-z0-9]", "", found["key"].lower()))
            if name is not None:
                value = Decimal(SEPARATORS.sub("", found["number"]))
                stated[name].add(value * 1000 if found["k"] else value)
    return stated


def unstated(item, text, equity):
    """What an item holds and the text does not state: numbers, and a symbol that it does not name."""
    stated = numbers(text)
    wrong = [] if names(text, item.symbol) else [item.symbol]
    for name in KEYS.keys() - {"risk_usd"}:
        value = getattr(item, name)
        allowed = set(stated[name])
        if name in FRACTIONS:
            allowed |= {number / 100 for number in stated[name]}
        if name == "risk_fraction":
            allowed |= {
                (risk / equity).quantize(Decimal("1E-8"), ROUND_DOWN)
                for risk in stated["risk_usd"]
                if risk <= equity
            }
        if value is not None and value not in allowed:
            wrong.append(f"{name} {value}")
    return wrong


def names(text, symbol):
    """True when the text holds the base name of a symbol, signs and case aside."""
    base = symbol.partition("/")[0]
    return any(base in re.sub(r"[^A-Z0-9]", "", one.upper()) for one in spellings(text))
