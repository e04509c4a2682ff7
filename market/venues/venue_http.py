"""The session under ccxt: a deadline for the whole answer, a limit to its size, and no other host.

It knows nothing of venues or candles. The traps avoided: a timeout of `requests` is for each read, so
a server that drips a byte a second holds a thread for ever; and a redirect leads away from the venue.
"""

import time
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.exceptions import ChunkedEncodingError, InvalidURL, ReadTimeout
from urllib3.exceptions import HTTPError as BrokenBody

CHUNK = 65_536
MOST_BYTES = 64 * 1024 * 1024


class GuardedSession(requests.Session):
    """A session that reads an answer within `seconds` altogether and speaks to `base_url` only, where
    one is given. It follows no redirect and takes no proxy or password from the environment.

    Raises the exceptions of `requests`, which ccxt knows.
    """

    def __init__(self, *, seconds: float, base_url: str | None) -> None:
        super().__init__()
        self.trust_env = False
        self._seconds = seconds
        self._base_url = base_url
        self.status: int | None = None  # of the last answer

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send one request and read its whole answer."""
        url = request.url or ""
        if self._base_url is not None and not _is_below(url, self._base_url):
            raise InvalidURL(f"{urlsplit(url).netloc} is not {self._base_url}")
        self.status = None
        ends = time.monotonic() + self._seconds
        response = super().send(request, **{**kwargs, "stream": True, "allow_redirects": False})
        self.status = response.status_code
        try:
            response._content = _read(response, ends)
        except BaseException:
            response.close()  # with the connection: what is left of the answer would come first on it
            raise
        response._content_consumed = True
        response.raw.release_conn()
        if response.is_redirect:
            raise InvalidURL(f"{urlsplit(url).netloc} answers with a redirect")
        return response


def _is_below(url: str, base_url: str) -> bool:
    wanted, found = urlsplit(base_url), urlsplit(url)
    return (found.scheme, found.netloc) == (wanted.scheme, wanted.netloc) and (
        found.path.startswith(wanted.path)
    )


def _read(response: requests.Response, ends: float) -> bytes:
    """Read what has arrived, as it arrives."""
    parts: list[bytes] = []
    size = 0
    try:
        while part := response.raw.read1(CHUNK, decode_content=True):
            parts.append(part)
            size += len(part)
            if size > MOST_BYTES:
                raise ChunkedEncodingError(f"the answer is longer than {MOST_BYTES} bytes")
            if time.monotonic() > ends:
                raise ReadTimeout("the answer takes too long")
    except TimeoutError as error:
        raise ReadTimeout("the answer stopped coming") from error
    except BrokenBody as error:
        raise ChunkedEncodingError(f"Connection broken: {error}") from error
    return b"".join(parts)
