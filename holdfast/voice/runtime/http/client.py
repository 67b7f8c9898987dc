"""Send every HTTP request of the engine: signed, checked against the SSRF policy, and bounded.

Whatever a URL or a redirect says, the client connects only to addresses that `SsrfPolicy` allows, and the address
that was checked is the address that is used. Every wait and every body is limited.
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
from holdfast.voice.runtime.http.content_sniffing import is_binary
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
"""The keep-alive time is shorter than that of usual servers, so that the server seldom closes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _HopRequest:
    """One request on the way to a response: the first, or that of a redirect. A GET has no form."""

    destination: Destination
    method: Method
    form: tuple[tuple[str, str], ...]
    jar: CookieJar


@dataclass(slots=True)
class _Attempt:
    """The state of one attempt that the connection reports."""

    reused: bool = False


class WebClient:
    """A web client sends requests to web servers. Open it with `async with` inside the running loop.

    Cookies and passwords belong to the call that makes the request; calls share idle connections only.
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
        self._ssrf_policy = ssrf_policy
        self._policy = policy or RequestPolicy()
        self._resolver = resolver
        self._tls = tls or tls_context(None)
        self._session: aiohttp.ClientSession | None = None
        self._jars = CookieJars()

    async def __aenter__(self) -> Self:
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_reuseconn.append(_note_reuse)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=PinnedResolver(self._resolver or ThreadedResolver(), self._ssrf_policy),
                ssl=self._tls,
                limit=0,  # A slow web server must not delay requests to other servers.
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
        """Send a request, follow redirects, and read the whole response, which may have an error status.

        Raises: FetchFailed (its subclasses carry Twilio's codes), UrlMalformed, OverridesInvalid.
        """
        jar = self._jars.jar_of(request.call) if request.call is not None else CookieJar()
        destination = _with_credentials(read_destination(request.url), jar)
        policy = self._policy.with_overrides(destination.overrides)
        form = request.form
        if request.method == "GET":
            destination, form = replace(destination, url=with_form(destination.url, form)), ()
        hop_request = _HopRequest(destination=destination, method=request.method, form=form, jar=jar)
        try:
            async with asyncio.timeout(policy.total_s):
                return await self._follow(request, hop_request, policy)
        except TimeoutError as error:
            where = without_secrets(request.url)
            raise errors.TotalTimedOut(f"{where} gave no complete response within {policy.total_s:g} s") from error

    def forget(self, call: CallSid) -> None:
        """Forget the cookies and passwords of a call that has ended."""
        self._jars.forget(call)

    async def _follow(self, request: HttpRequest, hop_request: _HopRequest, policy: RequestPolicy) -> HttpResponse:
        """Send a request and follow redirects; every hop is checked and signed again."""
        hops: list[Hop] = []
        for _ in range(policy.redirects + 1):
            response = await self._send_with_retries(request, hop_request, policy)
            location = response.headers.get("location")
            if response.status not in (301, 302, 303, 307, 308) or location is None:
                return replace(response, hops=tuple(hops))
            hops.append(
                Hop(
                    method=hop_request.method,
                    url=response.url,
                    status=response.status,
                    location=without_secrets(location),
                )
            )
            carried: tuple[tuple[str, str], ...] = ()
            if response.status in (301, 302, 303) and hop_request.method == "POST":
                carried = tuple(pair for pair in hop_request.form if pair[0] == "Digits")
                hop_request = replace(hop_request, method="GET", form=())
            target = redirect_destination(
                hop_request.destination.url, location, extra=carried, carry_query=request.carry_query
            )
            hop_request = replace(hop_request, destination=_with_credentials(target, hop_request.jar))
        raise errors.TooManyRedirects(
            f"{without_secrets(request.url)} redirected us more than {policy.redirects} times"
        )

    async def _send_with_retries(
        self, request: HttpRequest, hop_request: _HopRequest, policy: RequestPolicy
    ) -> HttpResponse:
        """Send one request with the retries of the policy. All attempts carry the same idempotency token."""
        destination = hop_request.destination
        headers = {
            **request.conditions,
            IDEMPOTENCY_HEADER: secrets.token_hex(16),
            signature.HEADER: signature.sign(self._auth_token, str(destination.url), hop_request.form),
        }
        if destination.credentials is not None:
            pair = ":".join(destination.credentials).encode()
            headers["Authorization"] = "Basic " + base64.b64encode(pair).decode("ascii")
        left = policy.retries
        while True:
            attempt = _Attempt()
            failed: FetchFailed
            try:
                response = await self._send_once(request, hop_request, headers, policy, attempt)
            except (errors.ConnectTimedOut, errors.ConnectionRefused) as error:
                failed, retry = error, "ct" in policy.retry_on
            except errors.ConnectionFailed as error:
                failed, retry = error, attempt.reused
            except errors.ReadTimedOut as error:
                failed, retry = error, "rt" in policy.retry_on
            else:
                status_class: RetryOn = "5xx" if response.status >= 500 else "4xx"
                if response.status < 400 or status_class not in policy.retry_on or left == 0:
                    return response
                left -= 1
                continue
            if not retry or left == 0:
                raise failed
            left -= 1

    async def _send_once(
        self,
        request: HttpRequest,
        hop_request: _HopRequest,
        headers: Mapping[str, str],
        policy: RequestPolicy,
        attempt: _Attempt,
    ) -> HttpResponse:
        """Send one request and read its whole response; a Digest challenge is answered."""
        if self._session is None:
            raise RuntimeError("the web client is not open")
        destination, method, cookie_jar = hop_request.destination, hop_request.method, hop_request.jar.cookies
        self._check_numeric_host(destination)
        sent = dict(headers)
        if request.cookies and (cookies := cookie_jar.filter_cookies(destination.url)):
            sent["Cookie"] = "; ".join(f"{cookie.key}={cookie.coded_value}" for cookie in cookies.values())
        limits = aiohttp.ClientTimeout(total=None, connect=policy.connect_s, sock_read=policy.read_s)
        data = None
        if method == "POST":
            sent["Content-Type"], data = FORM_TYPE, urlencode(hop_request.form).encode("ascii")
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
                    if request.cookies:
                        cookie_jar.update_cookies(response.cookies, destination.url)
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
                        body=await _read(response, request),
                    )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise translate_error(error, str(destination.url)) from error

    def _check_numeric_host(self, destination: Destination) -> None:
        """Check a numeric host, which the resolver does not see. Raises: AddressRefused."""
        try:
            number = ip_address(destination.host)
        except ValueError:
            return
        self._ssrf_policy.check(destination.host, destination.port, str(number))


def tls_context(authorities: Path | None) -> ssl.SSLContext:
    """Return a TLS context that trusts the system's certificate authorities and those in a PEM file.

    Raises: WebhookSettingInvalid.
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


def _with_credentials(destination: Destination, jar: CookieJar) -> Destination:
    """Return the destination with the password that the call used for this origin, now or before."""
    if destination.credentials is not None:
        jar.credentials[destination.origin] = destination.credentials
    return replace(destination, credentials=jar.credentials.get(destination.origin))


async def _note_reuse(session: aiohttp.ClientSession, context: SimpleNamespace, params: object) -> None:
    if isinstance(context.trace_request_ctx, _Attempt):
        context.trace_request_ctx.reused = True


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Return one value per name: repeated headers are joined, except `Location`. Source: RFC 9110 §5.3."""
    found: dict[str, list[str]] = {}
    for name, value in response.headers.items():
        found.setdefault(name.lower(), []).append(value)
    return {name: values[0] if name == "location" else ", ".join(values) for name, values in found.items()}


async def _read(response: aiohttp.ClientResponse, request: HttpRequest) -> bytes:
    """Read the body up to the limit for its type; audio that is called a text has the limit of audio.

    Raises: DocumentTooLarge, SoundUnplayable.
    """
    kind = response.headers.get("Content-Type", "").strip().lower()
    is_text = kind.startswith("text/") or "xml" in kind
    audio_limit = max(request.limit_bytes, request.audio_limit_bytes)
    limit = request.limit_bytes if is_text else audio_limit
    truncate = request.truncate
    too_large = DocumentTooLarge if is_text or not request.audio_limit_bytes else errors.SoundUnplayable
    if response.status >= 300:
        limit = audio_limit = min(limit, TWIML_LIMIT)
        truncate = True
    announced = response.content_length
    if announced is not None and announced > audio_limit and not truncate:
        raise too_large(f"{response.url} announces {announced} bytes; at most {limit} are allowed")
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit and truncate:
            return bytes(body[:limit])
        if len(body) > limit and audio_limit > limit and is_binary(bytes(body)):
            limit, too_large = audio_limit, errors.SoundUnplayable
        if len(body) > limit:
            raise too_large(f"{response.url} sent more than {limit} bytes")
    return bytes(body)
