"""Clients of the REST API: in this process as an ASGI application, or over a real socket."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlencode

import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.voice.api.app import make_api
from holdfast.voice.api.ops.diagnostics import make_diagnostics
from holdfast.voice.api.ops.explain_endpoint import make_explain
from holdfast.voice.api.ops.routes_endpoint import NoRegistrations, TrunkRegistrations
from holdfast.voice.api.ports import Recordings
from holdfast.voice.model.ports import Journal, JournalEntry
from holdfast.voice.runtime.directory.directory import Directory
from holdfast.voice.runtime.messages.message_log import CAPACITY
from holdfast.voice.runtime.notification_log import Notifications
from holdfast.voice.runtime.quality_reports import Quality
from tests.conformance.answers import faults
from tests.conformance.engine import (
    ACCOUNT,
    TOKEN,
    Engine,
    KeptWebEffects,
    MemoryStore,
    new_messages,
    new_metrics,
    new_notifications,
    open_directory,
)

BASE = f"/2010-04-01/Accounts/{ACCOUNT}"
BASIC = "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
FORM = "application/x-www-form-urlencoded"
Form = Mapping[str, str] | Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The response to a request."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Return the body, which must be JSON."""
        assert self.headers["content-type"].startswith("application/json"), self.headers
        return json.loads(self.body)

    @property
    def code(self) -> int:
        """Return Twilio's error code."""
        found: int = self.json["code"]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class RestApi:
    """A REST API with an engine."""

    engine: Engine
    quality: Quality
    directory: Directory
    notifications: Notifications
    store: MemoryStore
    app: ASGIApp
    web: KeptWebEffects
    diagnostics: Callable[[], FastAPI] = FastAPI

    async def request(
        self,
        method: str,
        path: str,
        *,
        form: Form | None = None,
        query: str = "",
        body: bytes = b"",
        content_type: str = FORM,
        authorization: str = BASIC,
    ) -> Reply:
        """Send one request without a socket, and compare the answer with the table of facts."""
        if form is not None:
            body = urlencode(list(form.items()) if isinstance(form, Mapping) else list(form)).encode()
        headers = [(b"host", b"127.0.0.1"), (b"content-type", content_type.encode("latin-1"))]
        if authorization:
            headers.append((b"authorization", authorization.encode("latin-1")))
        reply = await asgi_request(self.app, method, path, query=query, headers=headers, chunks=[body])
        kind = reply.headers.get("content-type", "")
        wrong = faults(method, path, reply.status, kind, reply.body)
        assert wrong == [], f"{method} {path}: {reply.status} {reply.body.decode('utf-8', 'replace')[:500]}"
        return reply

    async def get(self, path: str, query: str = "") -> Reply:
        """Get a path below the account."""
        return await self.request("GET", BASE + path, query=query)

    async def post(self, path: str, form: Form | None = None) -> Reply:
        """Post to a path below the account."""
        return await self.request("POST", BASE + path, form=form or {})

    async def delete(self, path: str) -> Reply:
        """Delete a path below the account."""
        return await self.request("DELETE", BASE + path)

    def warnings(self) -> list[int]:
        """Return the codes of all notifications, the newest first."""
        return [notice.notification.code for notice in self.notifications.newest()]


async def asgi_request(
    app: ASGIApp, method: str, path: str, *, query: str, headers: list[tuple[bytes, bytes]], chunks: list[bytes]
) -> Reply:
    """Exchange one request with an ASGI application. The client disconnects after the last chunk."""
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    waiting = [
        {"type": "http.request", "body": chunk, "more_body": index + 1 < len(chunks)}
        for index, chunk in enumerate(chunks)
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = sent[0]
    return Reply(
        status=start["status"],
        headers={name.decode(): value.decode() for name, value in start["headers"]},
        body=b"".join(message.get("body", b"") for message in sent[1:]),
    )


class MemoryJournal:
    """A journal in memory."""

    def __init__(self, lines: Iterable[JournalEntry] = ()) -> None:
        self.lines = list(lines)

    async def commit(self, entries: Iterable[JournalEntry], snapshots: Iterable[object]) -> None:
        self.lines += entries

    def trouble(self) -> str | None:
        return None

    async def prune(self) -> bool:
        return False

    async def load(self, *, kept: int) -> list[Any]:
        return []

    async def entries(self, call: str, *, after: int = 0, limit: int = 10_000) -> list[JournalEntry]:
        return [line for line in self.lines if line.call == call][after : after + limit]


async def new_rest_api(
    *,
    journal: Journal | None = None,
    not_ready: str | None = None,
    sounds: Recordings | None = None,
    registrations: TrunkRegistrations | None = None,
    is_ending: bool = False,
    store: MemoryStore | None = None,
    accepts_messages: bool = True,
    message_capacity: int = CAPACITY,
) -> RestApi:
    """Return the REST API and the diagnostics under one root, as `serve` mounts them."""
    engine, store, journal, quality = Engine(), store or MemoryStore(), journal or MemoryJournal(), Quality()
    directory, notifications = await open_directory(store), new_notifications(engine)
    web = KeptWebEffects(notifications)
    messages = await new_messages(web, store, accepts=accepts_messages, capacity=message_capacity)
    metrics = new_metrics(engine)

    @cache
    def diagnostics() -> FastAPI:
        app = FastAPI()
        app.include_router(
            make_diagnostics(
                switch=engine,
                directory=directory,
                journal=journal,
                account_sid=ACCOUNT,
                auth_token=TOKEN,
                metrics=metrics,
                not_ready=lambda: not_ready,
                registrations=registrations or NoRegistrations(),
            )
        )
        app.include_router(
            make_explain(
                switch=engine,
                journal=journal,
                quality=quality,
                unsent=lambda call: None,
                account_sid=ACCOUNT,
                auth_token=TOKEN,
            )
        )
        return app

    async def diagnose(scope: Scope, receive: Receive, send: Send) -> None:
        """Make the diagnostics when they are asked for: that takes ten times as long as the rest of the REST API."""
        await diagnostics()(scope, receive, send)

    api = make_api(
        switch=engine,
        directory=directory,
        notifications=notifications,
        messages=messages,
        journal=journal,
        account_sid=ACCOUNT,
        auth_token=TOKEN,
        metrics=metrics,
        recordings=sounds,
        is_ending=lambda: is_ending,
    )
    app = Starlette(routes=[Mount("/2010-04-01", api), Mount("/", diagnose)])
    return RestApi(
        quality=quality,
        engine=engine,
        directory=directory,
        notifications=notifications,
        store=store,
        web=web,
        app=app,
        diagnostics=diagnostics,
    )


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """Run a real server on a free loopback port, and yield its base URL."""
    # asyncio sets TCP_NODELAY only on sockets that name their protocol; without it every answer takes 40 ms more.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="rest-api", daemon=True)
    listener.listen()
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()
    assert not thread.is_alive()
