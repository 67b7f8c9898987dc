"""Send requests as cheaply as possible: one connection kept open, the time of sending noted."""

from __future__ import annotations

import asyncio
import base64
import json
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

from holdfast.testing.clock import now_s
from holdfast.testing.server import Server


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
