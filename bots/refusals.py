"""The errors by which an act on a bot says no. Doors show the sentence; anything else is a defect."""

from bots.acts import DeskBusy
from bots.ports import LeaseLost
from bots.runtime import CannotTrade
from market.errors import AccountUnusable, StaleData, VenueUnavailable

REFUSALS = (
    ValueError, DeskBusy, LeaseLost, CannotTrade, VenueUnavailable, AccountUnusable, StaleData,
)  # fmt: skip
"""ValueError has BotRefused, NotNow and NothingToResume under it."""
