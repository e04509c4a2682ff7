"""What can go wrong at a venue, named for what the loop must do about it."""


class VenueUnavailable(Exception):
    """The venue can't be reached or does not answer in time: skip this cycle, open nothing."""


class OrderRefused(Exception):
    """The venue said no to one order: record it and go on with the others."""


class AccountUnusable(Exception):
    """Keys, permissions or margin mode forbid trading: pause the bot and alert its owner."""


class StaleData(Exception):
    """What the feed has is too old, frozen or implausible to trade on."""


class CandleFileError(ValueError):
    """A candle or funding file can't be used; the message says in one sentence what is wrong and where."""
