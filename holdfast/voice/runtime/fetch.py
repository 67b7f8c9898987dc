"""The one HTTP client: every request of the engine goes through it, signed, guarded and bounded.

Whatever a URL or a redirect says, only addresses that `Reach` passes are connected to, and the address that was
judged is the address used. Every wait and every body has an end.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from types import SimpleNamespace, TracebackType
from typing import Self
from urllib.parse import urlencode

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from holdfast.voice.model.commands import Method
from holdfast.voice.model.errors import FetchFailed, VoiceError
from holdfast.voice.runtime import signature
from holdfast.voice.runtime.web import errors
from holdfast.voice.runtime.web.destination import (
    Destination,
    Overrides,
    RetryOn,
    read_destination,
    redirected,
    with_form,
    without_secrets,
)
from holdfast.voice.runtime.web.reach import Reach

USER_AGENT = "TwilioProxy/1.1"
IDEMPOTENCY_HEADER = "I-Twilio-Idempotency-Token"
FORM_TYPE = "application/x-www-form-urlencoded; charset=UTF-8"
TWIML_LIMIT = 64 * 1024
AUDIO_LIMIT = 30 * 1024 * 1024
KEEPALIVE_S = 1.5
"""Shorter than any usual server's, so that it is seldom the server that closes first."""

# X.509 verification results of OpenSSL that have a code of their own.
_EXPIRED = 10
_WRONG_HOST = (62, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long, and how often. Units: seconds. Source: Twilio, "Webhooks connection overrides", the defaults."""

    connect_s: float = 5.0
    read_s: float = 15.0
    total_s: float = 15.0
    retries: int = 1
    retry_on: frozenset[RetryOn] = frozenset({"ct"})
    redirects: int = 10

    def overridden(self, by: Overrides) -> Timing:
        """These, except what a URL's fragment says otherwise."""
        return Timing(
            connect_s=self.connect_s if by.connect_s is None else by.connect_s,
            read_s=self.read_s if by.read_s is None else by.read_s,
            total_s=self.total_s if by.total_s is None else by.total_s,
            retries=self.retries if by.retries is None else by.retries,
            retry_on=self.retry_on if by.retry_on is None else by.retry_on,
            redirects=self.redirects,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request as the engine wants it.

    Shape: the form of a GET goes into the query. A body over `limit_bytes` (`audio_limit_bytes` when the answer says
    it is audio) is an error, or with `cut` is cut there. `conditions` are headers that allow a 304. `carry_query`
    takes the query along to where we are redirected.
    """

    url: str
    method: Method = "GET"
    form: tuple[tuple[str, str], ...] = ()
    limit_bytes: int = TWIML_LIMIT
    audio_limit_bytes: int = 0
    cut: bool = False
    carry_query: bool = True
    cookies: aiohttp.CookieJar | None = None
    conditions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """A redirect on the way to an answer."""

    method: Method
    url: str
    status: int
    location: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
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

    def must_succeed(self) -> Answer:
        """This answer, if its status is 2xx. Raises: StatusWrong."""
        if 200 <= self.status < 300:
            return self
        raise errors.StatusWrong(f"{self.url} answered with status {self.status}")


@dataclass(slots=True)
class _Attempt:
    """What the connection below told about one attempt."""

    reused: bool = False


class _GuardedResolver(AbstractResolver):
    """Resolves names and gives only addresses that may be connected to, so that no later lookup can differ."""

    def __init__(self, inner: AbstractResolver, reach: Reach) -> None:
        self._inner = inner
        self._reach = reach

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        passed: list[ResolveResult] = []
        refused: errors.AddressRefused | None = None
        for found in await self._inner.resolve(host, port, family):
            try:
                self._reach.judge(host, port, found["host"])
                passed.append(found)
            except errors.AddressRefused as error:
                refused = error
        if not passed and refused is not None:
            raise refused
        return passed

    async def close(self) -> None:
        await self._inner.close()


class WebClient:
    """Asks web servers. Open it with `async with` inside the running loop.

    Cookies are the asker's (`Ask.cookies`); nothing is shared between two askers but idle connections.
    """

    def __init__(
        self,
        *,
        auth_token: str,
        reach: Reach,
        timing: Timing | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._auth_token = auth_token
        self._reach = reach
        self._timing = timing or Timing()
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_reuseconn.append(_note_reuse)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=_GuardedResolver(self._resolver or ThreadedResolver(), self._reach),
                limit=0,  # A slow web server must not make requests to others wait for a place.
                keepalive_timeout=KEEPALIVE_S,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[tracing],
            headers={"User-Agent": USER_AGENT, "Accept": "*/*"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(self, ask: Ask) -> Answer:
        """Send a request, follow redirects, read the answer whole; an error status is an answer too.

        Raises: FetchFailed (its subclasses carry Twilio's codes), UrlMalformed, OverridesInvalid.
        """
        destination = read_destination(ask.url)
        timing = self._timing.overridden(destination.overrides)
        try:
            async with asyncio.timeout(timing.total_s):
                return await self._follow(ask, destination, timing)
        except TimeoutError as error:
            where = without_secrets(ask.url)
            raise errors.TookTooLong(f"{where} gave no complete answer within {timing.total_s:g} s") from error

    async def _follow(self, ask: Ask, destination: Destination, timing: Timing) -> Answer:
        """Ask, and ask again where we are sent. Every hop is judged and signed anew."""
        method, form = ask.method, ask.form
        if method == "GET":
            destination = replace(destination, url=with_form(destination.url, form))
            form = ()
        hops: list[Hop] = []
        for _ in range(timing.redirects + 1):
            answer = await self._insist(ask, destination, method, form, timing)
            location = answer.headers.get("location")
            if answer.status not in (301, 302, 303, 307, 308) or location is None:
                return replace(answer, hops=tuple(hops))
            hops.append(Hop(method=method, url=answer.url, status=answer.status, location=without_secrets(location)))
            carried: tuple[tuple[str, str], ...] = ()
            if answer.status in (301, 302, 303) and method == "POST":
                carried = tuple(pair for pair in form if pair[0] == "Digits")
                method, form = "GET", ()
            target = redirected(destination.url, location, carried=carried, carry_query=ask.carry_query)
            if target.credentials is None and target.origin == destination.origin:
                target = replace(target, credentials=destination.credentials)
            destination = target
        raise errors.TooManyRedirects(f"{without_secrets(ask.url)} sent us on more than {timing.redirects} times")

    async def _insist(
        self, ask: Ask, destination: Destination, method: Method, form: tuple[tuple[str, str], ...], timing: Timing
    ) -> Answer:
        """One hop, tried again as often as the policy says. All tries carry the same idempotency token."""
        headers = {
            **ask.conditions,
            IDEMPOTENCY_HEADER: secrets.token_hex(16),
            signature.HEADER: signature.sign(self._auth_token, str(destination.url), form),
        }
        if destination.credentials is not None:
            pair = ":".join(destination.credentials).encode()
            headers["Authorization"] = "Basic " + base64.b64encode(pair).decode("ascii")
        left = timing.retries
        while True:
            attempt = _Attempt()
            failed: FetchFailed
            try:
                answer = await self._once(ask, destination, method, form, headers, timing, attempt)
            except (errors.ConnectTimedOut, errors.ConnectionRefused) as error:
                failed, retry = error, "ct" in timing.retry_on
            except errors.ConnectionFailed as error:
                failed, retry = error, attempt.reused
            except errors.ReadTimedOut as error:
                failed, retry = error, "rt" in timing.retry_on
            else:
                wrong: RetryOn = "5xx" if answer.status >= 500 else "4xx"
                if answer.status < 400 or wrong not in timing.retry_on or left == 0:
                    return answer
                left -= 1
                continue
            if not retry or left == 0:
                raise failed
            left -= 1

    async def _once(
        self,
        ask: Ask,
        destination: Destination,
        method: Method,
        form: tuple[tuple[str, str], ...],
        headers: Mapping[str, str],
        timing: Timing,
        attempt: _Attempt,
    ) -> Answer:
        """One request, and its answer read whole; a Digest challenge is answered."""
        if self._session is None:
            raise RuntimeError("the web client is not open")
        self._judge_number(destination)
        sent = dict(headers)
        if ask.cookies is not None and (cookies := ask.cookies.filter_cookies(destination.url)):
            sent["Cookie"] = "; ".join(f"{cookie.key}={cookie.coded_value}" for cookie in cookies.values())
        limits = aiohttp.ClientTimeout(total=None, connect=timing.connect_s, sock_read=timing.read_s)
        data = None
        if method == "POST":
            sent["Content-Type"], data = FORM_TYPE, urlencode(form).encode("ascii")
        digest: tuple[aiohttp.DigestAuthMiddleware, ...] = ()
        try:
            while True:
                async with self._session.request(
                    method,
                    destination.url,
                    headers=sent,
                    data=data,
                    timeout=limits,
                    allow_redirects=False,
                    middlewares=digest,
                    trace_request_ctx=attempt,
                ) as response:
                    if ask.cookies is not None:
                        ask.cookies.update_cookies(response.cookies, destination.url)
                    challenged = "digest" in response.headers.get("WWW-Authenticate", "").lower()
                    if response.status == 401 and challenged and destination.credentials and not digest:
                        digest = (aiohttp.DigestAuthMiddleware(*destination.credentials),)
                        del sent["Authorization"]
                        continue
                    return Answer(
                        url=str(destination.url),
                        method=method,
                        status=response.status,
                        content_type=response.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
                        charset=response.charset,
                        headers=_headers(response),
                        body=await _read(response, ask),
                    )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise translated(error, str(destination.url)) from error

    def _judge_number(self, destination: Destination) -> None:
        """Judge a numeric host here: the client below resolves names only. Raises: AddressRefused."""
        try:
            number = ip_address(destination.host)
        except ValueError:
            return
        self._reach.judge(destination.host, destination.port, str(number))


async def _note_reuse(session: aiohttp.ClientSession, context: SimpleNamespace, params: object) -> None:
    if isinstance(context.trace_request_ctx, _Attempt):
        context.trace_request_ctx.reused = True


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    """One value per name: a header sent twice is a list, but where to go on to is the first. Source: RFC 9110 §5.3."""
    found: dict[str, list[str]] = {}
    for name, value in response.headers.items():
        found.setdefault(name.lower(), []).append(value)
    return {name: values[0] if name == "location" else ", ".join(values) for name, values in found.items()}


async def _read(response: aiohttp.ClientResponse, ask: Ask) -> bytes:
    """The body up to the limit for its kind. Raises: AnswerTooLarge."""
    kind = response.headers.get("Content-Type", "").strip().lower()
    is_text = kind.startswith("text/") or "xml" in kind
    limit = ask.limit_bytes if is_text else max(ask.limit_bytes, ask.audio_limit_bytes)
    cut = ask.cut
    if response.status >= 300:
        limit, cut = min(limit, TWIML_LIMIT), True
    announced = response.content_length
    if announced is not None and announced > limit and not cut:
        raise errors.AnswerTooLarge(f"{response.url} announces {announced} bytes; we take {limit}")
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            if cut:
                return bytes(body[:limit])
            raise errors.AnswerTooLarge(f"{response.url} sent more than {limit} bytes")
    return bytes(body)


def translated(error: aiohttp.ClientError | OSError | ValueError, url: str) -> VoiceError:
    """Our error for what the client below raised. Source: Twilio error dictionary, 11100 to 11237."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return errors.HostUnknown(f"{url}: the host name has no address")
        case aiohttp.ClientConnectorCertificateError():
            return _certificate_error(error.certificate_error, url)
        case aiohttp.ClientConnectorSSLError():
            return errors.TlsFailed(f"{url}: no TLS session: {error}")
        case aiohttp.ClientConnectorError(os_error=ConnectionRefusedError()):
            return errors.ConnectionRefused(f"{url}: nobody listens there")
        case aiohttp.ConnectionTimeoutError():
            return errors.ConnectTimedOut(f"{url}: no connection in time")
        case aiohttp.ServerTimeoutError():
            return errors.ReadTimedOut(f"{url}: the web server fell silent")
        case aiohttp.ClientPayloadError() | aiohttp.ClientResponseError():
            return errors.AnswerBroken(f"{url}: not a complete HTTP answer: {_first_line(error)}")
        case aiohttp.InvalidURL():
            return errors.UrlMalformed(f"{url} is no URL we could ask")
        case aiohttp.ClientError() | OSError() | ValueError():
            return errors.ConnectionFailed(f"{url}: the connection failed: {_first_line(error)}")


def _certificate_error(error: Exception, url: str) -> FetchFailed:
    code = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else 0
    if code in _WRONG_HOST:
        return errors.CertificateForAnotherName(f"{url}: the certificate is for another host")
    if code == _EXPIRED:
        return errors.CertificateExpired(f"{url}: the certificate has expired")
    return errors.CertificateUntrusted(f"{url}: the certificate is signed by nobody we trust")


def _first_line(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    return text.splitlines()[0][:200]
