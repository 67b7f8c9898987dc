"""The one HTTP client: every request of the engine goes through it, signed, guarded and bounded.

Whatever a URL or a redirect says, only addresses that `Reach` passes are connected to, and the address that was
judged is the address used. Every wait and every body has an end.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Self
from urllib.parse import urlencode

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.resolver import ThreadedResolver

from holdfast.voice.model.commands import Method
from holdfast.voice.model.errors import DocumentTooLarge, FetchFailed
from holdfast.voice.model.ids import CallSid
from holdfast.voice.runtime.http import errors, signature
from holdfast.voice.runtime.http.cookie_jars import CookieJar, CookieJars
from holdfast.voice.runtime.http.destination import (
    Destination,
    RetryOn,
    read_destination,
    redirect_destination,
    with_form,
    without_secrets,
)
from holdfast.voice.runtime.http.error_translation import translate_error
from holdfast.voice.runtime.http.exchange import (
    TWIML_LIMIT,
    Hop,
    HttpRequest,
    HttpResponse,
    RequestPolicy,
)
from holdfast.voice.runtime.http.pinned_resolver import PinnedResolver
from holdfast.voice.runtime.http.ssrf_policy import SsrfPolicy

USER_AGENT = "TwilioProxy/1.1"
IDEMPOTENCY_HEADER = "I-Twilio-Idempotency-Token"
FORM_TYPE = "application/x-www-form-urlencoded; charset=UTF-8"
KEEPALIVE_S = 1.5
"""Shorter than any usual server's, so that it is seldom the server that closes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One request on the way to an answer: the first, or where a redirect led. A GET has no form."""

    destination: Destination
    method: Method
    form: tuple[tuple[str, str], ...]
    visitor: CookieJar


@dataclass(slots=True)
class _Attempt:
    """What the connection below told about one attempt."""

    reused: bool = False


class WebClient:
    """Asks web servers. Open it with `async with` inside the running loop.

    Cookies and passwords are the call's that asks; nothing is shared between two calls but idle connections.
    """

    def __init__(
        self,
        *,
        auth_token: str,
        ssrf_policy: SsrfPolicy,
        policy: RequestPolicy | None = None,
        resolver: AbstractResolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._auth_token = auth_token
        self._reach = ssrf_policy
        self._timing = policy or RequestPolicy()
        self._resolver = resolver
        self._trusted = tls or tls_context(None)
        self._session: aiohttp.ClientSession | None = None
        self._visitors = CookieJars()

    async def __aenter__(self) -> Self:
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_reuseconn.append(_note_reuse)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=PinnedResolver(self._resolver or ThreadedResolver(), self._reach),
                ssl=self._trusted,
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

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send a request, follow redirects, read the answer whole; an error status is an answer too.

        Raises: FetchFailed (its subclasses carry Twilio's codes), UrlMalformed, OverridesInvalid.
        """
        visitor = self._visitors.jar_of(request.call) if request.call is not None else CookieJar()
        destination = _known(read_destination(request.url), visitor)
        timing = self._timing.with_overrides(destination.overrides)
        form = request.form
        if request.method == "GET":
            destination, form = replace(destination, url=with_form(destination.url, form)), ()
        step = _Step(destination=destination, method=request.method, form=form, visitor=visitor)
        try:
            async with asyncio.timeout(timing.total_s):
                return await self._follow(request, step, timing)
        except TimeoutError as error:
            where = without_secrets(request.url)
            raise errors.TotalTimedOut(f"{where} gave no complete answer within {timing.total_s:g} s") from error

    def forget(self, call: CallSid) -> None:
        """The call is over: its cookies and passwords are nobody's any more."""
        self._visitors.forget(call)

    async def _follow(self, ask: HttpRequest, step: _Step, timing: RequestPolicy) -> HttpResponse:
        """Ask, and ask again where we are sent. Every hop is judged and signed anew."""
        hops: list[Hop] = []
        for _ in range(timing.redirects + 1):
            answer = await self._insist(ask, step, timing)
            location = answer.headers.get("location")
            if answer.status not in (301, 302, 303, 307, 308) or location is None:
                return replace(answer, hops=tuple(hops))
            hops.append(
                Hop(method=step.method, url=answer.url, status=answer.status, location=without_secrets(location))
            )
            carried: tuple[tuple[str, str], ...] = ()
            if answer.status in (301, 302, 303) and step.method == "POST":
                carried = tuple(pair for pair in step.form if pair[0] == "Digits")
                step = replace(step, method="GET", form=())
            target = redirect_destination(step.destination.url, location, extra=carried, carry_query=ask.carry_query)
            step = replace(step, destination=_known(target, step.visitor))
        raise errors.TooManyRedirects(f"{without_secrets(ask.url)} sent us on more than {timing.redirects} times")

    async def _insist(self, ask: HttpRequest, step: _Step, timing: RequestPolicy) -> HttpResponse:
        """One step, tried again as often as the policy says. All tries carry the same idempotency token."""
        destination = step.destination
        headers = {
            **ask.conditions,
            IDEMPOTENCY_HEADER: secrets.token_hex(16),
            signature.HEADER: signature.sign(self._auth_token, str(destination.url), step.form),
        }
        if destination.credentials is not None:
            pair = ":".join(destination.credentials).encode()
            headers["Authorization"] = "Basic " + base64.b64encode(pair).decode("ascii")
        left = timing.retries
        while True:
            attempt = _Attempt()
            failed: FetchFailed
            try:
                answer = await self._once(ask, step, headers, timing, attempt)
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
        self, ask: HttpRequest, step: _Step, headers: Mapping[str, str], timing: RequestPolicy, attempt: _Attempt
    ) -> HttpResponse:
        """One request, and its answer read whole; a Digest challenge is answered."""
        if self._session is None:
            raise RuntimeError("the web client is not open")
        destination, method, jar = step.destination, step.method, step.visitor.cookies
        self._judge_number(destination)
        sent = dict(headers)
        if ask.cookies and (cookies := jar.filter_cookies(destination.url)):
            sent["Cookie"] = "; ".join(f"{cookie.key}={cookie.coded_value}" for cookie in cookies.values())
        limits = aiohttp.ClientTimeout(total=None, connect=timing.connect_s, sock_read=timing.read_s)
        data = None
        if method == "POST":
            sent["Content-Type"], data = FORM_TYPE, urlencode(step.form).encode("ascii")
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
                    if ask.cookies:
                        jar.update_cookies(response.cookies, destination.url)
                    challenged = "digest" in response.headers.get("WWW-Authenticate", "").lower()
                    if response.status == 401 and challenged and destination.credentials and not digest:
                        digest = (aiohttp.DigestAuthMiddleware(*destination.credentials),)
                        del sent["Authorization"]
                        continue
                    return HttpResponse(
                        url=str(destination.url),
                        method=method,
                        status=response.status,
                        content_type=response.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
                        charset=response.charset,
                        headers=_headers(response),
                        body=await _read(response, ask),
                    )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise translate_error(error, str(destination.url)) from error

    def _judge_number(self, destination: Destination) -> None:
        """Judge a numeric host here: the client below resolves names only. Raises: AddressRefused."""
        try:
            number = ip_address(destination.host)
        except ValueError:
            return
        self._reach.check(destination.host, destination.port, str(number))


def tls_context(authorities: Path | None) -> ssl.SSLContext:
    """Whose certificates web servers may show: the system's authorities, and those in this PEM file.

    Raises: SettingWrong.
    """
    context = ssl.create_default_context()
    if authorities is not None:
        try:
            context.load_verify_locations(authorities)
        except ssl.SSLError as error:
            raise errors.WebhookSettingInvalid(
                f"webhook_authorities: {authorities} has no PEM certificate in it"
            ) from error
        except OSError as error:
            raise errors.WebhookSettingInvalid(
                f"webhook_authorities: {authorities} cannot be read: {error.strerror}"
            ) from error
    return context


def _known(destination: Destination, visitor: CookieJar) -> Destination:
    """The destination with the password that the visitor gave for this origin, now or before."""
    if destination.credentials is not None:
        visitor.credentials[destination.origin] = destination.credentials
    return replace(destination, credentials=visitor.credentials.get(destination.origin))


async def _note_reuse(session: aiohttp.ClientSession, context: SimpleNamespace, params: object) -> None:
    if isinstance(context.trace_request_ctx, _Attempt):
        context.trace_request_ctx.reused = True


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    """One value per name: a header sent twice is a list, but where to go on to is the first. Source: RFC 9110 §5.3."""
    found: dict[str, list[str]] = {}
    for name, value in response.headers.items():
        found.setdefault(name.lower(), []).append(value)
    return {name: values[0] if name == "location" else ", ".join(values) for name, values in found.items()}


async def _read(response: aiohttp.ClientResponse, ask: HttpRequest) -> bytes:
    """The body up to the limit for its kind. Raises: DocumentTooLarge, SoundUnplayable."""
    kind = response.headers.get("Content-Type", "").strip().lower()
    is_text = kind.startswith("text/") or "xml" in kind
    limit = ask.limit_bytes if is_text else max(ask.limit_bytes, ask.audio_limit_bytes)
    cut = ask.truncate
    too_large = DocumentTooLarge if is_text or not ask.audio_limit_bytes else errors.SoundUnplayable
    if response.status >= 300:
        limit, cut = min(limit, TWIML_LIMIT), True
    announced = response.content_length
    if announced is not None and announced > limit and not cut:
        raise too_large(f"{response.url} announces {announced} bytes; we take {limit}")
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            if cut:
                return bytes(body[:limit])
            raise too_large(f"{response.url} sent more than {limit} bytes")
    return bytes(body)
