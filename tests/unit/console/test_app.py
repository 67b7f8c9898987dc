"""The console's own routes: files without data, signing in, and signing out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.routing import Router
from starlette.types import Message, Scope

from holdfast.console.app import FILES, KEYS, PAGE, SESSION, console_routes
from holdfast.console.sessions import Sessions


class Browser:
    """A client of the routes, without the access guard."""

    def __init__(self) -> None:
        self.sessions = Sessions()
        routes = console_routes(sip="<127.0.0.1:5060>", sessions=self.sessions, docs="<p>docs", docs_headers={})
        self._app = Router(routes)

    async def ask(
        self, method: str, path: str, body: bytes = b"", *, authorization: str = ""
    ) -> tuple[int, dict[str, str], str]:
        """Return status, header fields and body."""
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        headers = [(b"authorization", authorization.encode())]
        scope: Scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers}
        await self._app(scope, receive, send)
        fields = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], fields, b"".join(message.get("body", b"") for message in sent[1:]).decode()

    async def sign_in(self, key: object) -> tuple[int, Any]:
        """Exchange a key and return the status and the answer."""
        status, fields, body = await self.ask("POST", SESSION, json.dumps({"key": key}).encode())
        assert fields["cache-control"] == "no-store"
        return status, json.loads(body)


async def test_a_key_is_exchanged_once_and_signing_out_ends_the_session() -> None:
    browser = Browser()
    status, fields, made = await browser.ask("POST", KEYS)
    assert (status, fields["cache-control"]) == (201, "no-store")
    key = json.loads(made)["key"]
    status, answer = await browser.sign_in(key)
    assert (status, answer["lasts_s"]) == (201, 43_200)
    authorization = f"Bearer {answer['session']}"
    assert browser.sessions.find(authorization) is not None
    status, answer = await browser.sign_in(key)
    assert (status, answer["code"]) == (403, "key_not_good")
    assert answer["fix"] == "`holdfast console` prints a new one."
    assert (await browser.ask("DELETE", SESSION, authorization=authorization))[0] == 204
    assert browser.sessions.find(authorization) is None
    assert (await browser.ask("DELETE", SESSION, authorization=authorization))[0] == 204


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"key": 1}', b'{"key": null}', b"\xff", b"[" * 50_000])
async def test_an_invalid_key_is_refused(body: bytes) -> None:
    browser = Browser()
    browser.sessions.new_key()
    assert (await browser.ask("POST", SESSION, body))[0] == 403


@pytest.mark.parametrize("path", sorted(FILES))
async def test_the_page_loads_only_own_files_and_cannot_be_framed(path: str) -> None:
    browser = Browser()
    status, fields, body = await browser.ask("GET", path)
    assert (status, fields["referrer-policy"]) == (200, "no-referrer")
    assert "default-src 'none'" in fields["content-security-policy"]
    assert "frame-ancestors 'none'" in fields["content-security-policy"]
    assert body
    assert (await browser.ask("POST", path))[0] == 405


async def test_the_page_shows_the_address_for_phones() -> None:
    assert "sip:alice@&lt;127.0.0.1:5060&gt;" in (await Browser().ask("GET", PAGE))[2]
