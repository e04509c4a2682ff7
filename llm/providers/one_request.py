"""What a provider's adapter does: one request to one host. Tries, budgets and prices are others' business."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

import httpx2

from llm.domain import Completion, Prompt
from llm.errors import ModelTimedOut, ModelUnavailable
from llm.hosts import Host
from llm.providers.failures import quote
from llm.providers.parameters import Parameters
from tradingagent.accounts.outbound import http_client, within
from tradingagent.accounts.outward import before_speaking_outward
from tradingagent.accounts.secrets import Secret

LONGEST_TEXT = 200_000
LONGEST_REASONING = 8_000
"""Of the thinking this much is kept, its end: it is shown and recorded, never read for decisions."""
NO_KEY = "none"
"""What is sent as a key to a host that needs none; the clients send nothing without one."""


class OneRequest(Protocol):
    """One model behind one host, asked once."""

    @property
    def model(self) -> str: ...

    @property
    def most_output(self) -> int:
        """The tokens that an answer may have at most, thinking included."""
        ...

    def send(self, prompt: Prompt, timeout: timedelta) -> Completion:
        """Ask once; the cost is left unknown. Raises ModelUnavailable, ModelTimedOut."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a model is and how it is asked. `key` None: the host needs none. `may_reach_private`: it may stand
    on this machine or its network."""

    host: Host
    base_url: str
    model: str
    key: Secret | None = field(default=None)
    parameters: Parameters = field(default_factory=Parameters)
    may_reach_private: bool = False

    def client_options(self, timeout: timedelta) -> dict[str, Any]:
        """What both SDKs are given: everything said, so that nothing is taken from the environment."""
        return {
            "api_key": NO_KEY if self.key is None else self.key.reveal(),
            "base_url": self.base_url,
            "http_client": http_client(may_reach_private=self.may_reach_private),
            "max_retries": 0,
            "timeout": timeout.total_seconds(),
        }


@contextmanager
def outward(timeout: timedelta) -> Iterator[None]:
    """A request leaves here: no transaction is open, and it ends in time. What the line does (refused, lost,
    too slow) becomes our own words."""
    before_speaking_outward()
    try:
        with within(timeout.total_seconds()):
            yield
    except httpx2.HTTPError as error:
        raise of_line(error, timeout) from None


def of_line(error: BaseException | None, timeout: timedelta) -> Exception:
    """The failure that a broken line is: before the request had left nothing is charged, afterwards who knows."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, httpx2.HTTPError):
        cause = cause.__cause__
    if isinstance(cause, httpx2.ConnectTimeout | httpx2.PoolTimeout):
        return ModelUnavailable("the host can't be reached in time", is_temporary=True)
    if isinstance(cause, httpx2.TimeoutException):
        return ModelTimedOut(f"no answer within {timeout.total_seconds():.0f} s")
    if isinstance(cause, httpx2.ConnectError | httpx2.UnsupportedProtocol | httpx2.InvalidURL):
        return ModelUnavailable(f"the host can't be reached{quote(str(cause))}", is_temporary=True)
    return ModelUnavailable(
        f"the line to the host broke{quote(str(cause or error or ''))}",
        is_temporary=True,
        may_be_charged=True,
    )


def whole(value: object) -> int:
    """A count of tokens as a host may give it; 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def kept_end(text: str, most: int = LONGEST_REASONING) -> str:
    """The end of a text, where it is longer than `most` letters."""
    return text if len(text) <= most else f"…{text[1 - most :]}"
