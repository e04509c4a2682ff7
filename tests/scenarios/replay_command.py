"""The replay command as tests call it: its arguments in, what it printed out."""

from io import StringIO
from pathlib import Path

from django.core.management import call_command

SYMBOL = "BTC/USDT:USDT"
HEAD = "timestamp,open,high,low,close,volume"
RAW = ("--risk", "raw")
EMA = ("--trader", "ema_trend", "--param", "fast=2", "--param", "slow=4")


def minute(index: int, prices: str = "100,101,99,100", volume: str = "10") -> str:
    return f"2022-01-01 00:{index:02d}:00,{prices},{volume}"


GOOD = [minute(index) for index in range(12)]


def write(folder: Path, rows: list[str], head: str = HEAD) -> Path:
    path = folder / "candles.csv"
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


def replay(*arguments: object) -> str:
    printed = StringIO()
    call_command("replay", *(str(argument) for argument in arguments), stdout=printed)
    return printed.getvalue()
