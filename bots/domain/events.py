"""What pages, streams and alerts are told of a bot. One kind per concept."""

from enum import StrEnum


class EventKind(StrEnum):
    """What changed."""

    BOT = "BOT"
    CYCLE = "CYCLE"
    ORDER = "ORDER"
    FILL = "FILL"
    TRADE = "TRADE"
    NOTICE = "NOTICE"
    PLAN = "PLAN"
    ACTION = "ACTION"
