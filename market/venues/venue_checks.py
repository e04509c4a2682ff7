"""What is said of a venue before it is used: where it is spoken to, whether it answers, how far its clock is off.

It changes nothing and never raises for a venue that is down: that is what it reports. The trap avoided:
a clock that is off by a minute shows as refused orders and stale prices; here it shows as itself.
"""

import time
from concurrent.futures import Future
from datetime import UTC, datetime
from threading import Thread
from typing import Any

from market.domain.data import to_milliseconds
from market.errors import VenueUnavailable
from market.venues.ccxt_quotes import instant
from market.venues.feeds import venue_data


def describe_venue(venue: str) -> dict[str, Any]:
    """Return `venue`, `addresses` in force, `redirected` (by VENUE_URLS), `proof` (empty: unproven),
    `reachable`, `latency_ms`, `clock_ahead_ms` of the venue (None where it tells no time) and `problem`.

    The latency is that of one small request once the connection stands. Raises ValueError for an
    unknown venue, or an address in VENUE_URLS that is none.
    """
    client = venue_data(venue).client
    report: dict[str, Any] = {
        "venue": venue,
        "addresses": list(client.addresses),
        "redirected": client.base_url is not None,
        "proof": client.spec.proof,
        "reachable": False,
        "latency_ms": None,
        "clock_ahead_ms": None,
        "problem": None,
    }
    method = "fetch_time" if client.offers("fetchTime") else "fetch_markets"
    try:
        client.call(method)
        began, sent = time.monotonic(), datetime.now(UTC)
        told = client.call(method)
        taken_ms = int((time.monotonic() - began) * 1000)
    except VenueUnavailable as error:
        return {**report, "problem": str(error)}
    report |= {"reachable": True, "latency_ms": taken_ms}
    at = instant(told) if method == "fetch_time" else None
    if at is not None:  # halfway through the request
        report["clock_ahead_ms"] = at - to_milliseconds(sent) - taken_ms // 2
    return report


def problem_within(venue: str, seconds: float) -> str | None:
    """Return why a venue does not say within so many seconds what can be traded there, as a sentence; None
    when it does. Raises ValueError for an unknown venue, or an address in VENUE_URLS that is none.

    It is asked in a thread of its own: a name that is not resolved, for one, knows no deadline.
    """
    data = venue_data(venue)
    answer: Future[None] = Future()

    def ask() -> None:
        try:
            data.instruments()
        except Exception as error:  # noqa: BLE001 (whoever waits is told)
            answer.set_exception(error)
        else:
            answer.set_result(None)

    Thread(target=ask, name=f"probe of {venue}", daemon=True).start()
    try:
        answer.result(seconds)
    except TimeoutError:
        return f"{venue} did not answer within {seconds:.0f} s"
    except VenueUnavailable as error:
        return str(error)
    return None
