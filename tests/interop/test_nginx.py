"""nginx in front, with the configuration that docs/operating.md shows: the console works, and no door opens by it."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

import pytest

from holdfast.testing.file_server import FileServer
from holdfast.testing.phone import Phone
from holdfast.testing.server import Server
from tests.interop.browser import browser
from tests.interop.nginx import CERTIFICATE, Nginx, bare, documented, public_url, tls_port
from tests.interop.test_console import CALLER, NUMBER, TALK, says
from tests.loopback.shared_server import client

pytestmark = [pytest.mark.interop, pytest.mark.anyio]

OPEN = ["/healthz", "/readyz", "/", "/console/page.css", "/console/page.js", "/console/docs"]
SHUT = [
    "/calls",
    "/holds",
    "/events",
    "/docs",
    "/openapi.json",
    "/metrics",
    "/engine/lines",
    "/x",
    "//calls",
    "/./calls",
]
FORGED: list[dict[str, str]] = [
    {},
    {"Host": "127.0.0.1:8080"},
    {"Host": "localhost"},
    {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1", "Forwarded": "for=127.0.0.1;host=localhost"},
    {"X-Forwarded-Host": "localhost", "X-Forwarded-User": "admin", "X-Remote-User": "admin"},
]


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class _Stays(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Nowhere: an answer that sends elsewhere is looked at itself."""


async def ask(
    url: str, headers: Mapping[str, str] | None = None, *, method: str = "GET", body: bytes | None = None
) -> Answer:
    """One request, as anybody outside may make it."""
    trusting = HTTPSHandler(context=ssl.create_default_context(cafile=str(CERTIFICATE)))
    opener = build_opener(ProxyHandler({}), trusting, _Stays())

    def asked() -> Answer:
        try:
            with opener.open(Request(url, body, dict(headers or {}), method=method), timeout=20) as told:
                return Answer(told.status, told.read(), dict(told.headers))
        except HTTPError as error:
            with error:
                return Answer(error.code, error.read(), dict(error.headers))

    return await asyncio.to_thread(asked)


def basic(server: Server) -> dict[str, str]:
    pair = base64.b64encode(f"{server.account_sid}:{server.auth_token}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def behind(port: int) -> Server:
    """A server with the settings that the page shows."""
    settings = {"public_url": public_url(port), "webhook_authorities": str(CERTIFICATE)}
    return Server(numbers={NUMBER: None}, settings=settings)


async def nothing_is_open(nginx: Nginx, server: Server) -> None:
    """By no path, whatever a stranger writes into a request; a page of another site does nothing with a password."""
    for headers in FORGED:
        asked = {path: (await ask(nginx.url + path, headers)).status for path in SHUT}
        assert {path: status for path, status in asked.items() if status != 401} == {}, headers
        assert (await ask(f"{nginx.url}/holds", headers, method="POST", body=b"{}")).status == 401
        assert (await ask(f"{nginx.url}/console/keys", headers, method="POST", body=b"{}")).status == 401
    assert [(await ask(nginx.url + path)).status for path in OPEN] == [200] * len(OPEN)
    rest = f"{nginx.url}/2010-04-01/Accounts/{server.account_sid}/Calls.json"
    assert (await ask(rest)).status == 401
    assert (await ask(f"{nginx.url}/twiml/dial?to=client:x", method="POST", body=b"")).status == 403
    assert (await ask(rest, basic(server))).status == 200
    assert json.loads((await ask(f"{nginx.url}/calls", basic(server))).body) == {"calls": []}
    foreign = {**basic(server), "Origin": "https://evil.example"}
    assert (await ask(f"{nginx.url}/holds", foreign, method="POST", body=b"{}")).status == 403


async def printed_link(server: Server) -> str:
    """What `holdfast console` prints beside this server."""
    command = (sys.executable, "-m", "holdfast", "console", "--config", str(server.store.with_name("holdfast.toml")))
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode().strip()


async def test_nginx_opens_no_endpoint(tmp_path: Path) -> None:
    port = tls_port()
    async with behind(port) as server, documented(tmp_path / "nginx", inner=server.url, port=port) as nginx:
        await nothing_is_open(nginx, server)
        sent = await ask(f"{nginx.plain}/calls")
        assert (sent.status, sent.headers["Location"].startswith("https://")) == (301, True)


async def test_behind_a_bare_proxy_pass_every_endpoint_asks_for_credentials(tmp_path: Path) -> None:
    async with Server() as server, bare(tmp_path / "nginx", inner=server.url) as nginx:
        await nothing_is_open(nginx, server)


async def test_the_console_works_behind_nginx_and_no_secret_is_in_a_log(tmp_path: Path) -> None:
    port = tls_port()
    with FileServer() as files:
        async with (
            behind(port) as server,
            documented(tmp_path / "nginx", inner=server.url, port=port) as nginx,
            browser(tmp_path / "browser", "--ignore-certificate-errors") as page,
            Phone("alice", server=server.sip) as alice,
            Phone("bob", server=server.sip) as bob,
        ):
            api = client(server)
            number: dict[str, object] = {"phone_number": NUMBER, "voice_url": files.put("talk.xml", TALK)}
            await asyncio.to_thread(api.post, "/engine/numbers", number)
            link = await printed_link(server)
            address, _, key = link.partition("/#key=")
            assert address == nginx.url
            await page.open(link)
            await page.until("document.getElementById('link-text').textContent === 'live'")
            assert await page.value("location.href") == f"{nginx.url}/"
            session = await page.value("sessionStorage.getItem('holdfast.session')")
            assert len(session) == len(key) == 43
            for phone in (alice, bob):
                await (await phone.call(NUMBER)).answered()
            await page.until(says("alice", ".heard", "hears bob"))
            alices = await page.value(f"{CALLER.format('alice')}.dataset.call")
            await page.click(f"[data-call={alices}] .hold")
            await asyncio.gather(alice.hears("unknown", within_s=15), bob.hears("silence", within_s=15))
            await page.until(says("alice", ".detail", "by console"))
            await page.click(f"[data-call={alices}] .resume")
            await asyncio.gather(alice.hears("bob", within_s=15), bob.hears("alice", within_s=15))
            await page.until(says("alice", ".heard", "hears bob"))
            # What the page hears by itself is stopped: only an event can tell it now, through nginx and at once.
            await page.value("(() => { for (let timer = 0; timer < 1000; timer++) clearInterval(timer); return 1; })()")
            hold = await asyncio.to_thread(api.post, "/holds", {"call": alices, "by": "the night shift"})
            await page.until(says("alice", ".detail", "by the night shift"))
            await asyncio.to_thread(api.post, f"/holds/{hold['id']}/resume", None)
            await page.click("#api")
            await page.until("document.body?.innerText.includes('POST /holds')")
            await page.open(f"{nginx.url}/")
            await page.until("document.getElementById('link-text').textContent === 'live'")
            await page.click("#sign-out")
            await page.until("document.getElementById('signed-out').innerText.includes('holdfast console')")
            assert (await ask(f"{nginx.url}/calls", {"Authorization": f"Bearer {session}"})).status == 401
            await page.open(link)  # a second time
            await page.until("document.getElementById('why-out').textContent.includes('was used already')")
            logs = {"nginx": nginx.logs(), "ours": server.log()}
    assert '"POST /console/session HTTP/1.1" 201' in logs["nginx"]
    assert '"POST /console/session HTTP/1.1" 403' in logs["nginx"]
    assert '"GET /events HTTP/1.1" 200' in logs["nginx"]
    assert "Holdfast is ready" in logs["ours"]
    secrets = {"key": key, "session": session, "fragment": "#key", "token": server.auth_token}
    secrets["basic"] = basic(server)["Authorization"].removeprefix("Basic ")
    found = [(name, where) for where, text in logs.items() for name, each in secrets.items() if each in text]
    assert found == []
