"""Define an HTTP request, its response, and the time limits and retries of a request."""

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
    """A request policy holds time limits and retries.

    Units: seconds. Source: Twilio, "Webhooks connection overrides", the defaults.
    """

    connect_s: float = 5.0
    read_s: float = 15.0
    total_s: float = 15.0
    retries: int = 1
    retry_on: frozenset[RetryOn] = frozenset({"ct"})
    redirects: int = 10

    def with_overrides(self, overrides: Overrides) -> RequestPolicy:
        """Return this policy with the overrides of a URL's fragment."""
        return RequestPolicy(
            connect_s=self.connect_s if overrides.connect_s is None else overrides.connect_s,
            read_s=self.read_s if overrides.read_s is None else overrides.read_s,
            total_s=self.total_s if overrides.total_s is None else overrides.total_s,
            retries=self.retries if overrides.retries is None else overrides.retries,
            retry_on=self.retry_on if overrides.retry_on is None else overrides.retry_on,
            redirects=self.redirects,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """An HTTP request of the engine.

    Shape: the form of a GET is added to the query. A body over `limit_bytes` (`audio_limit_bytes` if the response is
    or may be audio) is an error, or with `truncate` is truncated. `conditions` are headers that allow a 304.
    `carry_query` adds the query to redirects. `call` is the call that makes the request: its passwords are sent, and
    with `cookies` its cookies.
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
    """A hop is one redirect on the way to a response."""

    method: Method
    url: str
    status: int
    location: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """A complete HTTP response of any status.

    Shape: `url` is the address that sent it, without secrets; header names are in lower case; `content_type` is in
    lower case without parameters, "" if not sent.
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
        """Return this response if its status is 2xx. Raises: StatusWrong."""
        if 200 <= self.status < 300:
            return self
        raise StatusWrong(f"{self.url} answered with status {self.status}")
