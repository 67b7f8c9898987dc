"""This module sends the official SDK's requests: aiohttp, one pool or one connection each, errors in our words."""

import asyncio
import logging
from base64 import b64encode
from typing import Any

import aiohttp
from twilio.http import AsyncHttpClient
from twilio.http.response import Response

from holdfast.holds.errors import AccountUnreachable, OutcomeUnknown

READ_METHODS = frozenset({"GET", "HEAD"})
MAX_BODY = 8_000_000
"""Longest response read, in bytes; a page of 1,000 calls is about a tenth of it."""

_log = logging.getLogger("holdfast.holds.account.transport")


class Transport(AsyncHttpClient):  # type: ignore[misc]  # the SDK carries no types
    """A transport sends the requests of the SDK.

    The SDK's own async client keeps no time limit, leaves its session open when a request fails, and must be built
    inside the loop. This one ends each request within `timeout_s`, and needs no closing unless `open` was called. It
    never repeats a request.

    Raises: `AccountUnreachable` when the request was not sent, or was a read; `OutcomeUnknown` when a change was sent
    and no complete response came back.
    """

    def __init__(self, *, timeout_s: float) -> None:
        super().__init__(_log, True, timeout_s)
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Keep connections open between requests from now on."""
        if self._session is None:
            self._session = _session()

    async def close(self) -> None:
        """Close the pool; later requests open a connection each."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def request(
        self,
        method: str,
        uri: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """Send one request and read its whole response."""
        method = method.upper()
        arguments: dict[str, Any] = {
            "params": params,
            "data": data,
            "headers": {**(headers or {}), **_basic(auth)},
            "allow_redirects": allow_redirects,
        }
        try:
            async with asyncio.timeout(self._timeout_s):
                if self._session is not None:
                    return await _exchange(self._session, method, uri, arguments)
                async with _session() as session:
                    return await _exchange(session, method, uri, arguments)
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL) as error:
            raise AccountUnreachable(
                f"no connection to {uri}: {error}", fix="Is the address right, and the engine running?"
            ) from error
        except TimeoutError as error:
            raise _unanswered(method, uri, f"no answer within {self._timeout_s:g} s") from error
        except aiohttp.ClientError as error:
            raise _unanswered(method, uri, str(error) or type(error).__name__) from error


async def _exchange(session: aiohttp.ClientSession, method: str, uri: str, arguments: dict[str, Any]) -> Response:
    async with session.request(method, uri, **arguments) as answer:
        body = bytearray()
        async for chunk in answer.content.iter_chunked(65_536):
            body += chunk
            if len(body) > MAX_BODY:
                raise aiohttp.ClientPayloadError(f"the answer is longer than {MAX_BODY} bytes")
        return Response(answer.status, body.decode(errors="replace"), answer.headers)


def _session() -> aiohttp.ClientSession:
    # Cookies mean nothing to this API, and a jar would keep some. Time limits are ours, around the whole exchange.
    return aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(total=None))


def _basic(auth: tuple[str, str] | None) -> dict[str, str]:
    return {} if auth is None else {"Authorization": "Basic " + b64encode(":".join(auth).encode()).decode()}


def _unanswered(method: str, uri: str, why: str) -> AccountUnreachable | OutcomeUnknown:
    if method in READ_METHODS:
        return AccountUnreachable(f"{uri} gave no answer: {why}")
    return OutcomeUnknown(f"a change was sent to {uri} and not answered: {why}")
