"""Send requests as cheaply as possible: one connection kept open, the time of sending noted."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

from holdfast.testing.clock import now_s
from holdfast.testing.server import Server

CONNECTIONS = 8
"""The connections of one that redirects many calls."""


class RestConnection:
    """A connection to a server."""

    def __init__(self, server: Server) -> None:
        self._connection = HTTPConnection(*server.http, timeout=10.0)
        credentials = base64.b64encode(f"{server.account_sid}:{server.auth_token}".encode()).decode()
        self._authorization = {"Authorization": f"Basic {credentials}"}

    async def post_form(self, path: str, **fields: str) -> tuple[float, dict[str, Any]]:
        """Post a form, as Twilio's API takes it; return when it was sent, and the answer."""
        headers = self._authorization | {"Content-Type": "application/x-www-form-urlencoded"}
        return await asyncio.to_thread(self._post, path, urlencode(fields), headers)

    async def post_json(self, path: str, body: dict[str, Any]) -> tuple[float, dict[str, Any]]:
        """Post JSON, as the holds API takes it; return when it was sent, and the answer."""
        headers = self._authorization | {"Content-Type": "application/json"}
        return await asyncio.to_thread(self._post, path, json.dumps(body), headers)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _post(self, path: str, body: str, headers: dict[str, str]) -> tuple[float, dict[str, Any]]:
        sent_s = now_s()
        self._connection.request("POST", path, body, headers)
        response = self._connection.getresponse()
        content = response.read()
        if response.status >= 300:
            raise RuntimeError(f"POST {path}: {response.status} {content.decode('utf-8', 'replace')[:500]}")
        return sent_s, json.loads(content)


async def redirect_all(server: Server, calls: Sequence[str], document: str) -> float:
    """Redirect calls to a document, on several connections; return the time from the first request to the last answer.

    Units: seconds.
    """
    waiting = list(calls)

    async def redirect() -> None:
        with closing(RestConnection(server)) as rest:
            while waiting:
                path = f"/2010-04-01/Accounts/{server.account_sid}/Calls/{waiting.pop()}.json"
                await rest.post_form(path, Twiml=document)

    began_s = now_s()
    await asyncio.gather(*(redirect() for _ in range(CONNECTIONS)))
    return now_s() - began_s
