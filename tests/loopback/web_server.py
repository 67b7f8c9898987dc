"""A web server that behaves exactly as a test wants, byte by byte, well or badly."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

REASONS = {200: "OK", 302: "Found", 304: "Not Modified", 401: "Unauthorized", 404: "Not Found"}


@dataclass(frozen=True, kw_only=True)
class Request:
    """A received request. Header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


Behaviour = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


def raw(data: bytes) -> Behaviour:
    """Return a behaviour that sends these bytes and closes the connection."""

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(data)

    return behave


def reply(
    body: bytes | str = b"", *, status: int = 200, kind: str | None = "text/xml", headers: dict[str, str] | None = None
) -> Behaviour:
    """Return a behaviour that sends a complete, correct response."""
    return raw(answer(body, status=status, kind=kind, headers=headers))


def answer(
    body: bytes | str = b"", *, status: int = 200, kind: str | None = "text/xml", headers: dict[str, str] | None = None
) -> bytes:
    data = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}"]
    if status != 304:
        lines.append(f"Content-Length: {len(data)}")
    if kind is not None:
        lines.append(f"Content-Type: {kind}")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + (b"" if status == 304 else data)


def to(location: str, *, status: int = 302) -> Behaviour:
    """Return a behaviour that redirects."""
    return reply(status=status, headers={"Location": location})


class WebServer:
    """A server with a behaviour for each path, else `otherwise` (404). It remembers every request in order."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, otherwise: Behaviour | None = None) -> None:
        self.requests: list[Request] = []
        self.behaviours: dict[str, Behaviour] = {}
        self._tls = tls
        self._otherwise = otherwise or reply(status=404)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        # A connection accepted just now is made in the next rounds of the loop; asyncio would leave it open and forget
        # it if the server were closed meanwhile. So the server first stops accepting.
        for listening in self._server.sockets:
            asyncio.get_running_loop().remove_reader(listening.fileno())
        for _ in range(4):
            await asyncio.sleep(0)
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        # The client may no longer read what is still to be sent, and a task that never began has closed nothing.
        for writer in self._writers:
            writer.transport.abort()
        for writer in self._writers:
            with suppress(OSError):
                await writer.wait_closed()

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def url(self, path: str = "/", *, host: str = "127.0.0.1") -> str:
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    def on(self, path: str, behaviour: Behaviour) -> str:
        """Set the behaviour of a path, and return its URL."""
        self.behaviours[path] = behaviour
        return self.url(path)

    def asked(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]

    async def came(self, count: int) -> None:
        """Wait until this many requests have arrived."""
        async with asyncio.timeout(10):
            while len(self.requests) < count:
                self._news.clear()
                await self._news.wait()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        task = asyncio.create_task(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                request = await self._read(reader)
                self.requests.append(request)
                self._news.set()
                behave = self.behaviours.get(request.path, self._otherwise)
                await behave(request, writer)
                await writer.drain()
        finally:
            writer.close()

    @staticmethod
    async def _read(reader: asyncio.StreamReader) -> Request:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")[:-2]
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return Request(method=method, target=target, headers=headers, body=body)
