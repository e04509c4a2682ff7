"""What a provider's adapter does: one request to one host. Tries, budgets and prices are others' business."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any, Protocol

import httpx2

from llm.domain import Completion, Prompt
from llm.errors import ModelTimedOut, ModelUnavailable
from llm.hosts import Host
from llm.providers.failures import quote
from llm.providers.parameters import Parameters
from tradingagent.accounts.outbound import (
    AddressNotAllowed,
    AnswerNotTaken,
    http_client,
    within,
)
from tradingagent.accounts.outward import before_speaking_outward
from tradingagent.accounts.secrets import Secret

MOST_DOLLARS = 1000
"""Of one request: what a host tells beyond that is no cost."""
LONGEST_TEXT = 200_000
LONGEST_REASONING = 2_000
"""Of the thinking this much is kept, its end: it is shown and recorded, never read for decisions."""
MOST_TOKENS = 100_000_000
"""No request has more: a host that counts higher counts wrong, and a column holds no more."""
_OF_THE_LINE = (httpx2.HTTPError, httpx2.InvalidURL)
NO_KEY = "none"
"""What is sent as a key to a host that needs none; the clients send nothing without one."""


def hush(client: str) -> None:
    """Keep a client and what it speaks through from logging what hosts say: some repeat the key. After its import,
    which may have turned its logging on."""
    for name in (client, "httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)


class OneRequest(Protocol):
    """One model behind one host, asked once."""

    @property
    def model(self) -> str: ...

    @property
    def most_output(self) -> int:
        """The tokens that an answer may have at most, thinking included."""
        ...

    def send(self, prompt: Prompt, timeout: timedelta) -> Completion:
        """Ask once; the cost is unknown unless the host says it. Raises ModelUnavailable, ModelTimedOut."""
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
def outward(at: Address, timeout: timedelta) -> Iterator[None]:
    """A request leaves here: no transaction is open, and it ends in time. What the line does (refused, lost,
    too slow) becomes our own words."""
    before_speaking_outward()
    try:
        with within(timeout.total_seconds()):
            yield
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise of_line(error, timeout, at.key) from None


def of_line(error: BaseException, timeout: timedelta, key: Secret | None) -> Exception:
    """The failure that a broken line is: before the request had left nothing is charged, afterwards who knows."""
    causes = [error]
    while (cause := causes[-1].__cause__) is not None:
        causes.append(cause)
    if any(isinstance(one, AddressNotAllowed) for one in causes):
        return ModelUnavailable("the host's address is this machine's or of a private network")
    line = next((one for one in causes if isinstance(one, _OF_THE_LINE)), error)
    if isinstance(line, httpx2.InvalidURL | httpx2.UnsupportedProtocol):
        return ModelUnavailable(f"the host's address is none{quote(str(line), key)}")
    if isinstance(line, httpx2.ConnectTimeout | httpx2.PoolTimeout):
        return ModelUnavailable("the host can't be reached in time", is_temporary=True)
    if isinstance(line, httpx2.TimeoutException):
        return ModelTimedOut(f"no answer within {timeout.total_seconds():.0f} s")
    if isinstance(line, httpx2.ConnectError):
        return ModelUnavailable(
            f"the host can't be reached{quote(str(line), key)}", is_temporary=True
        )
    return ModelUnavailable(
        f"the line to the host broke{quote(str(line), key)}",
        is_temporary=not isinstance(line, AnswerNotTaken),
        may_be_charged=True,
    )


def whole(value: object) -> int:
    """A count of tokens as a host may give it, up to what there is of them; 0 for anything else."""
    if not isinstance(value, int) or isinstance(value, bool):
        return 0
    return min(max(value, 0), MOST_TOKENS)


def kept_end(text: str, most: int = LONGEST_REASONING) -> str:
    """The end of a text, where it is longer than `most` letters."""
    return text if len(text) <= most else f"…{text[1 - most :]}"


def dollars(value: object) -> Decimal | None:
    """A cost as a host tells it; None for anything that is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = Decimal(str(value))
    except ArithmeticError:
        return None
    return round(found, 12) if found.is_finite() and 0 <= found < MOST_DOLLARS else None
