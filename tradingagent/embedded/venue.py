"""Which market the demo trades on: the one that was asked for, if it can be reached."""

from typing import Final

from market.services import venue_names, venue_problem
from tradingagent.embedded.first_run import Say

SIMULATED: Final = venue_names()[0]
PROBE_SECONDS: Final = 10.0


class VenueRefused(Exception):
    """Nobody reads that venue, or VENUE_URLS says something impossible of it; one sentence says which."""


def place(venue: str) -> str:
    """Where that is, as a sentence says it."""
    return "on the simulated market" if venue == SIMULATED else f"at {venue}"


def chosen_venue(wanted: str, say: Say) -> str:
    """The venue to trade on: the simulated market instead of one that does not answer, and it is said why.
    Raises VenueRefused."""
    names = venue_names()
    if wanted not in names:
        raise VenueRefused(f"{wanted!r} is no venue we read: there are {', '.join(names)}")
    if wanted == SIMULATED:
        return wanted
    say(f"Asking {wanted} what can be traded there …")
    try:
        problem = venue_problem(wanted, PROBE_SECONDS)
    except ValueError as error:
        raise VenueRefused(str(error)) from None
    if problem is None:
        return wanted
    say(f"{problem}: trading on the simulated market instead.")
    return SIMULATED
