"""Where a venue is spoken to: its own addresses, or the one base URL that VENUE_URLS puts in their place.

It only rewrites addresses; `venue_http` refuses any other host when a request is made. The trap
avoided: ccxt keeps dozens of addresses a venue, and one that was left alone sends orders meant for a
local server to the real venue.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from django.conf import settings


def base_url_of(venue: str) -> str | None:
    """Return the base URL set for a venue in VENUE_URLS, without a final slash, or None.

    Raises ValueError when it is no http(s) address.
    """
    if not isinstance(settings.VENUE_URLS, dict):
        raise ValueError('VENUE_URLS is a JSON object, like {"okx": "http://localhost:9000"}')
    text = settings.VENUE_URLS.get(venue)
    if text is None:
        return None
    parts = urlsplit(text) if isinstance(text, str) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"VENUE_URLS: {text!r} is no http(s) address for {venue}")
    if parts.query or parts.fragment or parts.username:
        raise ValueError(f"VENUE_URLS: the address of {venue} may only have a host and a path")
    return str(text).rstrip("/")


def redirected(urls: object, base_url: str) -> object:
    """Return ccxt's tree of addresses with scheme and host replaced by the base URL, paths kept.

    Templates (`https://api.{hostname}`) lose their host too. Text that is no address stays.
    """
    if isinstance(urls, Mapping):
        return {key: redirected(value, base_url) for key, value in urls.items()}
    if isinstance(urls, list):
        return [redirected(value, base_url) for value in urls]
    if isinstance(urls, str) and "://" in urls:
        parts = urlsplit(urls)
        return base_url + parts.path + (f"?{parts.query}" if parts.query else "")
    return urls


def other_hosts(urls: object, base_url: str) -> tuple[str, ...]:
    """Return every address in the tree that does not begin with the base URL."""
    if isinstance(urls, Mapping):
        return tuple(text for value in urls.values() for text in other_hosts(value, base_url))
    if isinstance(urls, list):
        return tuple(text for value in urls for text in other_hosts(value, base_url))
    if isinstance(urls, str) and "://" in urls and not urls.startswith(base_url):
        return (urls,)
    return ()
