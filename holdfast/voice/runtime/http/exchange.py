"""A request and its answer, as the engine sees them, and how long they may take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.voice.model.commands import Method
from holdfast.voice.model.ids import CallSid
from holdfast.voice.runtime.http.destination import Overrides, RetryOn
from holdfast.voice.runtime.http.errors import StatusWrong

TWIML_LIMIT = 64 * 1024
"""Source: Twilio error 11750."""
AUDIO_LIMIT = 30 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestPolicy:
    """How long, and how often. Units: seconds. Source: Twilio, "Webhooks connection overrides", the defaults."""

    connect_s: float = 5.0
    read_s: float = 15.0
    total_s: float = 15.0
    retries: int = 1
    retry_on: frozenset[RetryOn] = frozenset({"ct"})
    redirects: int = 10

    def with_overrides(self, by: Overrides) -> RequestPolicy:
        """These, except what a URL's fragment says otherwise."""
        return RequestPolicy(
            connect_s=self.connect_s if by.connect_s is None else by.connect_s,
            read_s=self.read_s if by.read_s is None else by.read_s,
            total_s=self.total_s if by.total_s is None else by.total_s,
            retries=self.retries if by.retries is None else by.retries,
            retry_on=self.retry_on if by.retry_on is None else by.retry_on,
            redirects=self.redirects,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One request as the engine wants it.

    Shape: the form of a GET goes into the query. A body over `limit_bytes` (`audio_limit_bytes` when the answer says
    it is audio) is an error, or with `cut` is cut there. `conditions` are headers that allow a 304. `carry_query`
    takes the query along to where we are redirected. `call` is who asks: its passwords go along, and with `cookies`
    its cookies.
    """

    url: str
    method: Method = "GET"
    form: tuple[tuple[str, str], ...] = ()
    limit_bytes: int = TWIML_LIMIT
    audio_limit_bytes: int = 0
    truncate: bool = False
    carry_query: bool = True
    call: CallSid | None = None
    cookies: bool = False
    conditions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """A redirect on the way to an answer."""

    method: Method
    url: str
    status: int
    location: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """A complete answer of any status.

    Shape: `url` is the address that gave it, without secrets; header names in lower case; `content_type` lower case
    without parameters, "" when not sent.
    """

    url: str
    method: Method
    status: int
    content_type: str
    charset: str | None
    headers: Mapping[str, str]
    body: bytes
    hops: tuple[Hop, ...] = ()

    def require_success(self) -> HttpResponse:
        """This answer, if its status is 2xx. Raises: StatusWrong."""
        if 200 <= self.status < 300:
            return self
        raise StatusWrong(f"{self.url} answered with status {self.status}")
